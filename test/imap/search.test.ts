import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { searchKeys } from '../../src/imap/search/index.ts';
import type { Uid } from '../../src/store/store.ts';
import { ManualClock } from '../clock.ts';
import type { MemoryAccount } from './memory-mail.ts';
import { type Client, ImapWorld } from './world.ts';

const clock = new ManualClock('2024-03-01T12:00:00Z');
let world: ImapWorld;
let client: Client;
let store: MemoryAccount;
beforeAll(async () => {
  world = await ImapWorld.start({ clock, mail: { now: () => clock.now().getTime() } });
  // UIDs 2 to 5 are messages 1 to 4.
  const id = await world.fill('INBOX', [
    'Subject: gone\n\n',
    'From: Ann <ann@example.org>\nTo: bob@example.org\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\nDate: Thu, 29 Feb 2024 23:30:00 -0800\n\nDie Straße\n',
    'From: carl@example.net\nCc: Dora\nBcc: Emil\nSubject: Report (final)\nX-Token: t1\n\nnumbers\n',
    `From: ann@example.org\nSubject: long\n\n${'x'.repeat(3000)}\n`,
    'Subject: \n\nlast\n',
  ]);
  store = await world.account();
  await store.expunge(id, [1 as Uid]);
  await store.setFlags(id, [2 as Uid], { mode: 'add', flags: ['\\Seen', '\\Answered'] });
  await store.setFlags(id, [3 as Uid], { mode: 'add', flags: ['\\Flagged', 'Work', '\\Draft'] });
  await store.setFlags(id, [5 as Uid], { mode: 'add', flags: ['\\Deleted'] });
  client = await world.login('INBOX');
});
afterAll(() => world.close());

async function numbers(keys: string | Buffer): Promise<number[]> {
  const untagged = await client.ok(Buffer.concat([Buffer.from('SEARCH '), Buffer.from(keys)]));
  const found = untagged.find((line) => line.startsWith('SEARCH')) ?? 'nothing';
  return found.split(' ').slice(1).map(Number);
}

describe('keys (RFC 9051 6.4.4)', () => {
  test.each<[string, number[]]>([
    ['ALL', [1, 2, 3, 4]],
    ['ANSWERED', [1]],
    ['UNANSWERED', [2, 3, 4]],
    ['DELETED', [4]],
    ['UNDELETED', [1, 2, 3]],
    ['DRAFT', [2]],
    ['UNDRAFT', [1, 3, 4]],
    ['FLAGGED', [2]],
    ['UNFLAGGED', [1, 3, 4]],
    ['SEEN', [1]],
    ['UNSEEN', [2, 3, 4]],
    ['KEYWORD work', [2]],
    ['UNKEYWORD Work', [1, 3, 4]],
    ['KEYWORD $Nothing', []],
    ['RECENT', [1, 2, 3, 4]],
    ['OLD', []],
    ['NEW', [2, 3, 4]],
    ['FROM ann', [1, 3]],
    ['FROM "Ann <ann"', [1]],
    ['TO bob', [1]],
    ['CC dora', [2]],
    ['BCC emil', [2]],
    ['SUBJECT "GRÜßE"', [1]],
    // RFC 5051: ß is a letter of its own, and accents matter.
    ['SUBJECT "grüsse"', []],
    ['SUBJECT "(FINAL)"', [2]],
    ['SUBJECT ""', [1, 2, 3, 4]],
    ['HEADER X-Token ""', [2]],
    ['HEADER x-token t1', [2]],
    ['BODY stra', [1]],
    ['BODY Report', []],
    ['TEXT Report', [2]],
    ['LARGER 3000', [3]],
    ['SMALLER 100', [2, 4]],
    ['1', [1]],
    ['*', [4]],
    ['2:3', [2, 3]],
    ['2,4', [2, 4]],
    ['UID 2:3', [1, 2]],
    ['UID 5:*', [4]],
    ['UID 77', []],
    ['NOT SEEN', [2, 3, 4]],
    ['NOT 1:3', [4]],
    ['OR SEEN DELETED', [1, 4]],
    ['OR (FROM ann LARGER 100) (DELETED)', [1, 3, 4]],
    ['(SEEN) (ANSWERED)', [1]],
    ['FROM ann NOT SEEN', [3]],
    ['SINCE 1-Mar-2024', [1, 2, 3, 4]],
    ['BEFORE 1-Mar-2024', []],
    ['ON "1-Mar-2024"', [1, 2, 3, 4]],
    ['SENTON 29-Feb-2024', [1]],
    ['SENTBEFORE 29-Feb-2024', []],
    ['SENTSINCE 29-Feb-2024', [1]],
    ['YOUNGER 7201', [1, 2, 3, 4]],
    ['YOUNGER 7000', []],
    ['OLDER 7200', [1, 2, 3, 4]],
    ['OLDER 7300', []],
    ['SAVEDON 1-Mar-2024', [1, 2, 3, 4]],
    ['SAVEDBEFORE 1-Mar-2024', []],
    ['SAVEDSINCE 2-Mar-2024', []],
    ['SAVEDATESUPPORTED', [1, 2, 3, 4]],
    ['THREADID TE4', [2]],
    ['THREADID T1', []],
    ['EMAILID E4', [2]],
    ['CHARSET UTF-8 SUBJECT {6+}\r\ngrüße'.replace('{6+}', '{7+}'), [1]],
    ['CHARSET us-ascii SUBJECT report', [2]],
  ])('%s', async (keys, found) => {
    expect(await numbers(keys)).toEqual(found);
  });

  test('other charsets are understood, unknown ones are named (RFC 9051 6.4.4)', async () => {
    const latin1 = Buffer.from('CHARSET ISO-8859-1 SUBJECT "Gr\xfc\xdfe"', 'latin1');
    expect(await numbers(latin1)).toEqual([1]);
    expect(await client.tagged('SEARCH CHARSET X-KLINGON SUBJECT x')).toMatch(
      /^NO \[BADCHARSET \(US-ASCII UTF-8\)\]/,
    );
  });

  test.each([
    'SEARCH',
    'SEARCH FOO',
    'SEARCH SUBJECT',
    'SEARCH NOT',
    'SEARCH OR SEEN',
    'SEARCH ()',
    'SEARCH (SEEN',
    'SEARCH 0',
    'SEARCH ON yesterday',
    'SEARCH RETURN (FOO) ALL',
    'SEARCH RETURN MIN ALL',
    'SEARCH OLDER 0',
    `SEARCH ${'NOT '.repeat(200)}SEEN`,
    `SEARCH ${'('.repeat(200)}SEEN${')'.repeat(200)}`,
  ])('%s is BAD', async (command) => {
    expect(await client.tagged(command)).toMatch(/^BAD .*\(byte \d+\)$/);
  });

  test('every key is in the index once', () => {
    const names = searchKeys.map((key) => key.name);
    expect(new Set(names).size).toBe(names.length);
  });
});

