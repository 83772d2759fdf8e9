import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MAX_DEPTH, MAX_HEADER, MAX_PARTS, MimeScanner, scan } from '../../src/message/scan.ts';
import type { Part } from '../../src/message/structure.ts';
import { chunks, corpusFiles, crlf, nearlyMail, slice } from './samples.ts';

const MIXED = 'Content-Type: multipart/mixed; boundary=x\n\n';

/** type/subtype of the tree, with the body of each leaf. */
function shape(bytes: Uint8Array, part: Part = scan(bytes)): unknown {
  const type = `${part.type}/${part.subtype}`;
  if (part.message) return { [type]: shape(bytes, part.message) };
  if (part.type === 'multipart') return { [type]: part.children.map((child) => shape(bytes, child)) };
  return { [type]: slice(bytes, part.body) };
}

describe('offsets', () => {
  const bytes = crlf(`Subject: outer
Content-Type: multipart/mixed; boundary="==b"

preamble
--==b
Content-Type: text/plain

one
two

--==b
Content-Type: message/rfc822
Content-Description: a message

Subject: inner

inner body
--==b--
epilogue
`);
  const root = scan(bytes);
  const [text, message] = root.children;

  test('a leaf: the line end before a boundary belongs to the boundary (RFC 2046 5.1.1)', () => {
    expect(slice(bytes, text?.header ?? { start: 0, end: 0 })).toBe('Content-Type: text/plain\r\n\r\n');
    expect(slice(bytes, text?.body ?? { start: 0, end: 0 })).toBe('one\r\ntwo\r\n');
    expect(text?.lines).toBe(2);
  });

  test('BODY[HEADER] and BODY[TEXT] of the message (RFC 9051 6.4.5.1)', () => {
    expect(slice(bytes, root.header)).toBe(
      'Subject: outer\r\nContent-Type: multipart/mixed; boundary="==b"\r\n\r\n',
    );
    expect(slice(bytes, root.body)).toBe(bytes.toString('latin1').slice(root.header.end));
    expect(root.lines).toBe(16);
  });

  test('BODY[2.MIME], BODY[2.HEADER] and BODY[2.TEXT] (RFC 9051 6.4.5.1)', () => {
    expect(message && slice(bytes, message.header)).toMatch(/^Content-Type: message\/rfc822\r\n.*\r\n\r\n$/s);
    expect(message && slice(bytes, message.body)).toBe('Subject: inner\r\n\r\ninner body');
    expect(message?.message && slice(bytes, message.message.header)).toBe('Subject: inner\r\n\r\n');
    expect(message?.message && slice(bytes, message.message.body)).toBe('inner body');
    expect(message?.lines).toBe(2);
    expect(message?.message?.lines).toBe(0);
  });

  test('the part specifiers of RFC 9051 6.4.5.1 exist', () => {
    const example = crlf(`${MIXED}--x\n\n1\n--x\nContent-Type: application/octet-stream\n\n2
--x\nContent-Type: message/rfc822\n\nContent-Type: multipart/mixed; boundary=y\n\n--y\n\n3.1
--y\nContent-Type: application/octet-stream\n\n3.2\n--y--\n
--x\nContent-Type: multipart/mixed; boundary=z\n\n--z\nContent-Type: image/gif\n\n4.1
--z\nContent-Type: message/rfc822\n\nContent-Type: multipart/mixed; boundary=w\n\n--w\n\n4.2.1
--w\nContent-Type: multipart/alternative; boundary=v\n\n--v\n\n4.2.2.1\n--v\nContent-Type: text/richtext\n\n4.2.2.2
--v--\n--w--\n--z--\n--x--\n`);
    expect(shape(example)).toEqual({
      'multipart/mixed': [
        { 'text/plain': '1' },
        { 'application/octet-stream': '2' },
        {
          'message/rfc822': {
            'multipart/mixed': [{ 'text/plain': '3.1' }, { 'application/octet-stream': '3.2' }],
          },
        },
        {
          'multipart/mixed': [
            { 'image/gif': '4.1' },
            {
              'message/rfc822': {
                'multipart/mixed': [
                  { 'text/plain': '4.2.1' },
                  { 'multipart/alternative': [{ 'text/plain': '4.2.2.1' }, { 'text/richtext': '4.2.2.2' }] },
                ],
              },
            },
          ],
        },
      ],
    });
  });
});

