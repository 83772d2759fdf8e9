import { afterAll, beforeAll, expect, test } from 'vitest';
import { setQuota } from '../../src/admin/accounts.ts';
import { ManualClock } from '../clock.ts';
import { Lines } from '../lines.ts';
import { eventually, imapClient, inbox, sendAs, startWorld, type World } from '../world.ts';

/** Quota, limits and expiry from outside: SMTP and IMAP of a whole Facteur. */

const ALICE = 'alice@example.org';
const BOB = 'bob@example.org';
const PASSWORD = 'wonder Land.1';

const clock = new ManualClock(Date.now());
let world: World;

beforeAll(async () => {
  world = await startWorld({
    accounts: { [ALICE]: PASSWORD, [BOB]: PASSWORD },
    clock,
    settings: {
      store: {
        quota: { messages: 100 },
        mailboxSizeLimit: [{ folder: 'Small/*', storage: '10KB' }],
        expire: [{ use: 'trash', after: '1s' }],
      },
    },
  });
  await setQuota(world.facteur.directory, ALICE, { bytes: 20_000, messages: 10 });
});
afterAll(() => world.close());

/** The answer to RCPT, with nothing else of the mail. */
async function rcpt(to: string, size: number): Promise<string> {
  const smtp = Lines.plain(world.port('smtp'));
  try {
    await smtp.until(/^220 /);
    smtp.write('EHLO mx.example.net\r\n');
    await smtp.until(/^250 /);
    smtp.write(`MAIL FROM:<x@example.net> SIZE=${size}\r\n`);
    await smtp.until(/^250 /);
    smtp.write(`RCPT TO:<${to}>\r\n`);
    return (await smtp.until(/^\d{3} /)).trim();
  } finally {
    smtp.socket.destroy();
  }
}

test('the limits of an account, of all, and of a mailbox, as IMAP tells them (RFC 9208)', async () => {
  const alice = await imapClient(world, ALICE, PASSWORD);
  const bob = await imapClient(world, BOB, PASSWORD);
  try {
    await alice.mailboxCreate('Small/box');
    expect(await alice.getQuota('INBOX')).toMatchObject({
      storage: { usage: 0, limit: 19 * 1024 },
      message: { usage: 0, limit: 10 },
    });
    expect(await bob.getQuota('INBOX')).toMatchObject({ message: { usage: 0, limit: 100 } });
    const big = Buffer.alloc(9000, 'x');
    await alice.append('Small/box', big);
    await expect(alice.append('Small/box', big)).rejects.toMatchObject({ serverResponseCode: 'OVERQUOTA' });
    await alice.append('INBOX', big);
    await expect(alice.append('INBOX', big)).rejects.toMatchObject({ serverResponseCode: 'OVERQUOTA' });
  } finally {
    alice.close();
    bob.close();
  }
});

test('at RCPT: 452 when the mailbox is full, or would be; others are not concerned', async () => {
  expect(await rcpt(ALICE, 1000)).toMatch(/^250 /);
  expect(await rcpt(ALICE, 5000)).toBe('452 4.2.2 Mailbox full: its storage quota is used up');
  expect(await rcpt(BOB, 5000)).toMatch(/^250 /);
  await setQuota(world.facteur.directory, ALICE, { bytes: 0, messages: 2 });
  expect(await rcpt(ALICE, 1)).toBe('452 4.2.2 Mailbox full: it has as many messages as its quota allows');
  await setQuota(world.facteur.directory, ALICE, { bytes: null, messages: null });
  expect(await rcpt(ALICE, 1_000_000)).toMatch(/^250 /);
});

test('mail that crosses a threshold brings a warning with it', async () => {
  await setQuota(world.facteur.directory, BOB, { messages: 1 });
  await sendAs(world, ALICE, PASSWORD, { to: BOB, subject: 'one' });
  const texts = await inbox(world, BOB, PASSWORD, 2);
  const subjects = texts.map((text) => /^Subject: (.*)\r$/m.exec(text)?.[1]);
  expect(subjects.sort()).toEqual(['Your mailbox is full', 'one']);
  expect(await rcpt(BOB, 1)).toMatch(/^452 4\.2\.2 /);
});

test('once a day the Trash is emptied of what is old, also for who is not there', async () => {
  const alice = await imapClient(world, ALICE, PASSWORD);
  await alice.append('Trash', 'A: b\r\n\r\n');
  alice.close();
  await new Promise((resolve) => setTimeout(resolve, 1100));
  await clock.advance(61_000);
  const line = await eventually('expired mail', () =>
    world.lines.find(({ message }) => message === 'expired mail removed'),
  );
  expect(line).toMatchObject({ account: ALICE, expired: { Trash: 1 } });
});
