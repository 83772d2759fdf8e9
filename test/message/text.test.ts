import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeMessage, MAX_DECODED, MessageError } from '../../src/message/decode.ts';
import { type Accents, fold } from '../../src/message/fold.ts';
import { htmlText } from '../../src/message/html-text.ts';
import { scan } from '../../src/message/scan.ts';
import { bodyText, fieldTexts, includesText, messageText, type ReadSpan } from '../../src/message/text.ts';
import { chunks, corpusFiles, crlf, nearlyMail } from './samples.ts';

const reader =
  (bytes: Uint8Array, size = 1000): ReadSpan =>
  ({ start, end }) =>
    chunks(bytes.subarray(start, end), [size]);

const body = (text: string, size?: number): string => {
  const bytes = crlf(text);
  return [...bodyText(scan(bytes), reader(bytes, size))].join('');
};

describe('fold: i;unicode-casemap (RFC 5051)', () => {
  test.each<[string, string]>([
    ['cafe\u0301', 'café'],
    ['Straße', 'STRAßE'],
    ['ΌΣΟΣ', 'όσος'],
    ['ﬁnd', 'find'],
    ['Ｆｕｌｌ', 'full'],
    ['İstanbul', 'i̇stanbul'],
    ['ёлка', 'ЁЛКА'],
    ['가', '가'.normalize('NFD')],
  ])('%s is %s', (a, b) => {
    expect(fold(a)).toBe(fold(b));
  });

  test.each([
    ['Café', 'CAFE'],
    ['Straße', 'STRASSE'],
    ['İstanbul', 'istanbul'],
    ['ёлка', 'ЕЛКА'],
  ])('%s is %s where accents are ignored, and only there', (a, b) => {
    expect(fold(a, 'ignored')).toBe(fold(b, 'ignored'));
    expect(fold(a)).not.toBe(fold(b));
  });

  test('marks that make other words stay', () => {
    expect(fold('か', 'ignored')).not.toBe(fold('が', 'ignored'));
    expect(fold('कि', 'ignored')).not.toBe(fold('का', 'ignored'));
  });

  test('folding twice is folding once', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        expect(fold(fold(text))).toBe(fold(text));
      }),
    );
  });
});

describe('includesText', () => {
  test('finds across seams', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.string({ minLength: 1, maxLength: 3, unit: fc.constantFrom('a', 'b', 'é', '\u0301', '\u0323') }),
          {
            maxLength: 12,
          },
        ),
        fc.string({ maxLength: 4, unit: fc.constantFrom('A', 'B', 'e', 'E\u0301', '\u0323') }),
        (pieces, wanted) => {
          for (const accents of ['matter', 'ignored'] as const)
            expect(includesText(pieces, wanted, accents)).toBe(
              fold(pieces.join(''), accents).includes(fold(wanted, accents)),
            );
        },
      ),
    );
  });
});

describe('text of a message', () => {
  const message = `Subject: =?iso-8859-1?q?Gr=FC=DFe?=
From: =?utf-8?b?SsO8cmdlbg==?= <j@example.org>
Content-Type: multipart/mixed; boundary=x

preamble
--x
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

na=C3=AFve so=
ft
--x
Content-Type: text/html; charset=iso-8859-1
Content-Transfer-Encoding: base64

PHA+Y2Fm6TwvcD48c2NyaXB0PnNlY3JldDwvc2NyaXB0Pg==
--x
Content-Type: application/pdf; name="=?utf-8?q?r=C3=A9sum=C3=A9=2Epdf?="
Content-Disposition: attachment; filename*=utf-8''%e2%82%ac.pdf
Content-Transfer-Encoding: base64

c2VjcmV0
--x
Content-Type: message/rfc822

Subject: =?utf-8?q?inner_=C3=A9?=

inner body
--x--
epilogue
`;

  test.each([1, 7, 100_000])('decoded, read in pieces of %d', (size) => {
    const text = body(message, size);
    for (const part of ['naïve soft', 'café', 'résumé.pdf', '€.pdf', 'subject: inner é', 'inner body']) {
      expect(text).toContain(part);
    }
    for (const other of ['secret', '<p>', 'Grüße', 'preamble', 'epilogue']) expect(text).not.toContain(other);
  });

  test('with the header', () => {
    const bytes = crlf(message);
    const found = (wanted: string, accents?: Accents) =>
      includesText(messageText(scan(bytes), reader(bytes)), wanted, accents);
    expect(found('GRÜßE')).toBe(true);
    expect(found('subject: grü')).toBe(true);
    // The accent stands behind its letter.
    expect(found('CAFE')).toBe(true);
    expect(found('jurgen')).toBe(false);
    expect(found('Grusse')).toBe(false);
    expect(found('jurgen', 'ignored')).toBe(true);
    expect(found('GRUSSE', 'ignored')).toBe(true);
    expect(found('Grub', 'ignored')).toBe(false);
  });

  test('values of a field', () => {
    expect(fieldTexts(crlf('To: a\nto: =?utf-8?q?=c3=a9?=\n\n'), 'to')).toEqual(['a', 'é']);
    expect(fieldTexts(crlf('To: a\n\n'), 'cc')).toEqual([]);
    expect(fieldTexts(crlf('From: <a (comment)@ (comment) b.org>, c@d.org\n\n'), 'from')).toEqual([
      '<a (comment)@ (comment) b.org>, c@d.org',
      'a@b.org',
    ]);
  });

  test('for any bytes, and the corpus', () => {
    fc.assert(
      fc.property(nearlyMail, fc.integer({ min: 1, max: 50 }), (bytes, size) => {
        const root = scan(bytes);
        for (const piece of messageText(root, reader(bytes, size))) expect(typeof piece).toBe('string');
      }),
      { numRuns: 500 },
    );
    let length = 0;
    for (const { read } of corpusFiles(['mime'])) {
      const bytes = read();
      for (const piece of messageText(scan(bytes), reader(bytes, 64 * 1024))) length += piece.length;
    }
    expect(length).toBeGreaterThanOrEqual(0);
  });
});