describe('messages that are not as they should be', () => {
  test.each<[string, string, unknown]>([
    ['nothing at all', '', { 'text/plain': '' }],
    ['a header without end', 'Subject: x', { 'text/plain': '' }],
    ['a body without header', '\nhello', { 'text/plain': 'hello' }],
    ['no last boundary', `${MIXED}--x\n\nhello\n`, { 'multipart/mixed': [{ 'text/plain': 'hello\r\n' }] }],
    [
      'a last boundary cut at the end',
      `${MIXED}--x\n\nhello\n--x`,
      { 'multipart/mixed': [{ 'text/plain': 'hello' }] },
    ],
    [
      'blanks after the boundary',
      `${MIXED}--x \t\n\nhello\n--x-- \n`,
      { 'multipart/mixed': [{ 'text/plain': 'hello' }] },
    ],
    [
      'no parts: what there is can be read',
      `${MIXED}hello\n--x--\n`,
      { 'multipart/mixed': [{ 'text/plain': 'hello\r\n--x--\r\n' }] },
    ],
    [
      'an empty part',
      `${MIXED}--x\n--x\n\n--x--\n`,
      { 'multipart/mixed': [{ 'text/plain': '' }, { 'text/plain': '' }] },
    ],
    [
      'a part whose header ends with it',
      `${MIXED}--x\nContent-Type: text/html\n--x--\n`,
      { 'multipart/mixed': [{ 'text/html': '' }] },
    ],
    [
      'no boundary parameter is not understood, so text (RFC 2045 5.2)',
      'Content-Type: multipart/mixed\n\n--x\n\nhello\n',
      { 'text/plain': '--x\r\n\r\nhello\r\n' },
    ],
    [
      'an empty boundary',
      'Content-Type: multipart/mixed; boundary=""\n\nhello\n',
      { 'text/plain': 'hello\r\n' },
    ],
    ['a type without subtype (RFC 2045 5.2)', 'Content-Type: text\n\nhello', { 'text/plain': 'hello' }],
    [
      'Content-Type twice: the first counts',
      'Content-Type: text/html\nContent-Type: text/plain\n\nhello',
      { 'text/html': 'hello' },
    ],
    ['a missing semicolon', 'Content-Type: text/html charset=utf-8\n\nhello', { 'text/html': 'hello' }],
    [
      'a boundary that ends in a blank',
      'Content-Type: multipart/mixed; boundary="x "\n\n--x\n\nhello\n--x--',
      { 'multipart/mixed': [{ 'text/plain': 'hello' }] },
    ],
    [
      'an 8-bit boundary',
      'Content-Type: multipart/mixed; boundary="\xe9"\n\n--\xe9\n\nhello\n--\xe9--',
      { 'multipart/mixed': [{ 'text/plain': 'hello' }] },
    ],
    [
      'a boundary in RFC 2231 sections',
      'Content-Type: multipart/mixed; boundary*0=ab; boundary*1=cd\n\n--abcd\n\nhello\n--abcd--',
      { 'multipart/mixed': [{ 'text/plain': 'hello' }] },
    ],
    [
      'a boundary inside that begins another one outside',
      `Content-Type: multipart/mixed; boundary=xy\n\n--xy\n${MIXED}--x\n\ninner\n--x--\n--xy\n\nouter\n--xy--\n`,
      { 'multipart/mixed': [{ 'multipart/mixed': [{ 'text/plain': 'inner' }] }, { 'text/plain': 'outer' }] },
    ],
    [
      'a boundary outside that begins another one inside',
      `${MIXED}--x\nContent-Type: multipart/mixed; boundary=xy\n\n--xy\n\ninner\n--xy--\n--x\n\nouter\n--x--\n`,
      { 'multipart/mixed': [{ 'multipart/mixed': [{ 'text/plain': 'inner' }] }, { 'text/plain': 'outer' }] },
    ],
    [
      'the same boundary outside and inside',
      `${MIXED}--x\n${MIXED}--x\n\nhello\n--x--\n\n--x--\n`,
      { 'multipart/mixed': [{ 'multipart/mixed': [{ 'text/plain': 'hello' }] }] },
    ],
    [
      'an inner multipart ended by the outer boundary',
      `${MIXED}--x\nContent-Type: multipart/mixed; boundary=y\n\n--y\n\nhello\n--x\n\nbye\n--x--\n`,
      { 'multipart/mixed': [{ 'multipart/mixed': [{ 'text/plain': 'hello' }] }, { 'text/plain': 'bye' }] },
    ],
    [
      'a line that begins with a boundary is one (RFC 2046 5.1.1)',
      `${MIXED}--x!\n\nhello\n--x--`,
      { 'multipart/mixed': [{ 'text/plain': 'hello' }] },
    ],
    [
      'a bare CR ends no line',
      `${MIXED}--x\n\nhello\r--x--\r`,
      { 'multipart/mixed': [{ 'text/plain': 'hello\r--x--\r' }] },
    ],
    [
      'NUL is a byte like others',
      `${MIXED}--x\n\na\0b\n--x--\n`,
      { 'multipart/mixed': [{ 'text/plain': 'a\0b' }] },
    ],
    [
      'an encoded message is not looked into (RFC 2046 5.2.1)',
      'Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogYQ==',
      { 'message/rfc822': 'U3ViamVjdDogYQ==' },
    ],
    [
      'message/global is a message (RFC 6532 3.7)',
      'Content-Type: message/global\n\nSubject: a\n\nb',
      { 'message/global': { 'text/plain': 'b' } },
    ],
    ['an empty message', 'Content-Type: message/rfc822\n\n', { 'message/rfc822': { 'text/plain': '' } }],
    [
      'in a digest, parts are messages (RFC 2046 5.1.5)',
      'Content-Type: multipart/digest; boundary=x\n\n--x\n\nSubject: a\n\nb\n--x\nContent-Type: text/plain\n\nc\n--x--',
      { 'multipart/digest': [{ 'message/rfc822': { 'text/plain': 'b' } }, { 'text/plain': 'c' }] },
    ],
    [
      'an mbox From line in the header',
      'From a@b Thu Aug 22 13:52:38 2002\nContent-Type: text/html\n\nhello',
      { 'text/html': 'hello' },
    ],
  ])('%s', (_, text, expected) => {
    expect(shape(crlf(text))).toEqual(expected);
  });

  test('lines may end in LF alone', () => {
    const bytes = Buffer.from(`${MIXED}--x\n\nhello\n\n--x--\n`);
    expect(shape(bytes)).toEqual({ 'multipart/mixed': [{ 'text/plain': 'hello\n' }] });
    expect(scan(bytes).children[0]?.lines).toBe(1);
  });

  test('a boundary right after a header leaves the header whole, and the part around it', () => {
    const bytes = crlf(`${MIXED}--x\nContent-Type: message/rfc822\n\nSubject: a\n--x--\n`);
    const part = scan(bytes).children[0];
    expect(part && slice(bytes, part.body)).toBe('Subject: a\r\n');
    expect(part?.message && slice(bytes, part.message.header)).toBe('Subject: a\r\n');
  });
});

