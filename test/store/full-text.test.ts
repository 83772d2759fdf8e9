import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { fold } from '../../src/message/fold.ts';
import { summarise } from '../../src/message/summary.ts';
import { bodyText, fieldTexts, includesText, messageText } from '../../src/message/text.ts';
import type { MaildirAccount } from '../../src/store/maildir/account.ts';
import { searchAll } from '../../src/store/maildir/arrange.ts';
import { copying } from '../../src/store/maildir/copy.ts';
import { deliverAll } from '../../src/store/maildir/deliver.ts';
import { expunge } from '../../src/store/maildir/expunge.ts';
import { setFlags } from '../../src/store/maildir/set-flags.ts';
import { finish } from '../../src/store/maildir/turns.ts';
import type { SearchCriteria } from '../../src/store/store.ts';
import { openAccount, temporaryDirectory } from './surroundings.ts';

/** Searches through the index find what reading every message finds. */

let directory: ReturnType<typeof temporaryDirectory>;
let account: MaildirAccount;
beforeEach(() => {
  directory = temporaryDirectory();
  account = openAccount(directory.path);
});
afterEach(() => {
  account.close('clean');
  directory.remove();
});

const LONG = 'abcdefghij'.repeat(15);
const WORDS = [
  'Meeting',
  'meet',
  'Café',
  'CAFE',
  'Straße',
  'ΣΊΣΥΦΟΣ',
  'naïve',
  'ann@example.org',
  'x_y-z',
  '1,234.50',
  '会议室',
  '会议',
  '東京タワー',
  'ガラス',
  '🎉',
  '🎉🎊',
  'ab漢c',
  '한국어',
  'ไทยแลนด์',
  'a',
  'b',
  '€5',
  '"quoted"',
  'semi;colon',
  '\u{20000}\u{20001}\u{20002}',
  'e\u0301te\u0301',
  'ﬁn',
  LONG,
  `${LONG}xyz`,
];
const GAPS = [' ', '\r\n', ', ', '', '  ', '-', '。'];

const text = fc
  .array(fc.tuple(fc.constantFrom(...WORDS), fc.constantFrom(...GAPS)), { minLength: 1, maxLength: 8 })
  .map((parts) => parts.map(([word, gap]) => word + gap).join(''));
const line = text.map((value) => value.replace(/[\r\n]+/g, ' ').trim());

function encoded(value: string): string {
  return `=?utf-8?b?${Buffer.from(value).toString('base64')}?=`;
}

const message = fc
  .record({
    subject: line,
    name: line,
    to: fc.constantFrom('ann@example.org', 'Bob <bob@example.net>', 'a@b, c@d.example'),
    body: text,
    kind: fc.constantFrom('plain', 'html', 'attachment', 'latin1', 'raw'),
    extra: line,
  })
  .map(({ subject, name, to, body, kind, extra }) => {
    const head = [
      `From: ${encoded(name)} <ann.smith@example.org>`,
      `To: ${to}`,
      `Subject: ${kind === 'raw' ? subject : encoded(subject)}`,
      `X-Extra: ${encoded(extra)}`,
      'DKIM-Signature: v=1; b=QUJDmeetingQUJD',
      'Date: Thu, 1 Jan 2026 12:00:00 +0100',
    ].join('\r\n');
    const base64 = (value: string): string => Buffer.from(value).toString('base64');
    if (kind === 'html')
      return `${head}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n${base64(`<p>${body}</p><b>bo</b>ld`)}\r\n`;
    if (kind === 'attachment')
      return `${head}\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nhello\r\n--x\r\nContent-Type: message/rfc822\r\n\r\nSubject: ${encoded(body.slice(0, 30))}\r\n\r\ninner\r\n--x\r\nContent-Type: application/pdf; name="${encoded(subject)}.pdf"\r\n\r\nno text\r\n--x--\r\n`;
    if (kind === 'latin1')
      return `${head}\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nCaf=E9 cr=E8me ${body.replace(/[^ -~]/g, '?').replaceAll('=', '')}\r\n`;
    return `${head}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n${body}\r\n`;
  });

