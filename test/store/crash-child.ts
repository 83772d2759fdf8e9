import { appendFileSync } from 'node:fs';
import type { AccountStore, MailboxId, Uid } from '../../src/store/store.ts';
import { alice, maildirStore, message } from './surroundings.ts';

/**
 * Works on a mailbox until it is killed: eight lanes deliver, append, flag, move, copy, replace and expunge, while the
 * store indexes what came. Before and after each step a line goes to the log, which outlives the process: what has a `done` must survive.
 */
const [directory = '', log = '', round = ''] = process.argv.slice(2);

const FOLDERS = ['INBOX', 'Archive', 'Junk'];
const FLAGS = ['\\Seen', '\\Flagged', '\\Answered', 'Work', 'Play'];

interface Known {
  readonly key: string;
  folder: string;
  uid: Uid;
  flags: readonly string[];
}

const store = maildirStore(directory);
const account: AccountStore = await store.account(alice);
const ids = new Map<string, MailboxId>();
if (!(await account.mailbox('Copies'))) await account.create('Copies');
for (const { path, id } of await account.mailboxes()) ids.set(path, id);
const idOf = (path: string): MailboxId => ids.get(path) ?? ('' as MailboxId);
const pick = <T>(list: readonly T[]): T | undefined => list[Math.floor(Math.random() * list.length)];
const note = (what: 'begin' | 'done', entry: object): void =>
  appendFileSync(log, `${JSON.stringify({ what, ...entry })}\n`);
const free: Known[] = [];
let serial = 0;

async function deliver(): Promise<void> {
  const key = `${round}-${serial++}`;
  const folder = pick(FOLDERS) ?? 'INBOX';
  const flags = Math.random() < 0.3 ? ['\\Seen'] : [];
  note('begin', { op: 'deliver', key, folder, flags });
  const { uid } = await store.deliver({
    account: alice,
    mailbox: folder,
    key,
    flags,
    internalDate: Date.now(),
    content: message(`body of ${key}`, key).pieces,
  });
  note('done', { op: 'deliver', key, folder, uid, flags });
  free.push({ key, folder, uid, flags });
}

/** Several at once, or one in place of another. */
async function append(count: number, old?: Known): Promise<void> {
  const keys = Array.from({ length: count }, () => `${round}-${serial++}`);
  const folder = pick(FOLDERS) ?? 'INBOX';
  const flags = Math.random() < 0.3 ? ['\\Seen'] : [];
  const entry = { op: 'append', keys, folder, flags, ...(old && { replaces: old.key }) };
  note('begin', entry);
  const stored = await account.appendAll(
    idOf(folder),
    keys.map((key) => ({ raw: message(`body of ${key}`, key), flags, internalDate: Date.now() })),
    old && { mailbox: idOf(old.folder), uid: old.uid },
  );
  note('done', entry);
  keys.forEach((key, at) => {
    free.push({ key, folder, uid: stored[at]?.uid ?? (0 as Uid), flags });
  });
}

async function flag(known: Known): Promise<void> {
  const flags = FLAGS.filter(() => Math.random() < 0.4);
  note('begin', { op: 'flags', key: known.key, flags });
  await account.setFlags(idOf(known.folder), [known.uid], { mode: 'set', flags });
  note('done', { op: 'flags', key: known.key, flags });
  known.flags = flags;
  free.push(known);
}

async function move(many: readonly Known[], folder: string): Promise<void> {
  const [first] = many;
  if (!first) return;
  const keys = many.map(({ key }) => key);
  note('begin', { op: 'move', keys, folder });
  const pairs = await account.move(
    idOf(first.folder),
    many.map(({ uid }) => uid),
    idOf(folder),
  );
  const uids = many.map(({ uid }) => pairs.find(({ from }) => from === uid)?.to);
  note('done', { op: 'move', keys, folder, uids });
  many.forEach((known, at) => {
    known.folder = folder;
    known.uid = uids[at] ?? (0 as Uid);
    free.push(known);
  });
}

async function copy(many: readonly Known[]): Promise<void> {
  const [first] = many;
  if (!first) return;
  const keys = many.map(({ key }) => key);
  note('begin', { op: 'copy', keys });
  const uids = many.map(({ uid }) => uid);
  await account.copy(idOf(first.folder), uids, idOf('Copies'));
  note('done', { op: 'copy', keys });
  free.push(...many);
}

async function expunge(known: Known): Promise<void> {
  note('begin', { op: 'expunge', key: known.key });
  await account.expunge(idOf(known.folder), [known.uid]);
  note('done', { op: 'expunge', key: known.key });
}

function take(): Known | undefined {
  const at = Math.floor(Math.random() * free.length);
  return free.splice(at, 1)[0];
}

async function lane(): Promise<never> {
  for (;;) {
    const chance = Math.random();
    const known = chance < 0.4 ? undefined : take();
    if (!known) await (chance < 0.3 ? deliver() : append(2 + (Math.floor(chance * 100) % 4)));
    else if (chance < 0.48) await append(1, known);
    else if (chance < 0.65) await flag(known);
    else if (chance < 0.9) {
      const others = free.filter(({ folder }) => folder === known.folder).slice(0, 4);
      for (const other of others) free.splice(free.indexOf(other), 1);
      if (chance < 0.8) await move([known, ...others], pick(FOLDERS) ?? 'INBOX');
      else await copy([known, ...others]);
    } else await expunge(known);
  }
}

await Promise.all(Array.from({ length: 8 }, lane));
