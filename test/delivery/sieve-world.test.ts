import { join } from 'node:path';
import type { ImapFlow } from 'imapflow';
import nodemailer from 'nodemailer';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { AccountId } from '../../src/directory/directory.ts';
import { FileScriptStore } from '../../src/store/script-store.ts';
import { imapClient, sendAs, startWorld, type World } from '../world.ts';

/** Scripts at work in a whole Facteur: mail comes in by SMTP, and is looked for by IMAP. */

const ALICE = 'alice@example.org' as AccountId;
const BOB = 'bob@example.org' as AccountId;
const LIMITS = { maxSize: 1_000_000, maxScripts: 10, maxTotal: 10_000_000 };

let world: World;
let scripts: FileScriptStore;
let alice: ImapFlow;
let bob: ImapFlow;

beforeAll(async () => {
  world = await startWorld({
    accounts: { [ALICE]: 'wonderland', [BOB]: 'builder' },
    settings: {
      sieve: {
        detailMailbox: 'existing',
        programs: {
          upper: { command: ['tr', 'a-z', 'A-Z'] },
          fail: { command: ['false'] },
        },
        lists: { ':addrbook:default': { members: ['friend@example.net'] } },
      },
      directory: { aliases: [] },
    },
  });
  scripts = new FileScriptStore(join(world.dir, 'data'), LIMITS);
  alice = await imapClient(world, ALICE, 'wonderland');
  bob = await imapClient(world, BOB, 'builder');
});

afterAll(async () => {
  await alice?.logout();
  await bob?.logout();
  await world?.close();
});

beforeEach(async () => {
  await scripts.activate(ALICE, null);
  await scripts.activate(BOB, null);
});

async function script(source: string, account = ALICE): Promise<void> {
  await scripts.put(account, 'main', Buffer.from(source));
  await scripts.activate(account, 'main');
}

interface Mail {
  readonly from?: string;
  readonly to?: string;
  readonly subject: string;
  readonly headers?: Record<string, string>;
  readonly text?: string;
}

async function send({
  from = 'friend@example.net',
  to = ALICE,
  subject,
  headers = {},
  text = 'Hello',
}: Mail): Promise<void> {
  const transport = nodemailer.createTransport({
    host: '127.0.0.1',
    port: world.port('smtp'),
    tls: { rejectUnauthorized: false },
  });
  await transport.sendMail({
    envelope: { from, to },
    from: from === '' ? 'nobody@example.net' : from,
    to,
    subject,
    headers,
    text,
  });
  transport.close();
}

