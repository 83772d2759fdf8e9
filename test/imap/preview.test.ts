import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { play } from './dialogue.ts';
import { type Client, ImapWorld } from './world.ts';

const LOREM =
  'Lorem ipsum dolor sit amet, consectetur adipiscing elit. Curabitur aliquam turpis et ante dictum. ';
/** More than is loaded with many others. */
const BIG = `Subject: big\n\nMessage data of a big one.\n${'x'.repeat(100_000)}\n`;

let world: ImapWorld;
let client: Client;
beforeAll(async () => {
  world = await ImapWorld.start();
  await world.fill('INBOX', [
    'Subject: 1\n\nPreview text for message 1.\n',
    'Subject: 2\nContent-Type: application/pdf\n\nnothing to read\n',
    BIG,
    `From: FOO <foo@example.org>\n\n${LOREM.repeat(10)}\n`,
    'From: FOO <foo@example.org>\n\nPreview text!\n',
  ]);
  client = await world.login('INBOX');
});
afterAll(() => world.close());

describe('the examples of RFC 8970', () => {
  test('of section 3.2', () =>
    play(
      client,
      `C: A1 FETCH 5 (PREVIEW)
       S: * 5 FETCH (PREVIEW "Preview text!")
       S: A1 OK FETCH complete.`,
    ));

  test('1: without LAZY; ours is on one line, and so no literal', () =>
    play(
      client,
      `C: A2 FETCH 4 (RFC822.SIZE PREVIEW)
       S: * 4 FETCH (RFC822.SIZE ${LOREM.length * 10 + 33} PREVIEW "${LOREM.repeat(3).slice(0, 200).trimEnd()}")
       S: A2 OK FETCH complete.`,
    ));

  // With UID in place of ENVELOPE; what LAZY leaves out is what a big message has.
  test('2: with LAZY, and what it left out', () =>
    play(
      client,
      `C: B1 FETCH 1:3 (UID PREVIEW (LAZY))
       S: * 1 FETCH (UID 1 PREVIEW "Preview text for message 1.")
       S: * 2 FETCH (UID 2 PREVIEW "")
       S: * 3 FETCH (UID 3 PREVIEW NIL)
       S: B1 OK FETCH completed.
       C: B2 FETCH 3:3 (PREVIEW)
       S: * 3 FETCH (PREVIEW "Message data of a big one. ${'x'.repeat(173)}")
       S: B2 OK Fetch completed.`,
    ));

  test('3: of what a search has found, pipelined', () =>
    play(
      client,
      `C: C2 SEARCH RETURN (SAVE) FROM "FOO" SMALLER 500
       C: C3 FETCH $ (UID PREVIEW (LAZY))
       S: C2 OK SEARCH completed.
       S: * 5 FETCH (UID 5 PREVIEW "Preview text!")
       S: C3 OK FETCH completed.
       C: C4 UID FETCH 5 (PREVIEW)
       S: * 5 FETCH (UID 5 PREVIEW "Preview text!")
       S: C4 OK FETCH completed.`,
    ));
});

test('a list behind PREVIEW is of the item or of the command', async () => {
  const shown = /^1 FETCH \(.*PREVIEW "Preview text for message 1\."/;
  for (const items of [
    'PREVIEW',
    'preview (lazy)',
    'PREVIEW (LAZY LAZY)',
    '(PREVIEW (LAZY) UID)',
    'PREVIEW (CHANGEDSINCE 0)',
    'PREVIEW (LAZY) (CHANGEDSINCE 0)',
  ])
    expect((await client.ok(`FETCH 1 ${items}`)).filter((line) => line.includes('PREVIEW'))).toEqual([
      expect.stringMatching(shown),
    ]);
});

test.each(['(PREVIEW ())', '(PREVIEW (EAGER))', '(PREVIEW (LAZY)', 'PREVIEW (LAZYX)', 'PREVIEW(LAZY)'])(
  'FETCH 1 %s is BAD',
  async (items) => {
    expect(await client.tagged(`FETCH 1 ${items}`)).toMatch(/^BAD .*\(byte \d+\)$/);
  },
);

test('it sets no \\Seen, and is UTF-8 in both revisions', async () => {
  await world.fill('Ünï', [
    'Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\nGr=FC=DFe\n',
  ]);
  const other = await world.login();
  await other.ok('SELECT "&ANw-n&AO8-"');
  const text = Buffer.from('Grüße').toString('latin1');
  for (const _ of ['IMAP4rev1', 'IMAP4rev2']) {
    expect(await other.ok('FETCH 1 (PREVIEW FLAGS)')).toEqual([
      expect.stringMatching(
        `^1 FETCH \\(PREVIEW \\{${text.length}\\}\r\n${text} FLAGS \\((?:\\\\Recent)?\\)\\)$`,
      ),
    ]);
    await other.ok('ENABLE IMAP4rev2');
  }
});
