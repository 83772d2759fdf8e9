import { parseArgs } from 'node:util';
import { type AccountReport, accountsWithMail, checkAccount, type StoreAdmin } from '../admin/store.ts';
import type { AccountId } from '../directory/directory.ts';
import { type CliIo, EXIT, UsageError } from './io.ts';

export const STORE_USAGE = `facteur store check [--repair] [--account ADDRESS]... [--all] [--json]
                          compare each mailbox's index with its Maildir
  --repair                mend what differs
  --account ADDRESS       this account, and others given the same way; without any, all accounts (--all)
  Exit code 0: all is well, perhaps because it was mended; 1: something is wrong, and still is.
facteur store reindex --account ADDRESS... | --all [--json]
                          throw the index away and make it again from the Maildir; UIDs and flags stay
facteur store expire [--dry-run] [--account ADDRESS]... [--all] [--json]
                          remove now what store.expire says, which is done once a day anyway
  --dry-run               only count it
`;

export interface StoreWorld {
  readonly io: CliIo;
  readonly dataDir: string;
  /** Of an address as typed. Throws when it can be none. */
  readonly account: (address: string) => AccountId;
  /** Calls the daemon, or opens the store itself, for as long as `work` takes. */
  readonly withAdmin: (work: (admin: StoreAdmin) => Promise<number>) => Promise<number>;
}

/** `facteur store …`: is the index what the Maildir is, and make it so. */
export function runStore(args: readonly string[], world: StoreWorld): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      json: { type: 'boolean' },
      repair: { type: 'boolean' },
      all: { type: 'boolean' },
      'dry-run': { type: 'boolean' },
      account: { type: 'string', multiple: true },
    },
  });
  const [verb, extra] = positionals;
  if (extra !== undefined) throw new UsageError(`unexpected argument "${extra}"`);
  if (verb !== 'check' && verb !== 'reindex' && verb !== 'expire')
    throw new UsageError(verb === undefined ? 'store needs a verb' : `store does not know "${verb}"`);
  if (values.all && values.account) throw new UsageError('either --account or --all');
  if (verb !== 'expire' && values['dry-run']) throw new UsageError('--dry-run belongs to store expire');
  if (verb !== 'check' && values.repair) throw new UsageError('--repair belongs to store check');
  if (verb === 'reindex' && !values.account && !values.all)
    throw new UsageError('store reindex needs --account ADDRESS or --all');
  const accounts = values.account?.map(world.account) ?? accountsWithMail(world.dataDir);
  const format = values.json ? 'json' : 'text';
  if (verb === 'expire') {
    const mode = values['dry-run'] ? 'dry-run' : 'remove';
    return world.withAdmin((admin) => expire(world, admin, accounts, mode, format));
  }
  return world.withAdmin((admin) =>
    verb === 'check'
      ? check(world, admin, accounts, values.repair ? 'repair' : 'look', format)
      : reindex(world, admin, accounts, format),
  );
}

async function check(
  { io, dataDir }: StoreWorld,
  admin: StoreAdmin,
  accounts: readonly AccountId[],
  mode: 'look' | 'repair',
  format: 'json' | 'text',
): Promise<number> {
  let wrong = 0;
  for (const account of accounts) {
    const report = await checkAccount(admin, dataDir, account, mode);
    if (!report) {
      if (format === 'text') io.out(`${account}: no mail\n`);
      continue;
    }
    io.out(format === 'json' ? `${JSON.stringify(report)}\n` : describe(report));
    if (report.more > 0 || report.findings.some(({ state }) => state !== 'mended')) wrong++;
  }
  if (format === 'text' && accounts.length === 0) io.out('No account has mail.\n');
  if (wrong > 0 && format === 'text' && mode === 'look')
    io.err('"facteur store check --repair" mends what can be mended.\n');
  return wrong > 0 ? EXIT.failed : EXIT.ok;
}

function describe({ account, mailboxes, messages, findings, more }: AccountReport): string {
  const size = `${mailboxes} mailboxes, ${messages} messages`;
  if (findings.length === 0) return `${account}: ${size}, all is well\n`;
  const lines = findings.map(({ mailbox, problem, state }) => {
    const end = state === 'mended' ? ' (mended)' : state === 'stays' ? ' (could not be mended)' : '';
    return `  ${mailbox === '' ? '' : `${mailbox}: `}${problem}${end}\n`;
  });
  if (more > 0) lines.push(`  and ${more} more\n`);
  return `${account}: ${size}\n${lines.join('')}`;
}

async function expire(
  { io }: StoreWorld,
  admin: StoreAdmin,
  accounts: readonly AccountId[],
  mode: 'remove' | 'dry-run',
  format: 'json' | 'text',
): Promise<number> {
  for (const account of accounts) {
    const expired = await admin.expire(account, mode);
    if (format === 'json') io.out(`${JSON.stringify({ account, mode, expired })}\n`);
    else if (!expired) io.out(`${account}: no mail\n`);
    else {
      const lines = Object.entries(expired).map(([path, count]) => `${path}: ${count}`);
      const what = mode === 'remove' ? 'removed' : 'would be removed';
      io.out(`${account}: ${lines.length === 0 ? 'nothing' : lines.join(', ')} ${what}\n`);
    }
  }
  return EXIT.ok;
}

async function reindex(
  { io }: StoreWorld,
  admin: StoreAdmin,
  accounts: readonly AccountId[],
  format: 'json' | 'text',
): Promise<number> {
  for (const account of accounts) {
    let messages = 0;
    let mailboxes = 0;
    for await (const step of admin.reindex(account)) {
      messages += step.messages;
      mailboxes++;
      io.out(
        format === 'json'
          ? `${JSON.stringify({ account, ...step })}\n`
          : `${account}: ${step.mailbox}: ${step.messages} messages, ${step.left} mailboxes left\n`,
      );
    }
    if (format === 'text')
      io.out(
        mailboxes === 0
          ? `${account}: no mail\n`
          : `${account}: done, ${mailboxes} mailboxes, ${messages} messages\n`,
      );
  }
  return EXIT.ok;
}
