import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AccountId } from '../../src/directory/directory.ts';
import { decodeModifiedUtf7, encodeModifiedUtf7 } from '../../src/mail/modified-utf7.ts';
import { accountDirectory } from '../../src/store/account-path.ts';
import { directoryOf, parsePath, pathOf } from '../../src/store/mailbox-path.ts';
import {
  composeBase,
  emailBits,
  parseBase,
  splitName,
  UniqueNames,
  withFields,
} from '../../src/store/maildir/file-name.ts';
import { bitsOfInfo, infoOf } from '../../src/store/maildir/flags.ts';
import { formatFolderFile, parseFolderFile } from '../../src/store/maildir/folder-file.ts';
import { bareLineFeeds, toCrlf } from '../../src/store/maildir/line-ends.ts';
import { normaliseRanges } from '../../src/store/maildir/message-row.ts';
import { storeOptions } from '../../src/store/options.ts';
import { type MailboxId, StoreError } from '../../src/store/store.ts';

describe('modified UTF-7', () => {
  test.each([
    ['~peter/mail/台北/日本語', '~peter/mail/&U,BTFw-/&ZeVnLIqe-'],
    ['Hello & bye', 'Hello &- bye'],
    ['Entwürfe', 'Entw&APw-rfe'],
    ['😀', '&2D3eAA-'],
  ])('%s (RFC 3501 5.1.3)', (text, encoded) => {
    expect(encodeModifiedUtf7(text)).toBe(encoded);
    expect(decodeModifiedUtf7(encoded)).toBe(text);
  });

  test.each(['&', '&A', '&AGE-', 'é', '&2D0-', '&AOkA-', '&*-', 'a\n'])('%j is none', (text) => {
    expect(decodeModifiedUtf7(text)).toBeUndefined();
  });

  test('what is encoded comes back', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        expect(decodeModifiedUtf7(encodeModifiedUtf7(text))).toBe(text);
      }),
    );
  });
});

describe('mailbox names', () => {
  test('any name is refused, or becomes one directory entry below the Maildir that means it again', () => {
    const part = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('..', '.', 'INBOX', 'inbox', '', 'cur', '&', 'a.b'),
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 6 }), (parts) => {
        let path: string;
        try {
          path = parsePath(parts.join('/'));
        } catch (error) {
          expect(error).toBeInstanceOf(StoreError);
          return;
        }
        const directory = directoryOf(path);
        if (path === 'INBOX') expect(directory).toBe('');
        else {
          expect(directory).toMatch(/^\.[\x20-\x2e\x30-\x7e]+$/);
          expect(directory).not.toMatch(/^\.\.|\.\.|\.$/);
          expect(directory.length).toBeLessThanOrEqual(255);
          expect(pathOf(directory)).toBe(path);
        }
      }),
    );
  });

  test.each(['..', '...', 'cur', '.', '.a..b', '.INBOX', '.inbox', '.a\n', '.a/b', '.%'])(
    'a directory %j is no folder',
    (directory) => expect(pathOf(directory)).toBeUndefined(),
  );

  test('a name that is only not quite modified UTF-7 is taken as it stands', () => {
    expect(pathOf('.Entwürfe')).toBe('Entwürfe');
    expect(pathOf('.A&B')).toBe('A&B');
    expect(pathOf('.&AC8-')).toBe('&AC8-');
  });
});

test('account directories: safe, readable, different for different accounts', () => {
  expect(accountDirectory('alice@example.org' as AccountId)).toBe('mail/example.org/alice');
  expect(accountDirectory('../..@../..' as AccountId)).toBe('mail/%2E.%2F../%2E.%2F..');
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 300 }), fc.string({ unit: 'binary' }), (a, b) => {
      fc.pre(a.isWellFormed() && b.isWellFormed());
      const [one, other] = [accountDirectory(a as AccountId), accountDirectory(b as AccountId)];
      expect(one.split('/')).toHaveLength(3);
      for (const part of one.split('/')) expect(part).toMatch(/^[A-Za-z0-9+=_%~-][A-Za-z0-9+=_%.~-]{0,200}$/);
      if (a !== b && a.includes('@') && b.includes('@')) expect(one).not.toBe(other);
    }),
  );
});

