import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Uid } from '../../src/store/store.ts';
import { play } from './dialogue.ts';
import { type Client, ImapWorld } from './world.ts';

let world: ImapWorld;
let client: Client;
beforeAll(async () => {
  world = await ImapWorld.start();
  // Messages 1 to 9 have the UIDs 2, 3, 4, 6 to 11; the subjects sort the other way round.
  const messages = [...'abcdefghijk'].map(
    (_, at) => `Subject: ${String.fromCharCode(122 - at)}\nDate: ${at + 1} Feb 2024 10:00:00 +0000\n\n`,
  );
  const id = await world.fill('INBOX', messages);
  const store = await world.account();
  await store.expunge(id, [1 as Uid, 5 as Uid]);
  client = await world.login('INBOX');
});
afterAll(() => world.close());

describe('PARTIAL of SEARCH (RFC 9394 3.1)', () => {
  test('the examples, with 9 results instead of 23764', () =>
    play(
      client,
      `C: A01 UID SEARCH RETURN (PARTIAL -1:-3) UNDELETED
         UNKEYWORD $Junk
       S: * ESEARCH (TAG "A01") UID PARTIAL (-1:-3 9:11)
       S: A01 OK Completed.
       C: A02 UID SEARCH RETURN (PARTIAL 7:24000) UNDELETED UNKEYWORD $Junk
       C: A03 UID SEARCH RETURN (PARTIAL 1:5) UNDELETED UNKEYWORD $Junk
       C: A04 UID SEARCH RETURN (PARTIAL 24000:24500) UNDELETED UNKEYWORD $Junk
       S: * ESEARCH (TAG "A02") UID PARTIAL (7:24000 9:11)
       S: A02 OK Completed.
       S: * ESEARCH (TAG "A03") UID PARTIAL (1:5 2:4,6:7)
       S: A03 OK Completed.
       S: * ESEARCH (TAG "A04") UID PARTIAL (24000:24500 NIL)
       S: A04 OK Completed.`,
    ));

  test.each([
    ['SEARCH RETURN (PARTIAL 3:2) ALL', 'PARTIAL (2:3 2:3)'],
    ['SEARCH RETURN (PARTIAL -4:-2) ALL', 'PARTIAL (-2:-4 6:8)'],
    ['SEARCH RETURN (PARTIAL -100:-8) ALL', 'PARTIAL (-8:-100 1:2)'],
    ['SEARCH RETURN (PARTIAL -10:-20) ALL', 'PARTIAL (-10:-20 NIL)'],
    ['SEARCH RETURN (partial 1:1 MIN MAX COUNT) ALL', 'MIN 1 MAX 9 PARTIAL (1:1 1) COUNT 9'],
    ['SEARCH RETURN (PARTIAL 1:1) FROM nobody', 'PARTIAL (1:1 NIL)'],
    ['SORT RETURN (PARTIAL 1:3) (SUBJECT) UTF-8 ALL', 'PARTIAL (1:3 9,8,7)'],
    ['SORT RETURN (PARTIAL -1:-2) (SUBJECT) UTF-8 ALL', 'PARTIAL (-1:-2 2,1)'],
  ])('%s', async (command, data) => {
    const [answer] = await client.ok(command);
    expect(answer?.replace(/^ESEARCH \(TAG "t\d+"\) /, '')).toBe(data);
  });

  test.each([
    'SEARCH RETURN (PARTIAL 1:2 ALL) ALL',
    'SEARCH RETURN (ALL PARTIAL 1:2) ALL',
    'SEARCH RETURN (PARTIAL 1:2 PARTIAL 3:4) ALL',
    'SEARCH RETURN (PARTIAL 1:*) ALL',
    'SEARCH RETURN (PARTIAL 0:1) ALL',
    'SEARCH RETURN (PARTIAL 1:-1) ALL',
    'SEARCH RETURN (PARTIAL -1:1) ALL',
    'SEARCH RETURN (PARTIAL 5) ALL',
    'SEARCH RETURN (PARTIAL) ALL',
    'FETCH 1:* (UID) (PARTIAL 1:2)',
    'UID FETCH 1:* (UID) (PARTIAL 1:2 PARTIAL 1:2)',
    'UID FETCH 1:* (UID) (PARTIAL *:2)',
  ])('%s is BAD', async (command) => {
    expect(await client.tagged(command)).toMatch(/^BAD .*\(byte \d+\)$/);
  });

  test.each([
    ['SAVE PARTIAL 2:3', '3:4'],
    ['SAVE PARTIAL 2:3 MIN', '2:4'],
    ['SAVE PARTIAL 2:3 MAX', '3:4,11'],
    ['SAVE PARTIAL 2:3 MIN MAX', '2:4,11'],
    ['SAVE PARTIAL 2:3 COUNT', '2:4,6:11'],
    ['SAVE PARTIAL 2:3 COUNT MIN MAX', '2:4,6:11'],
    ['SAVE PARTIAL 20:30', undefined],
    ['SAVE PARTIAL 20:30 MIN', '2'],
  ])('$ after RETURN (%s) (3.2, table 1)', async (options, saved) => {
    await client.ok(`UID SEARCH RETURN (SAVE) ALL`);
    expect(await client.ok(`UID SEARCH RETURN (${options}) ALL`)).toHaveLength(1);
    const [answer] = await client.ok('UID SEARCH RETURN (ALL) $');
    expect(/ALL (\S+)/.exec(answer ?? '')?.[1]).toBe(saved);
  });
});

