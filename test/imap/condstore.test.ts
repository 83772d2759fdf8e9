import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { MailboxId, Uid } from '../../src/store/store.ts';
import type { MemoryAccount } from './memory-mail.ts';
import { type Client, ImapWorld } from './world.ts';

let world: ImapWorld;
let store: MemoryAccount;
let client: Client;
let id: MailboxId;
/** The first message has UID 1 and MODSEQ 2, and so on. */
beforeEach(async () => {
  world = await ImapWorld.start();
  store = await world.account();
  id = await world.fill(
    'INBOX',
    Array.from({ length: 5 }, (_, i) => `A: ${i}\n\n`),
  );
  client = await world.login();
});
afterEach(() => world.close());

const set = (uid: number, ...flags: string[]): Promise<unknown> =>
  store.setFlags(id, [uid as Uid], { mode: 'add', flags });
const drop = (...uids: number[]): Promise<unknown> => store.expunge(id, uids as Uid[]);

const code = (untagged: readonly string[], name: string): string | undefined =>
  untagged.map((line) => new RegExp(`\\[${name} ([^\\]]*)\\]`).exec(line)?.[1]).find(Boolean);

describe('CONDSTORE (RFC 7162 3.1)', () => {
  test('the first use of it tells HIGHESTMODSEQ, from then on FETCH tells UID and MODSEQ (3.1, 3.2.4)', async () => {
    await client.ok('SELECT INBOX');
    await set(1, '\\Seen');
    expect(await client.ok('NOOP')).toEqual(['1 FETCH (FLAGS (\\Seen \\Recent))']);
    expect(await client.ok('FETCH 2 (MODSEQ)')).toEqual([
      expect.stringMatching(/^OK \[HIGHESTMODSEQ 7\]/),
      '2 FETCH (MODSEQ (3))',
    ]);
    expect(await client.ok('FETCH 2 MODSEQ')).toEqual(['2 FETCH (MODSEQ (3))']);
    await set(1, 'x');
    expect((await client.ok('NOOP')).at(-1)).toBe('1 FETCH (UID 1 FLAGS (\\Seen x \\Recent) MODSEQ (8))');
  });

  test('SELECT (CONDSTORE), ENABLE CONDSTORE, and what is no parameter', async () => {
    expect(await client.ok('ENABLE X-NONE')).toEqual(['ENABLED']);
    const opened = await client.ok('SELECT INBOX (CONDSTORE)');
    expect(code(opened, 'HIGHESTMODSEQ')).toBe('6');
    expect(await client.ok('ENABLE CONDSTORE')).toEqual(['ENABLED']);
    expect(await client.tagged('SELECT INBOX (FOO)')).toMatch(/^BAD/);
    expect(await client.tagged('SELECT INBOX ()')).toMatch(/^BAD/);
  });

  test('FETCH CHANGEDSINCE (3.1.4.1)', async () => {
    await client.ok('SELECT INBOX (CONDSTORE)');
    await set(2, '\\Flagged');
    await set(4, 'kw');
    await client.ok('NOOP');
    expect(await client.ok('UID FETCH 1:* (FLAGS) (CHANGEDSINCE 6)')).toEqual([
      '2 FETCH (UID 2 FLAGS (\\Flagged \\Recent) MODSEQ (7))',
      '4 FETCH (UID 4 FLAGS (kw \\Recent) MODSEQ (8))',
    ]);
    expect(await client.ok('FETCH 1:3 FLAGS (CHANGEDSINCE 7)')).toEqual([]);
  });

  test('STORE UNCHANGEDSINCE, all pass (3.1.3, example 3)', async () => {
    await client.ok('SELECT INBOX (CONDSTORE)');
    expect(await client.ok('UID STORE 1,3 (UNCHANGEDSINCE 6) +FLAGS.SILENT (\\Deleted)')).toEqual([
      '1 FETCH (UID 1 MODSEQ (7))',
      '3 FETCH (UID 3 MODSEQ (8))',
    ]);
    expect(await client.ok('NOOP')).toEqual([]);
  });

  test('some fail, and what stood in the way is told (3.1.3, examples 6 and 10)', async () => {
    await client.ok('SELECT INBOX (CONDSTORE)');
    await set(4, '\\Answered');
    await client.ok('NOOP');
    const answer = await client.ask('STORE 5,4,1 (UNCHANGEDSINCE 6) +FLAGS.SILENT (\\Deleted)');
    expect(answer.untagged).toEqual([
      '1 FETCH (UID 1 MODSEQ (8))',
      '5 FETCH (UID 5 MODSEQ (9))',
      '4 FETCH (UID 4 FLAGS (\\Answered \\Recent) MODSEQ (7))',
    ]);
    expect(answer.tagged).toMatch(/^OK \[MODIFIED 4\]/);
  });

  test('UNCHANGEDSINCE 0 always fails (3.1.3, example 8)', async () => {
    await client.ok('SELECT INBOX');
    expect(await client.tagged('UID STORE 2 (UNCHANGEDSINCE 0) +FLAGS.SILENT ($MDNSent)')).toMatch(
      /^OK \[MODIFIED 2\]/,
    );
  });

  test('SEARCH MODSEQ tells the highest of what it found (3.1.5, 3.1.6, 3.1.10)', async () => {
    await client.ok('SELECT INBOX (CONDSTORE)');
    expect(await client.ok('SEARCH MODSEQ 4')).toEqual(['SEARCH 3 4 5 (MODSEQ 6)']);
    expect(await client.ok('SEARCH MODSEQ "/flags/\\\\draft" all 5')).toEqual(['SEARCH 4 5 (MODSEQ 6)']);
    expect(await client.ok('SEARCH OR NOT MODSEQ 720162338 LARGER 50000')).toEqual([
      'SEARCH 1 2 3 4 5 (MODSEQ 6)',
    ]);
    expect(await client.ok('SEARCH MODSEQ 99')).toEqual(['SEARCH']);
    expect(await client.ok('UID SEARCH RETURN (ALL) MODSEQ 5')).toEqual([
      expect.stringMatching(/^ESEARCH \(TAG "t\d+"\) UID ALL 4:5 MODSEQ 6$/),
    ]);
    expect(await client.ok('SEARCH RETURN (MIN) MODSEQ 3')).toEqual([
      expect.stringMatching(/^ESEARCH \(TAG "t\d+"\) MIN 2 MODSEQ 3$/),
    ]);
  });

  test('what FETCH makes \\Seen is told with its MODSEQ (3.2.4)', async () => {
    await client.ok('SELECT INBOX (CONDSTORE)');
    expect(await client.ok('FETCH 1 BODY[1]')).toEqual([
      '1 FETCH (BODY[1] {0}\r\n FLAGS (\\Seen \\Recent) UID 1 MODSEQ (7))',
    ]);
  });
});

