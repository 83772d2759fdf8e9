import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/lib/clock.ts';
import type { MailboxId, Uid } from '../../src/store/store.ts';
import { chosenFolders, type ExportSummary } from '../../src/transfer/export-mail.ts';
import { exportMaildir } from '../../src/transfer/maildir/export.ts';
import { maildirSource } from '../../src/transfer/maildir/source.ts';
import { exportMbox } from '../../src/transfer/mbox/export.ts';
import { MBOX_FORMATS, type MboxFormat } from '../../src/transfer/mbox/format.ts';
import { mboxSource } from '../../src/transfer/mbox/source.ts';
import { asRead, corpusMessages, haveCorpus } from '../corpus.ts';
import { alice, bytesOf, temporaryDirectory } from '../store/surroundings.ts';
import { type Kept, type TransferWorld, transferWorld } from './world.ts';

let world: TransferWorld;
let files: { path: string; remove(): void };
beforeEach(async () => {
  world = await transferWorld();
  files = temporaryDirectory();
});
afterEach(async () => {
  await world.close();
  files.remove();
});

const DATE = Date.UTC(2001, 1, 3, 4, 5, 6);
let serial = 0;

async function put(mailbox: string, text: string, flags: readonly string[] = []): Promise<Uid> {
  const account = await world.store.account(alice);
  if (!(await account.mailbox(mailbox))) await account.create(mailbox);
  const { uid } = await world.store.deliver({
    account: alice,
    mailbox,
    key: `x${serial++}`,
    flags,
    internalDate: DATE,
    content: [Buffer.from(text, 'latin1')],
  });
  return uid;
}

const parts = (): Parameters<typeof exportMbox>[2] => ({
  account: world.account,
  signal: new AbortController().signal,
  onProgress: () => {},
});

async function toMbox(
  name: string,
  format: MboxFormat,
  folders: readonly string[] = [],
): Promise<ExportSummary> {
  const destination = join(files.path, name);
  const layout = folders.length === 1 ? 'file' : 'directory';
  return exportMbox(await chosenFolders(world.account, folders), { destination, layout, format }, parts());
}

async function toMaildir(name: string, lineEnds: 'crlf' | 'lf' = 'crlf'): Promise<ExportSummary> {
  const places = await chosenFolders(world.account, []);
  return exportMaildir(places, { destination: join(files.path, name), layout: 'tree', lineEnds }, parts());
}

const fromMbox = (name: string, format: MboxFormat | null): ReturnType<typeof mboxSource> =>
  mboxSource({ path: join(files.path, name), format, status: 'strip', name: null }, systemClock);

describe('mbox', () => {
  test('folders in a directory, and back: names, flags, dates', async () => {
    await put('INBOX', 'Subject: a\r\n\r\nFrom here\r\n', ['\\Seen', 'work']);
    await put('Work', 'Subject: w\r\n\r\n', []);
    await put('Work/.sub.sbd/a&b', 'Subject: s\r\n\r\nx\r\n', ['\\Flagged']);
    const { messages, places } = await toMbox('out', 'mboxrd');
    expect(messages).toBe(3);
    expect(places.map(({ file }) => file.slice(files.path.length + 1))).toContain(
      'out/Work.sbd/%2Esub%2Esbd.sbd/a%26b',
    );
    const other = await transferWorld();
    try {
      await other.import(fromMbox('out', null));
      for (const path of ['INBOX', 'Work', 'Work/.sub.sbd/a&b'])
        expect(await other.mail(path)).toEqual(await world.mail(path));
    } finally {
      await other.close();
    }
  });

  test('an mbox is replaced when the new one is complete; anything else never', async () => {
    await put('INBOX', 'Subject: a\r\n\r\nx\r\n');
    await toMbox('box', 'mboxrd', ['INBOX']);
    const before = readFileSync(join(files.path, 'box'), 'latin1');
    expect(before).toBe('From MAILER-DAEMON Sat Feb  3 04:05:06 2001\nStatus: O\nSubject: a\n\nx\n\n');
    const abort = new AbortController();
    abort.abort(new Error('stopped'));
    const places = await chosenFolders(world.account, ['inbox']);
    const wish = { destination: join(files.path, 'box'), layout: 'file', format: 'mboxcl2' } as const;
    await expect(exportMbox(places, wish, { ...parts(), signal: abort.signal })).rejects.toThrow('stopped');
    expect(readFileSync(join(files.path, 'box'), 'latin1')).toBe(before);
    expect(readdirSync(files.path)).toEqual(['box']);
    await put('INBOX', 'Return-Path: <bob@example.net>\r\nSubject: b\r\n\r\ny\r\n');
    await toMbox('box', 'mboxrd', ['INBOX']);
    expect(readFileSync(join(files.path, 'box'), 'latin1')).toMatch(
      /^From MAILER-DAEMON .*\nFrom bob@example\.net /s,
    );
    writeFileSync(join(files.path, 'text'), 'Hello\n');
    await expect(toMbox('text', 'mboxrd', ['INBOX'])).rejects.toThrow('not an mbox: it is not replaced');
    await expect(toMbox('x', 'mboxrd', ['Nowhere'])).rejects.toThrow('no folder "Nowhere"');
  });
});

