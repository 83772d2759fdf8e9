import fc from 'fast-check';
import iconv from 'iconv-lite';
import { describe, expect, test } from 'vitest';
import { decodeBytes, isKnownCharset, textStream } from '../../src/message/charset.ts';
import { decodeWords, encodeWords } from '../../src/message/encoded-word.ts';
import { parseStructured } from '../../src/message/parameters.ts';
import { transferDecoder } from '../../src/message/transfer.ts';
import { chunks } from './samples.ts';

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

describe('charsets', () => {
  test.each<[string, string, string]>([
    ['utf-8', '\xc3\xa9', 'é'],
    ['UTF8', '\xc3\xa9', 'é'],
    ['iso-8859-1', '\xe9\x80', 'é€'],
    ['ISO8859-15', '\xa4', '€'],
    ['iso_8859_2', '\xb1', 'ą'],
    ['8859-5', '\xb0', 'А'],
    ['windows-1251', '\xc0', 'А'],
    ['cp1251', '\xc0', 'А'],
    ['x-cp1252', '\x80', '€'],
    ['koi8-r', '\xc1', 'а'],
    ['us-ascii', '\xc3\xa9', 'é'],
    ['us-ascii', '\xe9', 'é'],
    ['', '\xe9', 'é'],
    ['no-such-charset', 'caf\xe9', 'café'],
    ['"utf-8"', '\xc3\xa9', 'é'],
    ['utf-8*en', '\xc3\xa9', 'é'],
    ['iso-2022-jp', '\x1b$B$"\x1b(B', 'あ'],
    ['shift_jis', '\x82\xa0', 'あ'],
    ['cp932', '\x82\xa0', 'あ'],
    ['euc-jp', '\xa4\xa2', 'あ'],
    ['gb2312', '\xc4\xe3', '你'],
    ['cp936', '\xc4\xe3', '你'],
    ['gb18030', '\xc4\xe3', '你'],
    ['big5', '\xa7\x41', '你'],
    ['euc-kr', '\xb0\xa1', '가'],
    ['ks_c_5601-1987', '\xb0\xa1', '가'],
    ['cp949', '\xb0\xa1', '가'],
    ['hz-gb-2312', 'a~{Dc~}b~~', 'a你b~'],
    ['iso-2022-kr', '\x1b$)Ca\x0e0!\x0fb', 'a가b'],
    ['utf-7', 'Hi +AOk-', 'Hi é'],
    ['unicode-1-1-utf-7', '+AOk-', 'é'],
    ['utf-16', 'a\0', 'a'],
    ['utf-16be', '\0a', 'a'],
    ['utf-32le', 'a\0\0\0', 'a'],
    ['cp437', '\x82', 'é'],
    ['cp850', '\x82', 'é'],
    ['ibm866', '\x80', 'А'],
    ['macintosh', '\x8e', 'é'],
    ['tis-620', '\xa1', 'ก'],
    ['viscii', '\xe9', 'é'],
    ['windows-1258', '\xe9', 'é'],
    ['base64', 'aGk=', 'aGk='],
  ])('%s', (charset, text, expected) => {
    expect(decodeBytes(bytes(text), charset)).toBe(expected);
  });

  test('every one that iconv-lite has is decoded', () => {
    iconv.encodingExists('utf-8');
    for (const name of [
      'cp852',
      'cp1125',
      'armscii8',
      'rk1048',
      'tcvn',
      'georgianps',
      'pt154',
      'hproman8',
      'koi8-t',
      'maccroatian',
    ]) {
      expect(decodeBytes(iconv.encode('abc', name), name), name).toBe('abc');
    }
  });

  test('which are known, for BADCHARSET (RFC 9051 6.4.4)', () => {
    for (const name of ['US-ASCII', 'utf-8', 'ISO-8859-1', 'hz-gb-2312', 'utf-7', 'cp850']) {
      expect(isKnownCharset(name), name).toBe(true);
    }
    for (const name of ['', 'x-unknown', 'base64', 'no-such']) expect(isKnownCharset(name), name).toBe(false);
  });

  test('any name, any bytes, cut anywhere', () => {
    const name = fc.oneof(
      fc.constantFrom('utf-8', '', 'hz', 'iso-2022-kr', 'iso-2022-jp', 'big5', 'utf-7', 'utf-16le', 'latin1'),
      fc.string(),
    );
    fc.assert(
      fc.property(name, fc.uint8Array(), fc.integer({ min: 1, max: 5 }), (charset, content, size) => {
        const stream = textStream(charset);
        for (const chunk of chunks(content, [size])) stream.write(chunk);
        expect(typeof stream.end()).toBe('string');
        expect(typeof decodeBytes(content, charset)).toBe('string');
      }),
      { numRuns: 500 },
    );
  });

  test.each([
    ['hz', [129, 48, 0]],
    ['gbk', [193, 88, 65, 239, 49, 26]],
    ['gb18030', [171, 48, 211, 196]],
    ['euc-jp', [67, 135, 143, 205, 53]],
    ['iso-2022-jp', [27, 37, 143, 166]],
  ])('broken %s, byte by byte', (charset, content) => {
    const stream = textStream(charset);
    const text = content.map((byte) => stream.write(Uint8Array.of(byte))).join('') + stream.end();
    expect(text).not.toBe('');
  });

  test('UTF-8 that nobody announced, cut anywhere', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.integer({ min: 1, max: 5 }), (text, size) => {
        const stream = textStream('');
        const decoded = chunks(Buffer.from(text), [size]).map((chunk) => stream.write(chunk));
        expect(decoded.join('') + stream.end()).toBe(text);
      }),
    );
  });
});

