import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { formatKeywords, parseKeywords } from '../../../src/store/maildir/dovecot/keywords.ts';
import { findScripts } from '../../../src/store/maildir/dovecot/sieve-scripts.ts';
import {
  formatUidlistEntry,
  formatUidlistHeader,
  parseUidlist,
  readLines,
  type UidlistEntry,
} from '../../../src/store/maildir/dovecot/uidlist.ts';
import { readLastUidValidity, writeLastUidValidity } from '../../../src/store/maildir/dovecot/uidvalidity.ts';
import { readKeptUidls, writeKeptUidls } from '../../../src/store/maildir/kept-uidls.ts';
import { parseUidlFormat } from '../../../src/store/uidl-format.ts';
import { temporaryDirectory } from '../surroundings.ts';

let dir: ReturnType<typeof temporaryDirectory>;
beforeEach(() => {
  dir = temporaryDirectory();
});
afterEach(() => dir.remove());

const parse = (text: string): ReturnType<typeof parseUidlist> => parseUidlist(text.split('\n').slice(0, -1));

describe('dovecot-uidlist', () => {
  test('version 3 as Dovecot 2.3 writes it', () => {
    const list = parse(
      [
        '3 V1275660208 N25022 G3085f01b7f11094c501100008c4a11c1',
        '25006 :1276528487.M364837P9451.kurkku,S=1355,W=1394:2,',
        '25017 W2481 :1276533073.M242911P3632.kurkku:2,F',
        '25018 S10 W12 P0000abcd O3 Gfeed :plain',
        '',
      ].join('\n'),
    );
    expect(list).toMatchObject({ uidValidity: 1275660208, uidNext: 25022, broken: 0 });
    expect(list?.fields).toEqual({ G: '3085f01b7f11094c501100008c4a11c1' });
    expect(list?.entries).toEqual([
      { uid: 25006, base: '1276528487.M364837P9451.kurkku,S=1355,W=1394', fields: {} },
      { uid: 25017, base: '1276533073.M242911P3632.kurkku', fields: { W: '2481' } },
      { uid: 25018, base: 'plain', fields: { S: '10', W: '12', P: '0000abcd', O: '3', G: 'feed' } },
    ]);
  });

  test('version 1', () => {
    const list = parse('1 1100000000 5\n1 1099999999.1_0.host\n4 1099999999.4_0.host:2,S\n');
    expect(list).toMatchObject({ uidValidity: 1100000000, uidNext: 5, fields: {} });
    expect(list?.entries.map(({ uid, base }) => [uid, base])).toEqual([
      [1, '1099999999.1_0.host'],
      [4, '1099999999.4_0.host'],
    ]);
  });

  test('lines that were appended count more than the header', () => {
    expect(parse('3 V7 N1\n1 :a\n2 :b\n')?.uidNext).toBe(3);
  });

  test('of two lines for one file the later counts; broken lines are counted and skipped', () => {
    const list = parse('3 V7 N9\n1 :a\n2 :b\n2 :c\nx :d\n3 W1\n4 :a\n5 :\n6 :../e\n4294967296 :f\n');
    expect(list?.entries.map(({ uid, base }) => `${uid} ${base}`)).toEqual(['2 b', '4 a']);
    expect(list?.broken).toBe(7);
  });

  test.each(['', '2 V1 N1\n', '3 N1\n', '3 V0 N1\n', '1 5\n', 'V1 N1\n', '3 V99999999999 N1\n'])(
    'without a header that says its UIDVALIDITY it is none: %j',
    (text) => {
      expect(parse(text)).toBeUndefined();
    },
  );

  test('what is written is what is read', () => {
    const word = fc.stringMatching(/^[!-9;-~]{1,40}$/);
    const name = word.filter((text) => !text.includes('/'));
    const entry = fc.record({
      uid: fc.integer({ min: 1, max: 2 ** 32 - 2 }),
      base: name,
      fields: fc.dictionary(fc.constantFrom('G', 'P', 'W', 'S', 'O'), fc.stringMatching(/^[!-~]{0,40}$/)),
    });
    const list = fc.tuple(
      fc.uniqueArray(entry, { selector: ({ uid }) => uid }),
      fc.integer({ min: 1, max: 2 ** 32 - 1 }),
    );
    fc.assert(
      fc.property(list, ([all, uidValidity]) => {
        const bases = new Set<string>();
        const entries: UidlistEntry[] = all
          .filter(({ base }) => !bases.has(base) && bases.add(base))
          .sort((a, b) => a.uid - b.uid);
        const header = { uidValidity, uidNext: (entries.at(-1)?.uid ?? 0) + 1, fields: { G: 'abc' } };
        const text = formatUidlistHeader(header) + entries.map(formatUidlistEntry).join('');
        expect(parse(text)).toEqual({ ...header, entries, broken: 0 });
      }),
    );
  });

  test('whatever it holds, it is read to its end or refused, and its UIDs ascend', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (head, rest) => {
        for (const text of [`3 V5 N6\n${rest}\n`, `${head}\n${rest}\n`]) {
          const uids = parse(text)?.entries.map(({ uid }) => uid) ?? [];
          expect(uids.every((uid, at) => uid > (uids[at - 1] ?? 0))).toBe(true);
        }
      }),
    );
  });

  test('a file is read in pieces; a line cut off at its end, and one without end, are left out', () => {
    const names = Array.from({ length: 9000 }, (_, at) => `${at + 1} :${at}.M${at}P1.host${'x'.repeat(60)}é`);
    writeFileSync(`${dir.path}/list`, `3 V5 N9001\n${names.join('\n')}\n9001 :cut`);
    const list = parseUidlist(readLines(`${dir.path}/list`) ?? []);
    expect(list?.entries.length).toBe(9000);
    expect(list?.entries.at(-1)?.base).toMatch(/^8999\.M8999P1\.hostx+é$/);
    writeFileSync(`${dir.path}/endless`, `3 V5 N1\n1 :${'y'.repeat(3_000_000)}`);
    expect(parseUidlist(readLines(`${dir.path}/endless`) ?? [])?.entries).toEqual([]);
    expect(readLines(`${dir.path}/none`)).toBeUndefined();
  });
});