describe('file names', () => {
  const fields = { size: 10, crlfSize: 12, validity: 1_700_000_000, uid: 7, email: null };

  test('what is composed is parsed', () => {
    const names = new UniqueNames('mx.example.org', 42);
    const base = composeBase(names.next(1_700_000_000_123, 'k-1'), {
      ...fields,
      email: { high: 1, low: 0xffffffff },
    });
    expect(base).toMatch(
      /^1700000000\.M123001P42Qk-1\.mx\.example\.org,S=10,W=12,U=1700000000\.7,E=00000001ffffffff$/,
    );
    expect(parseBase(base)).toMatchObject({
      seconds: 1_700_000_000,
      key: 'k-1',
      size: 10,
      crlfSize: 12,
      uid: { validity: 1_700_000_000, uid: 7 },
      email: { high: 1, low: 0xffffffff },
    });
  });

  test('names of other programs keep what is theirs', () => {
    expect(withFields('1.2.host,X=1,S=5', fields)).toBe('1.2.host,X=1,S=10,W=12,U=1700000000.7');
    expect(splitName('a:b:2,FS')).toEqual({ base: 'a:b', info: 'FS' });
    expect(splitName('a:1,x')).toEqual({ base: 'a:1,x', info: null });
    expect(parseBase('1.M1P1Qx/../y.h,U=1,S=-1,W=x')).toMatchObject({
      key: null,
      uid: null,
      size: null,
      crlfSize: null,
    });
  });

  test('no two names are the same, and hosts cannot break them', () => {
    const names = new UniqueNames('a/b:c,d\n'.repeat(30), 1);
    const made = Array.from({ length: 5000 }, () => names.next(1000));
    expect(new Set(made).size).toBe(5000);
    for (const name of made.slice(0, 10)) expect(name).toMatch(/^[\w.]+$/);
    expect(emailBits('a')).not.toEqual(emailBits('b'));
  });

  test('letters: what is written is read, others stay', () => {
    const keywords = Array.from({ length: 26 }, (_, i) => (i % 3 === 0 ? `k${i}` : ''));
    const known = keywords.reduce((bits, keyword, i) => (keyword ? bits | (1 << (5 + i)) : bits), 31);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 31 - 1 }), fc.string({ maxLength: 5 }), (bits, before) => {
        const info = infoOf(bits & known, keywords, before.replace(/[SRFTDa-z]/g, ''));
        expect(bitsOfInfo(info, keywords)).toBe(bits & known);
        expect([...info].sort().join('')).toBe(info);
      }),
    );
    expect(infoOf(1, keywords, 'PbT')).toBe('PSb');
  });
});

describe('the folder file', () => {
  const file = {
    mailbox: 'M1' as MailboxId,
    uidValidity: 5,
    uidMark: 1001,
    modSeqMark: 77,
    use: 'sent' as const,
    keywords: Array.from({ length: 26 }, (_, i) => (i === 2 ? '$MDNSent' : '')),
    lastUidValidity: 9,
  };

  test('comes back as it was', () => {
    expect(parseFolderFile(formatFolderFile(file))).toEqual(file);
    expect(formatFolderFile(file)).toContain('\nkeyword c $MDNSent\n');
  });

  test('cut anywhere it is damaged, never half believed', () => {
    const text = formatFolderFile(file);
    for (let length = 0; length < text.length - 1; length++)
      expect(parseFolderFile(text.slice(0, length))).toBeUndefined();
  });
});

test('line ends: each bare LF gets its CR, wherever the chunks are cut', () => {
  const text = fc.stringMatching(/^[a\r\n]{0,40}$/);
  fc.assert(
    fc.property(text, fc.nat({ max: 40 }), (value, cut) => {
      const bytes = Buffer.from(value);
      const first = bytes.subarray(0, cut);
      const second = bytes.subarray(cut);
      const whole = Buffer.from(toCrlf(bytes, 0)).toString();
      const parts = Buffer.concat([toCrlf(first, 0), toCrlf(second, first.at(-1) ?? 0)]).toString();
      expect(whole).toBe(value.replace(/(?<!\r)\n/g, '\r\n'));
      expect(parts).toBe(whole);
      expect(bareLineFeeds(Buffer.from(whole), 0)).toBe(0);
      expect(bytes.length + bareLineFeeds(bytes, 0)).toBe(whole.length);
    }),
  );
});

test('ranges ascend and do not touch (RFC 9051 9: seq-range)', () => {
  expect(
    normaliseRanges(
      [
        { first: 9, last: '*' },
        { first: 1, last: 2 },
        { first: 3, last: 3 },
        { first: 20, last: 12 },
      ],
      15,
    ),
  ).toEqual([
    { first: 1, last: 3 },
    { first: 9, last: 20 },
  ]);
});

test('settings have defaults, and refuse what they do not know', () => {
  expect(storeOptions.parse({}).defaultFolders.map(({ use }) => use)).toEqual([
    'drafts',
    'sent',
    'junk',
    'trash',
    'archive',
  ]);
  expect(storeOptions.safeParse({ defaultFolder: [] }).success).toBe(false);
  expect(storeOptions.safeParse({ defaultFolders: [{ name: 'x', use: 'spam' }] }).success).toBe(false);
  expect(storeOptions.parse({ rememberKeys: '3d' }).rememberKeys).toBe(3 * 86_400_000);
});
