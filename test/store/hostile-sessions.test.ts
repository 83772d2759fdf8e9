import { appendFileSync, mkdirSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { decodeModifiedUtf7, encodeModifiedUtf7 } from '../../src/mail/modified-utf7.ts';
import { StrictImap } from '../strict-imap.ts';
import { eventually, startWorld, type World } from '../world.ts';

/** What enemies do by IMAP, and under the hands of sessions that are open. */

const ALICE = 'alice@example.org';
const PASSWORD = 'wonder Land.1';
let world: World;
let client: StrictImap;
const maildir = (...parts: string[]): string =>
  join(world.dir, 'data/mail/example.org/alice/Maildir', ...parts);

beforeAll(async () => {
  world = await startWorld({ accounts: { [ALICE]: PASSWORD } });
}, 60_000);
afterAll(() => world?.close());
beforeEach(async () => {
  client = await StrictImap.login(world.port('imaps'), ALICE, PASSWORD);
});
afterEach(() => client.close());

test.each([
  ['small', 10],
  ['big', 100_000],
])(
  'a message (%s) that is changed on disk: the session goes on, and gets it as it is now',
  async (size, lines) => {
    await client.ok(`CREATE ${size}`);
    const text = (eol: string): string => `Subject: x${eol}${eol}${`A line.${eol}`.repeat(lines)}`;
    for (const eol of ['\r\n', '\n'])
      for (const name of ['a', 'b', 'c'])
        writeFileSync(maildir(`.${size}/new`, `1.${name}${eol.length}`), text(eol));
    await client.ok(`SELECT ${size}`);
    await client.ok('FETCH 1:* (BODYSTRUCTURE ENVELOPE RFC822.SIZE BODY.PEEK[1])');
    const cur = await eventually('names', () => {
      const names = readdirSync(maildir(`.${size}/cur`));
      return names.length === 6 ? names : undefined;
    });
    for (const name of cur) {
      const path = maildir(`.${size}/cur`, name);
      if (name.startsWith('1.a')) appendFileSync(path, 'more\r\n');
      else if (name.startsWith('1.b')) truncateSync(path, 30);
      else rmSync(path);
    }
    for (let number = 1; number <= 6; number++) {
      // The first look may find that it changed.
      await client.ask(`FETCH ${number} (RFC822.SIZE BODY.PEEK[])`);
      await client.ask(`FETCH ${number} BODY.PEEK[TEXT]<5.20>`);
    }
    await client.ok('NOOP');
    const { untagged } = await client.ok('FETCH 1:* (RFC822.SIZE BODYSTRUCTURE BODY.PEEK[])');
    const found = untagged.filter((line) => /^\* \d+ FETCH/.test(line.toString('latin1', 0, 20)));
    expect(found).toHaveLength(4);
    await client.ok('SEARCH TEXT more');
  },
  60_000,
);

/** Anything a client may say in a name: bytes of UTF-8 between quotes, wildcards and our own files' names. */
const part = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 8 }),
  fc.constantFrom(
    '..',
    '.',
    '',
    ' ',
    'a ',
    ' a',
    'cur',
    'new',
    'tmp',
    'facteur-uid',
    '.facteur-new-x',
    '..facteur-gone-x',
    'subscriptions',
    'facteur-rename',
    'index.sqlite',
    'INBOX',
    'Inbox',
    'inbox.x',
    'é',
    'é',
    'Å',
    'Å',
    'ﬁ',
    'İ',
    '&',
    '&-',
    '&AOk-',
    '&AC8-',
    '&AC4-',
    'a.b',
    'a/b',
    '~',
    '~root',
    '*',
    '%',
    '\\',
    '😀',
    'x'.repeat(300),
    'é'.repeat(80),
    '-',
    '\u202e',
    '\u200b',
    '\u0000',
    '\u0001',
    '\u007f',
    '\ufeff',
    '\ud800',
  ),
);
const path = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));

