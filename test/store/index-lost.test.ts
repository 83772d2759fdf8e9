import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { AccountId } from '../../src/directory/directory.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { checkAccount } from '../../src/store/maildir/check.ts';
import { MaildirStore } from '../../src/store/maildir-store.ts';
import { storeOptions } from '../../src/store/options.ts';
import type { AccountStore, Flag, Mailbox, MailboxId, Uid } from '../../src/store/store.ts';
import {
  alice,
  all,
  maildirStore,
  message,
  openAccount,
  settleNames,
  silent,
  temporaryDirectory,
} from './surroundings.ts';

/** The index goes, or another one comes in its place: nobody's UIDs, flags and dates change, and no UID comes twice. */

const bob = 'bob@example.org' as AccountId;
const DAY = 86_400_000;

let base: ReturnType<typeof temporaryDirectory>;
let store: MaildirStore;
beforeEach(() => {
  base = temporaryDirectory();
  store = maildirStore(base.path);
});
afterEach(async () => {
  await store.close();
  base.remove();
});

const directory = (of = 'alice'): string => join(base.path, `mail/example.org/${of}`);
const index = (of = 'alice'): string => join(directory(of), 'index.sqlite');
const indexFiles = (of = 'alice'): string[] => ['', '-wal', '-shm'].map((suffix) => index(of) + suffix);
const removeIndex = (): void => {
  for (const path of indexFiles()) rmSync(path, { recursive: true, force: true });
};

/** Something else in its place. */
const instead = (put: () => void) => (): void => {
  removeIndex();
  put();
};

async function reopen(between: () => void): Promise<void> {
  await store.close();
  between();
  store = maildirStore(base.path);
}

const named = async (account: AccountStore, path: string): Promise<Mailbox> => {
  const found = await account.mailbox(path);
  if (!found) throw new Error(`no ${path}`);
  return found;
};

async function add(account: AccountStore, id: MailboxId, text: string, flags: Flag[] = []): Promise<Uid> {
  return (await account.append(id, message(text), { flags, internalDate: text.length * DAY })).uid;
}

/** All that a client knows of a mailbox; MODSEQ and UIDNEXT may grow. */
async function known(account: AccountStore, path: string): Promise<unknown> {
  const { id, uidValidity, total, unseen, size, specialUse } = await named(account, path);
  const messages = (await all(account.messages(id, [{ first: 1, last: '*' }]))).map(
    ({ uid, flags, emailId, internalDate, size: octets }) => [
      uid,
      [...flags].sort(),
      emailId,
      internalDate,
      octets,
    ],
  );
  return { id, uidValidity, total, unseen, size, specialUse, messages };
}

/** A used account: flags, keywords, gaps, a second mailbox, LF mail of another program. */
async function furnish(of: AccountId): Promise<AccountStore> {
  const account = await store.account(of);
  const { id } = await named(account, 'INBOX');
  for (let at = 0; at < 12; at++) await add(account, id, `${of} ${'x'.repeat(at)}`, at % 2 ? ['\\Seen'] : []);
  await account.setFlags(id, [1, 2, 3] as Uid[], { mode: 'add', flags: ['$Junk', 'Later'] });
  await account.expunge(id, [5, 12] as Uid[]);
  const sub = await account.create('Lists/Node');
  await account.copy(id, [1, 2] as Uid[], sub.id);
  await account.move(id, [3] as Uid[], sub.id);
  writeFileSync(join(directory(of.split('@')[0]), 'Maildir/new/1.2.procmail'), 'Subject: lf\n\nx\n');
  await account.refresh(id);
  return account;
}

const BOXES = ['INBOX', 'Lists/Node', 'Lists', 'Sent'];

async function everything(account: AccountStore): Promise<unknown[]> {
  return Promise.all(BOXES.map((path) => known(account, path)));
}

async function marks(account: AccountStore): Promise<{ uidNext: number; modSeq: number }[]> {
  const boxes = await Promise.all(BOXES.map((path) => named(account, path)));
  return boxes.map(({ uidNext, highestModSeq }) => ({ uidNext, modSeq: highestModSeq }));
}

