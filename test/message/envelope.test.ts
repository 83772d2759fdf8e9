import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { envelope } from '../../src/message/envelope.ts';
import { byteString } from '../../src/message/header.ts';
import { MAX_HEADER } from '../../src/message/scan.ts';
import { Summariser, summarise } from '../../src/message/summary.ts';
import { chunks, corpusFiles, crlf, nearlyMail } from './samples.ts';

const NILS = '(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)';
const print = (header: string): string => envelope(header.replaceAll('\n', '\r\n'));

/** Reads one value of IMAP's answers; throws where the grammar is broken. */
function readValue(text: string): unknown {
  let at = 0;
  const value = (): unknown => {
    if (text[at] === '(') {
      const list: unknown[] = [];
      at++;
      while (text[at] !== ')') {
        if (text[at] === ' ') at++;
        list.push(value());
      }
      at++;
      return list;
    }
    const match = /"([^"\\\r\n\0\x80-\xff]*)"|\{(\d+)\}\r\n|NIL|\d+/y;
    match.lastIndex = at;
    const found = match.exec(text);
    if (!found) throw new Error(`at ${at}: ${text.slice(at, at + 40)}`);
    at = match.lastIndex;
    if (found[2] === undefined) return found[1] ?? (found[0] === 'NIL' ? null : Number(found[0]));
    const literal = text.slice(at, at + Number(found[2]));
    if (literal.length !== Number(found[2]) || literal.includes('\0')) throw new Error('literal');
    at += literal.length;
    return literal;
  };
  const read = value();
  if (at !== text.length) throw new Error(`more after ${at}`);
  return read;
}

