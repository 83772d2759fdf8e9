import { once } from 'node:events';
import { connect, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Passwords } from '../../src/directory/password.ts';
import { CHEAP } from '../directory/memory-directory.ts';
import { hurried } from '../sasl/hurried.ts';
import { startWorld, type World } from '../world.ts';
import { Client } from './world.ts';

/** SETQUOTA for admins (RFC 9208 4.1.3), and limits of the number of mailboxes (5.3), in a whole Facteur. */

const ADMIN = 'Postmaster@example.org';
const ALICE = 'alice@example.org';
const DECLARED = 'file@file.example';
const THEIRS = `"Other Users/${ALICE}"`;
const PASSWORD = 'wonder Land.1';

let world: World;
const sockets: TLSSocket[] = [];
beforeAll(async () => {
  const passwords = new Passwords(CHEAP);
  const password = await passwords.hash(PASSWORD);
  await passwords.close();
  world = await startWorld({
    accounts: { [ADMIN]: PASSWORD, [ALICE]: PASSWORD },
    clock: hurried,
    settings: {
      directory: {
        admins: ['postmaster@EXAMPLE.org', DECLARED],
        domains: [{ name: 'file.example' }],
        accounts: [{ address: DECLARED, password, quotaMailboxes: 7 }],
      },
      store: { quota: { messages: 1000 }, mailboxSizeLimit: [{ folder: 'Small', messages: 3 }] },
    },
  });
});
afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  await world.close();
});

async function login(user: string): Promise<Client> {
  const socket = connect({ port: world.port('imaps'), host: '127.0.0.1', rejectUnauthorized: false });
  sockets.push(socket);
  await once(socket, 'secureConnect');
  const client = new Client(socket);
  expect(await client.response()).not.toContain('QUOTASET');
  await client.ok(`LOGIN ${user} "${PASSWORD}"`);
  return client;
}

const capabilities = async (client: Client): Promise<string> => String(await client.ok('CAPABILITY'));

describe('who may', () => {
  test('QUOTASET is announced to admins alone; all others are told NOPERM', async () => {
    const admin = await login(ADMIN);
    const alice = await login(ALICE);
    expect(await capabilities(admin)).toMatch(/QUOTA QUOTA=RES-MAILBOX .*QUOTA=RES-STORAGE QUOTASET /);
    expect(await capabilities(alice)).toMatch(/QUOTA QUOTA=RES-MAILBOX /);
    expect(await capabilities(alice)).not.toContain('QUOTASET');
    expect(await alice.tagged('SETQUOTA "" (STORAGE 512)')).toMatch(/^NO \[NOPERM\]/);
    expect(await alice.tagged(`SETQUOTA ${THEIRS} ()`)).toMatch(/^NO \[NOPERM\]/);
    expect(await alice.tagged('GETQUOTA "Other Users/Postmaster@example.org"')).toMatch(
      /^NO \[NONEXISTENT\]/,
    );
    await admin.ok('UNAUTHENTICATE');
    expect(await capabilities(admin)).not.toContain('QUOTASET');
    expect(await admin.tagged('SETQUOTA "" ()')).toMatch(/^BAD/);
  });
});