/** Parts of what is there, and what is not. */
const needle = fc.oneof(
  fc.constantFrom(...WORDS),
  fc
    .tuple(text, fc.nat(20), fc.integer({ min: 1, max: 12 }))
    .map(([all, at, length]) => all.slice(at, at + length)),
  fc.constantFrom(
    '',
    ' ',
    '.',
    'nosuchword',
    'EETI',
    'example',
    'ann.smith@',
    LONG.slice(3, 80),
    'subject',
    'pdf',
  ),
  fc.string({ maxLength: 3 }),
);

const accents = fc.constantFrom('matter' as const, 'ignored' as const);

const leaf: fc.Arbitrary<SearchCriteria> = fc.oneof(
  fc.record({ text: needle, in: fc.constantFrom('body' as const, 'message' as const), accents }),
  fc.record({
    header: fc.constantFrom('subject', 'From', 'to', 'X-Extra', 'dkim-signature', 'cc', 'date'),
    contains: needle,
    accents,
  }),
  fc.constant({ flag: '\\Seen' }),
  fc.constant({ size: 'larger' as const, bytes: 420 }),
  fc.record({ first: fc.nat(9), last: fc.nat(9) }).map((range) => ({ uid: [range] })),
);
const { criteria } = fc.letrec<{ criteria: SearchCriteria }>((tie) => ({
  criteria: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc.array(tie('criteria'), { maxLength: 3 }).map((all) => ({ all })),
    fc.array(tie('criteria'), { maxLength: 3 }).map((any) => ({ any })),
    tie('criteria').map((not) => ({ not })),
  ),
}));

interface Known {
  readonly bytes: Buffer;
  readonly seen: boolean;
}

function naive(uid: number, { bytes, seen }: Known, wanted: SearchCriteria): boolean {
  const inner = (next: SearchCriteria): boolean => naive(uid, { bytes, seen }, next);
  if ('all' in wanted) return wanted.all.every(inner);
  if ('any' in wanted) return wanted.any.some(inner);
  if ('not' in wanted) return !inner(wanted.not);
  if ('flag' in wanted) return seen;
  if ('size' in wanted) return bytes.length > wanted.bytes;
  if ('uid' in wanted)
    return wanted.uid.some(
      ({ first, last }) => uid >= Math.min(first, Number(last)) && uid <= Math.max(first, Number(last)),
    );
  const { structure, header } = summarise(bytes);
  if ('header' in wanted)
    return fieldTexts(header ?? bytes, wanted.header.toLowerCase()).some((value) =>
      fold(value, wanted.accents).includes(fold(wanted.contains, wanted.accents)),
    );
  if (!('text' in wanted)) throw new Error('not one of ours');
  const textOf = wanted.in === 'body' ? bodyText : messageText;
  return includesText(
    textOf(structure, ({ start, end }) => [bytes.subarray(start, end)]),
    wanted.text,
    wanted.accents,
  );
}

test('the index finds what reading finds: indexed, half indexed, copied, expunged', () => {
  fc.assert(
    fc.property(
      fc.array(message, { minLength: 1, maxLength: 6 }),
      fc.array(message, { maxLength: 3 }),
      fc.constantFrom('nothing', 'some', 'all'),
      fc.array(criteria, { minLength: 1, maxLength: 12 }),
      (first, second, indexed, searches) => {
        const { inbox } = account;
        expunge(account, inbox, [...uidsOf()]);
        const known = new Map<number, Known>();
        const add = (messages: readonly string[]): void => {
          for (const content of messages) {
            const bytes = Buffer.from(content);
            known.set(deliver(bytes), { bytes, seen: false });
          }
        };
        add(first);
        if (indexed !== 'nothing') finish(account.indexer.run());
        add(second);
        const uids = [...known.keys()];
        const [one] = uids;
        for (const { from, to } of finish(copying(account, inbox, uids.slice(0, 2), inbox, null))) {
          const original = known.get(from);
          if (original) known.set(to, original);
        }
        if (one !== undefined && uids.length > 2) {
          expunge(account, inbox, [one]);
          known.delete(one);
        }
        const last = uids.at(-1);
        const marked = last === undefined ? undefined : known.get(last);
        if (last !== undefined && marked) {
          setFlags(account, inbox, [last as never], { mode: 'add', flags: ['\\Seen'] });
          known.set(last, { ...marked, seen: true });
        }
        if (indexed === 'all') finish(account.indexer.run());
        for (const wanted of searches) {
          const expected = [...known]
            .filter(([uid, each]) => naive(uid - offset, each, wanted))
            .map(([uid]) => uid);
          const found = [...finish(searchAll(account, inbox, forFolder(wanted)))];
          expect({ wanted, found }).toEqual({ wanted, found: expected.sort((a, b) => a - b) });
        }
      },
    ),
    { numRuns: 60 },
  );
}, 60_000);

