import { once } from 'node:events';
import { connect } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { removeAccount, setAccountState } from '../../src/admin/accounts.ts';
import { startWorld, type World } from '../world.ts';
import { Client } from './world.ts';

/** What one account can find out of another, in a whole Facteur; and what becomes of sessions when an account goes. */

const PASSWORD = 'wonder Land.1';
const MESSAGE = 'Subject: private\r\nMessage-ID: <private@example.org>\r\n\r\nbody\r\n';
let world: World;

async function login(user: string): Promise<Client> {
  const socket = connect({ port: world.port('imaps'), host: '127.0.0.1', rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const client = new Client(socket);
  await client.response();
  await client.ok(`LOGIN ${user}@example.org "${PASSWORD}"`);
  return client;
}

const append = (name: string): string => `APPEND "${name}" {${MESSAGE.length}+}\r\n${MESSAGE}`;

beforeAll(async () => {
  world = await startWorld({
    accounts: Object.fromEntries(['alice', 'bob', 'dora'].map((name) => [`${name}@example.org`, PASSWORD])),
  });
}, 60_000);
afterAll(() => world?.close());

const OTHERS = 'Other Users/alice@example.org';

test('with some rights, nothing beyond them', async () => {
  const alice = await login('alice');
  const bob = await login('bob');
  await alice.ok('CREATE open');
  await alice.ok('CREATE open/secret');
  await alice.ok('SETACL open/secret bob ""');
  for (const name of ['open', 'open/secret', 'INBOX']) await alice.ok(append(name));
  await alice.ok('SETMETADATA open/secret (/shared/comment "x" /private/comment "y")');
  await alice.ok('SETMETADATA open (/private/comment "y")');
  await alice.ok('SUBSCRIBE open');
  await alice.ok('SETACL open bob lr');
  const hidden = /secret|INBOX|none/;
  for (const command of [
    `LIST "" "${OTHERS}/*" RETURN (CHILDREN SUBSCRIBED SPECIAL-USE STATUS (MESSAGES) MYRIGHTS METADATA (/shared /private/comment))`,
    `LIST (RECURSIVEMATCH SUBSCRIBED) "" "Other Users/*"`,
    `LIST "" "${OTHERS}/open/%"`,
    'LSUB "" "Other Users/*"',
    `GETMETADATA (DEPTH infinity) "${OTHERS}/open" (/shared /private)`,
    'ESEARCH IN (subtree "Other Users" mailboxes "Other Users/alice@example.org/open/secret") RETURN (COUNT ALL) ALL',
    'ESEARCH IN (personal subscribed inboxes) RETURN (COUNT) HEADER Subject private',
    `NOTIFY SET STATUS (subtree "Other Users" (MessageNew MessageExpunge))`,
  ]) {
    const { untagged, tagged } = await bob.ask(command);
    expect(tagged, command).toMatch(/^OK/);
    expect(untagged.join('\n'), command).not.toMatch(hidden);
    expect(untagged.join('\n'), command).not.toMatch(/HasChildren|Subscribed|"?y"?$|private\/comment "?y/m);
  }
  const roots = async (name: string): Promise<string> =>
    JSON.stringify(await bob.ask(`GETQUOTAROOT "${name}"`)).replaceAll(name, 'HERE');
  expect(await roots(`${OTHERS}/open/secret`)).toBe(await roots(`${OTHERS}/nothing`));
  // What they hold of the account is the owner's to know.
  for (const command of [
    `GETQUOTA "${OTHERS}/open/secret"`,
    `SETQUOTA "${OTHERS}" (STORAGE 1)`,
    `GETACL "${OTHERS}/open"`,
    `SETACL "${OTHERS}/open" bob lrswipkxtea`,
    `DELETEACL "${OTHERS}/open" alice`,
    `SETMETADATA "${OTHERS}/open" (/shared/comment "x")`,
    `SETMETADATA "${OTHERS}/open" (/private/comment "x")`,
    `CREATE "${OTHERS}/open/mine"`,
    `RENAME "${OTHERS}/open" mine`,
    `RENAME INBOX "${OTHERS}/open/mine"`,
    `DELETE "${OTHERS}/open"`,
    append(`${OTHERS}/open`),
    `APPEND INBOX CATENATE (URL "/${encodeURI(OTHERS)}/open/secret/;UID=1")`,
    `APPEND INBOX CATENATE (URL "/${encodeURI(OTHERS)}/INBOX/;UID=1/;SECTION=HEADER")`,
  ])
    expect(await bob.tagged(command), command).toMatch(/^NO \[(NOPERM|NONEXISTENT|CANNOT|BADURL [^\]]*)\]/);
  await bob.ok(append('INBOX'));
  await bob.ok('SELECT INBOX');
  for (const command of [`COPY 1 "${OTHERS}/open"`, `UID MOVE 1 "${OTHERS}/open"`])
    expect(await bob.tagged(command)).toMatch(/^NO \[NOPERM\]/);
  await bob.ok(`SELECT "${OTHERS}/open"`);
  for (const command of [
    'MOVE 1 INBOX',
    'STORE 1 +FLAGS (\\Deleted)',
    'STORE 1 FLAGS (\\Seen x)',
    `REPLACE 1 INBOX {4+}\r\nA: 1`,
  ])
    expect(await bob.tagged(command), command).toMatch(/^NO \[NOPERM\]|^NO \[READ-ONLY\]|^NO /);
  expect(await bob.tagged('EXPUNGE')).toMatch(/^NO/);
  await bob.ok('COPY 1 INBOX');
  expect(await alice.ok('STATUS open (MESSAGES UNSEEN)')).toEqual(['STATUS open (MESSAGES 1 UNSEEN 1)']);
  await alice.ok('SELECT open');
  expect(await alice.ok('FETCH 1 FLAGS')).toEqual([expect.not.stringMatching(/Deleted|Seen|x/)]);
});

test('an account that is closed, or gone: no new login; what others were given stays theirs', async () => {
  const dora = await login('dora');
  await dora.ok('CREATE club');
  await dora.ok(append('club'));
  await dora.ok('SETACL club bob lr');
  const bob = await login('bob');
  await bob.ok('SELECT "Other Users/dora@example.org/club"');
  await setAccountState(world.facteur.directory, 'dora@example.org', 'disabled');
  await expect(login('dora')).rejects.toThrow(/NO \[AUTHENTICATIONFAILED\]/);
  await removeAccount(world.facteur.directory, 'dora@example.org', { mode: 'careful' });
  await expect(login('dora')).rejects.toThrow(/NO \[AUTHENTICATIONFAILED\]/);
  expect(await bob.ok('FETCH 1 FLAGS')).toEqual(['1 FETCH (FLAGS ())']);
  expect(await bob.tagged('STORE 1 +FLAGS (\\Deleted)')).toMatch(/^NO/);
});
