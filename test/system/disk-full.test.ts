import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { imapSession, type Lines, mail, smtpSession } from '../lines.ts';
import { Daemon, freePorts, type Place, place } from '../processes.ts';
import { eventually } from '../world.ts';

/** A daemon whose disk fills up under its hands, and one with an account over its quota. */

const mounted = mount();
afterAll(() => {
  if (mounted === undefined) return;
  execFileSync('umount', ['--lazy', mounted]);
  rmSync(mounted, { recursive: true });
});

function mount(): string | undefined {
  const directory = mkdtempSync(join(tmpdir(), 'facteur-full-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=40m', 'tmpfs', directory], { stdio: 'pipe' });
    return directory;
  } catch (error) {
    const reason = error instanceof Error ? error.message.trim() : String(error);
    console.log(`skipped: no small file system to fill (${reason})`);
    rmSync(directory, { recursive: true });
    return undefined;
  }
}

const opened: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).toReversed()) await close();
});

const ALICE = 'alice@example.org';
const LINE = `${'0123456789'.repeat(7)}\r\n`;

interface Running {
  readonly at: Place;
  daemon: Daemon;
  readonly smtp: number;
  readonly imap: number;
  readonly password: string;
}

async function running(dataDir: string): Promise<Running> {
  const [smtp = 0, imap = 0] = await freePorts(2);
  const on = (port: number): object[] => [{ host: '127.0.0.1', port }];
  opened.push(() => rmSync(dataDir, { recursive: true, force: true }));
  const at = place({
    dataDir,
    listeners: { smtp: on(smtp), imap: on(imap) },
    auth: { allowPlaintextFrom: ['127.0.0.1'] },
  });
  opened.push(() => at.remove());
  const password = await at.accounts(ALICE);
  const made: Running = { at, daemon: await Daemon.start(at), smtp, imap, password };
  opened.push(() => made.daemon.end());
  return made;
}

function message(token: string, size: number): string {
  return `Subject: ${token}\r\n\r\n${LINE.repeat(Math.ceil(size / LINE.length))}the end of ${token}\r\n`;
}

/** Subjects of the messages in the Maildir; fails for one that is not whole. */
function subjects(dataDir: string, folder = ''): string[] {
  const maildir = join(dataDir, 'mail/example.org/alice/Maildir', folder);
  const found: string[] = [];
  for (const place of ['new', 'cur']) {
    let names: string[] = [];
    try {
      names = readdirSync(join(maildir, place));
    } catch {
      // Nothing was delivered yet.
    }
    for (const name of names) {
      const text = readFileSync(join(maildir, place, name), 'latin1');
      const token = /^Subject: (\S+)\r?$/m.exec(text)?.[1] ?? name;
      expect(text.endsWith(`the end of ${token}\r\n`), `${name} is whole`).toBe(true);
      found.push(token);
    }
  }
  return found.sort();
}

/** Takes what is left of the file system. @returns how to give it back. */
function fill(directory: string): () => void {
  const file = join(directory, `ballast${statfsSync(directory).bavail}`);
  const chunk = Buffer.alloc(64 * 1024);
  for (let size = statfsSync(directory).bavail; size > 0; size = statfsSync(directory).bavail) {
    try {
      writeFileSync(file, chunk, { flag: 'a' });
    } catch {
      break;
    }
  }
  return () => rmSync(file, { force: true });
}

describe.skipIf(mounted === undefined)('a full disk', () => {
  test('mail is refused with 452 4.3.1 in a session that lives on; all that had 250 arrives whole, once', async () => {
    const dir = mounted ?? '';
    const world = await running(join(dir, 'one'));
    const acknowledged: string[] = [];
    const session = await smtpSession(world.smtp);
    const send = async (token: string, size: number): Promise<string> => {
      const { reply } = await mail(session, 'bob@example.net', ALICE, message(token, size));
      if (reply.startsWith('250')) acknowledged.push(token);
      else await session.ask('RSET');
      return reply;
    };
    expect(await send('before', 2000)).toMatch(/^250 /);
    // Somebody else's, who will go: what waits needs its room again for the mailbox.
    const other = join(dir, 'other');
    writeFileSync(other, Buffer.alloc(16 * 1024 * 1024));

    // Mail itself fills it, large and small.
    const replies: string[] = [];
    for (let i = 0; i < 400 && !replies.at(-1)?.startsWith('4'); i++)
      replies.push(await send(`big${i}`, 700_000));
    expect(replies.at(-1)).toMatch(/^452 4\.3\.1 /);
    const free = fill(dir);
    // The journal may have room for some small ones yet.
    const small: string[] = [];
    for (let i = 0; i < 5000 && !small.at(-1)?.startsWith('4'); i++)
      small.push(await send(`small${i}`, 3000));
    expect(small.at(-1)).toMatch(/^452 4\.3\.1 /);
    for (const reply of [...replies, ...small]) expect(reply).toMatch(/^(250 2\.0\.0|452 4\.3\.1) /);
    // Nothing but that: the same session, and a new one, are answered.
    expect(await session.ask('NOOP')).toMatch(/^250 /);
    const another = await smtpSession(world.smtp);
    expect((await mail(another, 'bob@example.net', ALICE, message('no', 3000))).reply).toMatch(
      /^452 4\.3\.1 /,
    );
    another.close();
    await appendRefused(world);
    expect(world.daemon.child.exitCode).toBeNull();

    free();
    rmSync(other);
    await eventually('room again', async () => {
      const reply = await send('after', 2000);
      return reply.startsWith('250') ? true : undefined;
    });
    session.close();
    await arrive(world, join(dir, 'one'), acknowledged, dir);
  });

  test('a daemon that is killed on a full disk starts, serves what there is, refuses new mail, and has lost nothing', async () => {
    const dir = mounted ?? '';
    const data = join(dir, 'two');
    const world = await running(data);
    const acknowledged: string[] = [];
    const session = await smtpSession(world.smtp);
    const send = async (token: string, size: number): Promise<void> => {
      const { reply } = await mail(session, 'bob@example.net', ALICE, message(token, size));
      expect(reply).toMatch(/^250 /);
      acknowledged.push(token);
    };
    await send('first', 3000);
    await eventually('delivered', () => (subjects(data).length === 1 ? true : undefined));
    // They wait, as something is wrong with the mailbox.
    const temporary = join(data, 'mail/example.org/alice/Maildir/tmp');
    rmSync(temporary, { recursive: true });
    writeFileSync(temporary, '');
    for (let i = 0; i < 20; i++) await send(`m${i}`, i % 5 === 0 ? 300_000 : 3000);
    const free = fill(dir);
    world.daemon.kill('SIGKILL');
    await world.daemon.end();
    world.daemon = await Daemon.start(world.at);
    await world.daemon.logged('no room on the disk: the queue index is kept in memory until the next start');

    const another = await smtpSession(world.smtp);
    const refused = await mail(another, 'bob@example.net', ALICE, message('no', 300_000));
    expect(refused.reply).toMatch(/^452 4\.3\.1 /);
    another.close();
    const reader = await imapSession(world.imap, ALICE, world.password);
    expect(await reader.imap('SELECT INBOX')).toContain('* 1 EXISTS');
    expect(await reader.imap('FETCH 1 BODY.PEEK[]')).toContain('the end of first\r\n');
    reader.close();

    free();
    rmSync(temporary);
    mkdirSync(temporary);
    await arrive(world, data, acknowledged, dir);
    // The index on the disk has missed all of that: it learns it from the journal.
    world.daemon = await Daemon.start(world.at);
    expect(world.at.facteur(['queue', 'list', '--json']).out).toBe('');
    expect(subjects(data)).toEqual([...acknowledged].sort());
  });
});

