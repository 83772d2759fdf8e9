import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { ImapFlow } from 'imapflow';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { root } from '../daemon.ts';
import { Lines } from '../lines.ts';
import { Daemon, freePorts, type Place, place } from '../processes.ts';
import { Dovecot, noDovecot, PASSWORD } from './dovecot.ts';

/**
 * From Dovecot to Facteur and back, with real clients: mbsync has nothing to transfer, mpop nothing to fetch, and every
 * message is the same, octet for octet. The tests are one story, in order.
 */

const missing = ['mbsync', 'mpop', 'doveadm'].find(
  (program) => spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0,
);
const reason = noDovecot() ?? (missing === undefined ? undefined : `${missing} is not installed`);
if (reason !== undefined) console.log(`adoption of a real Dovecot's mail skipped: ${reason}`);

const ALICE = 'alice@example.org';
/** Her POP3 client knows messages by their file names. */
const BOB = 'bob@example.org';

const sources = corpus(30);
let dir: string;
let dovecot: Dovecot;
let at: Place;
let daemon: Daemon | undefined;
let imap = 0;
let pop3 = 0;
/** What each was when the account was last with the other server. */
let before: Record<string, Snapshot>;

/** A step of the story; after one has failed the others mean nothing. */
let failed = false;
function step(what: string, run: () => Promise<void>): void {
  test.skipIf(reason !== undefined)(what, async ({ skip }) => {
    if (failed) skip('an earlier step failed');
    failed = true;
    await run();
    failed = false;
  });
}

step('Dovecot has mail, and its clients have fetched it', async () => {
  dovecot.start();
  await fill(ALICE);
  await fill(BOB);
  mkdirSync(join(dovecot.maildir(ALICE), '../sieve'));
  writeFileSync(join(dovecot.maildir(ALICE), '../sieve/rules.sieve'), 'keep;\r\n# \xff');
  symlinkSync('sieve/rules.sieve', join(dovecot.maildir(ALICE), '../.dovecot.sieve'));
  dovecot.own();
  expect(sync('all')).toBeGreaterThan(sources.length);
  expect(fetchPop3(ALICE)).toBeGreaterThan(5);
  expect(fetchPop3(BOB)).toBeGreaterThan(5);
  // Names of clients, flags they set: once more, until nothing moves any more.
  sync('all');
  expect(sync('all')).toBe(0);
  expect(fetchPop3(ALICE)).toBe(0);
  before = await snapshots();
  expect(before[BOB]?.uidls[0]).toMatch(/^1 \d+\.M/);
});

step('--check says what will happen and changes nothing', async () => {
  const path = dovecot.maildir(ALICE);
  const running = at.facteur(['adopt', path, '--account', ALICE, '--check']);
  await dovecot.stop();
  expect(running.code === 0 || running.out.includes('stop Dovecot first')).toBe(true);
  const tree = listing(path);
  const { code, out } = at.facteur(['adopt', path, '--account', ALICE, '--check', '--json']);
  expect(listing(path)).toEqual(tree);
  expect(code).toBe(0);
  const plan = JSON.parse(out);
  expect(plan.state).toBe('ready');
  const boxes = Object.fromEntries(
    plan.folders.map((folder: { mailbox: string; messages: number; kept: number; uidValidity: number }) => [
      folder.mailbox,
      [folder.messages, folder.kept, folder.uidValidity],
    ]),
  );
  for (const [name, box] of Object.entries(before[ALICE]?.boxes ?? {})) {
    const count = Object.keys(box.messages).length;
    expect(boxes[name], name).toEqual([count, count, box.uidValidity]);
  }
});

step('after the adoption no client transfers anything', async () => {
  const adopted = JSON.parse(ok('adopt', dovecot.maildir(ALICE), '--account', ALICE, '--json'));
  expect(adopted.fresh).toBe(0);
  daemon = await Daemon.start(at);
  // The second one beside the running daemon.
  ok('adopt', dovecot.maildir(BOB), '--account', BOB, '--uidl', '%f');
  expect(sync('all')).toBe(0);
  expect(fetchPop3(ALICE)).toBe(0);
  expect(fetchPop3(BOB)).toBe(0);
  expect(await snapshots()).toEqual(before);
  const scripts = join(at.dir, 'data/mail/example.org/alice/sieve');
  expect(readFileSync(join(scripts, 'rules.sieve'), 'latin1')).toBe(
    Buffer.from('keep;\r\n# \xff').toString('latin1'),
  );
  expect(readFileSync(join(scripts, 'active'), 'utf8')).toBe('rules\n');
});

