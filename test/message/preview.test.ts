import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PreviewText, previewParts } from '../../src/message/preview.ts';
import { summarise } from '../../src/message/summary.ts';

function preview(message: string, pieces: number = Number.POSITIVE_INFINITY): string {
  const bytes = Buffer.from(message.replace(/\r?\n/g, '\r\n'));
  for (const part of previewParts(summarise(bytes).structure)) {
    const text = new PreviewText(part);
    for (let at = part.body.start; at < part.body.end; at += pieces)
      if (text.write(bytes.subarray(at, Math.min(at + pieces, part.body.end))) === 'enough') break;
    const made = text.end();
    if (made !== '') return made;
  }
  return '';
}

const multipart = (kind: string, ...parts: readonly string[]): string =>
  `Content-Type: multipart/${kind}; boundary=b\n\n${parts.map((part) => `--b\n${part}\n`).join('')}--b--\n`;
const html = (text: string): string => `Content-Type: text/html; charset=utf-8\n\n${text}`;

test.each([
  ['text', 'A: b\n\n Hello,\n\n  world!\n', 'Hello, world!'],
  ['no text', 'A: b\n\n', ''],
  [
    'HTML',
    html('<title>no</title><style>p { }</style><p>Hello&nbsp;<b>wo</b>rld &amp; all</p>'),
    'Hello world & all',
  ],
  ['what cannot be seen', html('a\u200c&nbsp;\u200c&nbsp;\u034f\u202eb\u00ad\ufeff'), 'a b'],
  ['what is quoted', 'A: b\n\n> old\n>> older\nnew\n', 'new'],
  ['only what is quoted', 'A: b\n\n> old\n> > older\n', 'old older'],
  ['base64', `Content-Transfer-Encoding: base64\n\n${Buffer.from('Hello').toString('base64')}\n`, 'Hello'],
  ['both', multipart('alternative', '\nplain', html('rich')), 'plain'],
  ['an empty first part', multipart('alternative', '\n \n', html('rich')), 'rich'],
  ['an attachment', multipart('mixed', 'Content-Disposition: attachment\n\nfile', '\ntext'), 'text'],
  ['an attached message', multipart('mixed', 'Content-Type: message/rfc822\n\nSubject: x\n\ninner'), 'inner'],
  ['encrypted', multipart('encrypted', '\nVersion: 1', '\nsecret'), ''],
  ['encrypted in the text', 'A: b\n\n-----BEGIN PGP MESSAGE-----\n\nabcd\n', ''],
  ['a picture', 'Content-Type: image/png\n\nabc\n', ''],
  [
    'wide characters',
    `A: b\nContent-Type: text/plain; charset=utf-8\n\n${'😀'.repeat(300)}\n`,
    '😀'.repeat(200),
  ],
])('%s', (_, message, expected) => {
  expect(preview(message)).toBe(expected);
});

test('a style sheet before the first word is passed over, up to a bound', () => {
  const page = (length: number) => html(`<style>${'a{} '.repeat(length / 4)}</style><p>Hello</p>`);
  expect(preview(page(60_000))).toBe('Hello');
  expect(preview(page(100_000))).toBe('');
});

test('whatever comes, in whatever pieces: the same text, short and on one line', () => {
  const words = fc.constantFrom(
    '<p>',
    '<',
    '&amp;',
    '> ',
    '\n',
    'ä',
    '😀',
    'word ',
    '\u200c',
    '\u0000',
    '=C3',
    '-----',
    '\t',
  );
  const message = fc.record({
    type: fc.constantFrom('text/plain', 'text/html'),
    charset: fc.constantFrom('utf-8', 'iso-8859-1', 'utf-16', 'none'),
    encoding: fc.constantFrom('7bit', 'quoted-printable', 'base64'),
    text: fc.array(words, { maxLength: 3000 }).map((all) => all.join('')),
    piece: fc.integer({ min: 1, max: 5000 }),
  });
  fc.assert(
    fc.property(message, ({ type, charset, encoding, text, piece }) => {
      const whole = `Content-Type: ${type}; charset=${charset}\nContent-Transfer-Encoding: ${encoding}\n\n${text}`;
      const made = preview(whole);
      expect([...made].length).toBeLessThanOrEqual(200);
      expect(made).toMatch(/^\P{Cc}*$/u);
      expect(made.isWellFormed()).toBe(true);
      // A charset that nobody names is guessed from what has come so far.
      if (charset !== 'none') expect(preview(whole, piece)).toBe(made);
    }),
  );
});
