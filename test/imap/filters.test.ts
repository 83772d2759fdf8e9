import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { play } from './dialogue.ts';
import { type Client, ImapWorld } from './world.ts';

let world: ImapWorld;
let client: Client;
beforeAll(async () => {
  world = await ImapWorld.start();
  await world.fill('INBOX', [
    'From: boss@example.com\nSubject: a\n\n',
    `From: x@example.com\nSubject: Grüße\nContent-Type: text/plain; charset=utf-8\n\n${'x'.repeat(6000)}\n`,
    `From: boss@example.com\nSubject: c\n\n${'x'.repeat(6000)}\n`,
  ]);
  client = await world.login('INBOX');
});
afterAll(() => world.close());

async function keep(
  name: string,
  value: string | null,
  kind: 'private' | 'shared' = 'private',
): Promise<void> {
  const bytes = value === null ? 'NIL' : `"${value.replace(/["\\]/g, '\\$&')}"`;
  await client.ok(Buffer.from(`SETMETADATA "" (/${kind}/filters/values/${name} ${bytes})`));
}

describe('FILTER (RFC 5466)', () => {
  test('the examples (3.1, 3.2)', () =>
    play(
      client,
      `C: a007 SETMETADATA "" ("/private/filters/values/on-the-road"
           "OR SMALLER 5000 FROM \\"boss@example.com\\"")
       S: a007 OK SETMETADATA complete
       C: a SEARCH UID 1:900 FILTER on-the-road SINCE "3-Dec-2002"
       S: * SEARCH 1 3
       S: a OK
       C: b SEARCH UID 1:900 OR SMALLER 5000 FROM "boss@example.com" SINCE "3-Dec-2002"
       S: * SEARCH 1 3
       S: b OK`,
    ));

  test('private before shared; names without case; gone is gone', async () => {
    await keep('both', 'SUBJECT a');
    await keep('both', 'SUBJECT c', 'shared');
    expect(await client.ok('SEARCH FILTER Both')).toEqual(['SEARCH 1']);
    await keep('both', null);
    expect(await client.ok('SEARCH FILTER both')).toEqual(['SEARCH 3']);
    await keep('both', null, 'shared');
    expect(await client.tagged('SEARCH FILTER both')).toMatch(/^NO \[UNDEFINED-FILTER both\]/);
  });

  test('several keys are one; a filter stands in others, in SORT, THREAD and ESEARCH', async () => {
    await keep('big', 'LARGER 5000 UNDELETED');
    await keep('bigboss', 'FROM boss FILTER big');
    expect(await client.ok('SEARCH NOT FILTER big')).toEqual(['SEARCH 1']);
    expect(await client.ok('SEARCH FILTER bigboss')).toEqual(['SEARCH 3']);
    expect(await client.ok('SORT (REVERSE ARRIVAL) UTF-8 FILTER big')).toEqual(['SORT 2 3']);
    expect(await client.ok('THREAD ORDEREDSUBJECT UTF-8 FILTER bigboss')).toEqual(['THREAD (3)']);
    expect(await client.ok('ESEARCH IN (personal) FILTER big')).toEqual([
      expect.stringMatching(/MAILBOX INBOX UIDVALIDITY \d+\) UID ALL 2:3$/),
    ]);
  });

  test('UTF-8, FUZZY, MODSEQ, sequence numbers in it', async () => {
    await keep('greetings', 'SUBJECT "grüße"');
    expect(await client.ok('SEARCH CHARSET US-ASCII FILTER greetings')).toEqual(['SEARCH 2']);
    await keep('modified', '1:2 MODSEQ 1');
    expect((await client.ok('SEARCH FILTER modified')).at(-1)).toMatch(/^SEARCH 1 2 \(MODSEQ \d+\)$/);
    expect(await client.ok('SEARCH FUZZY FILTER greetings')).toEqual(['SEARCH 2']);
  });

  test('loops, chains that are too long, and what is no search do not exist', async () => {
    await keep('self', 'OR SEEN FILTER self');
    await keep('ping', 'FILTER pong');
    await keep('pong', 'FILTER ping');
    await keep('half', 'OR SMALLER');
    await keep('empty', '');
    for (let at = 1; at <= 12; at++) await keep(`chain${at}`, at === 1 ? 'ALL' : `FILTER chain${at - 1}`);
    for (const name of ['self', 'ping', 'half', 'empty', 'chain12', 'nowhere'])
      expect(await client.tagged(`SEARCH FILTER ${name}`)).toMatch(/^NO \[UNDEFINED-FILTER \S+\]/);
    expect(await client.ok('SEARCH FILTER chain10')).toEqual(['SEARCH 1 2 3']);
  });

  test('filters that double each other stay within the bounds of one search', async () => {
    for (let at = 1; at <= 9; at++)
      await keep(
        `wide${at}`,
        Array(20)
          .fill(at === 1 ? 'SEEN' : `FILTER wide${at - 1}`)
          .join(' '),
      );
    expect(await client.tagged('SEARCH FILTER wide9')).toMatch(/^NO \[UNDEFINED-FILTER wide\d\]/);
  });

  test('a search with SAVE that names no filter leaves nothing (RFC 5182 2.1)', async () => {
    await client.ok('SEARCH RETURN (SAVE) ALL');
    expect(await client.tagged('SEARCH RETURN (SAVE) FILTER nowhere')).toMatch(
      /^NO \[UNDEFINED-FILTER nowhere\]/,
    );
    expect(await client.ok('SEARCH $')).toEqual(['SEARCH']);
  });

  test('other charsets are BAD (3.1), and so are names that can be none', async () => {
    await keep('all', 'ALL');
    expect(await client.tagged('SEARCH CHARSET ISO-8859-1 FILTER all')).toMatch(/^BAD \[BADCHARSET/);
    expect(await client.tagged('SEARCH FILTER a/b')).toMatch(/^BAD/);
    expect(await client.tagged('SEARCH FILTER')).toMatch(/^BAD/);
  });
});