step('Dovecot reads the tree while Facteur serves it, and harms nothing', async () => {
  const [imapBeside = 0, pop3Beside = 0] = await freePorts(2);
  const path = dovecot.maildir(ALICE);
  dovecot.own();
  const beside = new Dovecot(dovecot.dir, { imap: imapBeside, pop3: pop3Beside }, [{ name: ALICE }]);
  beside.start();
  try {
    const seen = await snapshot(ALICE, imapBeside, pop3Beside);
    expect(seen).toEqual(before[ALICE]);
  } finally {
    await beside.stop();
  }
  expect(beside.log()).not.toMatch(/Error|Warning: .*uidlist/);
  expect(listing(join(path, 'cur')).every((line) => /,U=\d+\.\d+/.test(line))).toBe(true);
  expect(await snapshots()).toEqual(before);
});

step('after changes in Facteur and the return, no client transfers anything', async () => {
  for (const account of [ALICE, BOB]) await change(account);
  // Which marks as seen what it fetched.
  expect(fetchPop3(ALICE)).toBe(1);
  expect(fetchPop3(BOB)).toBe(1);
  expect(sync('all')).toBeGreaterThan(0);
  sync('all');
  expect(sync('all')).toBe(0);
  const now = await snapshots();
  expect(now).not.toEqual(before);
  ok('release', ALICE);
  const session = Lines.plain(pop3);
  await session.reply();
  await session.ask(`USER ${ALICE}`);
  expect(await session.ask(`PASS ${PASSWORD}`)).toMatch(/^-ERR \[SYS\/TEMP\]/);
  session.close();
  expect(await daemon?.ended(0)).toBeUndefined();
  daemon?.kill('SIGTERM');
  expect(await daemon?.ended(20_000)).toBe(0);
  // Without the daemon as well.
  ok('release', BOB);
  dovecot = new Dovecot(dovecot.dir, { imap, pop3 }, USERS);
  dovecot.start();
  expect(sync('all')).toBe(0);
  expect(fetchPop3(ALICE)).toBe(0);
  expect(fetchPop3(BOB)).toBe(0);
  expect(await snapshots()).toEqual(now);
  expect(dovecot.log()).not.toMatch(/Error|Warning: .*uidlist/);
});

step('and from there it comes again', async () => {
  await withClient(ALICE, imap, async (client) => {
    await client.append('Archive/2024', sources[0] ?? '', ['\\Seen', 'Third']);
  });
  sync('all');
  before = await snapshots();
  await dovecot.stop();
  ok('adopt', dovecot.maildir(ALICE), '--account', ALICE, '--move');
  ok('adopt', dovecot.maildir(BOB), '--account', BOB, '--uidl', '%f');
  expect(existsSync(dovecot.maildir(ALICE))).toBe(false);
  daemon = await Daemon.start(at);
  // UIDs that were reserved in the first stay are not given any more: UIDNEXT may be higher.
  expect(withoutNext(await snapshots())).toEqual(withoutNext(before));
  expect(sync('all')).toBe(0);
  expect(ok('adopt', dovecot.maildir(BOB), '--account', BOB)).toContain('already');
  expect(fetchPop3(ALICE)).toBe(0);
});

const USERS = [{ name: ALICE }, { name: BOB, uidlFormat: '%f' }];

beforeAll(async () => {
  if (reason !== undefined) return;
  dir = mkdtempSync(join(tmpdir(), 'facteur-adopt-'));
  chmodSync(dir, 0o755);
  [imap = 0, pop3 = 0] = await freePorts(2);
  dovecot = new Dovecot(join(dir, 'dovecot'), { imap, pop3 }, USERS);
  const on = (port: number): object[] => [{ host: '127.0.0.1', port }];
  at = place(
    { listeners: { imap: on(imap), pop3: on(pop3) }, auth: { allowPlaintextFrom: ['127.0.0.1'] } },
    join(dir, 'facteur'),
  );
  ok('domain', 'add', 'example.org');
  for (const account of [ALICE, BOB])
    expect(at.facteur(['account', 'add', account, '--password-stdin'], `${PASSWORD}\n`).code).toBe(0);
  for (const [name, text] of Object.entries(clientFiles())) {
    writeFileSync(join(dir, name), text);
    chmodSync(join(dir, name), 0o600);
  }
  for (const account of [ALICE, BOB]) {
    mkdirSync(join(dir, 'near', account), { recursive: true });
    for (const part of ['cur', 'new', 'tmp']) mkdirSync(join(dir, 'pop', account, part), { recursive: true });
  }
});

