import { join } from 'node:path';
import type { ImapFlow } from 'imapflow';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { AccountId } from '../../src/directory/directory.ts';
import { FileScriptStore } from '../../src/store/script-store.ts';
import { imapClient, startWorld, type World } from '../world.ts';

/** Scripts that IMAP runs (RFC 6785), in a whole Facteur. */

const ALICE = 'alice@example.org' as AccountId;
const BOB = 'bob@example.org' as AccountId;

let world: World;
let scripts: FileScriptStore;
let alice: ImapFlow;
let bob: ImapFlow;
let count = 0;

beforeAll(async () => {
  world = await startWorld({ accounts: { [ALICE]: 'wonderland', [BOB]: 'builder' } });
  scripts = new FileScriptStore(join(world.dir, 'data'), {
    maxSize: 1_000_000,
    maxScripts: 10,
    maxTotal: 10_000_000,
  });
  alice = await imapClient(world, ALICE, 'wonderland');
  bob = await imapClient(world, BOB, 'builder');
  for (const name of ['Work', 'Copies', 'Quiet']) await alice.mailboxCreate(name);
});

afterAll(async () => {
  await alice?.logout();
  await bob?.logout();
  await world?.close();
});

beforeEach(async () => {
  await annotate('Work', null);
  await annotate('', null);
});

/** A command that imapflow has no method for. */
async function command(name: string, args: readonly unknown[]): Promise<void> {
  const { exec } = alice as unknown as {
    exec(name: string, args: readonly unknown[]): Promise<{ next(): void }>;
  };
  (await exec.call(alice, name, args)).next();
}

/** The name of the script for a mailbox, or for all. */
async function annotate(mailbox: string, name: string | null): Promise<void> {
  const value = name === null ? { type: 'ATOM', value: 'NIL' } : { type: 'STRING', value: name };
  await command('SETMETADATA', [
    { type: 'STRING', value: mailbox },
    [{ type: 'ATOM', value: '/shared/imapsieve/script' }, value],
  ]);
}

async function script(source: string, mailbox = 'Work'): Promise<void> {
  await scripts.put(ALICE, 'events', Buffer.from(`require ["imapsieve", "imap4flags"];\n${source}`));
  await annotate(mailbox, 'events');
}

async function append(mailbox = 'Work', flags: string[] = []): Promise<{ subject: string; uid: number }> {
  const subject = `event ${++count}`;
  const text = `From: friend@example.net\r\nTo: ${ALICE}\r\nSubject: ${subject}\r\n\r\nHello\r\n`;
  const done = await alice.append(mailbox, text, flags);
  if (!done || done.uid === undefined) throw new Error('APPEND failed');
  return { subject, uid: done.uid };
}

/** Flags of the message with this subject, sorted; undefined: it is not there. */
async function flagsOf(mailbox: string, subject: string, client = alice): Promise<string[] | undefined> {
  const lock = await client.getMailboxLock(mailbox);
  try {
    await client.noop();
    const found = await client.search({ subject }, { uid: true });
    if (!found || found.length === 0) return undefined;
    const message = await client.fetchOne(String(found[0]), { flags: true }, { uid: true });
    return message ? [...(message.flags ?? [])].filter((flag) => flag !== '\\Recent').sort() : undefined;
  } finally {
    lock.release();
  }
}

async function inMailbox<T>(mailbox: string, work: () => Promise<T>): Promise<T> {
  const lock = await alice.getMailboxLock(mailbox);
  try {
    return await work();
  } finally {
    lock.release();
  }
}

test('the capability names the ManageSieve server', () => {
  expect([...alice.capabilities.keys()].find((name) => name.startsWith('IMAPSIEVE='))).toMatch(
    /^IMAPSIEVE=sieve:\/\/mx\.example\.org(?::\d+)?$/i,
  );
});

test('APPEND: flags are set on the message, and fileinto makes another', async () => {
  await script(
    'require ["environment", "fileinto", "copy", "variables"];\n' +
      `if environment :matches "imap.mailbox" "*" { set "m" "\${1}"; }\n` +
      `if environment :is "imap.cause" "APPEND" { addflag "$from-\${m}"; fileinto :copy "Copies"; }`,
  );
  const { subject } = await append('Work', ['\\Flagged']);
  expect(await flagsOf('Work', subject)).toEqual(['$from-Work', '\\Flagged']);
  expect(await flagsOf('Copies', subject)).toEqual(['$from-Work', '\\Flagged']);
});