describe('Maildir', () => {
  test('and back: folders, flags, keywords, dates, subscriptions', async () => {
    await put('INBOX', 'Subject: a\r\n\r\nx\r\n', ['\\Seen', '\\Answered', 'work', '$Forwarded']);
    await put('INBOX', 'Subject: b\r\n\r\nx\r\n');
    await put('Ä/b.c', 'Subject: c\r\n\r\nx\r\n', ['play']);
    expect(await toMaildir('M')).toMatchObject({ messages: 3 });
    expect(existsSync(join(files.path, 'M/.&AMQ-.b&AC4-c/cur'))).toBe(true);
    const other = await transferWorld();
    try {
      await other.import(maildirSource({ path: join(files.path, 'M'), name: null }));
      for (const path of ['INBOX', 'Ä/b.c'])
        expect(sorted(await other.mail(path))).toEqual(sorted(await world.mail(path)));
      expect(await other.account.subscriptions()).toEqual(await world.account.subscriptions());
    } finally {
      await other.close();
    }
  });

  test('again: what is new, and other flags; what was left over goes', async () => {
    const uid = await put('INBOX', 'Subject: a\r\n\r\nx\r\n');
    await toMaildir('M', 'lf');
    const [name = ''] = readdirSync(join(files.path, 'M/new'));
    expect(readFileSync(join(files.path, 'M/new', name), 'latin1')).toBe('Subject: a\n\nx\n');
    expect(statSync(join(files.path, 'M/new', name)).mtimeMs).toBe(DATE);
    writeFileSync(join(files.path, 'M/tmp', `${name.split(',')[0]},S=1`), 'torn');
    const account = await world.store.account(alice);
    const inbox = (await account.mailbox('INBOX'))?.id as MailboxId;
    await account.setFlags(inbox, [uid], { mode: 'set', flags: ['\\Flagged'] });
    await put('INBOX', 'Subject: b\r\n\r\nx\r\n');
    expect(await toMaildir('M', 'lf')).toMatchObject({ messages: 1, known: 1 });
    expect(readdirSync(join(files.path, 'M/cur'))).toEqual([`${name}:2,F`]);
    expect(readdirSync(join(files.path, 'M/tmp'))).toEqual([]);
    mkdirSync(join(files.path, 'other'));
    writeFileSync(join(files.path, 'other/file'), '');
    await expect(toMaildir('other')).rejects.toThrow('not a Maildir');
  });
});

describe.skipIf(!haveCorpus)('real mail', () => {
  const texts = (kept: readonly Kept[]): string[] => kept.map(({ text }) => text).sort();

  test('goes out and comes in again, octet for octet', async () => {
    const account = await world.store.account(alice);
    const inbox = (await account.mailbox('INBOX'))?.id as MailboxId;
    let count = 0;
    const written: Promise<unknown>[] = [];
    for (const { bytes } of corpusMessages().filter((_, at) => at % 25 === 0)) {
      written.push(put('INBOX', asRead(bytes).toString('latin1')));
      count++;
    }
    await Promise.all(written);
    expect((await account.mailbox('INBOX'))?.total).toBe(count);
    const wanted = texts(await world.mail('INBOX'));
    for (const format of MBOX_FORMATS.filter((name) => name !== 'mboxo')) {
      await toMbox(format, format, ['INBOX']);
      const other = await transferWorld();
      try {
        expect(await other.import(fromMbox(format, format))).toMatchObject({ messages: count, failed: 0 });
        const found = texts(await other.mail('INBOX'));
        expect(found).toEqual(wanted.map((text) => inMbox(text, format)).sort());
      } finally {
        await other.close();
      }
    }
    await toMaildir('maildir');
    const other = await transferWorld();
    try {
      await other.import(maildirSource({ path: join(files.path, 'maildir'), name: null }));
      expect(texts(await other.mail('INBOX'))).toEqual(wanted);
    } finally {
      await other.close();
    }
    expect((await bytesOf(await account.raw(inbox, 1 as Uid))).length).toBeGreaterThan(0);
  }, 60_000);
});

/** Only a length says that the last line of a body has no end. */
function inMbox(text: string, format: MboxFormat): string {
  const hasEnd = text.endsWith('\n') || (format !== 'mboxrd' && /(?:^|\n)\r?\n/.test(text));
  return hasEnd ? text : `${text}\r\n`;
}

function sorted(kept: readonly Kept[]): Kept[] {
  return [...kept].sort((a, b) => (a.text < b.text ? -1 : 1));
}