afterAll(async () => {
  if (reason !== undefined) return;
  await daemon?.end();
  await dovecot.stop();
  rmSync(dir, { recursive: true, force: true });
});

function ok(...words: readonly string[]): string {
  const { code, out, err } = at.facteur(words);
  expect(`${out}${err}`, words.join(' ')).not.toMatch(/^STOPS/m);
  expect(code, `${out}${err}`).toBe(0);
  return out;
}

/** Real mail, with CRLF, of all kinds; a few made ones where the corpus is not there. */
function corpus(count: number): Buffer[] {
  const folder = resolve(root, '../shared/corpus/mime/python+cpython');
  const found = existsSync(folder)
    ? readdirSync(folder, { recursive: true, encoding: 'utf8' })
        .map((name) => join(folder, name))
        .filter((path) => statSync(path).isFile() && statSync(path).size > 0)
        .sort()
        .slice(0, count)
        .map((path) => readFileSync(path))
    : [];
  while (found.length < count)
    found.push(Buffer.from(`From: a@example.org\nSubject: ${found.length}\n\nText ${found.length}\n`));
  return found.map((bytes) => Buffer.from(bytes.toString('latin1').replace(/\r?\n/g, '\r\n'), 'latin1'));
}

async function withClient<T>(
  account: string,
  port: number,
  work: (client: ImapFlow) => Promise<T>,
): Promise<T> {
  const client = new ImapFlow({
    host: '127.0.0.1',
    port,
    secure: false,
    doSTARTTLS: false,
    auth: { user: account, pass: PASSWORD },
    logger: false,
  });
  await client.connect();
  try {
    return await work(client);
  } catch (error) {
    const { responseText = '', executedCommand = '' } = error as Record<string, unknown>;
    throw new Error(`${String(executedCommand).slice(0, 200)}: ${String(responseText)}`, { cause: error });
  } finally {
    await client.logout();
  }
}

/** Folders at depth and with names in modified UTF-7, keywords, gaps, copies. */
async function fill(account: string): Promise<void> {
  await withClient(account, imap, async (client) => {
    for (const path of ['Archive/2024', 'Entwürfe/日本語', 'A & B', 'Sent', 'Empty'])
      await client.mailboxCreate(path);
    for (const path of ['Archive/2024', 'Entwürfe/日本語', 'INBOX']) await client.mailboxSubscribe(path);
    const flags = [
      [],
      ['\\Seen'],
      ['\\Seen', '$Forwarded', 'Work'],
      ['\\Flagged', 'Later'],
      ['\\Answered', '\\Seen'],
    ];
    for (const [index, source] of sources.entries()) {
      const path = ['INBOX', 'Archive/2024', 'Entwürfe/日本語', 'Sent'][index < 12 ? 0 : index % 4] ?? '';
      const date = new Date(Date.UTC(2021, index % 12, 1 + index, 3, 4, 5));
      await client.append(path, source, flags[index % flags.length], date);
    }
    await client.mailboxOpen('INBOX');
    await client.messageDelete('2,5', { uid: true });
    await client.messageCopy('3:4', 'A & B', { uid: true });
    await client.messageDelete('12', { uid: true });
  });
}

/** New mail, flags, a new keyword, a move, an expunge, a new folder. */
async function change(account: string): Promise<void> {
  await withClient(account, imap, async (client) => {
    await client.append('INBOX', Buffer.concat([Buffer.from('X-New: 1\r\n'), sources[1] ?? Buffer.of()]));
    await client.mailboxCreate('Made by Facteur/é');
    await client.append('Made by Facteur/é', sources[2] ?? '', ['Work']);
    await client.mailboxSubscribe('Made by Facteur/é');
    await client.mailboxOpen('INBOX');
    await client.messageFlagsAdd('3', ['\\Flagged', 'Fresh'], { uid: true });
    await client.messageFlagsRemove('4', ['Later'], { uid: true });
    await client.messageMove('6', 'Archive/2024', { uid: true });
    await client.messageDelete('7', { uid: true });
  });
}

interface Snapshot {
  readonly subscribed: readonly string[];
  readonly uidls: readonly string[];
  readonly boxes: Readonly<
    Record<string, { readonly uidValidity: number; readonly uidNext: number; readonly messages: object }>
  >;
}

async function snapshots(): Promise<Record<string, Snapshot>> {
  return { [ALICE]: await snapshot(ALICE, imap, pop3), [BOB]: await snapshot(BOB, imap, pop3) };
}

