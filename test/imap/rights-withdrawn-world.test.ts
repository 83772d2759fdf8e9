import { once } from 'node:events';
import { connect } from 'node:tls';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startWorld, type World } from '../world.ts';
import { Client } from './world.ts';

/**
 * Rights that are withdrawn while somebody uses them, in a whole Facteur: from then on nothing of the mailbox is told, and
 * what is refused is refused in the words for a mailbox that is not there (RFC 4314 6).
 */

const PASSWORD = 'wonder Land.1';
const ALL = 'lrswipkxtea';
const MESSAGE = 'Subject: one\r\n\r\nbody\r\n';
/** Whatever speaks of a mailbox's contents, or of its annotations and quota. */
const TELLING = /EXISTS|RECENT|FETCH|EXPUNGE|VANISHED|ESEARCH|STATUS|METADATA|QUOTA|FLAGS|MODSEQ|later/;

let world: World;
let alice: Client;
let bob: Client;
let box = '';
let shared = '';
let boxes = 0;

async function login(user: string): Promise<Client> {
  const socket = connect({ port: world.port('imaps'), host: '127.0.0.1', rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const client = new Client(socket);
  await client.response();
  await client.ok(`LOGIN ${user}@example.org "${PASSWORD}"`);
  return client;
}

const append = (name: string, text = MESSAGE): string => `APPEND "${name}" {${text.length}+}\r\n${text}`;

beforeAll(async () => {
  world = await startWorld({
    accounts: Object.fromEntries(['alice', 'bob', 'carol'].map((name) => [`${name}@example.org`, PASSWORD])),
  });
  alice = await login('alice');
}, 60_000);
afterAll(() => world?.close());
beforeEach(async () => {
  box = `box${++boxes}`;
  shared = `Other Users/alice@example.org/${box}`;
  await alice.ok(`CREATE ${box}`);
  for (let n = 0; n < 3; n++) await alice.ok(append(box));
  await alice.ok(`SETACL ${box} bob ${ALL}`);
  bob = await login('bob');
});

/** All that can happen to a mailbox, once bob has no right to hear of it. */
async function happenings(): Promise<void> {
  await alice.ok(append(box, 'Subject: later\r\n\r\n'));
  await alice.ok(`SELECT ${box}`);
  await alice.ok('STORE 1 +FLAGS (later \\Deleted)');
  await alice.ok('EXPUNGE');
  await alice.ok(`SETMETADATA ${box} (/shared/later "x")`);
  await alice.ok('UNSELECT');
  await alice.ok(`RENAME ${box} ${box}-later`);
}

const WITHDRAWALS: readonly (readonly [string, () => string])[] = [
  ['SETACL with no rights', () => `SETACL ${box} bob ""`],
  ['DELETEACL', () => `DELETEACL ${box} bob`],
  ['what is taken away from all', () => `SETACL ${box} -bob ${ALL}`],
  ['the right to read', () => `SETACL ${box} bob -r`],
];

describe.each(WITHDRAWALS)('%s', (_, withdrawal) => {
  test('in a selected mailbox: commands sent ahead are refused, then BYE', async () => {
    await bob.ok(`SELECT "${shared}"`);
    await alice.ok(withdrawal());
    await happenings();
    bob.send('a FETCH 1:3 (FLAGS BODY[])\r\nb UID SEARCH ALL\r\nc NOOP\r\n');
    const told = await bob.closed();
    expect(told).toMatch(/^a NO \[(NONEXISTENT|NOPERM)\][^\r]*\r\n\* BYE [^\r]*\r\n$/);
  });

  test('in IDLE, with contexts and NOTIFY for what is selected', async () => {
    await bob.ok(`SELECT "${shared}" (CONDSTORE)`);
    await bob.ok('NOTIFY SET (selected (MessageNew (FLAGS) MessageExpunge FlagChange))');
    await bob.ok('UID SEARCH RETURN (UPDATE COUNT) ALL');
    await bob.ok('UID SORT RETURN (UPDATE ALL) (ARRIVAL) UTF-8 UNDELETED');
    bob.send('i IDLE\r\n');
    expect(await bob.response()).toMatch(/^\+ /);
    await alice.ok(withdrawal());
    await happenings();
    expect(await bob.closed()).toMatch(/^\* BYE [^\r]*\r\n$/);
  });

  test('in a mailbox that NOTIFY speaks of', async () => {
    await bob.ok('ENABLE METADATA');
    const events = 'MessageNew MessageExpunge FlagChange MailboxMetadataChange MailboxName';
    await bob.ok(`NOTIFY SET (subtree "Other Users" (${events}))`);
    await alice.ok(withdrawal());
    await happenings();
    const told = await bob.ok('NOOP');
    await alice.ok(`DELETE ${box}-later`);
    for (const line of [...told, ...(await bob.ok('NOOP'))])
      if (withdrawal().endsWith(' -r')) expect(line).not.toMatch(/MESSAGES|UNSEEN|MODSEQ/);
      else {
        expect(line).toMatch(/\\NonExistent/);
        expect(line).not.toMatch(TELLING);
      }
  });
});

test('IDLE begins when the right has gone', async () => {
  await bob.ok(`SELECT "${shared}"`);
  await alice.ok(`DELETEACL ${box} bob`);
  await happenings();
  bob.send('i IDLE\r\n');
  expect(await bob.closed()).toMatch(/^\+ idling\r\n\* BYE [^\r]*\r\n$/);
});

test('annotations that changed before are told of no more', async () => {
  await bob.ok('ENABLE METADATA');
  await bob.ok('LIST "" "Other Users/*"');
  await alice.ok(`SETMETADATA ${box} (/shared/comment "x")`);
  await alice.ok(`DELETEACL ${box} bob`);
  expect(await bob.ok('NOOP')).toEqual([]);
});

/** What bob hears of something that is nowhere. */
const nowhere = 'Other Users/nobody@example.org/none';

test.each([
  ['APPEND', (name: string) => `APPEND "${name}" {4}`, 'A: 1'],
  ['the second message of APPEND', (name: string) => `APPEND "${name}" {4+}\r\nA: 1 {4}`, 'A: 1'],
  ['CATENATE', (name: string) => `APPEND "${name}" CATENATE (TEXT {4}`, 'A: 1)'],
  ['REPLACE', (name: string) => `REPLACE 1 "${name}" {4}`, 'A: 1'],
] as const)('%s: the literal comes when the right has gone', async (_, command, literal) => {
  await bob.ok(append('INBOX'));
  await bob.ok('SELECT INBOX');
  const refused = await bob.tagged(command(nowhere));
  bob.send(`a ${command(shared)}\r\n`);
  while (!/^\+ /.test(await bob.response()));
  await alice.ok(`DELETEACL ${box} bob`);
  bob.send(`${literal}\r\n`);
  expect(await bob.answer('a')).toEqual({ untagged: [], tagged: refused });
  expect(await alice.ok(`STATUS ${box} (MESSAGES)`)).toEqual([`STATUS ${box} (MESSAGES 3)`]);
  expect(await bob.tagged('NOOP')).toMatch(/^OK/);
});

test('COPY and MOVE out of it do not ask to create where they should go', async () => {
  for (const command of ['COPY 1 INBOX', 'UID MOVE 1 INBOX']) {
    await alice.ok(`SETACL ${box} bob ${ALL}`);
    const client = await login('bob');
    await client.ok(`SELECT "${shared}"`);
    await alice.ok(`DELETEACL ${box} bob`);
    expect(await client.tagged(command)).toMatch(/^NO \[NONEXISTENT\]/);
  }
});

test('QRESYNC: who comes back is told what is told of a mailbox that is not there', async () => {
  await bob.ok('ENABLE QRESYNC');
  const opened = (await bob.ok(`SELECT "${shared}"`)).join('\n');
  const validity = /UIDVALIDITY (\d+)/.exec(opened)?.[1];
  await bob.ok('UNSELECT');
  await alice.ok(`DELETEACL ${box} bob`);
  await happenings();
  const again = (name: string): string => `SELECT "${name}" (QRESYNC (${validity} 1 1:3))`;
  expect(await bob.ask(again(shared))).toEqual(await bob.ask(again(nowhere)));
});

test('the mailbox is deleted, or renamed by its owner, while others have it selected', async () => {
  await bob.ok(`SELECT "${shared}"`);
  await alice.ok(`RENAME ${box} ${box}-other`);
  expect(await bob.ok('NOOP')).toEqual([]);
  expect(await bob.ok('FETCH 1 UID')).toEqual(['1 FETCH (UID 1)']);
  await alice.ok(`DELETE ${box}-other`);
  await alice.ok(`CREATE ${box}-other`);
  await alice.ok(append(`${box}-other`, 'Subject: later\r\n\r\n'));
  expect((await bob.ok('NOOP')).join()).not.toMatch(/later|EXISTS|FETCH/);
  expect(await bob.tagged('FETCH 1 BODY[]')).toMatch(/^(BAD|NO)/);
  expect(await bob.tagged('UID SEARCH ALL')).not.toMatch(/[^\w]1[^\w]/);
  expect(await bob.ok('UNSELECT')).toEqual([]);
});

test('UNAUTHENTICATE takes along all that was asked for', async () => {
  await bob.ok('LANGUAGE fr');
  await bob.ok('ENABLE QRESYNC METADATA UTF8=ACCEPT UIDONLY');
  await bob.ok(`SELECT "${shared}"`);
  await bob.ok(
    'NOTIFY SET (selected (MessageNew (UID FLAGS) MessageExpunge FlagChange)) (subtree "Other Users" (MessageNew MessageExpunge FlagChange MailboxName))',
  );
  await bob.ok('UID SEARCH RETURN (SAVE UPDATE COUNT) ALL');
  const capabilities = await bob.ask('UNAUTHENTICATE');
  expect(capabilities).toEqual({ untagged: [], tagged: 'OK Another user may log in' });
  await bob.ok(`LOGIN carol@example.org "${PASSWORD}"`);
  await happenings();
  expect(await bob.ok('NOOP')).toEqual([]);
  expect(await bob.ok('LIST "" "Other Users/*"')).toEqual([]);
  await bob.ok(append('INBOX'));
  await bob.ok('SELECT INBOX');
  expect(await bob.ok('FETCH $ UID')).toEqual([]);
  expect(await bob.ok('STORE 1 +FLAGS (\\Deleted)')).toEqual([expect.stringMatching(/^1 FETCH \(FLAGS/)]);
  expect(await bob.ok('EXPUNGE')).toEqual(['1 EXPUNGE']);
  expect(await bob.tagged('NONSENSE')).toMatch(/^BAD Unknown command/);
});
