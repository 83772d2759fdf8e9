import { z } from 'zod';
import { size } from '../lib/options.ts';
import { formatAddress, parseAddress, parseDomain } from '../mail/address.ts';
import { addressKey } from './address-key.ts';
import { DirectoryError } from './errors.ts';
import { parseStoredHash } from './stored-hash.ts';

/** `directory:` of the configuration file: how addresses are read, and who is declared in the file itself. */

const address = (): z.ZodType<string, string> =>
  z
    .string()
    .refine((text) => parseAddress(text) !== undefined, 'must be an address such as alice@example.org');

const domain = (): z.ZodType<string, string> =>
  z.string().refine((text) => parseDomain(text) !== undefined, 'must be a domain such as example.org');

const passwordHash = (): z.ZodType<string, string> =>
  z.string().superRefine((text, context) => {
    const message = refusal(text);
    if (message !== undefined) context.addIssue({ code: 'custom', message });
  });

function refusal(text: string): string | undefined {
  try {
    if (parseStoredHash(text).is !== 'plain') return undefined;
    return 'must be a hash: a configuration file is no place for a password in plain text';
  } catch (error) {
    if (error instanceof DirectoryError) return error.message;
    throw error;
  }
}

/** A domain whose mail stays here. */
export interface DeclaredDomain {
  readonly name: string;
  readonly catchAll?: string | undefined;
}

export interface DeclaredAccount {
  readonly address: string;
  readonly password: string;
  readonly quota?: number | undefined;
  readonly quotaMessages?: number | undefined;
  readonly quotaMailboxes?: number | undefined;
  readonly enabled?: boolean | undefined;
}

export interface DeclaredAlias {
  readonly address: string;
  readonly to: readonly string[];
}

/** What the file declares, after validation: addresses are known to parse. */
export interface Declared {
  readonly domains: readonly DeclaredDomain[];
  readonly accounts: readonly DeclaredAccount[];
  readonly aliases: readonly DeclaredAlias[];
}

export interface DirectoryOptions extends Declared {
  readonly recipientDelimiters: string;
  readonly postmaster: string | null;
  readonly admins: readonly string[];
}

const declaredDomain: z.ZodType<DeclaredDomain, object> = z.strictObject({
  name: domain().describe('The domain.'),
  catchAll: address().optional().describe('Gets what is for nobody else in the domain.'),
});

const declaredAccount: z.ZodType<DeclaredAccount, object> = z.strictObject({
  address: address().describe('The address, which is the login name too.'),
  password: passwordHash().describe('A hash such as {ARGON2ID}$argon2id$…, never the password.'),
  quota: size()
    .optional()
    .describe('The most its mail may take; without it what store.quota says, 0B is no limit.'),
  quotaMessages: z
    .int()
    .min(0)
    .optional()
    .describe('The most messages it may have; without it what store.quota says, 0 is no limit.'),
  quotaMailboxes: z
    .int()
    .min(0)
    .optional()
    .describe('The most mailboxes it may have; without it what store.quota says, 0 is no limit.'),
  enabled: z.boolean().optional().describe('false: no login, and mail to it is refused.'),
});

const declaredAlias: z.ZodType<DeclaredAlias, object> = z.strictObject({
  address: address().describe('The address that is forwarded.'),
  to: z.array(address()).min(1).describe('Where to: addresses here or elsewhere.'),
});

export const directoryOptions: z.ZodObject<{
  recipientDelimiters: z.ZodDefault<z.ZodString>;
  postmaster: z.ZodDefault<z.ZodNullable<z.ZodType<string, string>>>;
  admins: z.ZodDefault<z.ZodArray<z.ZodType<string, string>>>;
  domains: z.ZodDefault<z.ZodArray<z.ZodType<DeclaredDomain, object>>>;
  accounts: z.ZodDefault<z.ZodArray<z.ZodType<DeclaredAccount, object>>>;
  aliases: z.ZodDefault<z.ZodArray<z.ZodType<DeclaredAlias, object>>>;
}> = z
  .strictObject({
    recipientDelimiters: z
      .string()
      .regex(/^[!#$%&'*+/=?^_`{|}~.-]*$/, 'must be characters such as + - = that an address may have')
      .default('+')
      .describe('Each of these begins a sub-address: alice+lists@ goes to alice@. Empty: no sub-addresses.'),
    postmaster: address()
      .nullable()
      .default(null)
      .describe(
        'Gets the mail for postmaster@ and abuse@ of every domain that has none. Empty: the domain’s first account.',
      ),
    admins: z
      .array(address())
      .max(100)
      .default([])
      .describe(
        'Accounts, of this file or not, that may set the quotas of all accounts over IMAP (SETQUOTA).',
      ),
    domains: z
      .array(declaredDomain)
      .default([])
      .describe('Domains declared here, besides those made with "facteur domain add".'),
    accounts: z
      .array(declaredAccount)
      .default([])
      .describe('Accounts declared here, besides those made with "facteur account add". Hashes only.'),
    aliases: z
      .array(declaredAlias)
      .default([])
      .describe('Aliases declared here, besides those made with "facteur alias add".'),
  })
  .superRefine(checkTogether);

/** What no single entry shows: doubles, and addresses of domains that are not declared. */
function checkTogether(value: Declared, context: z.RefinementCtx): void {
  const issue = (path: (string | number)[], message: string): void =>
    context.addIssue({ code: 'custom', path, message });
  const domains = new Set<string>();
  for (const [i, { name }] of value.domains.entries()) {
    const parsed = parseDomain(name);
    if (parsed === undefined) continue;
    if (domains.has(parsed)) issue(['domains', i, 'name'], `${parsed} is declared twice`);
    domains.add(parsed);
  }
  const check = (list: 'accounts' | 'aliases'): void => {
    const seen = new Set<string>();
    for (const [i, entry] of value[list].entries()) {
      const parsed = parseAddress(entry.address);
      if (!parsed) continue;
      const key = addressKey(parsed);
      if (seen.has(key)) issue([list, i, 'address'], `${formatAddress(parsed)} is declared twice`);
      seen.add(key);
      if (!domains.has(parsed.domain))
        issue([list, i, 'address'], `declare ${parsed.domain} in directory.domains as well`);
    }
  };
  check('accounts');
  check('aliases');
}