describe('QRESYNC (RFC 7162 3.2)', () => {
  test('is not for those who did not ask for it (3.2.5, 3.2.6)', async () => {
    expect(await client.tagged('SELECT INBOX (QRESYNC (1 1))')).toMatch(/^BAD/);
    await client.ok('SELECT INBOX');
    expect(await client.tagged('UID FETCH 1:* FLAGS (CHANGEDSINCE 1 VANISHED)')).toMatch(/^BAD/);
    await client.ok('ENABLE QRESYNC');
    expect(await client.tagged('UID FETCH 1:* FLAGS (VANISHED)')).toMatch(/^BAD/);
  });

  test('ENABLE QRESYNC brings CONDSTORE, and VANISHED for EXPUNGE (3.2.3, 3.2.7, 3.2.10)', async () => {
    expect(await client.ok('ENABLE QRESYNC')).toEqual(['ENABLED QRESYNC']);
    await client.ok('SELECT INBOX');
    await set(2, '\\Deleted');
    await set(3, '\\Deleted');
    await drop(5);
    expect(await client.ok('NOOP')).toEqual([
      'VANISHED 5',
      '2 FETCH (UID 2 FLAGS (\\Deleted \\Recent) MODSEQ (7))',
      '3 FETCH (UID 3 FLAGS (\\Deleted \\Recent) MODSEQ (8))',
    ]);
    const answer = await client.ask('EXPUNGE');
    expect(answer.untagged).toEqual(['VANISHED 2:3']);
    expect(answer.tagged).toMatch(/^OK \[HIGHESTMODSEQ 10\]/);
    expect(await client.tagged('UID EXPUNGE 1:*')).toBe('OK UID EXPUNGE completed');
  });

  test('SELECT tells what happened since, of known UIDs only if they are given (3.2.5.1)', async () => {
    await client.ok('ENABLE QRESYNC');
    const uidValidity = code(await client.ok('SELECT INBOX'), 'UIDVALIDITY');
    await client.ok('UNSELECT');
    await set(1, '\\Flagged');
    await drop(2, 4);
    await set(5, 'kw');
    const since = async (rest: string): Promise<readonly string[]> =>
      (await client.ok(`SELECT INBOX (QRESYNC (${uidValidity} ${rest}))`)).filter((line) =>
        /VANISHED|FETCH|CLOSED/.test(line),
      );
    expect(await since('6')).toEqual([
      'VANISHED (EARLIER) 2,4',
      '1 FETCH (UID 1 FLAGS (\\Flagged) MODSEQ (7))',
      '3 FETCH (UID 5 FLAGS (kw) MODSEQ (9))',
    ]);
    expect(await since('6 3:4')).toEqual([expect.stringMatching(/^OK \[CLOSED\]/), 'VANISHED (EARLIER) 4']);
    expect((await since('8 1:5')).slice(1)).toEqual(['3 FETCH (UID 5 FLAGS (kw) MODSEQ (9))']);
    expect((await since('9')).slice(1)).toEqual([]);
    // The client's numbers are right up to UID 3, so it knows of 2 (3.2.5.2).
    expect((await since('6 1:5 (1:2 1,3)')).slice(1, 2)).toEqual(['VANISHED (EARLIER) 4']);
    expect((await since('6 1:5 (1,3 1,4)')).slice(1, 2)).toEqual(['VANISHED (EARLIER) 2,4']);
    expect((await since('6 (1:2 1,3)')).slice(1, 2)).toEqual(['VANISHED (EARLIER) 4']);
    const other = await client.ok('SELECT INBOX (QRESYNC (77 6))');
    expect(other.filter((line) => /VANISHED|FETCH/.test(line))).toEqual([]);
  });

  test('bad parameters leave the mailbox unselected (3.2.5)', async () => {
    await client.ok('ENABLE QRESYNC');
    for (const bad of ['()', '(1)', '(0 1)', '(1 1 1:*)', '(1 1 1 (1))', '(1 1 1 (1 2) 3)'])
      expect(await client.tagged(`SELECT INBOX (QRESYNC ${bad})`), bad).toMatch(/^BAD/);
    expect(await client.tagged('FETCH 1 FLAGS')).toMatch(/^BAD Select/);
  });

  test('UID FETCH … VANISHED (3.2.6)', async () => {
    await client.ok('ENABLE QRESYNC');
    await client.ok('SELECT INBOX');
    await drop(1, 3);
    await client.ok('NOOP');
    await set(4, 'kw');
    expect(await client.ok('UID FETCH 2:5 (FLAGS) (CHANGEDSINCE 6 VANISHED)')).toEqual([
      'VANISHED (EARLIER) 3',
      expect.stringMatching(/^FLAGS \(.* kw\)$/),
      expect.stringMatching(/^OK \[PERMANENTFLAGS/),
      '2 FETCH (UID 4 FLAGS (kw \\Recent) MODSEQ (8))',
    ]);
  });

  test('an expunge that may not be told yet holds HIGHESTMODSEQ back (3.2, section 6)', async () => {
    await client.ok('ENABLE QRESYNC');
    await client.ok('SELECT INBOX');
    await drop(5);
    const answer = await client.ask('STORE 1 +FLAGS (x)');
    expect(answer.untagged.at(-1)).toBe('1 FETCH (UID 1 FLAGS (x \\Recent) MODSEQ (8))');
    expect(answer.tagged).toMatch(/^OK \[HIGHESTMODSEQ 6\]/);
    expect(await client.ok('NOOP')).toEqual(['VANISHED 5']);
  });

  test('CLOSE tells nothing (3.2.8)', async () => {
    await client.ok('ENABLE QRESYNC');
    await client.ok('SELECT INBOX');
    await set(1, '\\Deleted');
    await client.ok('NOOP');
    expect(await client.ask('CLOSE')).toEqual({ untagged: [], tagged: 'OK CLOSE completed' });
    expect((await store.uids(id)).length).toBe(4);
  });
});
