import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ALICE, BOB, type Client, ImapWorld } from './world.ts';

/**
 * What somebody hears who has no rights: nothing that would tell a mailbox that is there from one that is not, nor an
 * account that is there from one that is not (RFC 4314 6). Each command is played against all of them, word for word.
 */

const MESSAGE = 'A: 1\r\n\r\n';

let world: ImapWorld;
let bob: Client;
beforeAll(async () => {
  world = await ImapWorld.start({ settings: { publicAccount: 'carol@example.org', maxErrors: 1000 } });
  await world.fill('secret', [MESSAGE]);
  await world.fill('secret/child', [MESSAGE]);
  await world.fill('INBOX', [MESSAGE]);
  await world.fill('INBOX', [MESSAGE], BOB);
  await world.fill('plans', [MESSAGE], 'carol@example.org');
  // Others see what bob does not.
  const alice = await world.login();
  await alice.ok('SETACL secret carol lrswipkxtea');
  // A right that shows nothing, and one that is taken away again.
  await alice.ok('SETACL secret bob p');
  await alice.ok('SETACL secret/child anyone lr');
  await alice.ok('SETACL secret/child -bob lr');
  bob = await world.login(undefined, BOB);
});
afterAll(() => world.close());

const COMMANDS: readonly string[] = [
  'SELECT "@"',
  'EXAMINE "@"',
  'STATUS "@" (MESSAGES UNSEEN UIDVALIDITY MAILBOXID)',
  'CREATE "@"',
  'CREATE "@/x"',
  'DELETE "@"',
  'RENAME "@" "Other Users/alice@example.org/new"',
  'RENAME "@" mine',
  'RENAME INBOX "@"',
  'RENAME INBOX "@/x"',
  'SUBSCRIBE "@"',
  'LSUB "" "@"',
  'LIST (SUBSCRIBED) "" "@"',
  'UNSUBSCRIBE "@"',
  'LIST "" "@"',
  'LIST "" "@*"',
  'LIST "@" "%"',
  'LIST "" ("@" "@/%") RETURN (MYRIGHTS STATUS (MESSAGES) METADATA (/shared/comment))',
  `APPEND "@" {${MESSAGE.length}+}\r\n${MESSAGE}`,
  `APPEND "@" {${MESSAGE.length}+}\r\n${MESSAGE} {${MESSAGE.length}+}\r\n${MESSAGE}`,
  'APPEND "@" CATENATE (URL "/INBOX;UID=1")',
  'COPY 1 "@"',
  'UID COPY 1 "@"',
  'MOVE 1 "@"',
  `REPLACE 1 "@" {${MESSAGE.length}+}\r\n${MESSAGE}`,
  'GETACL "@"',
  'SETACL "@" bob lrswipkxtea',
  'DELETEACL "@" bob',
  'LISTRIGHTS "@" bob',
  'MYRIGHTS "@"',
  'GETMETADATA "@" /shared/comment',
  'GETMETADATA (DEPTH infinity) "@" (/shared /private)',
  'SETMETADATA "@" (/shared/comment "x")',
  'SETMETADATA "@" (/private/comment NIL)',
  'GETQUOTA "@"',
  'GETQUOTAROOT "@"',
  'ESEARCH IN (mailboxes "@") ALL',
  'ESEARCH IN (subtree "@") RETURN (COUNT) ALL',
  'ESEARCH IN (subtree-one ("@" INBOX)) RETURN (COUNT) ALL',
];

const PLACES = [
  'Other Users/alice@example.org/INBOX',
  'Other Users/alice@example.org/secret',
  'Other Users/alice@example.org/secret/child',
  'Other Users/alice@example.org/none',
  'Other Users/alice@example.org',
  'Other Users/testimap2@example.org/INBOX',
  'Other Users/bob@example.org/INBOX',
  'Other Users/carol@example.org/plans',
  'Public/plans',
  'Public/INBOX',
  'Public/none',
];

/** What one of them is told, with its own name taken out. */
async function answer(command: string, place: string): Promise<string> {
  if (/SUB/.test(command)) await bob.ok(`SUBSCRIBE "${place}"`);
  const { untagged, tagged } = await bob.ask(command.replaceAll('@', place));
  await bob.ok(`UNSUBSCRIBE "${place}"`);
  return [...untagged, tagged]
    .join('\n')
    .replaceAll(place, 'HERE')
    .replaceAll('"HERE"', 'HERE')
    .replaceAll(/TAG "[^"]*"/g, 'TAG')
    .replace(/\d+ (EXISTS|RECENT)\n?/g, '');
}

describe('nothing tells what is there from what is not', () => {
  test.each(COMMANDS)('%s', async (command) => {
    await bob.ok('SELECT INBOX');
    const nowhere = await answer(command, 'Other Users/nobody@example.org/INBOX');
    if (/^(SELECT|EXAMINE|STATUS|DELETE|GETACL|SETACL|MYRIGHTS|LISTRIGHTS)/.test(command))
      expect(nowhere).toMatch(/NO \[NONEXISTENT\]/);
    for (const place of PLACES) {
      await bob.ok('SELECT INBOX');
      expect(await answer(command, place), place).toBe(nowhere);
    }
    // Nor has it done anything.
    const alice = await world.login();
    expect(await alice.ok('STATUS secret (MESSAGES)')).toEqual(['STATUS secret (MESSAGES 1)']);
    expect((await alice.ok('GETACL secret'))[0]).toBe(
      `ACL secret ${ALICE} lrswipkxteacd carol@example.org lrswipkxteacd ${BOB} p`,
    );
    await alice.ok('LOGOUT');
  });
});

test('no account is made by being asked for', () => {
  expect([...world.mail.accounts.keys()].sort()).toEqual([ALICE, BOB, 'carol@example.org']);
});