/** What is on disk and what the index says agree. */
async function sound(): Promise<void> {
  await store.close();
  const account = openAccount(directory());
  settleNames(account);
  expect(checkAccount(account)).toEqual([]);
  account.close('clean');
  store = maildirStore(base.path);
}

describe('the index between two starts', () => {
  const another = instead(() => cpSync(index('bob'), index()));
  test.each<[string, () => void]>([
    ['deleted', removeIndex],
    ['an empty file', () => writeFileSync(index(), '')],
    ['not a database', () => writeFileSync(index(), Buffer.alloc(50_000, 'no database '))],
    ['a directory', instead(() => mkdirSync(join(index(), 'x'), { recursive: true }))],
    [
      'cut in half',
      () => writeFileSync(index(), readFileSync(index()).subarray(0, statSync(index()).size / 2)),
    ],
    ["another account's", another],
    [
      'with directories beside it',
      () => {
        for (const suffix of ['-wal', '-shm']) mkdirSync(index() + suffix);
      },
    ],
  ])('%s', async (_, tamper) => {
    await furnish(bob);
    const account = await furnish(alice);
    const before = await everything(account);
    const marked = await marks(account);
    await reopen(tamper);
    const again = await store.account(alice);
    expect(await everything(again)).toEqual(before);
    (await marks(again)).forEach(({ uidNext, modSeq }, at) => {
      expect(uidNext).toBeGreaterThanOrEqual(marked[at]?.uidNext ?? 0);
      expect(modSeq).toBeGreaterThanOrEqual(marked[at]?.modSeq ?? 0);
    });
    expect(await everything(await store.account(bob))).not.toEqual(before);
    await sound();
  });
});

describe('the index after a crash', () => {
  /** The files as they were while the store worked, put back after it was closed. */
  async function crashed(tamper: (saved: string) => void): Promise<[unknown[], unknown[]]> {
    const account = await furnish(alice);
    await new Promise((resolve) => setTimeout(resolve, 300));
    const before = await everything(account);
    const saved = join(base.path, 'saved');
    cpSync(directory(), saved, { recursive: true, preserveTimestamps: true });
    await reopen(() => {
      rmSync(directory(), { recursive: true });
      cpSync(saved, directory(), { recursive: true, preserveTimestamps: true });
      tamper(saved);
    });
    return [before, await everything(await store.account(alice))];
  }
  test.each<[string, () => void]>([
    ['as it was', () => {}],
    ['without -wal', () => rmSync(`${index()}-wal`, { force: true })],
    ['without -shm', () => rmSync(`${index()}-shm`, { force: true })],
    ['only -wal and -shm', () => rmSync(index())],
    ['empty, with -wal', () => writeFileSync(index(), '')],
  ])('%s', async (_, tamper) => {
    const [before, after] = await crashed(tamper);
    expect(after).toEqual(before);
    await sound();
  });
});