describe('bounds', () => {
  const count = (part: Part): number =>
    1 +
    (part.message ? count(part.message) : 0) +
    part.children.reduce((sum, child) => sum + count(child), 0);
  const depth = (part: Part): number =>
    1 + Math.max(0, ...[...part.children, ...(part.message ? [part.message] : [])].map(depth));

  test('multiparts in each other', () => {
    const levels = Array.from(
      { length: 3000 },
      (_, i) => `Content-Type: multipart/mixed; boundary=b${i}-\n\n--b${i}-\n`,
    );
    const root = scan(crlf(levels.join('')));
    expect(depth(root)).toBe(MAX_DEPTH);
    let deepest = root;
    while (deepest.children[0]) deepest = deepest.children[0];
    expect(deepest).toMatchObject({ type: 'application', subtype: 'octet-stream' });
  });

  test('messages in each other', () => {
    expect(depth(scan(crlf('Content-Type: message/rfc822\n\n'.repeat(50_000))))).toBe(MAX_DEPTH);
  });

  test('ten megabytes of boundaries', () => {
    const root = scan(crlf(`${MIXED}${'--x\n\n'.repeat(1_500_000)}--x--\nepilogue`));
    expect(count(root)).toBe(MAX_PARTS);
    expect(root.children.at(-1)?.lines).toBeGreaterThan(1_400_000);
  });

  test('lines that are nearly boundaries', () => {
    const boundary = 'x'.repeat(900);
    const near = `--${boundary.slice(1)}\n`.repeat(10_000);
    const bytes = crlf(
      `Content-Type: multipart/mixed; boundary=${boundary}\n\n${near}--${boundary}\n\nhello`,
    );
    expect(shape(bytes)).toEqual({ 'multipart/mixed': [{ 'text/plain': 'hello' }] });
  });

  test('a header longer than is looked at still ends where it ends', () => {
    const bytes = crlf(
      `Content-Type: text/html\nX: ${'y'.repeat(2 * MAX_HEADER)}\nContent-ID: late\n\nhello`,
    );
    const root = scan(bytes);
    expect(slice(bytes, root.body)).toBe('hello');
    expect(root).toMatchObject({ subtype: 'html', id: null });
  });
});