describe('RETURN (RFC 4731)', () => {
  test.each([
    ['SEARCH RETURN (MIN MAX COUNT) UNSEEN', /^ESEARCH \(TAG "t\d+"\) MIN 2 MAX 4 COUNT 3$/],
    ['UID SEARCH RETURN (ALL) UNSEEN', /^ESEARCH \(TAG "t\d+"\) UID ALL 3:5$/],
    ['SEARCH RETURN () 1,3:4', /^ESEARCH \(TAG "t\d+"\) ALL 1,3:4$/],
    ['SEARCH RETURN (MIN COUNT ALL) FROM nobody', /^ESEARCH \(TAG "t\d+"\) COUNT 0$/],
    ['SEARCH RETURN (MIN) FROM nobody', /^ESEARCH \(TAG "t\d+"\)$/],
  ])('%s', async (command, answer) => {
    expect(await client.ok(command)).toEqual([expect.stringMatching(answer)]);
  });

  test('UID SEARCH tells UIDs, nothing found is an answer', async () => {
    expect(await client.ok('UID SEARCH UNSEEN')).toEqual(['SEARCH 3 4 5']);
    expect(await client.ok('SEARCH FROM nobody')).toEqual(['SEARCH']);
  });
});

describe('SAVE and $ (RFC 5182)', () => {
  test('the example of a result used by other commands', async () => {
    expect(await client.ok('SEARCH RETURN (SAVE) UNSEEN')).toEqual([]);
    expect(await client.ok('FETCH $ UID')).toEqual(['2 FETCH (UID 3)', '3 FETCH (UID 4)', '4 FETCH (UID 5)']);
    expect(await client.ok('UID SEARCH UID $ FLAGGED')).toEqual(['SEARCH 3']);
    expect(await client.ok('SEARCH $ DELETED')).toEqual(['SEARCH 4']);
  });

  test('with MIN or MAX only those are saved, with COUNT all (2.1)', async () => {
    await client.ok('SEARCH RETURN (SAVE MIN) UNSEEN');
    expect(await client.ok('FETCH $ UID')).toEqual(['2 FETCH (UID 3)']);
    await client.ok('SEARCH RETURN (SAVE MIN MAX) UNSEEN');
    expect((await client.ok('FETCH $ UID')).length).toBe(2);
    await client.ok('SEARCH RETURN (SAVE MIN COUNT) UNSEEN');
    expect((await client.ok('FETCH $ UID')).length).toBe(3);
  });

  test('an empty result is no mistake; a failed search leaves nothing (2.1)', async () => {
    await client.ok('SEARCH RETURN (SAVE) FROM nobody');
    expect(await client.ok('FETCH $ UID')).toEqual([]);
    expect(await client.ok('STORE $ +FLAGS (x)')).toEqual([]);
    await client.ok('SEARCH RETURN (SAVE) ALL');
    expect(await client.tagged('SEARCH RETURN (SAVE) CHARSET X-KLINGON SUBJECT x')).toMatch(
      /^NO \[BADCHARSET/,
    );
    expect(await client.ok('FETCH $ UID')).toEqual([]);
  });
});

test('days are counted in UTC, as INTERNALDATE is told', async () => {
  const id = await world.fill('Days', []);
  store.put(id, Buffer.from('A: 1\r\n\r\n'), { internalDate: Date.UTC(2024, 1, 29, 23, 59, 59) });
  const other = await world.login('Days');
  expect(await other.ok('FETCH 1 INTERNALDATE')).toEqual([
    '1 FETCH (INTERNALDATE "29-Feb-2024 23:59:59 +0000")',
  ]);
  expect(await other.ok('SEARCH ON 29-Feb-2024')).toEqual(['SEARCH 1']);
});