describe('a backup comes back', () => {
  const copyOf = (name: string): string => join(base.path, name);
  const copy = (from: string, to: string): void =>
    cpSync(from, to, { recursive: true, preserveTimestamps: true });

  test('an index older than the tree: no UID is given twice, and VANISHED tells of what went since', async () => {
    await furnish(alice);
    await reopen(() => copy(index(), copyOf('index')));
    const account = await store.account(alice);
    const { id } = await named(account, 'INBOX');
    const uids: Uid[] = [];
    for (const text of ['a', 'b', 'c', 'd']) uids.push(await add(account, id, text, ['\\Flagged']));
    const { highestModSeq } = await named(account, 'INBOX');
    await account.expunge(id, [...uids.slice(2), 1 as Uid]);
    await account.setFlags(id, [2 as Uid], { mode: 'set', flags: ['Later'] });
    const before = await everything(account);
    const marked = await marks(account);
    await reopen(() => {
      removeIndex();
      copy(copyOf('index'), index());
    });
    const again = await store.account(alice);
    expect(await everything(again)).toEqual(before);
    expect(await add(again, id, 'new')).toBeGreaterThanOrEqual(marked[0]?.uidNext ?? 0);
    expect(await again.vanished(id, highestModSeq)).toEqual(expect.arrayContaining([1, ...uids.slice(2)]));
    await sound();
  });

  test('a tree older than the index: what it has is there, no UID is given twice', async () => {
    await furnish(alice);
    await reopen(() => copy(join(directory(), 'Maildir'), copyOf('Maildir')));
    const account = await store.account(alice);
    const inbox = await named(account, 'INBOX');
    const gone = await add(account, inbox.id, 'lost with the disk');
    await account.expunge(inbox.id, [1 as Uid]);
    await account.setFlags(inbox.id, [2 as Uid], { mode: 'set', flags: ['\\Deleted', 'newer'] });
    const marked = await marks(account);
    await reopen(() => {
      rmSync(join(directory(), 'Maildir'), { recursive: true });
      copy(copyOf('Maildir'), join(directory(), 'Maildir'));
    });
    const again = await store.account(alice);
    const now = await named(again, 'INBOX');
    expect(now.id).toBe(inbox.id);
    expect(now.uidValidity).toBe(inbox.uidValidity);
    expect(now.total).toBe(inbox.total);
    expect(await again.uids(inbox.id)).not.toContain(gone);
    expect(await add(again, inbox.id, 'new')).toBeGreaterThanOrEqual(marked[0]?.uidNext ?? 0);
    expect(now.highestModSeq).toBeGreaterThan(marked[0]?.modSeq ?? 0);
    const texts = await all(again.headers(inbox.id, [...(await again.uids(inbox.id))] as Uid[]));
    expect(texts).toHaveLength(now.total + 1);
    await sound();
  });
});

describe('the index under a running store', () => {
  test.each<[string, () => void]>([
    ['deleted', removeIndex],
    ['replaced by an empty file', instead(() => writeFileSync(index(), ''))],
    ['overwritten', () => writeFileSync(index(), Buffer.alloc(200_000, 'x'))],
    ['replaced by another', instead(() => cpSync(index('bob'), index()))],
    [
      '-wal and -shm deleted alone',
      () => {
        for (const path of indexFiles().slice(1)) rmSync(path, { force: true });
      },
    ],
    ['a directory in its place', instead(() => mkdirSync(index()))],
  ])('%s: the service goes on, and nothing is lost', async (_, tamper) => {
    await furnish(bob);
    const account = await furnish(alice);
    await account.create('Other');
    const { id } = await named(account, 'INBOX');
    const heard: string[] = [];
    const stop = account.watch((change) => heard.push(change.type));
    await new Promise((resolve) => setTimeout(resolve, 300));
    tamper();
    const uid = await add(account, id, 'after', ['\\Answered']);
    await account.setFlags(id, [1 as Uid], { mode: 'set', flags: ['\\Draft', 'Fresh'] });
    await account.expunge(id, [2 as Uid]);
    await account.create('Another');
    const before = await everything(account);
    const marked = await marks(account);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(heard).toContain('added');
    stop();
    await reopen(() => {});
    const again = await store.account(alice);
    expect(await everything(again)).toEqual(before);
    expect(await again.mailbox('Another')).toBeDefined();
    expect(await add(again, id, 'more')).toBeGreaterThan(uid);
    expect((await named(again, 'INBOX')).highestModSeq).toBeGreaterThan(marked[0]?.modSeq ?? 0);
    expect(readdirSync(directory()).filter((name) => name.startsWith('index'))).toContain('index.sqlite');
    expect(existsSync(index())).toBe(true);
    await sound();
  });

  test('deleted: made again while the service goes on', async () => {
    const options = { directory: base.path, clock: systemClock, log: silent, host: 'mx', pid: 1 };
    const settings = storeOptions.parse({ pollInterval: '1s' });
    await store.close();
    store = new MaildirStore({ ...options, settings }, async () => null);
    const account = await furnish(alice);
    const before = await everything(account);
    const { id } = await named(account, 'INBOX');
    await account.setFlags(id, [4 as Uid], { mode: 'add', flags: ['\\Flagged'] });
    removeIndex();
    while (existsSync(index()) === false) {
      await new Promise((resolve) => setTimeout(resolve, 200));
      await account.uids(id);
    }
    await account.setFlags(id, [4 as Uid], { mode: 'remove', flags: ['\\Flagged'] });
    expect(await everything(account)).toEqual(before);
    await sound();
  });
});