describe('encoded words', () => {
  test.each<[string, string, string]>([
    ['RFC 2047 8', '=?ISO-8859-1?Q?a?=', 'a'],
    ['RFC 2047 8', '=?ISO-8859-1?Q?a?= b', 'a b'],
    ['RFC 2047 8', '=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=', 'ab'],
    ['RFC 2047 8', '=?ISO-8859-1?Q?a?=    =?ISO-8859-1?Q?b?=', 'ab'],
    ['RFC 2047 8', '=?ISO-8859-1?Q?a_b?=', 'a b'],
    ['RFC 2047 8', '=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=', 'a b'],
    ['RFC 2047 8', '=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>', 'Keith Moore <moore@cs.utk.edu>'],
    [
      'RFC 2047 8',
      '=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?= =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=',
      'If you can read this you understand the example.',
    ],
    ['RFC 2231 5', '=?US-ASCII*EN?Q?Keith_Moore?=', 'Keith Moore'],
    ['a character in two words', '=?utf-8?q?=c3?= =?utf-8?q?=a9?=', 'é'],
    ['a character in two base64 words', '=?utf-8?b?w?= =?utf-8?b?6k=?=', 'é'],
    ['8-bit octets around', '\xc3\xa9 =?utf-8?q?a?= \xe9', 'é a é'],
    ['no words', '=?utf-8?x?a?= =? ?= =?utf-8?q?a', '=?utf-8?x?a?= =? ?= =?utf-8?q?a'],
    ['an unknown charset', '=?no-such?q?=c3=a9?=', 'é'],
    ['blanks inside', '=?utf-8?q?a b?= c', 'a b c'],
    ['a question mark inside', '=?utf-8?q?a?b?=', 'a?b'],
  ])('%s: %s', (_, value, expected) => {
    expect(decodeWords(value)).toBe(expected);
  });

  test('what is written is read, and fits (RFC 2047 2)', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const line = text.replace(/[\r\n]+/g, ' ');
        const encoded = encodeWords(text);
        // biome-ignore lint/suspicious/noControlCharactersInRegex: ASCII is what it must be.
        expect(encoded).toMatch(/^[\x00-\x7f]*$/);
        for (const word of encoded === line ? [] : encoded.split('\r\n '))
          expect(word.length).toBeLessThanOrEqual(75);
        expect(decodeWords(encoded.replaceAll('\r\n', ''))).toBe(line);
      }),
    );
    expect(encodeWords('Grüße, '.repeat(20)).split('\r\n ').length).toBeGreaterThan(3);
    expect(encodeWords('plain')).toBe('plain');
  });

  test.each(['=?a?q?', '=?', '?=', '=?a?q?b?= ', '=?a?b?'])('long runs of %s', (text) => {
    expect(decodeWords(text.repeat(300_000 / text.length)).length).toBeGreaterThan(0);
  });
});

