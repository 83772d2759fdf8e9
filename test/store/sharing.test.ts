import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { AccountId } from '../../src/directory/directory.ts';
import type { Logger } from '../../src/lib/logger.ts';
import { rangesOf, within } from '../../src/store/maildir/seen.ts';
import { formatSeen, parseSeen, seenFileOf } from '../../src/store/maildir/seen-file.ts';
import { uidSet } from '../../src/store/maildir/uid-set.ts';
import type { MaildirStore } from '../../src/store/maildir-store.ts';
import {
  type AccountStore,
  type MailboxId,
  type ModSeq,
  StoreError,
  type Uid,
} from '../../src/store/store.ts';
import { ManualClock } from '../clock.ts';
import { storeAt } from './power-cut.ts';
import { rights, told } from './sharing.contract.ts';
import { alice, all, maildirStore, message, silent, temporaryDirectory } from './surroundings.ts';

/** Access control lists and what others have seen, as they lie on the disk. */

const bob = 'bob@example.org' as AccountId;
const EVERYTHING = [{ first: 1, last: '*' as const }];

let base: ReturnType<typeof temporaryDirectory>;
let store: MaildirStore;
let account: AccountStore;
let errors: string[];
const log: Logger = {
  ...silent,
  child: () => log,
  error: (_fields: unknown, text?: string) => errors.push(text ?? ''),
};

async function open(): Promise<void> {
  store = maildirStore(base.path, log);
  account = await store.account(alice);
}

beforeEach(async () => {
  errors = [];
  base = temporaryDirectory();
  await open();
});
afterEach(async () => {
  await store.close();
  base.remove();
});

const own = (): string => join(base.path, 'mail/example.org/alice');
const work = (...names: string[]): string => join(own(), 'Maildir/.Work', ...names);
const shared = (...names: string[]): string => join(base.path, 'mail/.shared', ...names);
const set = (id: MailboxId, identifier: string, text: string): Promise<void> =>
  account.setAcl(id, identifier, { mode: 'set', rights: rights(text) });
const list = async (id: MailboxId): Promise<Record<string, string>> => told(await account.acl(id));

async function anew(without: 'the index' | 'nothing' = 'nothing'): Promise<void> {
  await store.close();
  if (without === 'the index')
    for (const name of readdirSync(own())) if (name.startsWith('index')) rmSync(join(own(), name));
  await open();
}

async function filled(count: number): Promise<{ id: MailboxId; uids: Uid[] }> {
  const { id } = await account.create('Work');
  for (let at = 0; at < count; at++)
    await account.append(id, message(`Message ${at}`), { flags: [], internalDate: 0 });
  return { id, uids: [...(await account.uids(id))] as Uid[] };
}

test('lists and what was seen outlive the index, and are text', async () => {
  const { id, uids } = await filled(5);
  await set(id, 'bob@example.org', 'lrs');
  await account.setSeenBy(id, bob, [1, 2, 4] as Uid[], 'yes');
  const { uidValidity, highestModSeq } = (await account.mailbox('Work')) ?? {
    uidValidity: 0,
    highestModSeq: 0,
  };
  expect(readFileSync(work('facteur-acl'), 'latin1')).toBe('facteur-acl 1\nbob%40example.org lrs\nend\n');
  expect(readFileSync(work('facteur-seen.bob%40example%2Eorg'), 'latin1')).toBe(
    `facteur-seen 1\naccount bob%40example.org\nuidvalidity ${uidValidity}\nuids 1:2,4\nend\n`,
  );
  await anew('the index');
  expect(await list(id)).toEqual({ 'bob@example.org': 'lrs' });
  expect([...(await account.seenBy(id, bob))]).toEqual([1, 2, 4]);
  expect([...(await account.uids(id))]).toEqual(uids);
  expect((await account.mailbox('Work'))?.highestModSeq).toBeGreaterThan(highestModSeq);
  for await (const _ of store.reindex(alice));
  expect([...(await account.seenBy(id, bob))]).toEqual([1, 2, 4]);
  await account.setSeenBy(id, bob, uids, 'no');
  await set(id, 'bob@example.org', '');
  expect(readdirSync(work()).filter((name) => /acl|seen/.test(name))).toEqual([]);
});

test('UIDs that are gone make no holes, and are forgotten with the next change', async () => {
  const { id, uids } = await filled(9);
  const file = work('facteur-seen.bob%40example%2Eorg');
  await account.setSeenBy(id, bob, uids, 'yes');
  await account.expunge(id, [2, 3, 9] as Uid[]);
  await account.setSeenBy(id, bob, [6 as Uid], 'no');
  expect(readFileSync(file, 'latin1')).toContain('\nuids 1:5,7:8\n');
  expect([...(await account.seenBy(id, bob))]).toEqual([1, 4, 5, 7, 8]);
  await account.append(id, message('new'), { flags: [], internalDate: 0 });
  expect([...(await account.seenBy(id, bob))]).toEqual([1, 4, 5, 7, 8]);
});

