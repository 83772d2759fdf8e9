import { appendFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { ImapFlow } from 'imapflow';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { run } from '../../src/cli/run.ts';
import type { AccountId } from '../../src/directory/directory.ts';
import { FileScriptStore } from '../../src/store/script-store.ts';
import { imapClient, startWorld, type World } from '../world.ts';

/** `facteur sieve`, beside a running server: the mail of an account as it is before and after. */

const ALICE = 'alice@example.org' as AccountId;
const DAY = 86_400_000;

let world: World;
let alice: ImapFlow;
let dir: string;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'facteur-sieve-'));
  world = await startWorld({ accounts: { [ALICE]: 'wonderland' } });
  writeFileSync(
    join(dir, 'facteur.yaml'),
    `hostname: mx.example.org\ndataDir: ${join(world.dir, 'data')}\nlisteners:\n  smtp: [{ port: 2525 }]\n`,
  );
  alice = await imapClient(world, ALICE, 'wonderland');
});

afterAll(async () => {
  await alice?.logout();
  await world?.close();
  rmSync(dir, { recursive: true, force: true });
});

async function facteur(...words: string[]): Promise<{ code: number; out: string; err: string }> {
  let out = '';
  let err = '';
  const code = await run(['--config', join(dir, 'facteur.yaml'), 'sieve', ...words], {
    out(text) {
      out += text;
    },
    err(text) {
      err += text;
    },
    stdin: Readable.from([]),
    isTTY: false,
  });
  return { code, out, err };
}

function file(name: string, text: string): string {
  const path = join(dir, name);
  mkdirSync(dir, { recursive: true });
  writeFileSync(path, text);
  return path;
}

const SORT =
  'require ["fileinto", "imap4flags", "mailbox", "copy", "vacation"];\n' +
  'if header :contains "subject" "bill" { fileinto :create :flags "\\\\Flagged" "Bills/2026"; stop; }\n' +
  'if header :contains "subject" "both" { fileinto :copy "Archive"; }\n' +
  'if header :contains "subject" "rubbish" { discard; stop; }\n' +
  'if header :contains "subject" "mark" { addflag "$marked"; keep; stop; }\n' +
  'vacation "Away";\n';

async function append(subject: string, days = 1, mailbox = 'INBOX', flags: string[] = []): Promise<void> {
  const text =
    'Return-Path: <friend@example.net>\r\nReceived: by mx.example.org for <alice+x@example.org>; now\r\n' +
    `From: =?utf-8?q?J=C3=B8rn?= <friend@example.net>\r\nTo: alice@example.org\r\nSubject: ${subject}\r\n\r\nHello\r\n`;
  await alice.append(mailbox, text, flags, new Date(Date.now() - days * DAY));
}

/** Subjects and flags of all mailboxes that have any. */
async function everything(): Promise<Record<string, string[]>> {
  const all: Record<string, string[]> = {};
  for (const { path } of await alice.list()) {
    const lock = await alice.getMailboxLock(path);
    try {
      await alice.noop();
      const found: string[] = [];
      if (alice.mailbox && alice.mailbox.exists > 0)
        for await (const { envelope, flags, internalDate } of alice.fetch('1:*', {
          envelope: true,
          flags: true,
          internalDate: true,
        })) {
          const marks = [...(flags ?? [])].filter((flag) => flag !== '\\Recent').sort();
          found.push([envelope?.subject, ...marks, new Date(internalDate ?? 0).toISOString()].join(' '));
        }
      all[path] = found.sort();
    } finally {
      lock.release();
    }
  }
  return all;
}

beforeEach(async () => {
  for (const { path } of await alice.list()) {
    if (path.startsWith('Bills')) continue;
    const lock = await alice.getMailboxLock(path);
    await alice.messageDelete('1:*');
    lock.release();
  }
});

test('check: what is wrong, each with its place, and what is only odd', async () => {
  const good = file('good.sieve', SORT);
  const bad = file('bad.sieve', 'require "fileinto";\nif header :is "a" { keep; }\nfileintoo "x";\n');
  expect(await facteur('check', good)).toEqual({ code: 0, out: `${good}: no mistakes\n`, err: '' });
  const { code, out, err } = await facteur('check', good, bad);
  expect({ code, out }).toEqual({ code: 1, out: `${good}: no mistakes\n` });
  expect(err).toBe(
    `${bad}:2:4: header takes 2 arguments, not 1\n${bad}:3:1: there is no command fileintoo\n`,
  );
  const json = JSON.parse((await facteur('check', '--json', bad)).out);
  expect(json).toMatchObject({
    type: 'errors',
    errors: [
      { line: 2, column: 4 },
      { line: 3, column: 1 },
    ],
  });
});

