import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { byteString, fields, fieldValues, selectFields, unfold } from '../../src/message/header.ts';
import { crlf, nearlyMail } from './samples.ts';

describe('fields', () => {
  const header =
    'From a@b Thu Aug 22 13:52:38\r\nSubject: a\r\n b\r\nX-Empty:\r\nTo : c\r\njunk\r\nto:d\r\n\r\nbody: no\r\n';

  test('names, folded values and places; lines that are no fields have no name', () => {
    expect([...fields(header)].map(({ name, value }) => [name, value])).toEqual([
      ['', 'From a@b Thu Aug 22 13:52:38\r\n'],
      ['subject', ' a\r\n b\r\n'],
      ['x-empty', '\r\n'],
      ['to', ' c\r\n'],
      ['', 'junk\r\n'],
      ['to', 'd\r\n'],
    ]);
    for (const { start, end, value } of fields(header))
      expect(header.slice(start, end).endsWith(value)).toBe(true);
  });

  test('all values of a name, unfolded (RFC 5322 2.2.3)', () => {
    expect(fieldValues(header, 'subject')).toEqual(['a b']);
    expect(fieldValues(header, 'to')).toEqual(['c', 'd']);
    expect(unfold(' a\n\tb\r\n')).toBe('a\tb');
  });
});

describe('selectFields', () => {
  const header = crlf('Subject: a\n  folded\nTo: b\nX: 1\nsubject: c\n\n');

  test('BODY[HEADER.FIELDS (...)] keeps folding and order, and ends in a blank line (RFC 9051 6.4.5.1)', () => {
    expect(selectFields(header, ['SUBJECT', 'Missing'], 'only').toString()).toBe(
      'Subject: a\r\n  folded\r\nsubject: c\r\n\r\n',
    );
  });

  test('BODY[HEADER.FIELDS.NOT (...)]', () => {
    expect(selectFields(header, ['subject'], 'not').toString()).toBe('To: b\r\nX: 1\r\n\r\n');
  });

  test('a header without an end gets one', () => {
    expect(selectFields(Buffer.from('To: a'), ['to'], 'only').toString()).toBe('To: a\r\n\r\n');
    expect(selectFields(Buffer.from(''), ['to'], 'only').toString()).toBe('\r\n');
  });

  test('8-bit octets pass', () => {
    expect([...selectFields(Buffer.from('To: \xff\r\n', 'latin1'), ['to'], 'only')]).toContain(0xff);
  });

  test('both modes together have every field once, whatever the bytes are', () => {
    fc.assert(
      fc.property(nearlyMail, fc.subarray(['subject', 'from', 'content-type', 'date']), (bytes, names) => {
        const all = [...fields(byteString(bytes))];
        const length = all.reduce((sum, { start, end }) => sum + end - start, 0);
        const selected = (['only', 'not'] as const).map((mode) => selectFields(bytes, names, mode));
        const ends = selected.reduce(
          (sum, part) => sum + (/(?:^|\n)\r\n$/.test(part.toString('latin1')) ? 2 : 0),
          0,
        );
        expect(ends).toBe(4);
        const total = selected.reduce((sum, part) => sum + part.length, 0) - ends;
        // The last field may have had no line end.
        expect([length, length + 2]).toContain(total);
      }),
    );
  });
});

test('a megabyte of fields, of colons, of folds', () => {
  for (const text of ['a:\n', ':', 'a', ' \n', 'a: b\n\t']) {
    const header = text.repeat((1024 * 1024) / text.length);
    let end = 0;
    for (const field of fields(header)) end = field.end;
    expect(end).toBe(header.length);
  }
});