describe('htmlText', () => {
  const strip = (html: string, size = html.length || 1): string => {
    const filter = htmlText();
    let out = '';
    for (let at = 0; at < html.length; at += size) out += filter.write(html.slice(at, at + size));
    return out + filter.end();
  };

  test.each<[string, string]>([
    ['<p>a</p><p>b</p>', ' a  b '],
    ['w<b>or</b>d', 'word'],
    ['a<br>b', 'a b'],
    ['a <!-- x > y --> b', 'a  b'],
    ['a<style>x</b></style >b', 'a b'],
    ['<SCRIPT src="x">if (a</b) {}</SCRIPT>b', ' b'],
    ['&amp;&lt;&#233;&#xe9;&eacute;&euro;&nosuch;&amp', `${'&<éééé'.slice(0, 5)}€&nosuch;&`],
    ['a < b', 'a < b'],
    ['a <', 'a <'],
    ['<a href="x', '<a href="x'],
    ['a&#0;b&#xd800;c&#x110000;', 'a b c '],
    ['a\r\n  b', 'a b'],
  ])('%s', (html, expected) => {
    expect(strip(html)).toBe(expected);
  });

  test('cut anywhere', () => {
    const piece = fc.constantFrom(
      '<',
      '>',
      '<p>',
      '</p>',
      '<b>',
      '<!--',
      '-->',
      '<style>',
      '</style>',
      '&',
      'amp;',
      '&eacute;',
      '&#',
      '233;',
      'a',
      '/',
      '!',
      '-',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 20 }), fc.integer({ min: 1, max: 4 }), (pieces, size) => {
        const html = pieces.join('');
        expect(strip(html, size)).toBe(strip(html));
      }),
      { numRuns: 1000 },
    );
  });

  test.each(['<', '<a ', '&', '<!--', '<style>', '</', '<p>', '&#1', '< >'])('long runs of %s', (text) => {
    expect(typeof strip(text.repeat(300_000 / text.length), 64 * 1024)).toBe('string');
  });
});

describe('decodeMessage', () => {
  test('what people see', async () => {
    const mail = await decodeMessage(
      crlf(`Subject: =?utf-8?q?=C3=A9?=
From: =?utf-8?q?J=C3=BCrgen?= <j@example.org>
To: a@example.org
Content-Type: multipart/mixed; boundary=x

--x
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

caf=C3=A9
--x
Content-Type: text/html

<p>hi</p>
--x
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.org
--x
Content-Type: application/octet-stream; name=a.bin
Content-Transfer-Encoding: base64

AAEC
--x--
`),
    );
    expect(mail).toMatchObject({ subject: 'é', from: '"Jürgen" <j@example.org>', to: 'a@example.org' });
    expect(mail.text).toContain('café');
    expect(mail.html).toContain('<p>hi</p>');
    expect(mail.attachments.map(({ type }) => type)).toEqual([
      'message/delivery-status',
      'application/octet-stream',
    ]);
    expect([...(mail.attachments[1]?.content ?? [])]).toEqual([0, 1, 2]);
  });

  test('refuses what is too big, or has too many parts, with its own error', async () => {
    await expect(decodeMessage(Buffer.alloc(MAX_DECODED + 1))).rejects.toBeInstanceOf(MessageError);
    const parts = crlf(`Content-Type: multipart/mixed; boundary=x\n\n${'--x\n\n\n'.repeat(11_000)}`);
    await expect(decodeMessage(parts)).rejects.toMatchObject({ name: 'MessageError', kind: 'unreadable' });
  });

  test('a message that is nearly none decodes', async () => {
    await fc.assert(
      fc.asyncProperty(nearlyMail, async (bytes) => {
        expect(typeof (await decodeMessage(bytes)).subject).toBe('string');
      }),
      { numRuns: 100 },
    );
  });
});
