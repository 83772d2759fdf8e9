import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseMessageUrl, urlInCode } from '../../src/imap/imap-url.ts';

test('all parts of a URL (RFC 5092 6)', () => {
  expect(parseMessageUrl('/a%20b/c;UIDVALIDITY=12/;UID=3/;SECTION=1.2.HEADER/;PARTIAL=4.5')).toMatchObject({
    mailbox: 'a b/c',
    uidValidity: 12,
    uid: 3,
    section: { path: [1, 2], text: { is: 'header' } },
    partial: { start: 4, length: 5 },
  });
  expect(parseMessageUrl(';uid=3')).toEqual({
    mailbox: null,
    uidValidity: null,
    uid: 3,
    section: null,
    partial: null,
  });
});

test('any name and number come back, whatever the name is', () => {
  const name = fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 50 })
    .filter((text) => !/[\0]|\/$/.test(text));
  fc.assert(
    fc.property(name, fc.integer({ min: 1, max: 2 ** 32 - 1 }), (mailbox, uid) => {
      const encoded = encodeURIComponent(mailbox.normalize('NFC'));
      const url = parseMessageUrl(`/${encoded}/;UID=${uid}`);
      expect(url?.mailbox?.toLowerCase()).toBe(mailbox.normalize('NFC').toLowerCase());
      expect(url?.uid).toBe(uid);
    }),
  );
});

test('whatever it is, it is a URL or none, and can stand in a response code', () => {
  const piece = fc.constantFrom(
    '/',
    ';',
    ';UID=1',
    '/;uid=2',
    ';UIDVALIDITY=',
    '/;section=',
    '1.',
    'MIME',
    '%',
    '%41',
    ']',
    '/;partial=',
    '3.4',
    '\xff',
    '\r\n',
    '{3}\r\n',
    '"',
    '\\',
  );
  const text = fc.oneof(
    fc.array(piece, { maxLength: 20 }).map((pieces) => pieces.join('')),
    fc.string(),
  );
  fc.assert(
    fc.property(text, (url) => {
      const parsed = parseMessageUrl(Buffer.from(url).toString('latin1'));
      if (parsed) expect(parsed.uid).toBeGreaterThan(0);
      expect(urlInCode(Buffer.from(url).toString('latin1'))).toMatch(/^[\x20-\x5b\x5e-\x7e]*$/);
    }),
    { numRuns: 1000 },
  );
});

test('a long one is looked at in no time', () => {
  for (const part of ['/;uid=1', ';uidvalidity=1/', '/;uid=1/;section=', '%41', '/;uid=1/;section=x;'])
    expect(parseMessageUrl(`/${part.repeat(8000 / part.length)}]`)).toBeUndefined();
});
