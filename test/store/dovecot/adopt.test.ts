import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  type AdoptionPlan,
  type AdoptionWish,
  adopt,
  adoptionAdmin,
  planAdoption,
} from '../../../src/admin/adopt.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import type { MaildirStore } from '../../../src/store/maildir-store.ts';
import { FileScriptStore } from '../../../src/store/script-store.ts';
import type { AccountStore, Mailbox, Message } from '../../../src/store/store.ts';
import { alice, all, bytesOf, maildirStore, message, temporaryDirectory } from '../surroundings.ts';
import { contentOf, dovecotFolder, everything, put, sizes } from './tree.ts';

let dir: ReturnType<typeof temporaryDirectory>;
let data: string;
let tree: string;
let stores: MaildirStore[];

beforeEach(() => {
  dir = temporaryDirectory();
  data = join(dir.path, 'data');
  tree = join(dir.path, 'home/Maildir');
  mkdirSync(data);
  stores = [];
});
afterEach(async () => {
  for (const store of stores) await store.close();
  dir.remove();
});

const DEFAULTS = [{ name: 'Sent', use: 'sent' }] as const;

function wish(change: Partial<AdoptionWish> = {}): AdoptionWish {
  return {
    account: alice,
    path: tree,
    mode: 'link',
    uidl: '%08Xu%08Xv',
    control: null,
    dataDir: data,
    defaultFolders: DEFAULTS,
    ...change,
  };
}

function openStore(): MaildirStore {
  const store = maildirStore(data);
  stores.push(store);
  return store;
}

async function closeStores(): Promise<void> {
  for (const store of stores.splice(0)) await store.close();
}

/** Adopts and returns the account. */
async function adopted(change: Partial<AdoptionWish> = {}): Promise<AccountStore> {
  const store = openStore();
  await adopt(wish(change), adoptionAdmin(store), { clock: systemClock });
  return store.account(alice);
}

function plan(change: Partial<AdoptionWish> = {}): AdoptionPlan {
  return planAdoption(wish(change), systemClock);
}

const problems = (found: AdoptionPlan): string[] =>
  found.problems.map(({ weight, mailbox, count, text }) => `${weight} ${mailbox}: ${count} ${text}`);

async function contents(account: AccountStore): Promise<Record<string, unknown>> {
  const boxes: Record<string, unknown> = {};
  for (const box of await account.mailboxes()) {
    if (!box.selectable) continue;
    const messages: Record<string, unknown> = {};
    for (const found of await all(account.messages(box.id, [{ first: 1, last: '*' }])))
      messages[found.uid] = await facts(account, box, found);
    boxes[box.path] = { uidValidity: box.uidValidity, use: box.specialUse, messages };
  }
  return boxes;
}

async function facts(account: AccountStore, box: Mailbox, found: Message): Promise<unknown> {
  const raw = await bytesOf(await account.raw(box.id, found.uid));
  return [/Subject: (.*)\r\n/.exec(raw.toString('latin1'))?.[1], [...found.flags].sort(), found.internalDate];
}

/** A tree with a bit of everything. */
function usual(): void {
  dovecotFolder(tree, {
    uidValidity: 1000,
    next: 10,
    messages: [
      [1, `cur/1.M1P1.h,${sizes('1.M1P1.h')}:2,Sab`],
      [2, 'gone/2.M2P2.h'],
      [5, 'cur/5.M5P5.h:2,F', 'P5uid '],
      [7, `new/7.M7P7.h,${sizes('7.M7P7.h')}`],
    ],
    unlisted: ['new/9.M9P9.h', `cur/11.M1P1.h,${sizes('11.M1P1.h')}:2,S`],
    keywords: ['$Forwarded', 'Work'],
  });
  dovecotFolder(join(tree, '.Sent'), { uidValidity: 1001, messages: [[3, 'cur/3.M3P3.h:2,S']] });
  dovecotFolder(join(tree, '.Entw&APw-rfe.2024'), {
    uidValidity: 1002,
    messages: [[1, `cur/1.M1P1.h,${sizes('1.M1P1.h')}:2,`]],
    keywords: ['Only', 'Here'],
  });
  writeFileSync(join(tree, 'subscriptions'), 'V\t2\n\nINBOX\nEntw&APw-rfe\t2024\nGone\n');
  writeFileSync(join(tree, 'dovecot-uidvalidity'), '00000500');
}

