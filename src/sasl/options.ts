import { z } from 'zod';
import { network } from '../lib/options.ts';
import { parseDomain } from '../mail/address.ts';

/** `auth:` of the configuration file. */
export const authOptions: z.ZodObject<{
  allowPlaintextFrom: z.ZodDefault<z.ZodArray<z.ZodType<string, string>>>;
  defaultDomain: z.ZodDefault<z.ZodNullable<z.ZodString>>;
  cramMd5: z.ZodDefault<z.ZodBoolean>;
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
});

export type AuthOptions = z.output<typeof authOptions>;
