import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type BareNewline, LineEnds } from '../../src/smtp/line-ends.ts';

function run(policy: BareNewline, pieces: readonly string[]): string {
  const ends = new LineEnds(policy);
  let result = '';
  for (const piece of pieces) {
    const kept = ends.take(Buffer.from(piece, 'latin1'));
    if (kept === 'bare') return 'bare';
    result += kept.toString('latin1');
  }
  const last = ends.end();
  return last === 'bare' ? 'bare' : result + last.toString('latin1');
}

const text = fc
  .array(fc.constantFrom('\r', '\n', '\r\n', 'a', 'bc', '\r\r', '\n\n'), { maxLength: 12 })
  .map((parts) => parts.join(''));

function isClean(content: string): boolean {
  return !content.replaceAll('\r\n', '').match(/[\r\n]/);
}

function ended(content: string): string {
  return content === '' || content.endsWith('\r\n') ? content : `${content}\r\n`;
}

test('refuses every lone CR and LF, and nothing else, however the input is cut', () => {
  fc.assert(
    fc.property(text, fc.boolean(), (content, whole) => {
      const got = run('refuse', whole ? [content] : [...content]);
      expect(got).toBe(isClean(content) ? ended(content) : 'bare');
    }),
    { numRuns: 3000 },
  );
});

test('normalises each to one CRLF, however the input is cut', () => {
  fc.assert(
    fc.property(text, fc.boolean(), (content, whole) => {
      const got = run('normalise', whole ? [content] : [...content]);
      expect(got).toBe(ended(content.replace(/\r\n|\r|\n/g, '\r\n')));
    }),
    { numRuns: 3000 },
  );
});

test('refuse-lf: a lone CR is a space, a lone LF refuses, however the input is cut', () => {
  fc.assert(
    fc.property(text, fc.boolean(), (content, whole) => {
      const got = run('refuse-lf', whole ? [content] : [...content]);
      const loneLf = /(?<!\r)\n/.test(content);
      expect(got).toBe(loneLf ? 'bare' : ended(content.replace(/\r(?!\n)/g, ' ')));
    }),
    { numRuns: 3000 },
  );
});

test('binary content stays as it is (RFC 3030 3)', () => {
  fc.assert(
    fc.property(text, (content) => {
      expect(run('binary', [...content])).toBe(content);
    }),
  );
});