describe('dovecot-keywords', () => {
  test('numbers 0 to 25 are letters; what has none, or is no keyword, is lost', () => {
    const { keywords, lost } = parseKeywords(
      '0 $Forwarded\n2 Work\n25 Last\n26 TooMany\n3 work\n4 not one\n5 \\Seen\nx y\n\n',
    );
    expect(keywords.map((name, at) => (name === '' ? '' : `${at} ${name}`)).filter(Boolean)).toEqual([
      '0 $Forwarded',
      '2 Work',
      '25 Last',
    ]);
    expect(lost).toEqual(['TooMany', 'work', 'not one', '\\Seen']);
    expect(parseKeywords(formatKeywords(keywords)).keywords).toEqual(keywords);
  });
});

describe('dovecot-uidvalidity', () => {
  test('the name counts as well as the content, and it never falls', () => {
    expect(readLastUidValidity(dir.path)).toBe(0);
    writeFileSync(`${dir.path}/dovecot-uidvalidity`, '6b031b5d');
    writeFileSync(`${dir.path}/dovecot-uidvalidity.6b031b5e`, '');
    expect(readLastUidValidity(dir.path)).toBe(0x6b031b5e);
    writeLastUidValidity(dir.path, 0x6b031b60);
    expect(readdirSync(dir.path).sort()).toEqual(['dovecot-uidvalidity', 'dovecot-uidvalidity.6b031b60']);
    writeLastUidValidity(dir.path, 5);
    expect(readLastUidValidity(dir.path)).toBe(0x6b031b60);
  });
});

describe("POP3's unique ids", () => {
  test.each([
    ['%08Xu%08Xv', '000000ff6b031b5d'],
    ['%v.%u', '1795365725.255'],
    ['UID%u-%v', 'UID255-1795365725'],
    ['%f', '1700.M1.host,S=5'],
    ['%g', 'feed'],
    ['%Mf', 'an MD5'],
    ['%3v%%%u', '179%255'],
    ['%{uid | hex(8)}%{uidvalidity | hex(8)}', '000000ff6b031b5d'],
    ['%{uid}-%{uidvalidity | hex | upper}', '255-6B031B5D'],
    ['%Ru', '552'],
  ])('%s', (text, expected) => {
    const format = parseUidlFormat(text);
    const id = format.expand({
      uid: 255,
      uidValidity: 0x6b031b5d,
      fileName: '1700.M1.host,S=5',
      guid: 'feed',
    });
    if (text === '%Mf') expect(id).toMatch(/^[0-9a-f]{32}$/);
    else expect(id).toBe(expected);
    expect(format.text).not.toMatch(/\s/);
    expect(parseUidlFormat(format.text).text).toBe(format.text);
  });

  test.each([
    '',
    'abc',
    '%v',
    '%m',
    '%{md5}',
    '%u %v',
    '%u%',
    '%Qu',
    '%{uid | rot13}',
    'é%u',
    `${'x'.repeat(300)}%u`,
  ])('refused: %j', (text) => {
    expect(() => parseUidlFormat(text)).toThrow(/cannot be the form/);
  });

  test('kept ones are read in pieces, for their UIDVALIDITY alone', () => {
    const ids = Array.from({ length: 20_000 }, (_, at) => ({
      uid: at + 3,
      uniqueId: `${at}.M5P6.host,S=77`,
    }));
    writeKeptUidls(dir.path, { uidValidity: 9, format: '%08Xu%08Xv', theirs: '%f', ids });
    const read = [];
    for (let from: number | null = 0; from !== null; ) {
      const piece = readKeptUidls(dir.path, 9, from);
      expect(piece).toMatchObject({ format: '%08Xu%08Xv', theirs: '%f' });
      read.push(...(piece?.ids ?? []));
      from = piece?.next ?? null;
    }
    expect(read).toEqual(ids);
    expect(readKeptUidls(dir.path, 8, 0)).toBeUndefined();
    writeFileSync(`${dir.path}/facteur-uidl`, 'facteur-uidl 2\n');
    expect(() => readKeptUidls(dir.path, 9, 0)).toThrow(/newer version/);
  });
});

describe('Sieve scripts', () => {
  test('the active one may be a file of its own', () => {
    mkdirSync(`${dir.path}/Maildir`);
    writeFileSync(`${dir.path}/.dovecot.sieve`, 'keep;');
    expect(findScripts(`${dir.path}/Maildir`)).toEqual({
      scripts: [{ name: 'dovecot', file: `${dir.path}/.dovecot.sieve`, bytes: 5 }],
      active: 'dovecot',
    });
  });
});
