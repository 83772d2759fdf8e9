import { parseArgs } from 'node:util';
import {
  addAccount,
  listAccounts,
  type PasswordChoice,
  type PasswordSet,
  removeAccount,
  setAccountState,
  setPassword,
  setQuota,
} from '../admin/accounts.ts';
import type { SqliteDirectory } from '../directory/sqlite-directory.ts';
import { size } from '../lib/options.ts';
import { askPassword, readPassword } from './ask-password.ts';
import { type CliIo, EXIT, table, UsageError } from './io.ts';

export const ACCOUNT_USAGE = `facteur account add ADDRESS [--quota SIZE] [--messages N] [--mailboxes N] [--disabled] [--password-stdin [--hashed]] [--json]
facteur account list [--domain DOMAIN] [--json]
facteur account password ADDRESS [--password-stdin [--hashed]] [--json]
facteur account quota ADDRESS [SIZE|none|default] [--messages N|none|default] [--mailboxes N|none|default] [--json]
facteur account enable ADDRESS [--json]
facteur account disable ADDRESS [--json]          no login, and mail to it is refused
facteur account remove ADDRESS [--force] [--json] its mail stays; --force takes it out of aliases

Without --password-stdin a password is asked for at a terminal, and made up and printed once elsewhere.
--hashed: standard input has a hash from another system, such as {BLF-CRYPT}$2y$… or {SSHA512}…
SIZE is written 500MB or 2GB. --messages, --mailboxes: how many of them the account may have. default: what store.quota says.
`;

/** `facteur account …`: who has mail here. */
export async function runAccount(
  args: readonly string[],
  io: CliIo,
  directory: SqliteDirectory,
): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      json: { type: 'boolean' },
      domain: { type: 'string' },
      quota: { type: 'string' },
      messages: { type: 'string' },
      mailboxes: { type: 'string' },
      disabled: { type: 'boolean' },
      force: { type: 'boolean' },
      hashed: { type: 'boolean' },
      'password-stdin': { type: 'boolean' },
    },
  });
  const [verb, address, ...rest] = positionals;
  const format = values.json ? 'json' : 'text';
  if (values.hashed && !values['password-stdin'])
    throw new UsageError('--hashed goes with --password-stdin: the hash is read from there');
  if (verb === 'list') {
    if (address !== undefined) throw new UsageError(`unexpected argument "${address}"`);
    return list(io, directory, values.domain, format);
  }
  const act = verb === undefined ? undefined : ACTS.get(verb);
  if (!act)
    throw new UsageError(verb === undefined ? 'account needs a verb' : `account does not know "${verb}"`);
  if (address === undefined) throw new UsageError('which account? such as alice@example.org');
  const [extra, ...more] = rest;
  const unexpected = verb === 'quota' ? more[0] : extra;
  if (unexpected !== undefined) throw new UsageError(`unexpected argument "${unexpected}"`);

  const done = await act({ ...values, io, directory, address, extra });
  const { generated } = done;
  if (format === 'json') {
    io.out(
      `${JSON.stringify({ account: address, done: done.what, ...(generated && { password: generated }) })}\n`,
    );
  } else {
    io.out(`${address}: ${done.what}\n`);
    if (generated !== undefined) io.out(`password: ${generated}   (shown only now)\n`);
  }
  return EXIT.ok;
}

interface Asked {
  readonly io: CliIo;
  readonly directory: SqliteDirectory;
  readonly address: string;
  readonly extra: string | undefined;
  readonly quota?: string | undefined;
  readonly messages?: string | undefined;
  readonly mailboxes?: string | undefined;
  readonly disabled?: boolean | undefined;
  readonly force?: boolean | undefined;
  readonly hashed?: boolean | undefined;
  readonly 'password-stdin'?: boolean | undefined;
}

interface Done {
  readonly what: string;
  readonly generated?: string | undefined;
}

