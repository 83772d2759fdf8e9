import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { ImapFlow } from 'imapflow';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Daemon, freePorts, type Outcome, type Place, place } from '../processes.ts';
import { Dovecot, noDovecot, PASSWORD } from './dovecot.ts';

/** The commands as people use them: beside the daemon, without it, and killed in the middle. */

const MAIN = resolve(import.meta.dirname, '../../bin/facteur.js');
const ALICE = 'alice@example.org';
let alice = '';
let count = 0;
let at: Place;
let daemon: Daemon | undefined;

beforeAll(async () => {
  at = place({ listeners: { imap: [{ host: '127.0.0.1', port: 0 }] } });
  await at.accounts('someone@example.org');
});
beforeEach(() => {
  alice = `alice${++count}@example.org`;
});
afterEach(async () => {
  await daemon?.end();
  daemon = undefined;
});
afterAll(() => at.remove());

/** Everybody starts with nothing. */
function newAccount(): void {
  expect(at.facteur(['account', 'add', alice, '--password-stdin'], 'secret\n').code).toBe(0);
}

interface Done {
  readonly type: string;
  readonly messages: number;
  readonly known: number;
}

function done({ code, out, err }: Outcome): Done {
  expect(err).toBe('');
  expect(code).toBe(0);
  return JSON.parse(out.trim().split('\n').at(-1) ?? '');
}

/** Every content twice. */
function box(messages: number): string {
  const path = join(at.dir, 'box');
  const text = (i: number): string =>
    `From a@b Wed Jan  3 01:05:34 1996\nStatus: RO\nSubject: n${i % (messages / 2)}\n\n${'x'.repeat(2000)}\n\n`;
  writeFileSync(path, Array.from({ length: messages }, (_, i) => text(i)).join(''));
  return path;
}

/** Subjects of the messages in INBOX, by the files themselves. */
function subjects(): string[] {
  const maildir = join(at.dir, `data/mail/example.org/${alice.split('@')[0]}/Maildir`);
  return ['new', 'cur'].flatMap((part) =>
    readdirSync(join(maildir, part)).map(
      (name) => /^Subject: (.*)\r$/m.exec(readFileSync(join(maildir, part, name), 'latin1'))?.[1] ?? '',
    ),
  );
}

function each(messages: number): string[] {
  return Array.from({ length: messages }, (_, i) => `n${i % (messages / 2)}`).sort();
}

const importing = (path: string): string[] => ['import', 'mbox', path, '--account', alice, '--json'];

/** Runs the command until it says that so many messages came; then `kill` happens. */
async function interrupted(
  words: readonly string[],
  messages: number,
  kill: (pid: number) => void,
): Promise<number | null> {
  const child = spawn(process.execPath, [MAIN, '--config', at.file, ...words], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let out = '';
  let killed = false;
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    out += chunk;
    const came = Number(/.*"messages":(\d+)/s.exec(out)?.[1] ?? 0);
    if (came < messages || killed) return;
    killed = true;
    kill(child.pid ?? 0);
  });
  return new Promise((resolve) => child.once('close', (code) => resolve(code)));
}

describe('an import that is killed', () => {
  test('without a daemon: the next one brings the rest, each message once', async () => {
    newAccount();
    const path = box(6000);
    await interrupted(importing(path), 200, (pid) => process.kill(pid, 'SIGKILL'));
    const { messages, known } = done(at.facteur(importing(path)));
    expect(messages + known).toBe(6000);
    expect(subjects().sort()).toEqual(each(6000));
    expect(done(at.facteur(importing(path)))).toMatchObject({ messages: 0, known: 6000 });
  });

  test('beside a daemon, which is killed too', async () => {
    newAccount();
    const path = box(6000);
    daemon = await Daemon.start(at);
    await interrupted(importing(path), 200, (pid) => process.kill(pid, 'SIGKILL'));
    const code = await interrupted(importing(path), 200, () => daemon?.kill('SIGKILL'));
    if (code !== 0) {
      await daemon.end();
      daemon = await Daemon.start(at);
    }
    done(at.facteur(importing(path)));
    expect(subjects().sort()).toEqual(each(6000));
  });

  test('Ctrl-C: a word, and the next one goes on', async () => {
    newAccount();
    const path = box(6000);
    expect(await interrupted(importing(path), 200, (pid) => process.kill(pid, 'SIGINT'))).toBe(1);
    done(at.facteur(importing(path)));
    expect(subjects().sort()).toEqual(each(6000));
  });
});

test('in beside the daemon, out beside the daemon: the same mail', async () => {
  newAccount();
  const path = box(100);
  daemon = await Daemon.start(at);
  expect(done(at.facteur(importing(path)))).toMatchObject({ messages: 100 });
  const out = join(at.dir, `out${count}`);
  const words = ['export', 'mbox', out, '--account', alice, '--folder', 'INBOX', '--json'];
  expect(done(at.facteur(words))).toMatchObject({ messages: 100 });
  const lines = (file: string): string[] =>
    readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => /^(Subject|Status)/.test(line));
  expect(lines(out)).toEqual(lines(path));
  const maildir = ['export', 'maildir', join(at.dir, `M${count}`), '--account', alice, '--json'];
  expect(done(at.facteur(maildir))).toMatchObject({ messages: 100, known: 0 });
  daemon.kill('SIGTERM');
  expect(await daemon.ended(20_000)).toBe(0);
  expect(done(at.facteur(maildir))).toMatchObject({ messages: 0, known: 100 });
  expect(readdirSync(join(at.dir, `M${count}/cur`))).toHaveLength(100);
  expect(
    done(
      at.facteur([
        'import',
        'maildir',
        join(at.dir, `M${count}`),
        '--account',
        alice,
        '--into',
        'Again',
        '--json',
      ]),
    ),
  ).toMatchObject({ messages: 100 });
});