test('who does it, and where: the environment', async () => {
  await script(
    'require ["environment", "variables"];\n' +
      'if allof(environment :is "imap.user" "alice@example.org", environment :is "imap.email" "alice@example.org",\n' +
      'environment :is "location" "MS", environment :is "phase" "post", environment :is "imap.changedflags" "")\n' +
      '{ addflag "$right"; }',
  );
  const { subject } = await append();
  expect(await flagsOf('Work', subject)).toEqual(['$right']);
});

test('COPY and MOVE', async () => {
  await script('require "environment"; if environment :is "imap.cause" "COPY" { addflag "$copied"; }');
  const one = await append('Quiet');
  const other = await append('Quiet');
  await inMailbox('Quiet', async () => {
    await alice.messageCopy(String(one.uid), 'Work', { uid: true });
    await alice.messageMove(String(other.uid), 'Work', { uid: true });
  });
  expect(await flagsOf('Work', one.subject)).toEqual(['$copied']);
  expect(await flagsOf('Work', other.subject)).toEqual(['$copied']);
  expect(await flagsOf('Quiet', one.subject)).toEqual([]);
});

test('a change of flags names those that changed, and what the script changes sets off nothing', async () => {
  await script(
    'require ["environment", "variables"];\n' +
      'if environment :is "imap.cause" "FLAG" {\n' +
      '  if environment :contains "imap.changedflags" "\\\\Flagged" { addflag "$starred"; }\n' +
      '  if hasflag "$again" { addflag "$twice"; } addflag "$again"; }',
  );
  const { subject, uid } = await append('Work', ['\\Answered']);
  await inMailbox('Work', () =>
    alice.messageFlagsAdd(String(uid), ['\\Flagged', '\\Answered'], { uid: true }),
  );
  expect(await flagsOf('Work', subject)).toEqual(['$again', '$starred', '\\Answered', '\\Flagged']);
});

test('STORE that changes nothing is no event; reading a message is one', async () => {
  await script('require "environment"; if environment :is "imap.cause" "FLAG" { addflag "$event"; }');
  const { subject, uid } = await append('Work', ['\\Flagged']);
  await inMailbox('Work', () => alice.messageFlagsAdd(String(uid), ['\\Flagged'], { uid: true }));
  expect(await flagsOf('Work', subject)).toEqual(['\\Flagged']);
  await inMailbox('Work', () =>
    command('UID FETCH', [
      { type: 'ATOM', value: String(uid) },
      { type: 'ATOM', value: 'RFC822.TEXT' },
    ]),
  );
  expect(await flagsOf('Work', subject)).toEqual(['$event', '\\Flagged', '\\Seen']);
});

test.each([
  ['discard', 'discard;', undefined],
  ['fileinto', 'require "fileinto"; fileinto "Copies";', []],
])('%s leaves the message with \\Deleted', async (_name, source, inCopies) => {
  await script(source);
  const { subject } = await append();
  expect(await flagsOf('Work', subject)).toEqual(['\\Deleted']);
  expect(await flagsOf('Copies', subject)).toEqual(inCopies);
});

test('keep beside discard keeps; edited messages go elsewhere, the original stays as it is', async () => {
  await script(
    'require ["fileinto", "editheader"]; addheader "X-Seen" "yes"; fileinto "Copies"; keep; discard;',
  );
  const { subject } = await append();
  expect(await flagsOf('Work', subject)).toEqual([]);
  const source = async (mailbox: string): Promise<string> =>
    inMailbox(mailbox, async () => {
      const found = await alice.search({ subject }, { uid: true });
      const message = await alice.fetchOne(String(found ? found[0] : 0), { source: true }, { uid: true });
      return message ? String(message.source) : '';
    });
  expect(await source('Copies')).toMatch(
    /^X-Seen: yes\r\nFrom: friend@example.net\r\n(?:.+\r\n)+\r\nHello\r\n$/,
  );
  expect(await source('Work')).not.toContain('X-Seen');
});