/** UIDs in the searches count from the first message of the run. */
let offset = 0;
function forFolder(wanted: SearchCriteria): SearchCriteria {
  if ('all' in wanted) return { all: wanted.all.map(forFolder) };
  if ('any' in wanted) return { any: wanted.any.map(forFolder) };
  if ('not' in wanted) return { not: forFolder(wanted.not) };
  if ('uid' in wanted)
    return {
      uid: wanted.uid.map(({ first, last }) => ({ first: first + offset, last: Number(last) + offset })),
    };
  return wanted;
}

function uidsOf(): Uint32Array {
  const uids = account.roster(account.inbox).uids();
  offset = account.inbox.uidNext - 1;
  return uids;
}

function deliver(bytes: Buffer): number {
  const [arrived] = deliverAll([
    {
      account,
      into: { path: 'INBOX' },
      flags: [],
      internalDate: 0,
      content: [bytes],
      quota: null,
    },
  ]);
  if (!arrived || !('row' in arrived)) throw new Error('not delivered');
  return arrived.row.uid;
}

test('alternatives of rows stay within their folder', () => {
  const uid = deliver(Buffer.from('Subject: a\r\n\r\nx\r\n'));
  finish(copying(account, account.inbox, [uid], account.folderAt('Sent'), null));
  const criteria: SearchCriteria = { any: [{ flag: '\\Seen' }, { size: 'larger', bytes: 1 }] };
  expect([...finish(searchAll(account, account.inbox, criteria))]).toEqual([uid]);
  expect([
    ...finish(searchAll(account, account.inbox, { all: [{ uid: [] }, criteria, { text: 'x', in: 'body' }] })),
  ]).toEqual([]);
});

describe('needles that many words have', () => {
  test('a single letter, a digit, thousands of words: bounded and right', () => {
    const uids: number[] = [];
    for (let at = 0; at < 40; at++) {
      const words = Array.from({ length: 100 }, (_, word) => `q${at}w${word}e`).join(' ');
      uids.push(deliver(Buffer.from(`Subject: number ${at}\r\n\r\n${words}\r\n`)));
    }
    uids.push(deliver(Buffer.from('Subject: plain\r\n\r\nnothing to see\r\n')));
    finish(account.indexer.run());
    const found = (wanted: string): number[] => [
      ...finish(searchAll(account, account.inbox, { text: wanted, in: 'body' })),
    ];
    expect(found('e')).toEqual(uids);
    expect(found('w9')).toEqual(uids.slice(0, 40));
    expect(found('q7w')).toEqual([uids[7]]);
    expect(found('7w99e')).toEqual([7, 17, 27, 37].map((at) => uids[at]));
    expect(found('q3w5e q3w6e')).toEqual([uids[3]]);
    expect(found('3w5e q3w')).toEqual([uids[3]]);
    expect(found('q3w5e q3w7e')).toEqual([]);
  });
});

test('an index in which accents did not matter is made anew', () => {
  const uid = deliver(Buffer.from('Subject: =?utf-8?q?R=C3=A9sum=C3=A9?=\r\n\r\nbody\r\n'));
  finish(account.indexer.run());
  account.index.prepare("UPDATE sort_keys SET subject = 'RESUME'").run();
  account.index.prepare("INSERT INTO texts (texts) VALUES ('delete-all')").run();
  account.index.prepare('PRAGMA user_version = 2').run();
  account.close('clean');
  account = openAccount(directory.path);
  const wanted = { header: 'subject', contains: 'résumé' };
  expect([...finish(searchAll(account, account.inbox, wanted))]).toEqual([uid]);
  finish(account.indexer.run());
  expect([...finish(searchAll(account, account.inbox, wanted))]).toEqual([uid]);
  expect(account.index.column('SELECT subject FROM sort_keys')).toEqual(['RE\u0301SUME\u0301']);
});