/** Every one of `acknowledged` lies in the Maildir exactly once, whole, though the disk needed help for it. */
async function arrive(world: Running, data: string, acknowledged: string[], dir: string): Promise<void> {
  await eventually(`all delivered; ${world.daemon.text.slice(-2000)}`, () => {
    if (world.at.facteur(['queue', 'retry', '--all']).code !== 0) return undefined;
    // What is in the mailbox makes room in the spool, so it gets there in steps.
    return world.at.facteur(['queue', 'list', '--json']).out === '' ? true : undefined;
  });
  expect(statfsSync(dir).bavail).toBeGreaterThan(0);
  expect(subjects(data)).toEqual([...acknowledged].sort());
  world.daemon.kill('SIGTERM');
  expect(await world.daemon.ended(20_000)).toBe(0);
}

/** IMAP says NO [UNAVAILABLE] (RFC 5530 3: a part of the server is not available now), the session lives on, and nothing lies about. */
async function appendRefused({ imap, password }: Running): Promise<void> {
  const session = await imapSession(imap, ALICE, password);
  await session.imap('SELECT Sent');
  const text = message('appended', 200_000);
  session.write(`x1 APPEND Sent {${text.length}}\r\n`);
  const answer = await session.until(/^(\+|x1 )/);
  if (/^\+/m.test(answer)) {
    session.write(`${text}\r\n`);
    expect(await session.until(/^x1 /)).toMatch(/^x1 NO \[UNAVAILABLE\] /m);
  } else expect(answer).toMatch(/^x1 NO \[UNAVAILABLE\] /m);
  expect(await session.imap('NOOP')).toMatch(/^a\d+ OK/m);
  expect(await session.imap('STATUS Sent (MESSAGES)')).toContain('MESSAGES 0');
  session.close();
}

describe('an account over its quota', () => {
  test('its mail waits, deferred with 452 4.2.2, and comes with more room; APPEND is refused', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'facteur-quota-'));
    const world = await running(dir);
    const facteur = (...words: string[]): void => expect(world.at.facteur(words).code).toBe(0) as undefined;
    facteur('account', 'quota', ALICE, '20KB');
    const session = await smtpSession(world.smtp);
    const first = await mail(session, 'bob@example.net', ALICE, message('first', 15_000));
    expect(first.reply).toMatch(/^250 /);
    await world.daemon.logged('delivery attempt', { to: ALICE, status: 'delivered' });
    const qid = await queued(session, 'second');
    const line = await world.daemon.logged('delivery attempt', { qid, status: 'deferred' });
    expect(line['reply']).toMatch(/^452 4\.2\.2 /);

    const imap = await imapSession(world.imap, ALICE, world.password);
    const text = message('appended', 15_000);
    imap.write(`x1 APPEND Sent {${text.length}}\r\n`);
    if (/^\+/m.test(await imap.until(/^(\+|x1 )/))) {
      imap.write(`${text}\r\n`);
      expect(await imap.until(/^x1 /)).toMatch(/^x1 NO \[OVERQUOTA\] /m);
    }
    expect(await imap.imap('STATUS Sent (MESSAGES)')).toContain('MESSAGES 0');
    imap.close();

    facteur('account', 'quota', ALICE, 'none');
    facteur('queue', 'retry', qid);
    await world.daemon.logged('delivery attempt', { qid, status: 'delivered' });
    expect(subjects(dir)).toEqual(['first', 'second']);
  });
});

/** The queue id under which a message of 15 KB was taken. */
async function queued(session: Lines, token: string): Promise<string> {
  const { reply } = await mail(session, 'bob@example.net', ALICE, message(token, 15_000));
  expect(reply).toMatch(/^250 /);
  return / queued as (\w+)/.exec(reply)?.[1] ?? '';
}