test('UIDs, UIDVALIDITY, flags, keywords, dates, subscriptions stay; files stay where they are', async () => {
  usual();
  const before = everything(tree);
  const found = plan();
  expect(everything(tree)).toEqual(before);
  expect(found.state).toBe('ready');
  expect(
    found.folders.map(({ mailbox, messages, kept, uidNext }) => [mailbox, messages, kept, uidNext]),
  ).toEqual([
    ['INBOX', 5, 3, 10],
    ['Entwürfe/2024', 1, 1, 2],
    ['Sent', 1, 1, 4],
  ]);
  const account = await adopted();
  const date = 1_600_000_000_000;
  expect(await contents(account)).toEqual({
    INBOX: {
      uidValidity: 1000,
      use: null,
      messages: {
        1: ['1.M1P1.h', ['$Forwarded', 'Work', '\\Seen'], date],
        5: ['5.M5P5.h', ['\\Flagged'], date],
        7: ['7.M7P7.h', [], date],
        10: ['9.M9P9.h', [], date],
        11: ['11.M1P1.h', ['\\Seen'], date],
      },
    },
    'Entwürfe/2024': { uidValidity: 1002, use: null, messages: { 1: ['1.M1P1.h', [], date] } },
    Sent: { uidValidity: 1001, use: 'sent', messages: { 3: ['3.M3P3.h', ['\\Seen'], date] } },
  });
  expect((await account.subscriptions()).toSorted()).toEqual(['Entwürfe/2024', 'Gone', 'INBOX']);
  const link = join(data, 'mail/example.org/alice/Maildir');
  expect(lstatSync(link).isSymbolicLink()).toBe(true);
  expect(plan().state).toBe('adopted');
  // A folder made now gets none of the UIDVALIDITYs that were ever given.
  expect((await account.create('New')).uidValidity).toBeGreaterThan(0x500);
});

test('MODSEQs are above all that Dovecot counted, so that a client with one asks for all flags (RFC 7162)', async () => {
  usual();
  const account = await adopted();
  const inbox = await account.mailbox('INBOX');
  expect(inbox?.highestModSeq).toBeGreaterThan(1_000_000_000);
});

test('unique ids of POP3 are kept one by one where they are no numbers, and new mail gets numbers', async () => {
  usual();
  const account = await adopted({ uidl: '%f' });
  const inbox = (await account.mailbox('INBOX'))?.id;
  if (!inbox) throw new Error('no INBOX');
  const kept = [];
  for await (const { format, ids } of account.keptUidls(inbox)) kept.push(format, ...ids);
  expect(kept).toEqual([
    '%08Xu%08Xv',
    { uid: 1, uniqueId: `1.M1P1.h,${sizes('1.M1P1.h')}` },
    { uid: 2, uniqueId: '2.M2P2.h' },
    { uid: 5, uniqueId: '5uid' },
    { uid: 7, uniqueId: `7.M7P7.h,${sizes('7.M7P7.h')}` },
  ]);
  const sent = (await account.mailbox('Sent'))?.id;
  for await (const _ of account.keptUidls(sent ?? inbox)) throw new Error('only INBOX has them');
});