const ACTS: ReadonlyMap<string, (asked: Asked) => Promise<Done>> = new Map([
  [
    'add',
    async (asked: Asked): Promise<Done> => {
      const quotaBytes = asked.quota === undefined ? null : quotaFrom(asked.quota);
      const quotaMessages = asked.messages === undefined ? null : countFrom(asked.messages, '--messages');
      const quotaMailboxes = asked.mailboxes === undefined ? null : countFrom(asked.mailboxes, '--mailboxes');
      const limits = { quotaBytes, quotaMessages, quotaMailboxes };
      const password = await passwordFrom(asked);
      const { directory, address, disabled } = asked;
      return says('added', await addAccount(directory, { address, password, ...limits, enabled: !disabled }));
    },
  ],
  [
    'password',
    async (asked: Asked): Promise<Done> =>
      says('password set', await setPassword(asked.directory, asked.address, await passwordFrom(asked))),
  ],
  [
    'quota',
    async ({ directory, address, extra, messages, mailboxes }: Asked): Promise<Done> => {
      if (extra === undefined && messages === undefined && mailboxes === undefined)
        throw new UsageError('how much? such as 2GB, or none, or --messages 10000');
      await setQuota(directory, address, {
        ...(extra !== undefined && { bytes: quotaFrom(extra) }),
        ...(messages !== undefined && { messages: countFrom(messages, '--messages') }),
        ...(mailboxes !== undefined && { mailboxes: countFrom(mailboxes, '--mailboxes') }),
      });
      return {
        what: [saysQuota(extra, 'quota'), saysQuota(messages, 'messages'), saysQuota(mailboxes, 'mailboxes')]
          .filter(Boolean)
          .join(', '),
      };
    },
  ],
  ['enable', ({ directory, address }: Asked): Promise<Done> => state(directory, address, 'enabled')],
  ['disable', ({ directory, address }: Asked): Promise<Done> => state(directory, address, 'disabled')],
  [
    'remove',
    async ({ directory, address, force }: Asked): Promise<Done> => {
      await removeAccount(directory, address, { mode: force ? 'force' : 'careful' });
      return { what: 'removed (its mail is still on the disk)' };
    },
  ],
]);

async function state(directory: SqliteDirectory, address: string, to: 'enabled' | 'disabled'): Promise<Done> {
  await setAccountState(directory, address, to);
  return { what: to };
}

function says(what: string, { generated }: PasswordSet): Done {
  return { what, generated };
}

async function passwordFrom(asked: Asked): Promise<PasswordChoice> {
  const { io } = asked;
  if (asked['password-stdin']) {
    const line = await readPassword(io);
    return asked.hashed ? { is: 'hash', hash: line } : { is: 'password', password: line };
  }
  const typed = io.isTTY ? await askPassword(io) : undefined;
  return typed === undefined ? { is: 'generate' } : { is: 'password', password: typed };
}

function saysQuota(text: string | undefined, what: 'quota' | 'messages' | 'mailboxes'): string | undefined {
  if (text === 'none') return what === 'quota' ? 'no quota' : `any number of ${what}`;
  return text && `${what} ${text}`;
}

/** 0 is no limit, null what holds for all. */
function countFrom(text: string, option: string): number | null {
  if (text === 'none') return 0;
  if (text === 'default') return null;
  if (!/^[1-9]\d{0,11}$/.test(text)) throw new UsageError(`${option} must be a number, none or default`);
  return Number(text);
}

/** 0 is no limit, null what holds for all. */
function quotaFrom(text: string): number | null {
  if (text === 'none') return 0;
  if (text === 'default') return null;
  const parsed = size().safeParse(text);
  if (!parsed.success)
    throw new UsageError(`the quota ${parsed.error.issues[0]?.message}, or none, or default`);
  return parsed.data;
}

async function list(
  io: CliIo,
  directory: SqliteDirectory,
  domain: string | undefined,
  format: 'json' | 'text',
): Promise<number> {
  const rows = [['ACCOUNT', 'STATE', 'QUOTA', 'MESSAGES', 'MAILBOXES', 'WHERE']];
  for await (const account of listAccounts(directory, domain === undefined ? {} : { domain })) {
    if (format === 'json') io.out(`${JSON.stringify(account)}\n`);
    else
      rows.push([
        account.address,
        account.enabled ? 'enabled' : 'disabled',
        quotaText(account.quota, bytes),
        quotaText(account.quotaMessages, String),
        quotaText(account.quotaMailboxes, String),
        account.source === 'file' ? 'configuration' : 'database',
      ]);
  }
  if (format === 'text')
    io.out(rows.length === 1 ? 'No accounts; add one with "facteur account add ADDRESS".\n' : table(rows));
  return EXIT.ok;
}

function quotaText(quota: number | null, write: (quota: number) => string): string {
  if (quota === null) return '-';
  return quota === 0 ? 'none' : write(quota);
}

/** As it would be typed: the largest unit that divides it. */
function bytes(count: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  let value = count;
  let unit = 0;
  while (value > 0 && value % 1024 === 0 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${value}${units[unit]}`;
}