test('run: each test with its values, each action, and what comes of it', async () => {
  const script = file(
    'run.sieve',
    'require ["variables", "fileinto"];\n' +
      `if header :matches "subject" "* bill" {\n  set "who" "\${1}";\n  fileinto "Bills";\n} else {\n  keep;\n}\n`,
  );
  const message = file('m.eml', 'From: a@example.net\nSubject: my bill\n\nHello\n');
  const { code, out } = await facteur('run', script, message);
  expect(code).toBe(0);
  expect(out).toBe(
    'line    2 if\nline    2 header ["my bill"] with ["* bill"]: true\nline    3 set\n          who = "my"\n' +
      'line    4 fileinto\n          -> fileinto "Bills"\nline    5 else\n\nstored in Bills\n',
  );
  const inAccount = await facteur('run', '--account', ALICE, script, message);
  expect(inAccount.out).toMatch(/failed to store into mailbox 'Bills': it does not exist, kept in INBOX\n$/);
});

test('run: envelope and run-time errors', async () => {
  const script = file(
    'env.sieve',
    'require ["envelope", "subaddress", "include", "fileinto"];\n' +
      'if envelope :detail "to" "lists" { fileinto "Lists"; } include "missing";\n',
  );
  const message = file('m.eml', 'From: a@example.net\n\n');
  const { code, out, err } = await facteur('run', '--to', 'alice+lists@example.org', script, message);
  expect(out).toContain('envelope ["lists"] with ["lists"]: true');
  expect(err).toMatch(/could not go on: line 2, column 56: there is no personal script/);
  expect(out).toMatch(/\nkept in INBOX\n$/);
  expect(code).toBe(1);
});

test('rehearse: what differs from the active script, and how often each thing happens', async () => {
  const scripts = new FileScriptStore(join(world.dir, 'data'), {
    maxSize: 1e6,
    maxScripts: 9,
    maxTotal: 1e7,
  });
  await scripts.put(ALICE, 'main', Buffer.from('if header :contains "subject" "rubbish" { discard; }'));
  await scripts.activate(ALICE, 'main');
  await append('a bill');
  await append('rubbish', 2);
  await append('old bill', 91);
  await append('sent bill', 1, 'Sent');
  const { code, out } = await facteur('rehearse', '--account', ALICE, file('sort.sieve', SORT));
  expect(code).toBe(0);
  expect(out.replace(/^\d{4}-\d\d-\d\d \d\d:\d\d/gm, 'DATE').replace(/in \d+\.\d s/, 'in N s')).toBe(
    'DATE  Jørn <friend@example.net>  a bill  (INBOX)\n' +
      '    - kept in INBOX\n' +
      '    + stored in Bills/2026 (which would be made), \\Flagged\n' +
      `\n"${join(dir, 'sort.sieve')}", on 2 messages in N s:\n` +
      '        1  stored in Bills/2026 (which would be made), \\Flagged\n' +
      '        1  not stored anywhere\n' +
      '1 of them differently from the active script (-)\n',
  );
  const all = await facteur('rehearse', '--account', ALICE, '--days', '100', '--all', 'main');
  expect(all.out.match(/\(INBOX\)$/gm)).toHaveLength(3);
  expect(all.out).toContain('0 of them differently');
  await scripts.activate(ALICE, null);
  expect((await everything())['INBOX']).toHaveLength(3);
});

test('rehearse: vacation answers once, detail of the address, duplicates', async () => {
  await append('one');
  await append('two');
  const script = file(
    'once.sieve',
    'require ["vacation", "envelope", "subaddress", "fileinto", "duplicate"];\n' +
      'vacation "Away"; if envelope :detail "to" "x" { fileinto "INBOX"; } if duplicate :uniqueid "same" { stop; }\n',
  );
  const { out } = await facteur('rehearse', '--account', ALICE, '--json', script);
  const done = JSON.parse(out.trim().split('\n').at(-1) ?? '');
  expect(done).toMatchObject({ messages: 2, counts: { 'stored in INBOX': 2, 'vacation answer': 1 } });
});

