import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CountFraming, DotFraming, type Framing } from '../../src/smtp/framing.ts';

/** RFC 5321 4.1.1.4 and 4.5.2 read as they are written: line by line, lines end with CRLF. */
function reference(input: string): { content: string; rest: string } | 'open' {
  let content = '';
  let at = 0;
  for (;;) {
    const end = input.indexOf('\r\n', at);
    if (end < 0) return 'open';
    const line = input.slice(at, end);
    at = end + 2;
    if (line === '.') return { content, rest: input.slice(at) };
    content += `${line.startsWith('.') ? line.slice(1) : line}\r\n`;
  }
}

/** Feeds the pieces, each behind some octets that are not for it. */
function feed(framing: Framing, pieces: readonly string[]): { content: string; rest: string } | 'open' {
  let content = '';
  for (const [i, piece] of pieces.entries()) {
    const before = 'DATA\r\n'.slice(0, (i * 5) % 7);
    const input = Buffer.from(before + piece, 'latin1');
    const framed = framing.take(input, before.length);
    content += framed.content.toString('latin1');
    if (framed.ended)
      return { content, rest: input.toString('latin1', framed.next) + pieces.slice(i + 1).join('') };
  }
  return 'open';
}

function cut(text: string, sizes: readonly number[]): string[] {
  const pieces: string[] = [];
  let at = 0;
  for (let i = 0; at < text.length; i++) {
    const size = sizes[i % sizes.length] ?? 1;
    pieces.push(text.slice(at, at + size));
    at += size;
  }
  return pieces;
}

const hostile = fc
  .array(fc.constantFrom('\r', '\n', '.', '\r\n', '\r\n.', '\r\n..', '\r\n.\r', 'a', '\0'), { maxLength: 24 })
  .map((parts) => parts.join(''));
const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 });

describe('DATA (RFC 5321 4.1.1.4, 4.5.2)', () => {
  test('agrees with the RFC however the input is cut', () => {
    fc.assert(
      fc.property(hostile, sizes, (text, cuts) => {
        const expected = reference(text);
        const got = feed(new DotFraming(), cut(text, cuts));
        expect(got).toEqual(expected);
      }),
      { numRuns: 5000 },
    );
  });

  test.each([
    ['an empty message', '.\r\nQUIT', '', 'QUIT'],
    ['a dot that begins a line is dropped, whatever follows', '.a\r\n.\r\n', 'a\r\n', ''],
    ['of two dots one stays', '..\r\n...\r\n.\r\n', '.\r\n..\r\n', ''],
    ['what is behind the end is not taken', 'a\r\n.\r\nMAIL', 'a\r\n', 'MAIL'],
  ])('%s', (_, input, content, rest) => {
    expect(feed(new DotFraming(), [input])).toEqual({ content, rest });
    expect(feed(new DotFraming(), [...input])).toEqual({ content, rest });
  });

  test('400,000 dotted lines take one pass', () => {
    const input = Buffer.from(`${'..\r\n'.repeat(400_000)}.\r\n`);
    const framed = new DotFraming().take(input, 0);
    expect(framed.ended).toBe(true);
    expect(framed.content.length).toBe(3 * 400_000);
  });
});

describe('BDAT (RFC 3030 2)', () => {
  test('the count is the end, whatever the octets are', () => {
    fc.assert(
      fc.property(hostile, sizes, fc.nat(30), (text, cuts, count) => {
        const got = feed(new CountFraming(count), cut(text, cuts));
        if (count === 0 && text.length > 0) expect(got).toEqual({ content: '', rest: text });
        else if (count > text.length || text === '') expect(got).toBe('open');
        else expect(got).toEqual({ content: text.slice(0, count), rest: text.slice(count) });
      }),
    );
  });

  test('an empty chunk needs no input', () => {
    const framing = new CountFraming(0);
    expect(framing.complete).toBe(true);
    expect(framing.take(Buffer.alloc(0), 0).ended).toBe(true);
  });
});
