import { statSync } from 'node:fs';
import { join } from 'node:path';
import { type AclAdmin, type AclWish, identifierFrom } from '../admin/acl.ts';
import { accountFrom } from '../admin/names.ts';
import type { AccountId } from '../directory/directory.ts';
import { accountDirectory } from '../store/account-path.ts';
import { parseRights } from '../store/acl.ts';
import { type CliIo, EXIT, table, UsageError } from './io.ts';

export const ACL_USAGE = `facteur acl list ACCOUNT [MAILBOX] [--json]
facteur acl set ACCOUNT MAILBOX IDENTIFIER RIGHTS [--json]
facteur acl remove ACCOUNT MAILBOX IDENTIFIER [--json]

Who besides its owner may use a mailbox, as clients set it with SETACL (RFC 4314).

  IDENTIFIER   an account's address, or anyone, or owner; -bob@example.org takes rights away from bob, whatever else
               grants them
  RIGHTS       letters: l see it, r read, s keep \\Seen, w other flags, i put mail into it, p (kept, without effect),
               k make mailboxes below it, x delete or rename it, t set \\Deleted, e expunge, a change this list;
               +ri adds to those that are there, -w takes from them. None ("") is the same as remove

A new mailbox begins with the list of the one above it. Rights of mailboxes that are there already do not change with it.
`;

export interface AclWorld {
  readonly io: CliIo;
  readonly dataDir: string;
  /** Calls the daemon, or opens the store itself, for as long as `work` takes. */
  readonly withAdmin: (work: (admin: AclAdmin) => Promise<number>) => Promise<number>;
}

/** `facteur acl …`. Rights and identifiers may begin with a dash, so a dash alone makes no option here. */
export function runAcl(args: readonly string[], world: AclWorld): Promise<number> {
  const end = args.includes('--') ? args.indexOf('--') : args.length;
  const options = args.slice(0, end).filter((arg) => arg.startsWith('--'));
  const unknown = options.find((arg) => arg !== '--json');
  if (unknown !== undefined) throw new UsageError(`acl does not know the option ${unknown}`);
  const words = [...args.slice(0, end).filter((arg) => !arg.startsWith('--')), ...args.slice(end + 1)];
  const format = options.includes('--json') ? 'json' : 'text';
  const [verb, ...rest] = words;
  if (verb !== 'list' && verb !== 'set' && verb !== 'remove')
    throw new UsageError(verb === undefined ? 'acl needs a verb' : `acl does not know "${verb}"`);
  const most = { list: 2, set: 4, remove: 3 }[verb];
  if (rest.length > most) throw new UsageError(`unexpected argument "${rest[most]}"`);
  const [address, mailbox, identifier, rights] = rest;
  if (address === undefined) throw new UsageError(`acl ${verb} needs an account`);
  const account = accountFrom(address);
  if (!hasMail(world.dataDir, account)) {
    world.io.err(`${account} has no mail\n`);
    return Promise.resolve(EXIT.failed);
  }
  if (verb === 'list') return world.withAdmin((admin) => list(world.io, admin, account, mailbox, format));
  if (mailbox === undefined || identifier === undefined || (verb === 'set' && rights === undefined))
    throw new UsageError(
      `acl ${verb} needs an account, a mailbox, an identifier${verb === 'set' ? ' and rights' : ''}`,
    );
  const wish: AclWish = {
    mailbox,
    // What is in a list can be removed, whatever it is.
    identifier: verb === 'set' ? identifierFrom(identifier) : identifier,
    ...(verb === 'set' ? modification(rights ?? '') : { mode: 'set', rights: '' }),
  };
  return world.withAdmin((admin) => change(world.io, admin, account, wish, format));
}

function modification(text: string): Pick<AclWish, 'mode' | 'rights'> {
  const mode = text.startsWith('+') ? 'add' : text.startsWith('-') ? 'remove' : 'set';
  const rights = mode === 'set' ? text : text.slice(1);
  if (!parseRights(rights)) throw new UsageError(`rights are letters of lrswipkxtea, not "${rights}"`);
  return { mode, rights };
}

async function list(
  io: CliIo,
  admin: AclAdmin,
  account: AccountId,
  mailbox: string | undefined,
  format: 'json' | 'text',
): Promise<number> {
  const all = await admin.list(account);
  const entries = mailbox === undefined ? all : all.filter((entry) => entry.mailbox === mailbox);
  if (format === 'json') for (const entry of entries) io.out(`${JSON.stringify({ account, ...entry })}\n`);
  else if (entries.length === 0) io.out(`${mailbox ?? account}: nobody but the owner\n`);
  else
    io.out(
      table([
        ['MAILBOX', 'IDENTIFIER', 'RIGHTS'],
        ...entries.map((entry) => [entry.mailbox, entry.identifier, entry.rights]),
      ]),
    );
  return EXIT.ok;
}

async function change(
  io: CliIo,
  admin: AclAdmin,
  account: AccountId,
  wish: AclWish,
  format: 'json' | 'text',
): Promise<number> {
  const { mailbox, identifier } = wish;
  const now = await admin.change(account, wish);
  if (!now) {
    io.err(`${account} has no mailbox "${mailbox}"\n`);
    return EXIT.failed;
  }
  if (format === 'json') io.out(`${JSON.stringify({ account, mailbox, identifier, rights: now.rights })}\n`);
  else
    io.out(`${mailbox}: ${identifier} ${now.rights === '' ? 'is not in the list' : `has ${now.rights}`}\n`);
  return EXIT.ok;
}

/** Else the store would make it. */
function hasMail(dataDir: string, account: AccountId): boolean {
  return (
    statSync(join(dataDir, accountDirectory(account), 'Maildir'), { throwIfNoEntry: false }) !== undefined
  );
}