test('--apply files what is there, --undo takes it back exactly', async () => {
  await append('first bill', 3, 'INBOX', ['\\Seen']);
  await append('second bill', 2, 'INBOX', ['\\Flagged', '$mine']);
  await append('both');
  await append('rubbish');
  await append('mark me');
  await append('letter');
  await append('another bill', 1, 'Junk');
  const before = await everything();
  const script = file('sort.sieve', SORT);
  const applied = await facteur('rehearse', '--account', ALICE, script, '--apply');
  expect(applied.out).toContain('Filed: 2 moved, 1 copied, 2 flagged, mailboxes made: Bills, Bills/2026.\n');
  const after = await everything();
  const subjects = (mailbox: string): string[] =>
    (after[mailbox] ?? []).map((line) => line.replace(/ \S+T\S+Z$/, ''));
  expect(subjects('Bills/2026')).toEqual(['first bill \\Flagged \\Seen', 'second bill $mine \\Flagged']);
  expect(subjects('INBOX')).toEqual(['both', 'letter', 'mark me $marked', 'rubbish']);
  expect(subjects('Archive')).toEqual(['both']);
  expect(subjects('Junk')).toEqual(['another bill']);

  const undone = await facteur('rehearse', '--account', ALICE, '--undo');
  expect(undone.out).toBe(
    '2 messages moved back, 1 copies removed, flags of 2 taken away\n' +
      'mailbox Bills/2026 deleted, which was made for it and is empty\n' +
      'mailbox Bills deleted, which was made for it and is empty\n',
  );
  expect(await everything()).toEqual(before);
  const again = await facteur('rehearse', '--account', ALICE, '--undo');
  expect(again).toMatchObject({ code: 1, err: 'facteur: there is nothing to undo\n' });
});

test('what was moved elsewhere since is left alone', async () => {
  await append('one bill');
  await append('two bill');
  await facteur('rehearse', '--account', ALICE, file('sort.sieve', SORT), '--apply');
  const lock = await alice.getMailboxLock('Bills/2026');
  await alice.messageMove('1', 'Archive');
  lock.release();
  const { out } = await facteur('rehearse', '--account', ALICE, '--undo');
  expect(out).toContain('1 messages moved back');
  expect(out).toContain('1 messages are not any more where they were put, and were left alone\n');
  expect((await everything())['Archive']).toHaveLength(1);
});

test('a filing whose last line was cut by a crash can be taken back', async () => {
  const subjects = ['one bill', 'both', 'mark me'];
  for (const subject of subjects) await append(subject);
  const before = await everything();
  await facteur('rehearse', '--account', ALICE, file('sort.sieve', SORT), '--apply');
  const filings = join(world.dir, 'data/mail/example.org/alice/filing');
  const journal = readdirSync(filings).find((name) => name.endsWith('.jsonl'));
  expect(journal).toBeDefined();
  // As if the machine had stopped behind the last line, before it was acted upon.
  const step = { step: 'move', from: 'x', to: 'y', after: 0, uids: [], emailIds: [] };
  const cut = JSON.stringify(step).slice(0, 20);
  appendFileSync(join(filings, journal ?? ''), cut);
  expect((await facteur('rehearse', '--account', ALICE, '--undo')).code).toBe(0);
  expect(await everything()).toEqual(before);
});

test('arguments that do not go together', async () => {
  for (const words of [
    [],
    ['frobnicate'],
    ['check'],
    ['check', '--account', ALICE, 'x'],
    ['run', 'x'],
    ['rehearse', 'x'],
    ['rehearse', '--account', ALICE, '--undo', 'x'],
    ['rehearse', '--account', ALICE, '--undo', '--apply'],
    ['rehearse', '--account', ALICE, '--days', 'many', 'x'],
  ])
    expect((await facteur(...words)).code, words.join(' ')).toBe(2);
  expect(await facteur('rehearse', '--account', ALICE, 'no-such-file')).toMatchObject({
    code: 1,
    err: 'facteur: there is no no-such-file\n',
  });
  expect((await facteur('rehearse', '--account', 'bob@example.org', 'x')).err).toContain(
    'there is no account bob@example.org',
  );
});