/** Waits for the message with this subject in a mailbox; its source. */
async function arrives(
  client: ImapFlow,
  mailbox: string,
  subject: string,
  flags?: Set<string>,
): Promise<string> {
  for (let i = 0; i < 100; i++) {
    const lock = await client.getMailboxLock(mailbox).catch(() => undefined);
    try {
      const found = lock && (await client.search({ subject }, { uid: true }));
      const uid = found ? found.at(-1) : undefined;
      if (uid !== undefined) {
        const message = await client.fetchOne(String(uid), { source: true, flags: true }, { uid: true });
        if (message) {
          for (const flag of message.flags ?? []) flags?.add(flag);
          return message.source?.toString() ?? '';
        }
      }
    } finally {
      lock?.release();
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`no "${subject}" in ${mailbox}`);
}

async function count(client: ImapFlow, mailbox: string, subject: string): Promise<number> {
  const lock = await client.getMailboxLock(mailbox);
  try {
    const found = await client.search({ subject }, { uid: true });
    return found ? found.length : 0;
  } finally {
    lock.release();
  }
}

test('fileinto a mailbox that is made, with flags and an edited header', async () => {
  await script(
    'require ["fileinto", "mailbox", "imap4flags", "editheader"];\n' +
      'addheader "X-Sorted" "yes"; fileinto :create :flags ["\\\\Flagged", "$work"] "Work/Projects";',
  );
  await send({ subject: 'filed away' });
  const flags = new Set<string>();
  const source = await arrives(alice, 'Work/Projects', 'filed away', flags);
  expect(source.startsWith('X-Sorted: yes\r\nReturn-Path: <friend@example.net>\r\n')).toBe(true);
  expect(source).toContain('\r\n\r\nHello');
  expect([...flags].sort()).toEqual(['$work', '\\Flagged']);
  expect(await count(alice, 'INBOX', 'filed away')).toBe(0);
});

test('a mailbox that is not there loses no mail', async () => {
  await script('require "fileinto"; fileinto "Nowhere";');
  await send({ subject: 'lost and found' });
  await arrives(alice, 'INBOX', 'lost and found');
});

test('discard', async () => {
  await script('if header :contains "subject" "rubbish" { discard; }');
  await send({ subject: 'rubbish' });
  await send({ subject: 'fine' });
  await arrives(alice, 'INBOX', 'fine');
  expect(await count(alice, 'INBOX', 'rubbish')).toBe(0);
});

test('redirect takes the message away, :copy does not', async () => {
  await script(
    `require "copy"; if header :is "subject" "both" { redirect :copy "${BOB}"; } else { redirect "${BOB}"; }`,
  );
  await send({ subject: 'only bob' });
  await send({ subject: 'both' });
  const source = await arrives(bob, 'INBOX', 'only bob');
  expect(source).toContain(`X-Sieve-Redirected-From: ${ALICE}\r\n`);
  expect(source).toContain('Return-Path: <friend@example.net>');
  expect(source.match(/^Return-Path:/gm)).toHaveLength(1);
  await arrives(bob, 'INBOX', 'both');
  await arrives(alice, 'INBOX', 'both');
  expect(await count(alice, 'INBOX', 'only bob')).toBe(0);
});

test('two who redirect to each other keep the message', async () => {
  await script(`redirect "${BOB}";`);
  await script(`redirect "${ALICE}";`, BOB);
  await send({ subject: 'ping pong' });
  await Promise.any([arrives(alice, 'INBOX', 'ping pong'), arrives(bob, 'INBOX', 'ping pong')]);
});

test('vacation answers once, and not to lists', async () => {
  await script('require "vacation"; vacation :subject "Away" "Back in May.";');
  await send({ from: BOB, subject: 'from a list', headers: { 'List-Id': '<l.example.net>' } });
  await send({ from: BOB, subject: 'first' });
  const answer = await arrives(bob, 'INBOX', 'Away');
  expect(answer).toContain('Back in May.');
  expect(answer).toContain('Return-Path: <>');
  expect(answer).toMatch(/^Auto-Submitted: auto-replied/m);
  expect(answer).toMatch(/^In-Reply-To: <.+>/m);
  await send({ from: BOB, subject: 'second' });
  await arrives(alice, 'INBOX', 'second');
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(await count(bob, 'INBOX', 'Away')).toBe(1);
  await arrives(alice, 'INBOX', 'first');
});

test.each(['reject', 'ereject'])('%s of an only recipient is the answer to DATA', async (name) => {
  await script(`require "${name}"; if header :is "subject" "unwanted" { ${name} "No thänks,\r\n really."; }`);
  const refused = send({ subject: 'unwanted' });
  await expect(refused).rejects.toMatchObject({
    responseCode: 550,
    response: '550 5.7.1 No thanks, really.',
  });
  await send({ subject: 'wanted' });
  await arrives(alice, 'INBOX', 'wanted');
  expect(await count(alice, 'INBOX', 'unwanted')).toBe(0);
});

test('a big message is refused, too', async () => {
  await script('require ["reject", "body"]; if body :contains "the end" { reject "Too long to read."; }');
  const text = `${'All work and no play. '.repeat(40_000)} the end`;
  await expect(send({ subject: 'long', text })).rejects.toMatchObject({ responseCode: 550 });
  await send({ subject: 'also long', text: text.slice(0, -10) });
  await arrives(alice, 'INBOX', 'also long');
});

test('what a script does beside refusing cannot be said in a reply: a report follows', async () => {
  await script(`require ["ereject", "enotify"]; notify :message "Look" "mailto:${BOB}"; ereject "Ask Bob.";`);
  await send({ from: BOB, subject: 'refused and told' });
  await arrives(bob, 'INBOX', 'Look');
  expect(await arrives(bob, 'INBOX', 'Undelivered')).toContain('Ask Bob.');
});

test('in LMTP each recipient has an answer', async () => {
  await script('require "reject"; reject "Not me.";');
  const transport = nodemailer.createTransport({
    host: '127.0.0.1',
    port: world.port('lmtp'),
    lmtp: true,
    ignoreTLS: true,
  });
  const { accepted, rejectedErrors } = await transport.sendMail({
    envelope: { from: 'friend@example.net', to: [ALICE, BOB] },
    subject: 'by LMTP',
    text: 'Hello',
  });
  transport.close();
  expect(accepted).toEqual([BOB]);
  expect(rejectedErrors).toMatchObject([{ recipient: ALICE, response: '550 5.7.1 Not me.' }]);
  await arrives(bob, 'INBOX', 'by LMTP');
  expect(await count(alice, 'INBOX', 'by LMTP')).toBe(0);
});

test('a user of ours who submits mail is told by mail', async () => {
  await script('require "reject"; reject "No thanks, neighbour.";');
  await sendAs(world, BOB, 'builder', { to: ALICE, subject: 'from next door' });
  expect(await arrives(bob, 'INBOX', 'Rejected: from next door')).toContain('No thanks, neighbour.');
});

test('reject of one of several tells the sender with a disposition notification', async () => {
  await script('require "reject"; reject "No thanks.";');
  await send({ from: BOB, to: `${ALICE}, ${BOB}`, subject: 'unwanted' });
  const notice = await arrives(bob, 'INBOX', 'Rejected: unwanted');
  expect(notice).toContain('No thanks.');
  expect(notice).toContain('Disposition: automatic-action/MDN-sent-automatically; deleted');
  expect(await count(alice, 'INBOX', 'unwanted')).toBe(0);
});

test('notify', async () => {
  await script(`require "enotify"; notify :message "You have mail" "mailto:${BOB}";`);
  await send({ subject: 'something new' });
  const notice = await arrives(bob, 'INBOX', 'You have mail');
  expect(notice).toContain(`Auto-Submitted: auto-notified; owner-email="${ALICE}"`);
  await arrives(alice, 'INBOX', 'something new');
});

test('duplicate remembers what was delivered', async () => {
  await script('require ["duplicate", "fileinto", "mailbox"]; if duplicate { fileinto :create "Twice"; }');
  const headers = { 'Message-ID': '<same@example.net>' };
  await send({ subject: 'once or twice', headers });
  await arrives(alice, 'INBOX', 'once or twice');
  await send({ subject: 'once or twice', headers });
  await arrives(alice, 'Twice', 'once or twice');
  expect(await count(alice, 'INBOX', 'once or twice')).toBe(1);
});

test('a script that cannot go on keeps the message, and its owner is told once', async () => {
  await script('require ["fileinto", "include"]; fileinto "Work/Projects"; include "missing";');
  await send({ subject: 'broken one' });
  await send({ subject: 'broken two' });
  await arrives(alice, 'INBOX', 'broken one');
  await arrives(alice, 'INBOX', 'broken two');
  const note = await arrives(alice, 'INBOX', 'Your mail filter has failed');
  expect(note).toMatch(/there is no personal script \\?"missing\\?" to include/);
  expect(await count(alice, 'INBOX', 'Your mail filter has failed')).toBe(1);
  expect(await count(alice, 'Work/Projects', 'broken one')).toBe(0);
  expect(
    world.lines.some(
      ({ message, problem }) => message === 'delivered by script' && String(problem).includes('line 1'),
    ),
  ).toBe(true);
});

test('a script that was put there with mistakes keeps the message', async () => {
  await script('fileinto "X";');
  await send({ subject: 'no script at all' });
  await arrives(alice, 'INBOX', 'no script at all');
});

test('programs that an admin has listed: filter, pipe', async () => {
  await script(
    'require ["vnd.dovecot.filter", "vnd.dovecot.pipe", "editheader"];\n' +
      'if header :is "subject" "piped" { pipe "fail"; stop; } filter "upper";',
  );
  await send({ subject: 'loud', text: 'quiet words' });
  expect(await arrives(alice, 'INBOX', 'LOUD')).toContain('QUIET WORDS');
  await send({ subject: 'piped' });
  await arrives(alice, 'INBOX', 'piped');
});

test('lists, and sub-addresses that name a mailbox', async () => {
  await script(
    'require ["extlists", "fileinto", "mailbox"];\n' +
      'if address :list "from" ":addrbook:default" { fileinto :create "Friends"; }',
  );
  await send({ subject: 'from a friend' });
  await arrives(alice, 'Friends', 'from a friend');
  await send({ from: 'stranger@example.net', to: 'alice+Friends@example.org', subject: 'by its detail' });
  await arrives(alice, 'Friends', 'by its detail');
  await send({ from: 'stranger@example.net', to: 'alice+Unknown@example.org', subject: 'of no mailbox' });
  await arrives(alice, 'INBOX', 'of no mailbox');
});
