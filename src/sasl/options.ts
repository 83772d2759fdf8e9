import { z } from 'zod';
import { duration, network } from '../lib/options.ts';
import { parseDomain } from '../mail/address.ts';
import { type OAuthSettings, oauthOptions } from '../oauth/options.ts';
import type { CertificateField } from './external.ts';
import type { GuardSettings } from './login-guard.ts';

/** `auth.bans:` of the configuration file. Durations in milliseconds. */
const bansOptions: z.ZodType<GuardSettings, object> = z.strictObject({
  addressFailures: z
    .int()
    .min(0)
    .default(20)
    .describe('Failed logins from one IPv4 address or IPv6 /64 before its logins are refused; 0 is never.'),
  accountFailures: z
    .int()
    .min(0)
    .default(50)
    .describe(
      'Failed logins for one name, from anywhere, before it is refused to addresses that have not logged in with it ' +
        'in the last month; 0 is never.',
    ),
  window: duration().prefault('10m').describe('Failures are forgotten after so long without another.'),
  duration: duration()
    .prefault('5m')
    .describe('How long the first ban lasts; each further one twice as long.'),
  maxDuration: duration().prefault('1d').describe('No ban is longer.'),
  allow: z
    .array(network())
    .default([])
    .describe('Networks whose logins are never banned, such as that of a webmail. Loopback never is.'),
});

/** `auth.clientCertificates:` of the configuration file. */
export interface ClientCertificateSettings {
  readonly ca: readonly string[];
  readonly crl: readonly string[];
  readonly account: CertificateField;
}

const clientCertificatesOptions: z.ZodType<ClientCertificateSettings, object> = z.strictObject({
  ca: z
    .array(z.string().min(1))
    .max(20)
    .default([])
    .describe(
      'Files with the authorities, in PEM form, whose certificates users may log in with (EXTERNAL). Empty: clients ' +
        'are not asked for certificates.',
    ),
  crl: z
    .array(z.string().min(1))
    .max(20)
    .default([])
    .describe(
      'Files with the authorities’ lists of withdrawn certificates, in PEM form; where there is one, every authority ' +
        'needs a list that is in force.',
    ),
  account: z
    .enum(['email', 'commonName'])
    .default('email')
    .describe(
      'What in a certificate is the account: email, its mail address (rfc822Name, or emailAddress of the subject where ' +
        'it has none); commonName, CN of the subject.',
    ),
});

/** `auth:` of the configuration file. */
export const authOptions: z.ZodObject<{
  allowPlaintextFrom: z.ZodDefault<z.ZodArray<z.ZodType<string, string>>>;
  defaultDomain: z.ZodDefault<z.ZodNullable<z.ZodString>>;
  cramMd5: z.ZodDefault<z.ZodBoolean>;
  announcePlus: z.ZodDefault<z.ZodArray<z.ZodEnum<{ imap: 'imap'; pop3: 'pop3'; submission: 'submission' }>>>;
  bans: z.ZodPrefault<z.ZodType<GuardSettings, object>>;
  oauth: z.ZodPrefault<z.ZodType<OAuthSettings, object>>;
  clientCertificates: z.ZodPrefault<z.ZodType<ClientCertificateSettings, object>>;
}> = z.strictObject({
  allowPlaintextFrom: z
    .array(network())
    .default([])
    .describe('Networks from which a password may come without TLS. Everywhere else it is refused.'),
  defaultDomain: z
    .string()
    .refine((name) => parseDomain(name) !== undefined, 'must be a domain such as example.org')
    .nullable()
    .default(null)
    .describe('Added to a login name without a domain: "alice" logs in as alice@ this domain.'),
  cramMd5: z
    .boolean()
    .default(false)
    .describe(
      'Offer CRAM-MD5 and APOP to old clients. Both need the password itself: from then on it is kept, encrypted, ' +
        'for every password that is set.',
    ),
  announcePlus: z
    .array(z.enum(['imap', 'pop3', 'submission']))
    .default(['imap'])
    .describe(
      'Protocols (imap, pop3, submission) whose clients are told of SCRAM with channel binding (-PLUS), which all take. ' +
        'mutt and neomutt as Debian 12 has them cannot do it, choose it all the same, and only over IMAP try another.',
    ),
  bans: bansOptions.prefault({}),
  oauth: oauthOptions.prefault({}),
  clientCertificates: clientCertificatesOptions.prefault({}),
});

export type AuthOptions = z.output<typeof authOptions>;