test('a list that cannot be read to its end grants nothing, is said once, and stays beside the next one', async () => {
  const { id } = await filled(1);
  await set(id, 'anyone', 'lrs');
  await set(id, '-bob@example.org', 'r');
  const text = readFileSync(work('facteur-acl'), 'latin1');
  writeFileSync(work('facteur-acl'), text.slice(0, text.indexOf('-bob')));
  expect(await list(id)).toEqual({});
  expect(await list(id)).toEqual({});
  expect([...(await account.acls())]).toEqual([]);
  expect(errors).toEqual([expect.stringContaining('nobody but the owner')]);
  // What is made below it is for nobody either.
  expect(await list((await account.create('Work/below')).id)).toEqual({});
  const report = await store.check(alice, 'look');
  expect(report?.findings).toEqual([
    {
      mailbox: 'Work',
      problem: expect.stringContaining('access control list cannot be read'),
      state: 'found',
    },
  ]);
  await set(id, 'carol', 'l');
  expect(await list(id)).toEqual({ carol: 'l' });
  expect(readFileSync(work('facteur-acl.aside-1'), 'latin1')).toBe(text.slice(0, text.indexOf('-bob')));
  expect((await store.check(alice, 'look'))?.findings).toEqual([]);
});

test('what is no file is no list: a link could be to another one', async () => {
  const { id } = await filled(1);
  const { id: other } = await account.create('Other');
  await set(other, 'anyone', 'lr');
  symlinkSync('../.Other/facteur-acl', work('facteur-acl'));
  expect(await list(id)).toEqual({});
  await set(id, 'bob', 'l');
  expect(await list(id)).toEqual({ bob: 'l' });
  expect(await list(other)).toEqual({ anyone: 'lr' });
  unlinkSync(work('facteur-acl'));
  mkdirSync(work('facteur-acl'));
  expect(await list(id)).toEqual({});
  await set(id, 'bob', 'l');
  expect(await list(id)).toEqual({ bob: 'l' });
});

test('one of a newer version is left alone, and grants nothing', async () => {
  const { id } = await filled(1);
  writeFileSync(work('facteur-acl'), 'facteur-acl 2\nanyone lr\nend\n');
  expect(await list(id)).toEqual({});
  await expect(set(id, 'bob', 'l')).rejects.toThrow(StoreError);
  await store.check(alice, 'repair');
  expect(readFileSync(work('facteur-acl'), 'latin1')).toContain('facteur-acl 2');
});

test('store check --repair sets aside what cannot be read', async () => {
  const { id, uids } = await filled(2);
  await account.setSeenBy(id, bob, uids, 'yes');
  writeFileSync(work('facteur-acl'), 'nonsense');
  writeFileSync(work('facteur-seen.bob%40example%2Eorg'), 'nonsense');
  expect([...(await account.seenBy(id, bob))]).toEqual([]);
  const found = (await store.check(alice, 'repair'))?.findings ?? [];
  expect(found.map(({ state }) => state)).toEqual(['mended', 'mended']);
  expect((await store.check(alice, 'look'))?.findings).toEqual([]);
  expect(readFileSync(work('facteur-acl.aside-1'), 'latin1')).toBe('nonsense');
  await account.setSeenBy(id, bob, [2 as Uid], 'yes');
  expect([...(await account.seenBy(id, bob))]).toEqual([2]);
});

test('a folder that was copied by hand has the list and nobody has seen it', async () => {
  const { id, uids } = await filled(2);
  await set(id, 'bob', 'lr');
  await account.setSeenBy(id, bob, uids, 'yes');
  await store.close();
  const copy = join(own(), 'Maildir/.Copy');
  mkdirSync(copy);
  for (const part of ['cur', 'new', 'tmp']) mkdirSync(join(copy, part));
  for (const name of ['facteur-uid', 'facteur-acl', 'facteur-seen.bob%40example%2Eorg', 'maildirfolder'])
    writeFileSync(join(copy, name), readFileSync(work(name)));
  for (const [at, name] of readdirSync(work('new')).entries())
    writeFileSync(join(copy, 'new', `${at}.copy`), readFileSync(work('new', name)));
  await open();
  const made = await account.mailbox('Copy');
  expect(made?.total).toBe(2);
  expect(await list(made?.id ?? id)).toEqual({ bob: 'lr' });
  expect([...(await account.seenBy(made?.id ?? id, bob))]).toEqual([]);
  expect([...(await account.seenBy(id, bob))]).toEqual(uids);
});