describe('what was not understood, or cannot be', () => {
  test.each([
    ['import', 2, 'import what?'],
    ['import frob x', 2, 'import does not know "frob"'],
    ['import mbox', 2, 'import needs a path'],
    ['import mbox x', 2, 'whose mail does it become?'],
    ['import mbox x --account someone@example.org --format frob', 2, '--format is auto'],
    ['import maildir x --account someone@example.org --format mboxo', 2, '--format does not go with'],
    ['import imap h --account someone@example.org', 2, 'who logs in there?'],
    ['import imap u:secret@h --account someone@example.org', 2, 'a password does not belong there'],
    ['import imap u@h --account someone@example.org', 2, 'no password'],
    ['import imap u@h --account someone@example.org --since yesterday', 2, '--since is a day'],
    ['import mbox nowhere --account someone@example.org', 1, 'there is no nowhere'],
    ['import mbox nowhere --account bob@example.org', 1, 'nowhere'],
    ['export frob x', 2, 'export does not know "frob"'],
    ['export mbox x', 2, 'whose mail?'],
    ['export mbox x --account someone@example.org --folder Nope', 1, 'no folder "Nope"'],
    ['export mbox x --account bob@example.org', 1, 'there is no account bob@example.org'],
  ])('%s', (words, code, reason) => {
    const outcome = at.facteur(words.split(' '));
    expect(outcome.err).toContain(reason);
    expect(outcome.code).toBe(code);
    expect(outcome.err).not.toMatch(/^\s+at /m);
  });
});

const reason = noDovecot();
if (reason !== undefined) console.log(`import from a real Dovecot skipped: ${reason}`);

describe.skipIf(reason !== undefined)('from Dovecot', () => {
  const DATE = new Date('2001-02-03T04:05:06Z');
  let dir = '';
  let dovecot: Dovecot;
  let port = 0;

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'facteur-dovecot-'));
    const [imap = 0, pop3 = 0] = await freePorts(2);
    port = imap;
    dovecot = new Dovecot(dir, { imap, pop3 }, [{ name: ALICE }]);
    dovecot.start();
    const client = new ImapFlow({
      host: '127.0.0.1',
      port,
      secure: false,
      auth: { user: ALICE, pass: PASSWORD },
      logger: false,
    });
    await client.connect();
    for (let i = 0; i < 50; i++)
      await client.append(
        'INBOX',
        `Subject: n${i}\r\n\r\n${'x'.repeat(i * 100)}\r\n`,
        i % 2 ? ['\\Seen', 'Work'] : [],
        DATE,
      );
    await client.mailboxCreate('Über/Tief');
    await client.mailboxSubscribe('Über/Tief');
    await client.append('Über/Tief', 'Subject: deep\r\n\r\nx\r\n', ['\\Flagged'], DATE);
    await client.logout();
  });
  afterAll(async () => {
    await dovecot?.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  const words = (): string[] => {
    const file = join(at.dir, 'password');
    writeFileSync(file, `${PASSWORD}\n`);
    return [
      'import',
      'imap',
      `127.0.0.1:${port}`,
      '--user',
      ALICE,
      '--tls',
      'none',
      '--password-file',
      file,
      '--account',
      alice,
      '--json',
    ];
  };

  test('everything, once, with flags; then only what is new', async () => {
    newAccount();
    expect(done(at.facteur(words()))).toMatchObject({ messages: 51, known: 0 });
    expect(done(at.facteur(words()))).toMatchObject({ messages: 0, known: 51 });
    daemon = await Daemon.start(at);
    expect(done(at.facteur(words()))).toMatchObject({ messages: 0, known: 51 });
    const out = join(at.dir, `out${count}`);
    expect(at.facteur(['export', 'mbox', out, '--account', alice]).code).toBe(0);
    const inbox = readFileSync(join(out, 'INBOX'), 'utf8');
    expect(inbox.match(/^Status: RO\nX-Keywords: Work$/gm)).toHaveLength(25);
    expect(inbox.match(/^From MAILER-DAEMON Sat Feb {2}3 04:05:06 2001$/gm)).toHaveLength(50);
    expect(readFileSync(join(out, 'Über.sbd/Tief'), 'utf8')).toContain('X-Status: F\nSubject: deep\n');
    expect(
      dovecot.doveadm('search', '-u', ALICE, 'mailbox', 'INBOX', 'unseen').trim().split('\n'),
    ).toHaveLength(25);
  });

  test('its Maildir, as files', () => {
    newAccount();
    const from = ['import', 'maildir', dovecot.maildir(ALICE), '--account', alice, '--json'];
    expect(done(at.facteur(from))).toMatchObject({ messages: 51 });
    expect(done(at.facteur(from))).toMatchObject({ messages: 0, known: 51 });
  });
});