describe('SETQUOTA', () => {
  test('the examples of RFC 9208 4.1.1 and 4.1.3, with roots as they are named here', async () => {
    const admin = await login(ADMIN);
    await admin.ok(`SETQUOTA ${THEIRS} (STORAGE 111 MESSAGE 500)`);
    expect(await admin.ok(`GETQUOTA ${THEIRS}`)).toEqual([`QUOTA ${THEIRS} (STORAGE 0 111 MESSAGE 0 500)`]);
    // What is not named is not limited any more. Nothing is rounded here: any number of blocks will do.
    expect(await admin.ok(`SETQUOTA ${THEIRS} (STORAGE 510)`)).toEqual([`QUOTA ${THEIRS} (STORAGE 0 510)`]);
    // "Cannot change system limit": here the limits of single mailboxes, which the configuration sets.
    await admin.ok('CREATE Small');
    expect(await admin.ok('GETQUOTAROOT Small')).toEqual([
      'QUOTAROOT Small "" Small',
      'QUOTA "" (MESSAGE 0 1000)',
      'QUOTA Small (MESSAGE 0 3)',
    ]);
    expect(await admin.tagged('SETQUOTA Small (MESSAGE 99)')).toMatch(/^NO \[CANNOT\]/);
    expect(await admin.ok('GETQUOTA Small')).toEqual(['QUOTA Small (MESSAGE 0 3)']);
  });

  test('holds at once, in every session, and is what the command line shows', async () => {
    const admin = await login(ADMIN);
    const alice = await login(ALICE);
    await admin.ok(`setquota ${THEIRS} (storage 2 MESSAGE 1 mailbox 20)`);
    expect(await alice.ok('GETQUOTA ""')).toEqual(['QUOTA "" (STORAGE 0 2 MESSAGE 0 1 MAILBOX 6 20)']);
    expect(await alice.tagged('APPEND INBOX {3000}')).toMatch(/^NO \[OVERQUOTA\]/);
    await alice.ok('APPEND INBOX {8+}\r\nA: b\r\n\r\n');
    expect(await alice.tagged('APPEND INBOX {8+}\r\nA: b\r\n\r\n')).toMatch(/^NO \[OVERQUOTA\]/);
    const { accounts } = await world.facteur.directory.listAccounts();
    expect(accounts.find(({ account }) => account.id === ALICE)?.account).toMatchObject({
      quotaBytes: 2048,
      quotaMessages: 1,
      quotaMailboxes: 20,
    });
    expect(await admin.ok(`SETQUOTA ${THEIRS} ()`)).toEqual([`QUOTA ${THEIRS} ()`]);
    await alice.ok('APPEND INBOX {8+}\r\nA: b\r\n\r\n');
    expect(world.lines.filter(({ message }) => message === 'quota set').at(-1)).toMatchObject({
      account: ADMIN,
      of: ALICE,
    });
  });

  test('of an own account', async () => {
    const admin = await login(ADMIN);
    expect(await admin.ok('SETQUOTA "" (MAILBOX 0)')).toEqual(['QUOTA "" (MAILBOX 7 1)']);
    expect(await admin.tagged('CREATE another')).toBe(
      'NO [OVERQUOTA] There are as many mailboxes as the quota allows',
    );
    expect(await admin.ok('SETQUOTA "" (STORAGE 0)')).toEqual(['QUOTA "" (STORAGE 0 0)']);
    expect(await admin.tagged('APPEND INBOX {8}')).toMatch(/^NO \[OVERQUOTA\]/);
    await admin.ok('SETQUOTA "" ()');
  });

  test('what is not limited here, or cannot be, changes nothing', async () => {
    const admin = await login(ADMIN);
    await admin.ok('SETQUOTA "" (MESSAGE 77)');
    expect(await admin.tagged('SETQUOTA "" (STORAGE 1 ANNOTATION-STORAGE 5)')).toMatch(/^NO \[CANNOT\]/);
    expect(await admin.tagged('SETQUOTA "" (MESSAGE 0)')).toMatch(/^NO \[CANNOT\]/);
    expect(await admin.tagged('SETQUOTA nowhere (MESSAGE 5)')).toMatch(/^NO \[NONEXISTENT\]/);
    expect(await admin.tagged('SETQUOTA "Other Users/x@example.org" ()')).toMatch(/^NO \[NONEXISTENT\]/);
    for (const wrong of [
      '""',
      '"" ',
      '"" STORAGE 5',
      '"" (STORAGE)',
      '"" (STORAGE -1)',
      '"" (STORAGE 1 STORAGE 2)',
      '"" (MESSAGE 12345678901234567890)',
    ])
      expect(await admin.tagged(`SETQUOTA ${wrong}`)).toMatch(/^BAD/);
    expect(await admin.ok('GETQUOTA ""')).toEqual(['QUOTA "" (MESSAGE 0 77)']);
    expect(await admin.ok('SETQUOTA "" (STORAGE 9223372036854775807)')).toEqual([
      `QUOTA "" (STORAGE 0 ${Math.floor(Number.MAX_SAFE_INTEGER / 1024)})`,
    ]);
  });

  test('an account of the configuration keeps what is written there', async () => {
    const admin = await login(DECLARED);
    expect(await admin.ok('GETQUOTA ""')).toEqual(['QUOTA "" (MESSAGE 0 1000 MAILBOX 6 7)']);
    expect(await admin.tagged('SETQUOTA "" (MAILBOX 50)')).toMatch(/^NO \[CANNOT\]/);
    await admin.ok('CREATE seventh');
    expect(await admin.tagged('CREATE eighth')).toMatch(/^NO \[OVERQUOTA\]/);
    expect(await admin.tagged('RENAME seventh below/it')).toMatch(/^NO \[OVERQUOTA\]/);
    await admin.ok('RENAME seventh renamed');
    await admin.ok('DELETE renamed');
    await admin.ok('CREATE eighth');
  });
});
