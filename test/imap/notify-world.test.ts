import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { sendAs, startWorld, type World } from '../world.ts';
import { Client } from './world.ts';

/** NOTIFY in a whole Facteur: mail comes by SMTP, and other programs write into the Maildir. */

const ALICE = 'alice@example.org';
const PASSWORD = 'wonder Land.1';
let world: World;
let client: Client;

async function login(): Promise<Client> {
  const socket = connect({ port: world.port('imaps'), host: '127.0.0.1', rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const opened = new Client(socket);
  await opened.response();
  await opened.ok(`LOGIN ${ALICE} "${PASSWORD}"`);
  return opened;
}

beforeAll(async () => {
  world = await startWorld({ accounts: { [ALICE]: PASSWORD } });
}, 60_000);
afterAll(() => world?.close());
beforeEach(async () => {
  client = await login();
});

test('mail that is delivered is fetched for a client that waits, and counted where it is not selected', async () => {
  await client.ok('CREATE Lists');
  const groups = '(selected (MessageNew (UID BODY.PEEK[HEADER.FIELDS (Subject)]) MessageExpunge))';
  await client.ok('ENABLE IMAP4rev2');
  await client.ok('SELECT INBOX');
  await client.ok(`NOTIFY SET ${groups} (personal (MessageNew MessageExpunge FlagChange MailboxName))`);
  await sendAs(world, ALICE, PASSWORD, { to: ALICE, subject: 'pushed', text: 'Hello' });
  expect(await client.response()).toBe('* 1 EXISTS');
  expect(await client.response()).toMatch(
    /^\* 1 FETCH \(UID 1 BODY\[HEADER.FIELDS \(SUBJECT\)\] \{19\}\r\nSubject: pushed/i,
  );
  const other = await login();
  await other.ok('SELECT INBOX');
  await other.ok('MOVE 1 Lists');
  const told = [await client.response(), await client.response()].sort();
  expect(told[0]).toBe('* 1 EXPUNGE');
  expect(told[1]).toMatch(/^\* STATUS Lists \(UIDVALIDITY \d+ UIDNEXT 2 MESSAGES 1 UNSEEN 1\)$/);
  await other.ok('RENAME Lists Mailing');
  expect(await client.response()).toBe('* LIST (\\HasNoChildren) "/" Mailing ("OLDNAME" (Lists))');
  await other.ok('DELETE Mailing');
  expect(await client.response()).toBe('* LIST (\\NonExistent \\HasNoChildren) "/" Mailing');
});

test('what other programs put into a mailbox that is watched is found', async () => {
  await client.ok('CREATE Elsewhere');
  await client.ok('NOTIFY SET (mailboxes Elsewhere (MessageNew MessageExpunge))');
  const maildir = join(world.dir, 'data/mail/example.org/alice/Maildir/.Elsewhere/new');
  writeFileSync(join(maildir, '1.M1P1.host'), 'Subject: from elsewhere\n\nHello\n');
  expect(await client.response()).toMatch(/^\* STATUS Elsewhere \(UIDVALIDITY \d+ UIDNEXT 2 MESSAGES 1\)$/);
});