/** All that a client can see: UIDs, flags, dates, sizes, octets, unique ids. */
async function snapshot(account: string, imapPort: number, pop3Port: number): Promise<Snapshot> {
  const session = Lines.plain(pop3Port);
  await session.reply();
  for (const line of [`USER ${account}`, `PASS ${PASSWORD}`, 'UIDL'])
    expect(await session.ask(line)).toMatch(/^\+OK/);
  const uidls = (await session.until(/^\.\r/)).trim().split('\r\n').slice(0, -1);
  await session.ask('QUIT');
  session.close();
  return withClient(account, imapPort, async (client) => {
    const boxes: Record<string, Snapshot['boxes'][string]> = {};
    const listed = await client.list();
    for (const { path, flags } of listed.sort((a, b) => (a.path < b.path ? -1 : 1))) {
      if (flags.has('\\Noselect') || flags.has('\\NonExistent')) continue;
      const { uidValidity, uidNext, exists } = await client.mailboxOpen(path, { readOnly: true });
      const messages: Record<string, unknown> = {};
      const query = { uid: true, flags: true, internalDate: true, size: true, source: true } as const;
      if (exists > 0)
        for await (const message of client.fetch('1:*', query))
          messages[message.uid] = [
            [...(message.flags ?? [])].filter((flag) => flag !== '\\Recent').sort(),
            new Date(message.internalDate ?? 0).toISOString().slice(0, 19),
            message.size,
            createHash('sha256')
              .update(message.source ?? '')
              .digest('hex'),
          ];
      boxes[path] = { uidValidity: Number(uidValidity), uidNext, messages };
    }
    const subscribed = listed.filter((box) => box.subscribed).map(({ path }) => path);
    return { subscribed: subscribed.sort(), uidls, boxes };
  });
}

function withoutNext(snapshots: object): unknown {
  return JSON.parse(JSON.stringify(snapshots, (key, value) => (key === 'uidNext' ? undefined : value)));
}

function clientFiles(): Record<string, string> {
  const mbsync = [ALICE, BOB].map(
    (account) => `IMAPAccount ${account}
Host 127.0.0.1
Port ${imap}
User ${account}
Pass ${PASSWORD}
SSLType None
AuthMechs LOGIN

IMAPStore far-${account}
Account ${account}

MaildirStore near-${account}
Path ${dir}/near/${account}/
Inbox ${dir}/near/${account}/INBOX
SubFolders Verbatim

Channel ${account}
Far :far-${account}:
Near :near-${account}:
Patterns *
Create Both
Remove Both
Expunge Both
SyncState *
CopyArrivalDate yes

`,
  );
  const mpop = [ALICE, BOB].map(
    (account) => `account ${account}
host 127.0.0.1
port ${pop3}
tls off
auth user
user ${account}
password ${PASSWORD}
delivery maildir ${dir}/pop/${account}
uidls_file ${dir}/pop/${account}.uidls
keep on

`,
  );
  const group = `Group all\nChannels ${ALICE} ${BOB}\n`;
  return { mbsyncrc: mbsync.join('') + group, mpoprc: mpop.join('') };
}

/** Runs mbsync. @returns how many messages came, went, changed their flags or vanished, on either side */
function sync(channel: string): number {
  const near = (): Map<string, string> =>
    new Map(
      listing(join(dir, 'near'))
        .filter((line) => !line.includes('.mbsyncstate') && !line.includes('.uidvalidity'))
        .map((line) => [line, line]),
    );
  const was = near();
  const out = execFileSync('mbsync', ['-V', '-c', join(dir, 'mbsyncrc'), channel], { encoding: 'utf8' });
  const is = near();
  const local =
    [...is.keys()].filter((line) => !was.has(line)).length +
    [...was.keys()].filter((line) => !is.has(line)).length;
  const moved = [...out.matchAll(/(?:^|\s)[+*#](\d+)/g)].reduce((sum, [, count]) => sum + Number(count), 0);
  return local + moved;
}

/** @returns how many messages mpop fetched */
function fetchPop3(account: string): number {
  const there = join(dir, 'pop', account, 'new');
  const was = readdirSync(there).length;
  execFileSync('mpop', ['-C', join(dir, 'mpoprc'), '-q', '--', account], { stdio: 'pipe' });
  return readdirSync(there).length - was;
}

function listing(path: string): string[] {
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .map((name) => {
      const stats = statSync(join(path, name));
      return `${name} ${stats.ino} ${stats.isFile() ? stats.size : ''}`;
    })
    .sort();
}
