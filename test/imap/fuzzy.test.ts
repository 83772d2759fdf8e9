import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Client, ImapWorld } from './world.ts';

let world: ImapWorld;
let client: Client;
beforeAll(async () => {
  world = await ImapWorld.start();
  await world.fill('INBOX', [
    'Subject: Hello world\nFrom: user@example.com\nDate: 1 Feb 2024 10:00:00 +0000\n\n',
    'Subject: I need help\nDate: 1 Feb 2024 10:00:00 +0000\n\n',
    'Subject: a helo command\nDate: 3 Feb 2024 10:00:00 +0000\n\n',
    'Subject: working on invoices\nFrom: user@example.com\nDate: 3 Feb 2024 10:00:00 +0000\n\n',
    'Subject: the invoice of March\nDate: 5 Feb 2024 10:00:00 +0000\n\n',
    'Subject: nothing\n\n',
  ]);
  client = await world.login('INBOX');
});
afterAll(() => world.close());

async function told(command: string): Promise<string | undefined> {
  const [line] = await client.ok(command);
  return line?.replace(/^ESEARCH \(TAG "t\d+"\) /, '');
}

describe('FUZZY (RFC 6203), after its examples', () => {
  test.each([
    ['SEARCH FUZZY SUBJECT work FROM user@example.com', 'SEARCH 1 4'],
    ['SEARCH FUZZY SUBJECT work NOT FROM nobody', 'SEARCH 1 4'],
    ['SEARCH FUZZY (SUBJECT helo FROM "user example")', 'SEARCH 1'],
    ['SEARCH FUZZY SUBJECT "invoices march"', 'SEARCH 5'],
    ['SEARCH FUZZY SUBJECT "march the invoice yesterday"', 'SEARCH 5'],
    ['SEARCH FUZZY NOT SUBJECT helo', 'SEARCH 1 2 4 5 6'],
    ['SEARCH FUZZY UID 2:3', 'SEARCH 2 3'],
    ['SEARCH FUZZY SEEN', 'SEARCH'],
    ['SEARCH FUZZY TEXT "!"', 'SEARCH'],
    ['SEARCH RETURN (RELEVANCY ALL) FUZZY TEXT "Helo"', 'ALL 1:3 RELEVANCY (54 54 100)'],
    ['SEARCH RETURN (RELEVANCY) FUZZY TEXT "nowhere"', 'ESEARCH'],
    ['SEARCH RETURN (RELEVANCY PARTIAL -1:-2) FUZZY TEXT "Helo"', 'PARTIAL (-1:-2 2:3) RELEVANCY (54 100)'],
    ['SORT (RELEVANCY) UTF-8 FUZZY SUBJECT "Helo"', 'SORT 3 1 2'],
    ['SORT (REVERSE RELEVANCY) UTF-8 FUZZY SUBJECT "Helo"', 'SORT 1 2 3'],
    ['SORT RETURN (RELEVANCY ALL) (RELEVANCY) UTF-8 FUZZY TEXT "Helo"', 'ALL 3,1:2 RELEVANCY (100 54 54)'],
    ['SORT RETURN (PARTIAL 1:2) (RELEVANCY) UTF-8 FUZZY TEXT "Helo"', 'PARTIAL (1:2 3,1)'],
    ['SORT (RELEVANCY REVERSE SUBJECT) UTF-8 FUZZY SUBJECT "Helo"', 'SORT 3 2 1'],
    ['SORT (DATE RELEVANCY) UTF-8 OR FUZZY SUBJECT "Helo" FUZZY SUBJECT invoices', 'SORT 1 2 3 4 5'],
    ['SORT (DATE REVERSE RELEVANCY) UTF-8 FUZZY (OR SUBJECT "helo command" SUBJECT invoices)', 'SORT 3 4 5'],
    ['SORT (RELEVANCY) UTF-8 FUZZY SEEN', 'SORT'],
  ])('%s', async (command, answer) => {
    expect((await told(command))?.replace(/^ESEARCH .*/, 'ESEARCH')).toBe(answer);
  });

  test.each([
    'SEARCH FUZZY',
    'SEARCH RETURN (RELEVANCY ALL) TEXT x',
    'SORT (RELEVANCY) UTF-8 SUBJECT x',
    'SORT RETURN (RELEVANCY) (DATE) UTF-8 SUBJECT x',
    'ESEARCH IN (personal) RETURN (RELEVANCY) SUBJECT x',
    `SEARCH ${'FUZZY '.repeat(200)}SEEN`,
  ])('%s is BAD', async (command) => {
    expect(await client.tagged(command)).toMatch(/^BAD .*\(byte \d+\)$/);
  });

  test('in many mailboxes', async () => {
    expect(await client.ok('ESEARCH IN (personal) RETURN (ALL RELEVANCY) FUZZY SUBJECT helo')).toEqual([
      expect.stringMatching(/ UID ALL 1:3 RELEVANCY \(54 54 100\)$/),
    ]);
  });

  test('an order by score is not kept up to date', async () => {
    expect(await client.ok('SORT RETURN (UPDATE COUNT) (RELEVANCY) UTF-8 FUZZY SUBJECT helo')).toEqual([
      expect.stringMatching(/COUNT 3$/),
      expect.stringMatching(/^NO \[NOUPDATE "t\d+"\]/),
    ]);
  });
});
