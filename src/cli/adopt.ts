import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import {
  type Adopted,
  type AdoptionAdmin,
  type AdoptionPlan,
  type AdoptionWish,
  adopt,
  planAdoption,
} from '../admin/adopt.ts';
import type { AccountId } from '../directory/directory.ts';
import type { Clock } from '../lib/clock.ts';
import { type CliIo, EXIT, table, UsageError } from './io.ts';

export const ADOPT_USAGE = `facteur adopt PATH --account ADDRESS [--check] [--move] [--uidl FORMAT] [--control DIR] [--json]

Takes a Maildir of Dovecot's for an account, in place: UIDs, UIDVALIDITY, keywords, flags, dates, subscriptions and
POP3 unique ids stay, so that no client loads anything again. Stop Dovecot first. Stopped in the middle, the same
command finishes it.

--check          say what would happen, change nothing; exit code 1 when something stands against it
--move           rename the tree into the data directory; without it it stays where it is, and a link leads to it
--uidl FORMAT    Dovecot's pop3_uidl_format ("doveconf -h pop3_uidl_format"); %08Xu%08Xv is its default
--control DIR    where mail_location says CONTROL=DIR
`;

export const RELEASE_USAGE = `facteur release ADDRESS [--keep] [--control DIR] [--json]

Writes dovecot-uidlist, dovecot-keywords, dovecot-uidvalidity and subscriptions into the account's Maildir, so that
Dovecot takes it with the same UIDs, keywords and POP3 unique ids, and removes Dovecot's index files, which it makes
again. From then on the mail is Dovecot's: nobody can log in here, and what arrives waits in the queue, until "facteur
adopt" takes it back or the account is removed.

--keep           write the files, but go on serving the account: for a Dovecot that only reads
--control DIR    where Dovecot's mail_location says CONTROL=DIR
`;

/** What the commands stand on. */
export interface AdoptionWorld {
  readonly io: CliIo;
  readonly clock: Clock;
  readonly dataDir: string;
  readonly defaultFolders: AdoptionWish['defaultFolders'];
  /** How POP3 answers for accounts that were never adopted, in Dovecot's language. */
  readonly uidl: string;
  /** Throws when there is no such account. */
  account(address: string): AccountId;
  /** Whoever has the accounts open: the daemon, or the store itself. */
  withAdmin<T>(work: (admin: AdoptionAdmin) => Promise<T>): Promise<T>;
}

/** `facteur adopt …` */
export async function runAdopt(args: readonly string[], world: AdoptionWorld): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      account: { type: 'string' },
      check: { type: 'boolean' },
      move: { type: 'boolean' },
      uidl: { type: 'string' },
      control: { type: 'string' },
      json: { type: 'boolean' },
    },
  });
  const [path, ...rest] = positionals;
  if (path === undefined) throw new UsageError('which Maildir? such as /home/alice/Maildir');
  if (rest.length > 0) throw new UsageError(`unexpected argument "${rest[0]}"`);
  if (values.account === undefined)
    throw new UsageError('for which account? such as --account alice@example.org');
  const { io, clock } = world;
  const wish: AdoptionWish = {
    account: world.account(values.account),
    path,
    mode: values.move ? 'move' : 'link',
    uidl: values.uidl ?? '%08Xu%08Xv',
    control: values.control ?? null,
    dataDir: world.dataDir,
    defaultFolders: world.defaultFolders,
  };
  const say = (text: string): void => (values.json ? undefined : io.out(text));
  const plan = planAdoption(wish, clock);
  say(describePlan(plan));
  if (values.check || plan.state !== 'ready') {
    if (values.json) io.out(`${JSON.stringify({ ...plan, done: 'nothing' })}\n`);
    return plan.state === 'refused' ? EXIT.failed : EXIT.ok;
  }
  const done = await world.withAdmin((admin) => adopt(wish, admin, { clock }));
  if (values.json) io.out(`${JSON.stringify({ ...plan, done: 'adopted', ...totals(done) })}\n`);
  say(describeDone(plan, done));
  return EXIT.ok;
}