describe('parameters', () => {
  test.each<[string, string, Record<string, string>]>([
    ['RFC 2045 5.1', 'text/plain; charset=us-ascii (Plain text)', { charset: 'us-ascii' }],
    ['RFC 2045 5.1', 'text/plain; charset="us-ascii"', { charset: 'us-ascii' }],
    [
      'RFC 2231 3',
      'message/external-body; access-type=URL; URL*0="ftp://"; URL*1="cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar"',
      { 'access-type': 'URL', url: 'ftp://cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar' },
    ],
    [
      'RFC 2231 4',
      "application/x-stuff; title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A",
      { title: 'This is ***fun***' },
    ],
    [
      'RFC 2231 4.1',
      "application/x-stuff; title*0*=us-ascii'en'This%20is%20even%20more%20; title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*2=\"isn't it!\"",
      { title: "This is even more ***fun*** isn't it!" },
    ],
    ['sections out of order', 'a/b; x*1=2; x*0=1', { x: '12' }],
    ['a gap ends it', 'a/b; x*0=1; x*2=3', { x: '1' }],
    ['no section 0', 'a/b; x*1=1; y=2', { y: '2' }],
    ['the extended form wins', "a/b; name=plain; name*=utf-8''%C3%A9", { name: 'é' }],
    ['a character in two sections', "a/b; x*0*=utf-8''%c3; x*1*=%a9", { x: 'é' }],
    ['the first of two', 'a/b; x=1; x=2', { x: '1' }],
    ['8-bit', 'a/b; x="\xc3\xa9"; y=\xe9', { x: 'é', y: 'é' }],
    ['quoted pairs', 'a/b; x="a\\"b\\\\;c"', { x: 'a"b\\;c' }],
    ['blanks not quoted', 'a/b; name=my file.pdf; x=1', { name: 'my file.pdf', x: '1' }],
    ['brackets in a name', 'a/b; name=file(1).pdf', { name: 'file(1).pdf' }],
    ['a missing semicolon', 'a/b; x=1 y=2', { x: '1', y: '2' }],
    ['blanks around', 'a/b ; x = 1 ;; y = "2" ', { x: '1', y: '2' }],
    ['never closed', 'a/b; x="1; y=2', { x: '1; y=2' }],
    ['names of Object', 'a/b; __proto__=1; constructor=2', { constructor: '2' }],
    ['nothing to say', 'a/b; foo; =; "x"; y=1', { y: '1' }],
    ['an empty value', 'a/b; x=; y=""', { x: '', y: '' }],
  ])('%s: %s', (_, value, expected) => {
    expect(parseStructured(value).parameters).toEqual(expected);
  });

  test('the value before them', () => {
    expect(parseStructured('(c) Text/Plain (c); x=1').value).toBe('text/plain');
    expect(parseStructured('attachment').value).toBe('attachment');
    expect(parseStructured('').value).toBe('');
  });

  test('any text gives strings', () => {
    const piece = fc.oneof(
      fc.constantFrom(';', '=', '"', '*', '*0', '*1*', "''", '%', '(', ')', '\\', ' ', 'x'),
      fc.string(),
    );
    fc.assert(
      fc.property(
        fc.array(piece).map((pieces) => pieces.join('')),
        (value) => {
          const { parameters } = parseStructured(value);
          for (const text of Object.values(parameters)) expect(typeof text).toBe('string');
        },
      ),
      { numRuns: 1000 },
    );
  });

  test.each(['a="', 'a ', 'x*0=y;', '(', '"\\', ';', 'a=b ', '=', '% ', 'a'])('long runs of %s', (text) => {
    expect(
      Object.keys(parseStructured(`a/b; ${text.repeat(300_000 / text.length)}`).parameters).length,
    ).toBeLessThan(300);
  });

  test('a long word before the name takes one pass', () => {
    expect(parseStructured(`a/b; ${'y'.repeat(1_000_000)} x=1`).parameters).toEqual({ x: '1' });
  });
});

describe('transfer encodings', () => {
  const decode = (encoding: string, text: string): string => {
    const stream = transferDecoder(encoding);
    return Buffer.concat([stream.write(bytes(text)), stream.end()]).toString('latin1');
  };

  test.each<[string, string, string]>([
    ['base64', 'aGVs\r\nbG8=', 'hello'],
    ['base64', 'aGV!s bG8', 'hello'],
    ['quoted-printable', 'a=3Db=3d', 'a=b='],
    [
      'quoted-printable',
      "Now's the time =\r\nfor all folk to come=\r\n to the aid of their country.",
      "Now's the time for all folk to come to the aid of their country.",
    ],
    ['quoted-printable', 'a =  \r\nb  \r\nc', 'a b\r\nc'],
    ['quoted-printable', 'x==\r\n41', 'x=41'],
    ['quoted-printable', 'a=zz=', 'a=zz='],
    ['quoted-printable', 'a=\nb\n', 'ab\n'],
    ['8bit', 'a\xff', 'a\xff'],
    ['x-unknown', 'a=41', 'a=41'],
  ])('%s: %j', (encoding, text, expected) => {
    expect(decode(encoding, text)).toBe(expected);
  });

  test.each(['base64', 'quoted-printable', '7bit'])('%s cut anywhere', (encoding) => {
    const piece = fc.oneof(
      fc.constantFrom('=', '=4', '=41', '\r', '\n', '\r\n', ' ', '\t', 'QUJD'),
      fc.string(),
    );
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 20 }).map((pieces) => pieces.join('')),
        fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1 }),
        (text, sizes) => {
          const stream = transferDecoder(encoding);
          const decoded = chunks(bytes(text), sizes).map((chunk) => Buffer.from(stream.write(chunk)));
          expect(Buffer.concat([...decoded, stream.end()]).toString('latin1')).toBe(decode(encoding, text));
        },
      ),
      { numRuns: 1000 },
    );
  });

  test('undoes what Buffer encodes', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (content) => {
        const stream = transferDecoder('base64');
        const text = Buffer.from(content)
          .toString('base64')
          .replace(/.{1,76}/g, '$&\r\n');
        expect([...stream.write(bytes(text)), ...stream.end()]).toEqual([...content]);
      }),
    );
  });
});