test('stopped at any point, it is finished by doing it again', async () => {
  usual();
  put(tree, `cur/7.M7P7.h,${sizes('7.M7P7.h')}:2,`, 'x');
  rmSync(join(tree, `cur/7.M7P7.h,${sizes('7.M7P7.h')}:2,`));
  const original = join(dir.path, 'original');
  cpSync(tree, original, { recursive: true, preserveTimestamps: true });
  const expected = await contents(await adopted({ uidl: '%f' }));
  await closeStores();
  const finished = everything(tree);
  // As it was before the store reserved UIDs.
  finished['facteur-uid'] = finished['facteur-uid']?.replace(/^uid .*$/m, 'uid 10') ?? '';
  const names = (path: string): string[] =>
    Object.keys(everything(path)).filter((name) => /\/?(cur|new)\//.test(name));
  const renames = names(original).map((from): [string, string] => {
    const start = from.replace(/[,:].*$/, '').replace(/^(.*\/)?/, '');
    const folder = from.slice(0, from.lastIndexOf('/'));
    const to = Object.keys(finished).find((name) => name.startsWith(`${folder}/${start},`)) ?? from;
    return [from, to];
  });
  await fc.assert(
    fc.asyncProperty(
      fc.subarray(renames),
      fc.subarray(Object.keys(finished).filter((name) => /(facteur-uid|facteur-uidl)$/.test(name))),
      fc.subarray(Object.keys(finished).filter((name) => name.endsWith('dovecot-uidlist'))),
      async (done, files, lists) => {
        rmSync(tree, { recursive: true });
        rmSync(data, { recursive: true });
        mkdirSync(data);
        cpSync(original, tree, { recursive: true, preserveTimestamps: true });
        // A list is written when all names of its folder are right, and all comes after the unique ids.
        const complete = lists.map((list) => list.replace(/dovecot-uidlist$/, ''));
        const inFolder = (name: string): boolean =>
          complete.some((folder) => name.replace(/(cur|new)\/.*$/, '') === folder);
        for (const [from, to] of renames)
          if (done.some(([name]) => name === from) || inFolder(from))
            renameSync(join(tree, from), join(tree, to));
        for (const file of [...files, ...lists, 'facteur-uidl'])
          writeFileSync(join(tree, file), finished[file] ?? '', 'latin1');
        expect(await contents(await adopted({ uidl: '%f' }))).toEqual(expected);
        await closeStores();
        const after = everything(tree);
        for (const list of Object.keys(finished).filter((name) => name.endsWith('dovecot-uidlist')))
          expect(after[list]).toBe(finished[list]);
        // The line of an expunged message goes with its line in the list.
        expect(after['facteur-uidl']?.replace(/^2 .*\n/m, '')).toBe(
          finished['facteur-uidl']?.replace(/^2 .*\n/m, ''),
        );
      },
    ),
    { numRuns: 12 },
  );
});

test('a tree that is renamed, stopped before it has its place, is found there again', async () => {
  usual();
  const directory = join(data, 'mail/example.org/alice');
  mkdirSync(directory, { recursive: true });
  renameSync(tree, join(directory, 'Maildir.adopting'));
  expect(plan({ mode: 'move' }).state).toBe('ready');
  const account = await adopted({ mode: 'move' });
  expect(Object.keys(await contents(account)).sort()).toEqual(['Entwürfe/2024', 'INBOX', 'Sent']);
  expect(readdirSync(directory).filter((name) => !name.startsWith('index.sqlite'))).toEqual(['Maildir']);
});

test('it takes the place of an empty account, not of one with mail', async () => {
  usual();
  const store = openStore();
  const fresh = await store.account(alice);
  expect(plan().state).toBe('ready');
  const inbox = await fresh.mailbox('INBOX');
  if (!inbox) throw new Error('no INBOX');
  await fresh.append(inbox.id, message('x'), { flags: [], internalDate: 0 });
  expect(problems(plan())).toContainEqual(
    expect.stringMatching(/^stops : 1 messages are in the account already/),
  );
  await expect(adopt(wish(), adoptionAdmin(store), { clock: systemClock })).rejects.toThrow(
    '1 messages already',
  );
  await fresh.expunge(
    inbox.id,
    [...(await fresh.uids(inbox.id))].map((uid) => uid as never),
  );
  await adopt(wish(), adoptionAdmin(store), { clock: systemClock });
  expect((await fresh.mailboxes()).map(({ path }) => path)).toContain('Entwürfe/2024');
});

test('an account that is removed leaves an adopted tree where it is', async () => {
  usual();
  await adopted();
  await stores[0]?.remove(alice);
  await closeStores();
  expect(existsSync(join(data, 'mail/example.org/alice'))).toBe(false);
  expect(readdirSync(join(tree, 'cur')).length).toBe(3);
});

test('a tree whose disk is not there is not replaced by an empty one', async () => {
  usual();
  await adopted();
  await closeStores();
  renameSync(tree, `${tree}.unmounted`);
  await expect(openStore().account(alice)).rejects.toThrow();
  expect(existsSync(tree)).toBe(false);
  renameSync(`${tree}.unmounted`, tree);
  expect((await (await openStore().account(alice)).mailbox('INBOX'))?.total).toBe(5);
});

test('Sieve scripts are copied, and the active one is named', async () => {
  usual();
  mkdirSync(join(dir.path, 'home/sieve'));
  writeFileSync(join(dir.path, 'home/sieve/holiday.sieve'), Buffer.from([0x6b, 0xff, 0x0a]));
  const names = ['50% off', '.hidden', 'x'.repeat(230)];
  for (const name of names) writeFileSync(join(dir.path, `home/sieve/${name}.sieve`), `# ${name}`);
  symlinkSync('sieve/holiday.sieve', join(dir.path, 'home/.dovecot.sieve'));
  expect(plan().sieve).toMatchObject({ active: 'holiday', to: join(data, 'mail/example.org/alice/sieve') });
  await adopted();
  const to = join(data, 'mail/example.org/alice/sieve');
  expect(readFileSync(join(to, 'holiday.sieve'))).toEqual(Buffer.from([0x6b, 0xff, 0x0a]));
  expect(readFileSync(join(to, 'active'), 'utf8')).toBe('holiday\n');
  const scripts = new FileScriptStore(data, { maxSize: 1e6, maxScripts: 100, maxTotal: 1e7 });
  const all = await scripts.list(alice);
  expect(all.map(({ name, active }) => (active ? `${name}*` : name)).sort()).toEqual(
    ['holiday*', ...names].sort(),
  );
  for (const name of names)
    expect(Buffer.from((await scripts.get(alice, name)) ?? []).toString()).toBe(`# ${name}`);
});

test('control files elsewhere (CONTROL=)', async () => {
  usual();
  const control = join(dir.path, 'control');
  for (const folder of ['', '.Sent', '.Entw&APw-rfe.2024']) {
    mkdirSync(join(control, folder), { recursive: true });
    for (const name of readdirSync(join(tree, folder)).filter((entry) => /^(dovecot|subs)/.test(entry)))
      renameSync(join(tree, folder, name), join(control, folder, name));
  }
  expect(problems(plan())).toContainEqual(
    expect.stringMatching(/^note INBOX: 5 messages have no dovecot-uidlist/),
  );
  const account = await adopted({ control });
  expect(Object.keys(((await contents(account))['INBOX'] as { messages: object }).messages)).toEqual([
    '1',
    '5',
    '7',
    '10',
    '11',
  ]);
  expect(await account.subscriptions()).toContain('Entwürfe/2024');
});

test('names too long for our fields, stray colons, and a UID that another file claims', async () => {
  const long = `1600000000.M1P1.${'h'.repeat(200)},S=9,W=9`;
  dovecotFolder(tree, {
    uidValidity: 50,
    messages: [
      [1, `cur/${long}:2,S`],
      [2, 'cur/2.b.h:2,'],
      [3, 'cur/3.c:1,x'],
    ],
  });
  put(tree, 'cur/99.z.h,S=1,W=1,U=50.2:2,');
  const account = await adopted();
  const inbox = (await contents(account))['INBOX'] as { messages: Record<string, unknown[]> };
  expect(Object.entries(inbox.messages).map(([uid, [subject]]) => [uid, subject])).toEqual([
    ['1', `1600000000.M1P1.${'h'.repeat(200)}`],
    ['2', '2.b.h'],
    ['3', '3.c'],
    ['4', '99.z.h'],
  ]);
  for (const name of readdirSync(join(tree, 'cur'))) expect(name.length).toBeLessThan(256);
});

describe('what stands against it', () => {
  const cases: readonly (readonly [string, () => void, RegExp])[] = [
    ['nothing there', () => {}, /there is no such directory/],
    ['a file', () => writeFileSync(tree, ''), /this is a file/],
    ['no Maildir', () => mkdirSync(tree), /there is no cur/],
    [
      'LAYOUT=fs',
      () => dovecotFolder(join(tree, 'Work/2024'), { uidValidity: 5 }),
      /LAYOUT=fs.*doveadm backup/,
    ],
    ['mdbox', () => mkdirSync(join(tree, 'storage'), { recursive: true }), /mdbox.*doveadm backup/],
    ['a damaged list', () => writeFileSync(join(tree, 'dovecot-uidlist'), 'junk\n'), /is damaged/],
    [
      'a compressed message',
      () => put(tree, 'cur/1.M1P1.h,S=900:2,SZ', Buffer.from([0x1f, 0x8b, 8, 0])),
      /compressed/,
    ],
    ['an encrypted message', () => put(tree, 'new/1.M1P1.h', 'CRYPTED\x03\x07...'), /encrypted/],
    [
      'a name that none can have',
      () => dovecotFolder(join(tree, '.a*b'), { uidValidity: 6 }),
      /\.a\*b has a name/,
    ],
    [
      'two spellings of one',
      () => {
        for (const [at, name] of ['.Caf&AOk-', '.Café'].entries())
          dovecotFolder(join(tree, name), { uidValidity: 7 + at });
      },
      /other spelling/,
    ],
    ['a lock', () => writeFileSync(join(tree, 'dovecot-uidlist.lock'), ''), /is held/],
    [
      "another account's",
      () => writeFileSync(join(tree, 'facteur-account'), 'bob@example.org\n'),
      /adopted by bob@/,
    ],
  ];
  test.each(cases)('%s', (_, make, pattern) => {
    mkdirSync(join(dir.path, 'home'));
    if (!['nothing there', 'a file', 'no Maildir'].includes(_)) dovecotFolder(tree, { uidValidity: 5 });
    make();
    const found = plan();
    expect(found.state).toBe('refused');
    expect(
      problems(found)
        .filter((text) => text.startsWith('stops'))
        .join(),
    ).toMatch(pattern);
  });

  test('a directory that cannot be changed', () => {
    dovecotFolder(tree, { uidValidity: 5 });
    chmodSync(join(tree, 'cur'), 0o500);
    const found = plan();
    // Root may do everything.
    expect(found.state).toBe(process.getuid?.() === 0 ? 'ready' : 'refused');
    chmodSync(join(tree, 'cur'), 0o700);
  });

  test.skipIf(process.platform !== 'linux')('a process that has files in it open', async () => {
    dovecotFolder(tree, { uidValidity: 5 });
    const other = spawn('sh', ['-c', 'exec 3< "$0"; echo; read wait', join(tree, 'dovecot-uidlist')]);
    try {
      await once(other.stdout, 'data');
      expect(problems(plan())).toContainEqual(expect.stringContaining(`process ${other.pid} (`));
    } finally {
      other.kill();
    }
  });

  test('a tree in the data directory is the mail of an account', async () => {
    await openStore().account(alice);
    const bob = planAdoption(
      wish({
        account: 'bob@example.org' as typeof alice,
        path: join(data, 'mail/example.org/alice/Maildir'),
      }),
      systemClock,
    );
    expect(problems(bob)).toContainEqual(expect.stringMatching(/lies in the data directory/));
  });
});

test('what will be different is counted: keywords beyond z, letters without a name, twins, old locks, rights', () => {
  dovecotFolder(tree, {
    uidValidity: 5,
    messages: [
      [1, 'cur/1.a.h:2,Sy'],
      [1, 'cur/2.b.h:2,S'],
    ],
    keywords: Array.from({ length: 28 }, (_, at) => (at === 24 ? '\\Bad' : `K${at}`)),
  });
  put(tree, 'new/1.a.h');
  mkdirSync(join(tree, 'cur/directory'));
  dovecotFolder(join(tree, '.Twin'), { uidValidity: 5 });
  writeFileSync(join(tree, 'dovecot-acl'), '');
  writeFileSync(join(tree, 'dovecot.index.log.lock'), '');
  utimesSync(join(tree, 'dovecot.index.log.lock'), 1, 1);
  const found = plan();
  expect(found.state).toBe('ready');
  expect(problems(found).map((text) => text.slice(0, 60))).toEqual([
    expect.stringMatching(/^note Twin: 1 it has the UIDVALIDITY of "INBOX"/),
    expect.stringMatching(/^note INBOX: 1 lines of its dovecot-uidlist/),
    expect.stringMatching(/^note INBOX: 1 messages are not in its dovecot-uidlist/),
    expect.stringMatching(/^note INBOX: 1 entries in new\/ and cur\/ are no files/),
    expect.stringMatching(/^note INBOX: 1 messages lie there under two names/),
    expect.stringMatching(/^note INBOX: 3 keywords cannot be kept/),
    expect.stringMatching(/^note INBOX: 1 letters in file names have no keyword/),
    expect.stringMatching(/^note INBOX: 1 dovecot.index.log.lock was left/),
    expect.stringMatching(/^note INBOX: 1 dovecot-acl/),
  ]);
});

describe('the way back', () => {
  const release = { uidl: '%08Xu%08Xv', control: null, after: 'hand-over' } as const;

  test('lists, keywords and UIDVALIDITY as they are now; guids, orders and unique ids as they were', async () => {
    usual();
    const account = await adopted({ uidl: '%f' });
    const inbox = (await account.mailbox('INBOX'))?.id;
    if (!inbox) throw new Error('no INBOX');
    const added = await account.append(inbox, message('new'), { flags: ['Fresh'], internalDate: 0 });
    await account.setFlags(inbox, [7 as never], { mode: 'add', flags: ['\\Seen', 'Work'] });
    await account.expunge(inbox, [1 as never]);
    const made = await account.create('Made');
    writeFileSync(join(tree, 'dovecot.index'), 'x');
    writeFileSync(join(tree, '.Sent/dovecot.index.cache'), 'x');
    const done = await stores[0]?.release(alice, release);
    expect(done).toMatchObject({ path: tree, folders: 4, messages: 7, removed: 2 });
    const lists = everything(tree);
    const lines = lists['dovecot-uidlist']?.split('\n') ?? [];
    expect(lines[0]).toBe(`3 V1000 N${added.uid + 1} Gabcdef`);
    expect(lines[1]).toMatch(/^5 P5uid G5\.M5P5\.h :5\.M5P5\.h,S=\d+,W=\d+,U=1000\.5$/);
    expect(lines[2]).toMatch(
      /^7 P7\.M7P7\.h,S=\d+,W=\d+ G7\.M7P7\.h,S=\d+,W=\d+ :7\.M7P7\.h,S=\d+,W=\d+,U=1000\.7$/,
    );
    expect(lines.at(-2)).toMatch(/^12 P0000000c000003e8 :\d+\.M\d+P\d+R\d+\.\S+,U=1000\.12$/);
    expect(lists['dovecot-keywords']).toBe('0 $Forwarded\n1 Work\n2 Fresh\n');
    expect(lists['.Made/dovecot-uidlist']).toBe(`3 V${made.uidValidity} N1\n`);
    expect(Number.parseInt(lists['dovecot-uidvalidity'] ?? '', 16)).toBe(made.uidValidity);
    // All names are right: letters, and out of new/ what was seen.
    expect(Object.keys(lists)).toContainEqual(expect.stringMatching(/^cur\/7\.M7P7.*:2,Sb$/));
  });

  test('nobody opens the account until it is adopted again; what Dovecot did meanwhile counts', async () => {
    usual();
    await adopted();
    const store = stores[0];
    await store?.release(alice, release);
    await expect(store?.account(alice)).rejects.toMatchObject({ kind: 'busy' });
    // Dovecot gets a message and says that it is UID 40.
    const list = join(tree, 'dovecot-uidlist');
    writeFileSync(list, `${readFileSync(list, 'utf8')}40 :40.M4P4.h\n`);
    put(tree, 'cur/40.M4P4.h:2,S');
    expect(plan().state).toBe('ready');
    const account = await adopted();
    const inbox = (await contents(account))['INBOX'] as { messages: object };
    expect(Object.keys(inbox.messages)).toEqual(['1', '5', '7', '10', '11', '40']);
    await stores.at(-1)?.release(alice, { ...release, after: 'serve' });
    expect((await account.mailbox('INBOX'))?.total).toBe(6);
  });

  test('an account that was never adopted: unique ids as it gave them, whatever Dovecot makes of UIDs', async () => {
    const store = openStore();
    const account = await store.account(alice);
    const inbox = await account.mailbox('INBOX');
    if (!inbox) throw new Error('no INBOX');
    await account.append(inbox.id, message('x'), { flags: [], internalDate: 0 });
    const control = join(dir.path, 'control');
    await store.release(alice, { uidl: 'UID%u-%v', control, after: 'hand-over' });
    expect(readFileSync(join(control, 'dovecot-uidlist'), 'utf8')).toMatch(
      new RegExp(`^3 V${inbox.uidValidity} N2\n1 PUID1-${inbox.uidValidity} :`),
    );
    expect(readFileSync(join(control, 'subscriptions'), 'utf8')).toContain('Sent\n');
    expect(readdirSync(join(control, '.Sent'))).toEqual(['dovecot-uidlist']);
  });
});

test('two folders with one UIDVALIDITY: the second gets another one, and keeps its messages', async () => {
  dovecotFolder(tree, { uidValidity: 5, messages: [[4, 'cur/4.a.h:2,S']] });
  dovecotFolder(join(tree, '.Twin'), { uidValidity: 5, messages: [[9, 'cur/9.b.h:2,F']] });
  const account = await adopted();
  expect(await account.mailbox('INBOX')).toMatchObject({ uidValidity: 5, total: 1 });
  const twin = await account.mailbox('Twin');
  expect(twin?.total).toBe(1);
  expect(twin?.uidValidity).not.toBe(5);
});

test('octets stay: LF files are LF on disk and CRLF for clients', async () => {
  usual();
  const account = await adopted();
  const sent = await account.mailbox('Sent');
  if (!sent) throw new Error('no Sent');
  const raw = await bytesOf(await account.raw(sent.id, 3 as never));
  expect(raw.toString()).toBe(contentOf('3.M3P3.h').replaceAll('\n', '\r\n'));
  const [file = ''] = readdirSync(join(tree, '.Sent/cur'));
  expect(readFileSync(join(tree, '.Sent/cur', file), 'utf8')).toBe(contentOf('3.M3P3.h'));
});