test('more readers than one folder keeps marks of', async () => {
  const { id } = await filled(1);
  for (let at = 0; at < 2000; at++) writeFileSync(work(`facteur-seen.r${at}`), 'x');
  const refused = account.setSeenBy(id, bob, [1 as Uid], 'yes');
  await expect(refused).rejects.toMatchObject({ kind: 'limit' });
  const [one] = await all(account.messages(id, EVERYTHING));
  expect(one?.flags).toEqual([]);
});

test('a disk that is full: the answer is no, and nothing was seen', async () => {
  const { id } = await filled(1);
  // As good as no room: the name is taken by what cannot be replaced.
  mkdirSync(work('facteur-seen.bob%40example%2Eorg.new', 'x'), { recursive: true });
  await account.setSeenBy(id, bob, [1 as Uid], 'yes');
  expect([...(await account.seenBy(id, bob))]).toEqual([1]);
});

test('who shares with whom is found again without the register', async () => {
  const { id } = await filled(1);
  const carol = await store.account('carol@example.org' as AccountId);
  const inbox = await carol.mailbox('INBOX');
  await set(id, bob, 'lr');
  await carol.setAcl(inbox?.id ?? id, bob, { mode: 'set', rights: rights('l') });
  expect(readdirSync(shared('bob%40example.org')).sort()).toEqual([
    'alice%40example.org',
    'carol%40example.org',
  ]);
  expect(existsSync(shared('.complete'))).toBe(false);
  expect(await store.sharers([bob])).toEqual([alice, 'carol@example.org']);
  expect(existsSync(shared('.complete'))).toBe(true);
  await store.close();
  rmSync(shared(), { recursive: true });
  await open();
  const found = await Promise.all([store.sharers([bob]), store.sharers(['anyone', bob])]);
  expect(found).toEqual([
    [alice, 'carol@example.org'],
    [alice, 'carol@example.org'],
  ]);
});

test('a tree that comes from somewhere else is in the register when it is read, and each day', async () => {
  const { id } = await filled(1);
  await set(id, bob, 'lr');
  expect(await store.sharers([bob])).toEqual([alice]);
  // The register came back from a backup that is older than the list.
  rmSync(shared('bob%40example.org'), { recursive: true });
  expect(await store.sharers([bob])).toEqual([]);
  await anew('the index');
  expect(await store.sharers([bob])).toEqual([alice]);
  rmSync(shared('bob%40example.org'), { recursive: true });
  await store.keepHouse(alice);
  expect(await store.sharers([bob])).toEqual([alice]);
  rmSync(shared('bob%40example.org'), { recursive: true });
  writeFileSync(work('facteur-seen.x'), 'nonsense');
  await store.check(alice, 'repair');
  expect(await store.sharers([bob])).toEqual([alice]);
});

test('an entry too many is no account that would be made by it', async () => {
  const { id } = await filled(1);
  await set(id, bob, 'lr');
  mkdirSync(shared('bob%40example.org'), { recursive: true });
  for (const name of ['gone%40example.org', '%', '%zz', '..', '%2E%2E%2F%2E%2E%2Fetc'])
    if (name !== '..') writeFileSync(shared('bob%40example.org', name), '');
  expect(await store.sharers([bob])).toEqual([alice]);
  expect(readdirSync(join(base.path, 'mail/example.org'))).toEqual(['alice']);
});

test('a name too long for a file is told by what is in it', async () => {
  const long = `${'é'.repeat(60)}@${'sub.'.repeat(40)}example.org` as AccountId;
  const owner = await store.account(long);
  const inbox = await owner.mailbox('INBOX');
  await owner.setAcl(inbox?.id ?? ('' as MailboxId), bob, { mode: 'set', rights: rights('l') });
  expect(await store.sharers([bob])).toEqual([long]);
  await owner.append(inbox?.id ?? ('' as MailboxId), message('x'), { flags: [], internalDate: 0 });
  await owner.setSeenBy(inbox?.id ?? ('' as MailboxId), long, [1 as Uid], 'yes');
  expect([...(await owner.seenBy(inbox?.id ?? ('' as MailboxId), long))]).toEqual([1]);
});

