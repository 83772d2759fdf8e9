import { mkdirSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/lib/clock.ts';
import { emlSource } from '../../src/transfer/eml.ts';
import { maildirSource } from '../../src/transfer/maildir/source.ts';
import type { MboxFormat } from '../../src/transfer/mbox/format.ts';
import { mboxSource } from '../../src/transfer/mbox/source.ts';
import type { Source } from '../../src/transfer/source.ts';
import { temporaryDirectory } from '../store/surroundings.ts';
import { type TransferWorld, transferWorld } from './world.ts';

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

const OLD = new Date(Date.UTC(2020, 0, 1));

function put(name: string, text: string): string {
  const path = join(files.path, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text, 'latin1');
  utimesSync(path, OLD, OLD);
  return path;
}

const mbox = (path: string, format: MboxFormat | null = null): Source =>
  mboxSource({ path, format, status: 'strip', name: null }, systemClock);
const FROM = 'From a@example.org Wed Jan  3 01:05:34 1996';
const one = (subject: string, fields = ''): string => `${FROM}\n${fields}Subject: ${subject}\n\nHello\n\n`;
const subjects = async (path: string): Promise<string[]> =>
  (await world.mail(path)).map(({ text }) => /^Subject: (.*)\r$/m.exec(text)?.[1] ?? '');

describe('mbox', () => {
  test('messages, flags and dates arrive in INBOX; a second run brings nothing', async () => {
    const path = put('box', one('a', 'Status: RO\nX-Status: F\nX-Keywords: work\n') + one('b'));
    expect(await world.import(mbox(path))).toMatchObject({ messages: 2, known: 0, failed: 0 });
    const date = Date.UTC(1996, 0, 3, 1, 5, 34);
    expect(await world.mail('INBOX')).toEqual([
      { text: 'Subject: a\r\n\r\nHello\r\n', flags: ['\\Flagged', '\\Seen', 'work'], date },
      { text: 'Subject: b\r\n\r\nHello\r\n', flags: [], date },
    ]);
    expect(await world.import(mbox(path))).toMatchObject({ messages: 0, known: 2 });
  });

  test('identical messages are as many as they are; what is new in a changed file comes', async () => {
    const path = put('box', one('twin') + one('a') + one('twin'));
    expect(await world.import(mbox(path))).toMatchObject({ messages: 3 });
    put('box', one('new') + one('twin', 'Status: RO\n') + one('twin') + one('twin'));
    expect(await world.import(mbox(path))).toMatchObject({ messages: 2, known: 2 });
    expect(await subjects('INBOX')).toEqual(['twin', 'a', 'twin', 'new', 'twin']);
    expect(await world.import(mbox(path), {}, { again: 'again' })).toMatchObject({ messages: 4, known: 0 });
  });

  test('elsewhere it is another import', async () => {
    const path = put('box', one('a'));
    await world.import(mbox(path));
    expect(await world.import(mbox(path), { into: 'Old/Mail' })).toMatchObject({ messages: 1 });
    expect(await subjects('Old/Mail')).toEqual(['a']);
    const account = await world.store.account('alice@example.org' as never);
    expect(await account.subscriptions()).toContain('Old/Mail');
  });

  test('stopped, and started again: each message once', async () => {
    const path = put('box', Array.from({ length: 1000 }, (_, i) => one(`n${i % 500}`)).join(''));
    let first = 0;
    const stop = new AbortController();
    await expect(
      world.import(
        mbox(path),
        {},
        {
          signal: stop.signal,
          onProgress: ({ messages }) => {
            first = messages;
            if (messages >= 300) stop.abort(new Error('stopped'));
          },
        },
      ),
    ).rejects.toThrow('stopped');
    expect(first).toBeGreaterThan(0);
    const { messages, known } = await world.import(mbox(path));
    expect(messages + known).toBe(1000);
    expect(messages).toBeLessThan(1000);
    expect(await subjects('INBOX')).toEqual(Array.from({ length: 1000 }, (_, i) => `n${i % 500}`));
    expect(readdirSync(join(world.dir, 'mail/example.org/alice/import')).sort()).toEqual([
      'lock',
      'state.sqlite',
    ]);
  });

  test('big messages, a dry run, deleted ones of Thunderbird, the internal one of Pine', async () => {
    const big = `${FROM}\nSubject: big\n\n${'0123456789abcde\n'.repeat(70_000)}\n`;
    const internal = `${FROM}\nFrom: Mail System\nSubject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: 1 2\n\nx\n\n`;
    const path = put('box', internal + big + one('gone', 'X-Mozilla-Status: 0009\n') + one('a'));
    expect(await world.import(mbox(path), { mode: 'dry-run' })).toMatchObject({ messages: 2, passed: 2 });
    expect(await world.mail('INBOX')).toEqual([]);
    expect(await world.import(mbox(path))).toMatchObject({ messages: 2, passed: 2 });
    const [first] = await world.mail('INBOX');
    expect(first?.text.length).toBe('Subject: big\r\n\r\n'.length + 17 * 70_000);
  });

  test('not an mbox, an empty one', async () => {
    await expect(world.import(mbox(put('text', 'Hello\n')))).rejects.toThrow('is not an mbox');
    expect(await world.import(mbox(put('none', '')))).toMatchObject({ messages: 0 });
  });

  test('a directory of Thunderbird: folders below folders, an empty one, other files', async () => {
    put('T/Inbox', one('in'));
    put('T/Inbox.msf', 'index');
    put('T/Work', one('w'));
    put('T/Work.sbd/A%2FB & C', one('c'));
    put('T/Empty', '');
    put('T/Empty.msf', 'index');
    put('T/notes.txt', 'Hello');
    const { places } = await world.import(mbox(join(files.path, 'T')));
    expect(places.map(({ mailbox, messages }) => [mailbox, messages])).toEqual([
      ['Empty', 0],
      ['INBOX', 1],
      ['Work', 1],
      ['Work/A_B & C', 1],
    ]);
  });

  test('over quota: it stops, says so, and goes on when there is room', async () => {
    const small = await transferWorld({ storage: null, messages: 120 });
    try {
      const path = put('box', Array.from({ length: 500 }, (_, i) => one(`n${i}`)).join(''));
      await expect(small.import(mbox(path), { into: 'Mail' })).rejects.toThrow(
        /quota.*run the same command again/,
      );
      const before = (await small.mail('Mail')).length;
      expect(before).toBe(120);
      expect(await small.import(mbox(path), { into: 'Mail', overQuota: 'ignore' })).toMatchObject({
        messages: 500 - before,
      });
      expect(await small.mail('Mail')).toHaveLength(500);
    } finally {
      await small.close();
    }
  });

  test('keywords beyond what a folder can have are dropped, the messages come', async () => {
    const path = put(
      'box',
      Array.from({ length: 40 }, (_, i) => one(`n${i}`, `X-Keywords: k${i} b(d\n`)).join(''),
    );
    expect(await world.import(mbox(path))).toMatchObject({ messages: 40, failed: 0 });
    const flags = (await world.mail('INBOX')).flatMap((message) => message.flags);
    expect(flags).toHaveLength(26);
  });

  test('the last message is waited for while another program holds the lock', async () => {
    const path = put('box', one('a') + FROM);
    writeFileSync(`${path}.lock`, '');
    setTimeout(() => {
      put('box', one('a') + one('b'));
      rmSync(`${path}.lock`);
    }, 300);
    await world.import(mbox(path));
    expect(await subjects('INBOX')).toEqual(['a', 'b']);
  });
});

describe('Maildir', () => {
  test('folders, flags, keywords, dates, subscriptions; a second run reads nothing', async () => {
    put('M/cur/1000.a.host,S=12:2,FSa', 'Subject: a\n\nA\n');
    put('M/new/1001.b.host', 'Subject: b\r\n\r\nB\r\n');
    put('M/dovecot-keywords', '0 work\n1 play\n');
    put('M/.Sent/cur/1.x:2,S', 'Subject: s\n\n');
    put('M/.A&AOQ-.Sub/new/1.y', 'Subject: y\n\n');
    put('M/.A&AOQ-.Sub/cur/.keep', '');
    put('M/subscriptions', 'V\t2\n\nSent\nA&AOQ-\tSub\n');
    const path = join(files.path, 'M');
    expect(await world.import(maildirSource({ path, name: null }))).toMatchObject({ messages: 4 });
    expect(await world.mail('INBOX')).toEqual([
      { text: 'Subject: a\r\n\r\nA\r\n', flags: ['\\Flagged', '\\Seen', 'work'], date: OLD.getTime() },
      { text: 'Subject: b\r\n\r\nB\r\n', flags: [], date: OLD.getTime() },
    ]);
    expect(await subjects('Sent')).toEqual(['s']);
    expect(await subjects('Aä/Sub')).toEqual(['y']);
    put('M/new/1002.c.host', 'Subject: c\n\n');
    expect(await world.import(maildirSource({ path, name: null }))).toMatchObject({ messages: 1, known: 4 });
    expect(await subjects('INBOX')).toEqual(['a', 'b', 'c']);
  });

  test('what is no Maildir is refused', async () => {
    await expect(world.import(maildirSource({ path: files.path, name: null }))).rejects.toThrow(
      'not a Maildir',
    );
  });
});

describe('eml', () => {
  test('one file, as it is; its date from Received', async () => {
    const received = 'Received: from a by b; Wed, 3 Jan 1996 01:05:34 +0100\n';
    const path = put('x.eml', `${received}Date: Tue, 2 Jan 1996 00:00:00 +0000\nSubject: x\n\nno end`);
    await world.import(emlSource({ path, name: null }), { into: 'Saved' });
    const [message] = await world.mail('Saved');
    expect(message?.text.endsWith('Subject: x\r\n\r\nno end')).toBe(true);
    expect(message?.date).toBe(Date.UTC(1996, 0, 3, 0, 5, 34));
  });

  test('directories, and Apple Mail', async () => {
    put('E/a.eml', 'Subject: a\n\n');
    put(
      'E/sub/b.emlx',
      '14\nSubject: b\n\nb\n<plist><key>flags</key>\n<integer>8590195713</integer></plist>',
    );
    expect(await world.import(emlSource({ path: join(files.path, 'E'), name: null }))).toMatchObject({
      messages: 2,
    });
    expect(await subjects('INBOX')).toEqual(['a']);
    expect(await world.mail('sub')).toMatchObject([{ text: 'Subject: b\r\n\r\nb\r\n', flags: ['\\Seen'] }]);
    expect(statSync(join(files.path, 'E/a.eml')).size).toBe(12);
  });
});
