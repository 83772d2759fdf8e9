import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ImapFlow } from 'imapflow';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { imapClient, startWorld, type World } from '../world.ts';

/** mutt, at a terminal of its own, works on the Maildir while IMAP sessions idle on it: each sees what the other does. */

const ALICE = 'alice@example.org';
const PASSWORD = 'wonder Land.1';

const isMissing = ['mutt', 'script'].some((name) => spawnSync(name, ['--version']).error !== undefined);
if (isMissing) console.log('mutt or script is not installed: its test is left out');

/** Keys in, screen out. */
class Mutt {
  readonly #process: ChildProcess;
  #screen = '';

  constructor(maildir: string, home: string) {
    const rc = join(home, 'muttrc');
    writeFileSync(
      rc,
      `set mbox_type=Maildir folder="${maildir}" record="" postponed="" sleep_time=0 move=no quit=yes delete=yes
set confirmappend=no confirmcreate=no wait_key=no timeout=1 mail_check=1 mark_old=no header_cache="" sort=subject
`,
    );
    this.#process = spawn('script', ['-qfec', `mutt -n -F '${rc}' -f '${maildir}'`, '/dev/null'], {
      env: { ...process.env, HOME: home, TERM: 'xterm', LINES: '24', COLUMNS: '80' },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#process.stdout?.on('data', (chunk: Buffer) => {
      this.#screen += chunk.toString('latin1');
    });
  }

  press(keys: string): void {
    this.#process.stdin?.write(keys);
  }

  /** Resolves when mutt, asked to draw its screen again, shows this; what it had drawn before does not count. */
  async shows(what: RegExp): Promise<void> {
    await expect
      .poll(
        async () => {
          this.#screen = '';
          this.press('\x0c');
          await new Promise((resolve) => setTimeout(resolve, 150));
          return this.text;
        },
        { timeout: 15_000, interval: 100 },
      )
      .toMatch(what);
  }

  /** Resolves when this has come, without a new drawing: a question at the bottom. */
  async asks(what: RegExp): Promise<void> {
    await expect.poll(() => this.text, { timeout: 10_000, interval: 20 }).toMatch(what);
  }

  async quit(): Promise<void> {
    if (this.#process.exitCode !== null) return;
    const ended = once(this.#process, 'exit');
    this.press('q');
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), 5000);
    await ended;
    clearTimeout(timer);
  }

  /** Without what only moves the cursor. */
  get text(): string {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they begin with ESC
    return this.#screen.replace(/\x1b(?:\[[0-9;?]*[a-zA-Z]|\(B|[=>])/g, '\n');
  }
}

describe.skipIf(isMissing)('mutt and IMAP on one Maildir', () => {
  let world: World;
  let home: string;
  let maildir: string;
  let idle: ImapFlow;
  let work: ImapFlow;
  let mutt: Mutt;
  const heard: string[] = [];

  const uidsIn = async (path: string): Promise<number[]> => {
    const lock = await work.getMailboxLock(path);
    try {
      return (await work.search({ all: true }, { uid: true })) || [];
    } finally {
      lock.release();
    }
  };
  const subject = (name: string): string =>
    `From: Bob <bob@example.org>\r\nTo: ${ALICE}\r\nSubject: ${name}\r\nDate: Thu, 1 Jan 2026 12:00:00 +0000\r\n\r\nText\r\n`;
  const told = (what: string): Promise<void> =>
    expect.poll(() => heard, { timeout: 10_000, interval: 20 }).toContain(what);

  beforeAll(async () => {
    world = await startWorld({ accounts: { [ALICE]: PASSWORD } });
    home = mkdtempSync(join(tmpdir(), 'facteur-mutt-'));
    maildir = join(world.dir, 'data/mail/example.org/alice/Maildir');
    work = await imapClient(world, ALICE, PASSWORD);
    for (const name of ['Alpha', 'Beta', 'Gamma']) await work.append('INBOX', subject(name));
    idle = await imapClient(world, ALICE, PASSWORD);
    idle.on('exists', ({ count }) => heard.push(`exists ${count}`));
    idle.on('expunge', ({ seq }) => heard.push(`expunge ${seq}`));
    idle.on('flags', ({ seq, flags }) => heard.push(`flags ${seq} ${[...(flags ?? [])].sort()}`));
    await idle.mailboxOpen('INBOX');
    void idle.idle();
    mutt = new Mutt(maildir, home);
  });
  afterAll(async () => {
    await mutt?.quit();
    idle?.close();
    work?.close();
    await world?.close();
    rmSync(home, { recursive: true, force: true });
  });

  test('mutt flags, reads, deletes and files: the idle session is told of each', async () => {
    await mutt.shows(/Alpha/);
    mutt.press('=F$');
    await told('flags 1 \\Flagged');
    // Beta is read: opened, and left again.
    mutt.press('2\r\r');
    await mutt.shows(/Text/);
    mutt.press('q$');
    await told('flags 2 \\Seen');
    mutt.press('1\rd$');
    await told('expunge 1');
    mutt.press('=s');
    await mutt.asks(/Save to mailbox/);
    mutt.press('\x15=.Trash\r$');
    await told('expunge 1');
    await expect.poll(() => uidsIn('Trash')).toEqual([1]);
    await expect.poll(() => uidsIn('INBOX')).toEqual([3]);
    await expect.poll(() => heard.filter((line) => line === 'expunge 1')).toHaveLength(2);
  });

  test('IMAP appends, flags and deletes: mutt shows it', async () => {
    await work.append('INBOX', subject('Omega'));
    await told('exists 2');
    await mutt.shows(/Omega/);
    const lock = await work.getMailboxLock('INBOX');
    try {
      await work.messageFlagsAdd('4', ['\\Answered', '\\Seen'], { uid: true });
      await told('flags 2 \\Answered,\\Seen');
      await mutt.shows(/2 r[\s\S]*Omega/);
      await work.messageDelete('3', { uid: true });
    } finally {
      lock.release();
    }
    await mutt.shows(/^(?![\s\S]*Gamma)[\s\S]*Omega/);
    expect(await uidsIn('INBOX')).toEqual([4]);
  });

  test('a mailbox that mutt makes appears, with its mail; nothing is left over', async () => {
    mutt.press('=C');
    await mutt.asks(/Copy to mailbox/);
    mutt.press('\x15=.Mutt\r');
    await expect
      .poll(async () => (await work.list()).map(({ path }) => path), { timeout: 10_000 })
      .toContain('Mutt');
    await expect.poll(() => uidsIn('Mutt')).toEqual([1]);
    await mutt.quit();
    expect(await uidsIn('INBOX')).toEqual([4]);
    expect(readdirSync(join(maildir, 'tmp'))).toEqual([]);
    expect(world.lines.filter(({ level }) => level === 'error')).toEqual([]);
  });
});