test('what QRESYNC says to a reader after the index is lost leads to what there is', async () => {
  const { id, uids } = await filled(4);
  await account.setSeenBy(id, bob, [1 as Uid], 'yes');
  const { highestModSeq } = (await account.mailbox('Work')) ?? { highestModSeq: 0 as ModSeq };
  await account.setSeenBy(id, bob, [3 as Uid], 'yes');
  await anew('the index');
  const changed = (await all(account.messages(id, EVERYTHING, highestModSeq))).map(({ uid }) => uid);
  expect(changed).toContain(3);
  expect((await account.vanished(id, highestModSeq)).filter((uid) => uids.includes(uid))).toEqual([]);
  expect([...(await account.seenBy(id, bob))]).toEqual([1, 3]);
});

test('ranges: no more of them than it takes, and no other message in them', () => {
  const set = fc.uniqueArray(fc.integer({ min: 1, max: 60 })).map((numbers) => uidSet(numbers));
  fc.assert(
    fc.property(set, set, (there, wanted) => {
      const uids = there.filter((uid) => wanted.includes(uid));
      const ranges = rangesOf(uids, there);
      expect([...within(there, ranges)]).toEqual([...uids]);
      const file = { account: bob, uidValidity: 7, ranges };
      expect(parseSeen(formatSeen(file))).toEqual(file);
    }),
  );
  const many = uidSet(Array.from({ length: 5000 }, (_, at) => 2 * at + 1));
  const file = {
    account: 'é %@x' as AccountId,
    uidValidity: 4_294_967_295,
    ranges: rangesOf(many, uidSet([...many, 2, 4, 6])),
  };
  expect(parseSeen(formatSeen(file))).toEqual(file);
});

test('whatever lies in a file of what was seen throws nothing and stands for no more than there can be', () => {
  const head = `facteur-seen 1\naccount a\nuidvalidity 1\n`;
  for (const uids of [
    '0',
    '5:3',
    '1:2,2',
    '3,1',
    '1:',
    ':1',
    '99999999999',
    '4294967296',
    '01',
    '1:2:3',
    ',1',
    '1:02',
    'x',
    '',
    '1,',
  ])
    expect(parseSeen(`${head}uids ${uids}\nend\n`)).toBe(undefined);
  for (const text of ['', head, `${head}uids 1\n`, `${head}more x\nend\n`, 'facteur-seen 2\nend\n'])
    expect(parseSeen(text)).toBe(undefined);
  expect(parseSeen(`${head}end\n`)?.ranges).toEqual(new Uint32Array(0));
  expect(parseSeen(`${head}uids 1:3,7\nuids 8,4294967295\nend\n`)?.ranges).toEqual(
    new Uint32Array([1, 3, 7, 7, 8, 8, 4_294_967_295, 4_294_967_295]),
  );
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 30 }),
      (bytes) => void parseSeen(head + Buffer.from(bytes).toString('latin1')),
    ),
  );
  expect(seenFileOf('a.b@c.new' as AccountId)).toBe('facteur-seen.a%2Eb%40c%2Enew');
});

test('an account that is open only because others look into it is closed when nobody asks; its news still come', async () => {
  const clock = new ManualClock();
  const directory = join(base.path, 'idle');
  const other = storeAt(directory, clock);
  const owner = await other.account(alice);
  const { id } = await owner.create('Work');
  await owner.setAcl(id, bob, { mode: 'set', rights: rights('lr') });
  const news: string[] = [];
  const stop = owner.watch((change) => news.push(change.type));
  const log = join(directory, 'mail/example.org/alice/index.sqlite-wal');
  expect(existsSync(log)).toBe(true);
  for (let seconds = 0; seconds < 180; seconds += 15) await clock.advance(15_000);
  // Closed cleanly: what was in the log is in the index.
  expect(existsSync(log)).toBe(false);
  await owner.setAcl(id, bob, { mode: 'add', rights: rights('s') });
  expect(news).toEqual(['acl']);
  stop();
  await other.close();
});

test('a register that cannot be read or written keeps nobody from their mail', async () => {
  const { id } = await filled(1);
  await set(id, bob, 'lr');
  await store.close();
  rmSync(shared(), { recursive: true });
  writeFileSync(shared(), 'in the way');
  for (const name of readdirSync(own())) if (name.startsWith('index')) rmSync(join(own(), name));
  await open();
  expect(await list(id)).toEqual({ [bob]: 'lr' });
  expect(await store.sharers([bob])).toEqual([]);
  expect(await store.sharers([bob])).toEqual([]);
  await expect(set(id, 'carol', 'l')).rejects.toThrow();
  expect(await list(id)).toEqual({ [bob]: 'lr' });
  await store.close();
  rmSync(shared());
  await open();
  expect(await store.sharers([bob])).toEqual([alice]);
  expect(errors.length).toBeGreaterThan(1);
});
