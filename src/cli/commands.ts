import type { CliEntry } from './command.ts';

/** Every subcommand, in the order the overview shows them. Only the code of the one that runs is read. */
export const commands: readonly CliEntry[] = [
  {
    name: 'serve',
    summary: 'run the mail server',
    load: async () => (await import('./serve.ts')).serve,
  },
  {
    name: 'check-config',
    summary: 'check the configuration file, without starting anything',
    load: async () => (await import('./check-config.ts')).checkConfig,
  },
  {
    name: 'domain',
    summary: 'domains we receive mail for: add, list, remove',
    load: async () => (await import('./directory-command.ts')).domainCommand,
  },
  {
    name: 'account',
    summary: 'mailboxes: add, list, password, quota, enable, disable, remove',
    load: async () => (await import('./directory-command.ts')).accountCommand,
  },
  {
    name: 'alias',
    summary: 'other names, forwards, catch-alls: add, list, remove',
    load: async () => (await import('./directory-command.ts')).aliasCommand,
  },
  {
    name: 'queue',
    summary: 'mail that waits to be delivered: list, show, retry, hold, release, remove',
    load: async () => (await import('./queue-command.ts')).queueCommand,
  },
  {
    name: 'bans',
    summary: 'addresses and names with too many failed logins: list, remove',
    load: async () => (await import('./bans.ts')).bansCommand,
  },
  {
    name: 'store',
    summary: 'compare the index of the mail with the Maildir, mend it, make it again',
    load: async () => (await import('./store-command.ts')).storeCommand,
  },
  {
    name: 'acl',
    summary: 'who besides its owner may use a mailbox: list, set, remove',
    load: async () => (await import('./acl-command.ts')).aclCommand,
  },
  {
    name: 'sieve',
    summary: 'filter scripts: check, run on a message, rehearse on the mail that is there',
    load: async () => (await import('./sieve.ts')).sieveCommand,
  },
  {
    name: 'import',
    summary: 'bring mail from mboxes, Maildirs, message files or another IMAP server',
    load: async () => (await import('./import.ts')).importCommand,
  },
  {
    name: 'export',
    summary: 'write mail as mboxes or as a Maildir for other programs',
    load: async () => (await import('./export.ts')).exportCommand,
  },
  {
    name: 'adopt',
    summary: "take a Maildir of Dovecot's, in place",
    load: async () => (await import('./adopt-command.ts')).adoptCommand,
  },
  {
    name: 'release',
    summary: "make an account's Maildir ready for Dovecot again",
    load: async () => (await import('./adopt-command.ts')).releaseCommand,
  },
  {
    name: 'version',
    summary: 'the version of Facteur and of Node.js',
    load: async () => (await import('./version.ts')).versionCommand,
  },
];
