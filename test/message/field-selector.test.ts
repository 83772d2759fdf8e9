import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FieldSelector } from '../../src/message/field-selector.ts';
import { byteString, fields } from '../../src/message/header.ts';

/** What is asked for, said with header.ts: slower, and with a string for each field. */
function slowly(header: Uint8Array, names: readonly string[], mode: 'only' | 'not'): string {
  const wanted = new Set(names.map((name) => name.toLowerCase()));
  const text = byteString(header);
  const chosen = [...fields(text)].filter(({ name }) => wanted.has(name) === (mode === 'only'));
  const selected = chosen.map(({ start, end }) => text.slice(start, end)).join('');
  return `${selected}${selected === '' || selected.endsWith('\n') ? '' : '\r\n'}\r\n`;
}

const name = fc.constantFrom('To', 'to', 'tO', 'Toy', 'T', 'X-A', 'subject', '', 'to ', '\xff');
const text = fc.constantFrom(
  ':',
  ' :',
  '\t',
  ' ',
  'a',
  '\r\n',
  '\n',
  '\r',
  '\r\n ',
  '\n\t',
  '\0',
  '\xe9',
  '\r\n\r\n',
);
const header = fc
  .array(fc.oneof(name, text), { maxLength: 40 })
  .map((pieces) => Buffer.from(pieces.join(''), 'latin1'));

test('whatever the bytes are, it selects the fields that header.ts finds, behind what is there', () => {
  fc.assert(
    fc.property(
      header,
      fc.array(name, { maxLength: 4 }),
      fc.constantFrom('only', 'not'),
      (bytes, names, mode) => {
        const into = Buffer.alloc(3 + FieldSelector.room(bytes.length), '#');
        const end = new FieldSelector({ mode, names }).select(bytes, into, 3);
        expect(into.toString('latin1', 0, 3)).toBe('###');
        expect(into.toString('latin1', 3, end)).toBe(slowly(bytes, names, mode));
      },
    ),
    { numRuns: 2000 },
  );
});

test('one selector serves many headers', () => {
  const selector = new FieldSelector({ mode: 'only', names: ['Subject', 'FROM'] });
  const into = Buffer.alloc(200);
  let at = selector.select(Buffer.from('From: a\r\nTo: b\r\nSubject: c\r\n d\r\n\r\nTo: body'), into, 0);
  at = selector.select(Buffer.from('subject: e'), into, at);
  expect(into.toString('latin1', 0, at)).toBe('From: a\r\nSubject: c\r\n d\r\n\r\nsubject: e\r\n\r\n');
});