describe('for any bytes', () => {
  test('chunks give the same as the whole', () => {
    fc.assert(
      fc.property(nearlyMail, fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }), (bytes, sizes) => {
        const scanner = new MimeScanner();
        for (const chunk of chunks(bytes, sizes)) scanner.write(chunk);
        expect(scanner.end()).toEqual(scan(bytes));
      }),
      { numRuns: 1500 },
    );
  });

  function checkSpans(part: Part, end: number): void {
    expect(part.header.start).toBeLessThanOrEqual(part.header.end);
    expect(part.body.start).toBe(part.header.end);
    expect(part.body.end).toBeGreaterThanOrEqual(part.body.start);
    expect(part.body.end).toBeLessThanOrEqual(end);
    let at = part.body.start;
    for (const child of part.children) {
      expect(child.header.start).toBeGreaterThanOrEqual(at);
      checkSpans(child, part.body.end);
      at = child.body.end;
    }
    if (!part.message) return;
    expect(part.message.header.start).toBe(part.body.start);
    expect(part.message.body.end).toBe(part.body.end);
    checkSpans(part.message, part.body.end);
  }

  test('spans nest, follow each other, and the root covers all', () => {
    fc.assert(
      fc.property(nearlyMail, (bytes) => {
        const root = scan(bytes);
        expect(root.header.start).toBe(0);
        expect(root.body.end).toBe(bytes.length);
        checkSpans(root, bytes.length);
      }),
      { numRuns: 1500 },
    );
  });

  function checkLines(bytes: Uint8Array, part: Part): void {
    expect(part.lines).toBe(slice(bytes, part.body).split('\n').length - 1);
    for (const child of part.children) checkLines(bytes, child);
    if (part.message) checkLines(bytes, part.message);
  }

  test('lines are the line feeds in the body', () => {
    fc.assert(
      fc.property(nearlyMail, (bytes) => checkLines(bytes, scan(bytes))),
      { numRuns: 1500 },
    );
  });

  test('and for the corpus', () => {
    for (const { name, read } of corpusFiles(['mime', 'bounce', 'auth'])) {
      const bytes = read();
      const root = scan(bytes);
      const scanner = new MimeScanner();
      for (const chunk of chunks(bytes, [997, 1, 4096, 3])) scanner.write(chunk);
      expect(scanner.end(), name).toEqual(root);
      checkSpans(root, bytes.length);
      checkLines(bytes, root);
      expect(root.body.end, name).toBe(bytes.length);
    }
  });
});