test('names of any kind: one that is taken is listed as itself, and everything stays in its tree', async () => {
  /** What was removed may go while we look. */
  const below = (directory: string): string[] => {
    try {
      return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
        const path = `${directory}/${entry.name}`;
        return entry.isDirectory() ? [path, ...below(path)] : [path];
      });
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
      throw error;
    }
  };
  const outside = (): string[] =>
    below(world.dir)
      .map((path) => path.slice(world.dir.length + 1))
      .filter(
        (name) =>
          !name.startsWith('data/mail/example.org/alice/Maildir/.') && !/sqlite|queue|spool|tls/.test(name),
      )
      .sort();
  await client.ok('CREATE seed');
  const before = outside();
  const names = new Set<string>();
  const quoted = (name: string): string =>
    `"${Buffer.from(name).toString('latin1').replace(/["\\]/g, '\\$&')}"`;
  await client.ok('ENABLE IMAP4rev2');
  const listed = async (): Promise<string[]> => {
    const { untagged } = await client.ok('LIST "" "*"');
    return untagged.map((line) => {
      const text = line.toString('utf8');
      const match =
        /^\* LIST \([^)]*\) "\/" (?:"((?:[^"\\]|\\.)*)"|\{\d+\}\r\n(.*)|([^ "]+))(?: \(.*\))?$/s.exec(text);
      if (!match) throw new Error(text);
      return match[1]?.replace(/\\(.)/g, '$1') ?? match[2] ?? match[3] ?? '';
    });
  };
  const first = new Set(await listed());
  await fc.assert(
    fc.asyncProperty(path, path, async (name, other) => {
      fc.pre(!/[\0\r\n]/.test(name + other));
      const created = await client.ask(`CREATE ${quoted(name)}`);
      await client.ask(`SUBSCRIBE ${quoted(name)}`);
      if (created.status === 'OK') {
        const trimmed = name.replace(/\/$/, '');
        const canonical = trimmed.normalize('NFC').replace(/^inbox(?=\/|$)/i, 'INBOX');
        expect(await listed()).toContain(canonical);
        expect((await client.ask(`CREATE ${quoted(name)}`)).status).toBe('NO');
        expect((await client.ask(`CREATE ${quoted(name.normalize('NFD'))}`)).status).toBe('NO');
        expect((await client.ask(`STATUS ${quoted(trimmed)} (UIDNEXT)`)).status).toBe('OK');
        const renamed = await client.ask(`RENAME ${quoted(trimmed)} ${quoted(other)}`);
        const at = renamed.status === 'OK' ? other.replace(/\/$/, '').normalize('NFC') : canonical;
        names.add(at);
        expect((await client.ask(`STATUS ${quoted(at)} (UIDNEXT)`)).status).toBe('OK');
      }
    }),
    { numRuns: 50 },
  );
  expect(names.size).toBeGreaterThan(5);
  // A LIST and the disk know the same names after a restart too.
  const all = await listed();
  expect(new Set(all).size).toBe(all.length);
  for (const name of all) {
    if (first.has(name)) continue;
    const { status, text } = await client.ask(`DELETE ${quoted(name)}`);
    expect(status === 'OK' || /NONEXISTENT|CANNOT|children/i.test(text), `${name}: ${text}`).toBe(true);
  }
  expect(outside()).toEqual(before);
}, 60_000);

test('directories made by hand: what can be named is listed once and can be selected', async () => {
  await client.ok('ENABLE IMAP4rev2');
  const taken = [
    '.Entw&APw-rfe',
    '.&APw-',
    '.Twin',
    '.TWIN',
    '.a.b',
    '.&AGEAYg-',
    '.INBOX',
    '.inbox',
    '.INBOX.x',
    '.a&AC4-b',
    '.q&-r',
    '. lead',
    '.trail ',
    '.%',
    '.*',
    '...',
    '.a..b',
    '.a.',
    `.${'x'.repeat(254)}`,
    '.&2D0-',
    '.tab\there',
    '.&AC8-',
  ];
  for (const name of taken) mkdirSync(maildir(name, 'cur'), { recursive: true });
  mkdirSync(Buffer.concat([Buffer.from(maildir('.latin1-')), Buffer.from([0xe9]), Buffer.from('/cur')]), {
    recursive: true,
  });
  await new Promise((resolve) => setTimeout(resolve, 1100));
  const { untagged } = await client.ok('LIST "" "*"');
  const names = untagged.map((line) => line.toString('utf8'));
  expect(new Set(names).size).toBe(names.length);
  for (const name of ['Entwürfe', 'Twin', 'TWIN', 'INBOX/x', 'a/b', 'q&r'])
    expect(
      names.filter((line) => line.includes(`"/" ${name}`) || line.includes(`"/" "${name}"`)).length,
      name,
    ).toBe(1);
  for (const name of ['Entwürfe', 'Twin', 'TWIN', 'INBOX/x', 'a/b', 'q&r']) {
    const { status, text } = await client.ask(`SELECT "${Buffer.from(name).toString('latin1')}"`);
    expect(status, `${name} ${text}`).toBe('OK');
  }
  expect(decodeModifiedUtf7(encodeModifiedUtf7('é'))).toBe('é');
}, 60_000);