/** `facteur release …` */
export async function runRelease(args: readonly string[], world: AdoptionWorld): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      account: { type: 'string' },
      keep: { type: 'boolean' },
      control: { type: 'string' },
      json: { type: 'boolean' },
    },
  });
  const [address = values.account, ...rest] = positionals;
  if (address === undefined) throw new UsageError('which account? such as alice@example.org');
  if (rest.length > 0) throw new UsageError(`unexpected argument "${rest[0]}"`);
  const account = world.account(address);
  const options = {
    uidl: world.uidl,
    control: values.control === undefined ? null : resolve(values.control),
    after: values.keep ? 'serve' : 'hand-over',
  } as const;
  const done = await world.withAdmin((admin) => admin.release(account, options));
  if (values.json) world.io.out(`${JSON.stringify({ account, ...done })}\n`);
  else
    world.io.out(`${account}: ${done.messages} messages in ${done.folders} folders are ready for Dovecot${values.keep ? '' : ', and closed here'}
  tree       ${done.path}
  removed    ${done.removed} index files of Dovecot's; it makes them again
             (with INDEX= in mail_location: remove the account's directory there yourself)
  owner      Dovecot must be able to change all of it: chown -R USER ${done.path}
  CONDSTORE  for clients that remember MODSEQs, once Dovecot has it, and for each mailbox:
             doveadm mailbox update -u ${account} --min-highest-modseq ${done.modSeq + 1} MAILBOX
`);
  return EXIT.ok;
}

function totals({ kept, fresh, mailboxes }: Adopted): object {
  return {
    kept,
    fresh,
    mailboxes: mailboxes.length,
    messages: mailboxes.reduce((sum, { total }) => sum + total, 0),
  };
}

function describePlan(plan: AdoptionPlan): string {
  if (plan.state === 'adopted') return `${plan.path} is the mail of ${plan.account} already\n`;
  const rows = [['MAILBOX', 'MESSAGES', 'BYTES', 'UIDVALIDITY', 'UIDNEXT', 'KEPT', 'USE', 'KEYWORDS']];
  for (const folder of plan.folders)
    rows.push([
      folder.mailbox,
      String(folder.messages),
      String(folder.bytes),
      folder.uidValidity === null ? 'new' : String(folder.uidValidity),
      folder.uidValidity === null ? '-' : String(folder.uidNext),
      String(folder.kept),
      folder.specialUse ?? '-',
      folder.keywords.length === 0 ? '-' : folder.keywords.join(' '),
    ]);
  const { scripts, active, to } = plan.sieve;
  const sieve =
    scripts.length === 0
      ? 'none found'
      : `${scripts.map(({ name }) => (name === active ? `${name} (active)` : name)).join(', ')}: copied to ${to}, byte for byte; this version does not run them yet`;
  const facts = [
    ['tree', plan.path],
    ['account', plan.account],
    ['place', plan.mode === 'link' ? `stays there; ${plan.place} links to it` : `renamed to ${plan.place}`],
    [
      'subscribed',
      plan.subscriptions === null ? 'nothing: there is no such file' : String(plan.subscriptions),
    ],
    [
      'POP3',
      `unique ids as ${plan.uidl}${plan.keptUidls > 0 ? `, ${plan.keptUidls} of them kept one by one` : ''}`,
    ],
    ['Sieve', sieve],
  ];
  const problems = plan.problems.map(({ weight, mailbox, count, text }) => [
    weight === 'stops' ? 'STOPS' : 'note',
    mailbox === '' ? '-' : mailbox,
    `${count} ${text}`,
  ]);
  const total = plan.folders.reduce((sum, { messages }) => sum + messages, 0);
  const bytes = plan.folders.reduce((sum, folder) => sum + folder.bytes, 0);
  return [
    table(facts),
    plan.folders.length > 0 ? `\n${table(rows)}${total} messages, ${bytes} bytes\n` : '',
    problems.length > 0 ? `\n${table(problems)}` : '',
    plan.state === 'refused' ? '\nNothing is adopted until what STOPS it is solved.\n' : '',
  ].join('');
}

function describeDone(plan: AdoptionPlan, { kept, fresh, mailboxes }: Adopted): string {
  const total = mailboxes.reduce((sum, { total }) => sum + total, 0);
  return `\nadopted: ${total} messages in ${mailboxes.length} mailboxes, ${kept} with the UIDs they had, ${fresh} with new ones
The way back:  facteur release ${plan.account}\n`;
}