test('redirect goes out in the name of the owner', async () => {
  await script(`require "copy"; redirect :copy "${BOB}";`);
  const { subject } = await append();
  expect(await flagsOf('Work', subject)).toEqual([]);
  for (let i = 0; i < 100 && (await flagsOf('INBOX', subject, bob)) === undefined; i++)
    await new Promise((resolve) => setTimeout(resolve, 50));
  expect(await flagsOf('INBOX', subject, bob)).toEqual([]);
});

test('the mailbox says which script runs, else the account; an empty name means none', async () => {
  await script('addflag "$all";', '');
  const one = await append();
  expect(await flagsOf('Work', one.subject)).toEqual(['$all']);
  await annotate('Work', '');
  const two = await append();
  expect(await flagsOf('Work', two.subject)).toEqual([]);
  await annotate('Work', 'no such script');
  const three = await append();
  expect(await flagsOf('Work', three.subject)).toEqual([]);
});

test.each([
  ['reject', 'require "reject"; addflag "$no";', /reject is for mail that is delivered/],
  ['vacation', 'require "vacation"; addflag "$no";', /vacation is for mail that is delivered/],
  ['envelope', 'require "envelope"; if envelope :is "to" "x" { stop; } addflag "$no";', /has no envelope/],
])(
  '%s ends the script, the message stays as it was, and its owner is told',
  async (_name, source, problem) => {
    await script(source);
    const { subject } = await append();
    expect(await flagsOf('Work', subject)).toEqual([]);
    const line = world.lines.findLast(({ message }) => message === 'mailbox script could not be run');
    expect(line?.['problem']).toMatch(problem);
    expect(await flagsOf('INBOX', 'Your mail filter has failed')).toEqual([]);
  },
);

test('REPLACE is APPEND', async () => {
  await script('addflag "$each";');
  const { uid } = await append();
  const subject = `replaced ${++count}`;
  await inMailbox('Work', () =>
    command('UID REPLACE', [
      { type: 'ATOM', value: String(uid) },
      { type: 'STRING', value: 'Work' },
      { type: 'LITERAL', value: Buffer.from(`Subject: ${subject}\r\n\r\nHello\r\n`) },
    ]),
  );
  expect(await flagsOf('Work', subject)).toEqual(['$each']);
});

test('the examples of RFC 6785 5, with mailto, and of RFC 8579 6', async () => {
  await script(
    'require ["copy", "environment"];\n' +
      'if anyof (environment :is "imap.cause" "APPEND",\n' +
      '          environment :is "imap.cause" "COPY")  {\n' +
      `    if environment :is "imap.mailbox" "Work" { redirect :copy "${BOB}"; }\n}`,
  );
  const one = await append();
  await arrivesAtBob(one.subject);

  await script(
    'require ["enotify", "variables", "environment"];\n' +
      `if environment :matches "imap.mailbox" "*" { set "mailbox" "\${1}"; }\n` +
      'if allof (hasflag "\\\\Flagged", environment :contains "imap.changedflags" "\\\\Flagged") {\n' +
      `  notify :message "Important message in \${mailbox}" "mailto:${BOB}";\n}`,
  );
  const two = await append();
  await inMailbox('Work', () => alice.messageFlagsAdd(String(two.uid), ['\\Seen'], { uid: true }));
  await inMailbox('Work', () => alice.messageFlagsAdd(String(two.uid), ['\\Flagged'], { uid: true }));
  await arrivesAtBob('Important message in Work');

  const [junk] = (await alice.list()).filter(({ specialUse }) => specialUse === '\\Junk');
  await script(
    'require ["special-use", "environment", "variables"];\n' +
      `if environment :matches "imap.mailbox" "*" { set "mailbox" "\${1}"; }\n` +
      `if allof (environment "imap.cause" "COPY", specialuse_exists "\${mailbox}" "\\\\Junk") { redirect "${BOB}"; }`,
    '',
  );
  const three = await append('Quiet');
  await inMailbox('Quiet', () => alice.messageMove(String(three.uid), junk?.path ?? '', { uid: true }));
  await arrivesAtBob(three.subject);
});

async function arrivesAtBob(subject: string): Promise<void> {
  for (let i = 0; i < 100; i++) {
    if ((await flagsOf('INBOX', subject, bob)) !== undefined) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${subject} does not come`);
}