describe('ENVELOPE (RFC 9051 7.5.2)', () => {
  test('the example of RFC 9051 8', () => {
    expect(
      print(`Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)
From: Terry Gray <gray@cac.washington.edu>
Subject: IMAP4rev2 WG mtg summary and minutes
To: imap@cac.washington.edu
Cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>
Message-Id: <B27397-0100000@cac.washington.edu>
`),
    ).toBe(
      '("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" "IMAP4rev2 WG mtg summary and minutes" ' +
        '(("Terry Gray" NIL "gray" "cac.washington.edu")) (("Terry Gray" NIL "gray" "cac.washington.edu")) ' +
        '(("Terry Gray" NIL "gray" "cac.washington.edu")) ((NIL NIL "imap" "cac.washington.edu")) ' +
        '((NIL NIL "minutes" "CNRI.Reston.VA.US")("John Klensin" NIL "KLENSIN" "MIT.EDU")) NIL NIL ' +
        '"<B27397-0100000@cac.washington.edu>")',
    );
  });

  test('an absent field is NIL, an empty one is empty', () => {
    expect(print('')).toBe(NILS);
    expect(print('Date:\nSubject: \nMessage-ID:\nIn-Reply-To:\n')).toBe(
      '("" "" NIL NIL NIL NIL NIL NIL "" "")',
    );
  });

  test('an empty Sender or Reply-To defaults to From too', () => {
    expect(print('From: a@b\nSender:\nReply-To: , ;\n')).toBe(
      '(NIL NIL ((NIL NIL "a" "b")) ((NIL NIL "a" "b")) ((NIL NIL "a" "b")) NIL NIL NIL NIL NIL)',
    );
  });

  test('groups begin with a NIL host and end with all NIL', () => {
    expect(print('To: A: b@c, "d e" <f@g>;, h@i\nCc: undisclosed-recipients:;\n')).toBe(
      '(NIL NIL NIL NIL NIL ((NIL NIL "A" NIL)(NIL NIL "b" "c")("d e" NIL "f" "g")(NIL NIL NIL NIL)(NIL NIL "h" "i")) ' +
        '((NIL NIL "undisclosed-recipients" NIL)(NIL NIL NIL NIL)) NIL NIL NIL)',
    );
  });

  test('an address without host or mailbox is not taken for a group', () => {
    expect(print('From: foo\n')).toContain('((NIL NIL "foo" "MISSING_DOMAIN"))');
    expect(print('From: foo bar\n')).toContain('(("foo bar" NIL "MISSING_MAILBOX" "MISSING_DOMAIN"))');
  });

  test('a route is kept (RFC 5322 4.4)', () => {
    expect(print('From: <@a,@b:c@d>\n')).toContain('((NIL "@a,@b" "c" "d"))');
  });

  test('quotes, backslashes and 8-bit octets go as literals', () => {
    expect(print('Subject: say "hi"\nFrom: "\\"q\\" \xe9" <a@b>\n')).toMatch(
      /^\(NIL \{8\}\r\nsay "hi" \(\(\{5\}\r\n"q" \xe9 NIL "a" "b"\)\)/,
    );
  });

  test('NUL, which no string may carry, becomes a question mark', () => {
    expect(print('Subject: a\0b\n')).toContain('"a?b"');
  });

  test('folding becomes one blank in text for people, and nothing elsewhere', () => {
    expect(print('Subject: a\n \t b\n  c\nFrom: "x\n  y" <a@b>\nIn-Reply-To: <a>\n <b>\n')).toMatch(
      /^\(NIL "a b c" \(\("x y" NIL "a" "b"\)\) .* "<a> <b>" NIL\)$/,
    );
  });

  test('encoded words stay encoded', () => {
    expect(print('Subject: =?utf-8?q?=c3=a9?=\nFrom: =?utf-8?q?a_b?= <a@b>\n')).toMatch(
      /"=\?utf-8\?q\?=c3=a9\?=" \(\("=\?utf-8\?q\?a_b\?="/,
    );
  });

  test('fields that stand there twice: lists are joined, of others the last counts', () => {
    expect(print('To: a@b\nSubject: one\nTo: c@d\nSubject: two\n')).toBe(
      '(NIL "two" NIL NIL NIL ((NIL NIL "a" "b")(NIL NIL "c" "d")) NIL NIL NIL NIL)',
    );
  });
});

describe('BODYSTRUCTURE (RFC 9051 7.5.2)', () => {
  const structure = (text: string) => summarise(crlf(text)).bodyStructure;
  const TEXT = '"text" "plain" ("charset" "us-ascii") NIL NIL "7bit"';

  test('plain text, with the charset that is meant (RFC 2045 5.2)', () => {
    expect(structure('\nhello\n')).toBe(`(${TEXT} 7 1 NIL NIL NIL NIL)`);
    expect(summarise(crlf('\nhello\n')).body).toBe(`(${TEXT} 7 1)`);
  });

  test('the example of RFC 3501 7.4.2', () => {
    const line = 'x'.repeat(47);
    const first = `${`${line}\n`.repeat(22)}${'x'.repeat(74)}\n`;
    const second = `${`${'y'.repeat(61)}\n`.repeat(72)}${'y'.repeat(17)}\n`;
    expect(
      summarise(
        crlf(`Content-Type: multipart/mixed; boundary=b

--b
Content-Type: TEXT/PLAIN; CHARSET=US-ASCII

${first}
--b
Content-Type: TEXT/PLAIN; CHARSET=US-ASCII; NAME="cc.diff"
Content-ID: <960723163407.20117h@cac.washington.edu>
Content-Description: Compiler diff
Content-Transfer-Encoding: BASE64

${second}
--b--
`),
      ).body,
    ).toBe(
      '(("text" "plain" ("charset" "US-ASCII") NIL NIL "7bit" 1154 23)' +
        '("text" "plain" ("charset" "US-ASCII" "name" "cc.diff") "<960723163407.20117h@cac.washington.edu>" "Compiler diff" "base64" 4555 73) "mixed")',
    );
  });

  test('a message inside has its envelope, its structure and its lines', () => {
    expect(structure('Content-Type: message/rfc822\n\nSubject: a\nFrom: b@c\n\nhello\n')).toBe(
      '("message" "rfc822" NIL NIL NIL "7bit" 32 (NIL "a" ((NIL NIL "b" "c")) ((NIL NIL "b" "c")) ((NIL NIL "b" "c")) NIL NIL NIL NIL NIL) ' +
        `(${TEXT} 7 1 NIL NIL NIL NIL) 4 NIL NIL NIL NIL)`,
    );
  });

  test('one that is encoded has an empty one', () => {
    expect(structure('Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nYQ==\n')).toBe(
      `("message" "rfc822" NIL NIL NIL "base64" 6 ${NILS} (${TEXT} 0 0 NIL NIL NIL NIL) 1 NIL NIL NIL NIL)`,
    );
  });

  test('a multipart without parts has an empty one, as the grammar wants', () => {
    expect(structure('Content-Type: multipart/mixed; boundary=x\n\n')).toBe(
      `((${TEXT} 0 0 NIL NIL NIL NIL) "mixed" ("boundary" "x") NIL NIL NIL)`,
    );
  });

  test('extension data', () => {
    expect(
      structure(
        'Content-Type: image/png\nContent-MD5: Q2hlY2s=\nContent-Disposition: ATTACHMENT; filename="a \\"b\\".png"; size=1\nContent-Language: de, en (maybe)\nContent-Location: http://a/\n b\n\n',
      ),
    ).toBe(
      '("image" "png" NIL NIL NIL "7bit" 0 "Q2hlY2s=" ("attachment" ("filename" {9}\r\na "b".png "size" "1")) ("de" "en") "http://a/b")',
    );
  });

  test('continuations are put together, text that is not ASCII goes in the extended form (RFC 2231 6)', () => {
    expect(structure('Content-Type: a/b; n*0*=iso-8859-1\'de\'%E4; n*1="(x)"\n\n')).toContain(
      `("n*" "utf-8''%C3%A4%28x%29")`,
    );
    expect(structure('Content-Type: a/b; n*0=x; n*1=y\n\n')).toContain('("n" "xy")');
  });
});

describe('summaries', () => {
  test('the header is kept whole, or not at all', () => {
    expect(Buffer.from(summarise(crlf('A: \xe9\n\nb')).header ?? []).toString('latin1')).toBe(
      'A: \xe9\r\n\r\n',
    );
    expect(summarise(crlf(`A: ${'x'.repeat(MAX_HEADER)}\n\nb`)).header).toBeNull();
  });

  test('are grammatical for any bytes, and the same from chunks', () => {
    fc.assert(
      fc.property(nearlyMail, fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }), (bytes, sizes) => {
        const summary = summarise(bytes);
        expect(readValue(summary.envelope)).toHaveLength(10);
        readValue(summary.body);
        readValue(summary.bodyStructure);
        expect(summary.envelope).toBe(envelope(byteString(bytes.subarray(0, summary.structure.header.end))));
        const summariser = new Summariser();
        for (const chunk of chunks(bytes, sizes)) summariser.write(chunk);
        expect(summariser.end()).toEqual(summary);
      }),
      { numRuns: 1000 },
    );
  });

  test('are grammatical for the corpus', () => {
    for (const { name, read } of corpusFiles(['mime', 'bounce', 'auth'])) {
      const summary = summarise(read());
      expect(
        () => [summary.envelope, summary.body, summary.bodyStructure].map(readValue),
        name,
      ).not.toThrow();
      // Plain data: it goes to other threads and into the index.
      expect(JSON.parse(JSON.stringify(summary.structure)), name).toEqual(structuredClone(summary.structure));
    }
  });
});