describe('PARTIAL of UID FETCH (RFC 9394 3.3, 3.4)', () => {
  test.each([
    ['3:10 (UID) (PARTIAL -1:-3)', ['6 FETCH (UID 8)', '7 FETCH (UID 9)', '8 FETCH (UID 10)']],
    ['3:10 (UID) (PARTIAL 1:2)', ['2 FETCH (UID 3)', '3 FETCH (UID 4)']],
    ['2,6,11 (UID) (PARTIAL 2:9)', ['4 FETCH (UID 6)', '9 FETCH (UID 11)']],
    ['2:3 (UID) (PARTIAL 3:9)', []],
  ])('UID FETCH %s', async (rest, lines) => {
    expect(await client.ok(`UID FETCH ${rest}`)).toEqual(lines);
  });

  test('first the stretch, then CHANGEDSINCE, in either order', async () => {
    const other = await world.login('INBOX');
    const [before] = await other.ok('STATUS INBOX (HIGHESTMODSEQ)');
    const since = /HIGHESTMODSEQ (\d+)/.exec(before ?? '')?.[1];
    await other.ok('UID STORE 2,10 +FLAGS (x)');
    for (const modifiers of [`PARTIAL -1:-3 CHANGEDSINCE ${since}`, `CHANGEDSINCE ${since} PARTIAL -1:-3`])
      expect(await other.ok(`UID FETCH 1:* (UID) (${modifiers})`)).toEqual([
        expect.stringMatching(/^8 FETCH \(UID 10 MODSEQ \(\d+\)\)$/),
      ]);
  });
});

describe('RETURN of SORT (RFC 5267 3)', () => {
  test.each([
    ['UID SORT RETURN () (REVERSE DATE) UTF-8 UNDELETED', 'UID ALL 11,10,9,8,7,6,4,3,2'],
    ['SORT RETURN (ALL) (DATE) UTF-8 ALL', 'ALL 1:9'],
    ['SORT RETURN (MIN MAX COUNT) (SUBJECT) UTF-8 1:4', 'MIN 4 MAX 1 COUNT 4'],
    ['SORT RETURN (COUNT) (SUBJECT) UTF-8 FROM nobody', 'COUNT 0'],
  ])('%s', async (command, data) => {
    const [answer] = await client.ok(command);
    expect(answer?.replace(/^ESEARCH \(TAG "t\d+"\) /, '')).toBe(data);
  });

  test('SAVE keeps the messages, whatever their order', async () => {
    expect(await client.ok('SORT RETURN (SAVE) (SUBJECT) UTF-8 1:3')).toEqual([]);
    expect(await client.ok('UID SEARCH $')).toEqual(['SEARCH 2 3 4']);
    expect(await client.tagged('SORT RETURN (SAVE) (SUBJECT) X-KLINGON ALL')).toMatch(/^NO \[BADCHARSET/);
    expect(await client.ok('UID SEARCH $')).toEqual(['SEARCH']);
  });

  test('MODSEQ as in SEARCH (RFC 7162 3.1.9, 3.1.10)', async () => {
    expect(await client.ok('SORT RETURN (ALL) (REVERSE DATE) UTF-8 1:3 MODSEQ 1')).toContainEqual(
      expect.stringMatching(/^ESEARCH \(TAG "t\d+"\) ALL 3,2,1 MODSEQ \d+$/),
    );
    expect(await client.ok('SORT (REVERSE DATE) UTF-8 1:3 MODSEQ 1')).toEqual([
      expect.stringMatching(/^SORT 3 2 1 \(MODSEQ \d+\)$/),
    ]);
  });
});
