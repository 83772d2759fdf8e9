import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import fc from 'fast-check';

/** Text with LF line ends as bytes with CRLF, one char an octet. */
export function crlf(text: string): Buffer {
  return Buffer.from(text.replaceAll('\n', '\r\n'), 'latin1');
}

/** What two spans of a message hold, for people. */
export function slice(bytes: Uint8Array, span: { readonly start: number; readonly end: number }): string {
  return Buffer.from(bytes.subarray(span.start, span.end)).toString('latin1');
}

/** Bytes that are nearly mail: fields, boundaries, line ends and junk in any order. */
export const nearlyMail: fc.Arbitrary<Buffer> = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        '\r\n',
        '\n',
        '\r',
        '--a',
        '--ab',
        '--a--',
        '--ab--\r\n',
        '\r\n--a\r\n',
        '\r\n--ab\r\n',
        'Content-Type: multipart/mixed; boundary=a\r\n',
        'Content-Type: multipart/digest; boundary="ab"\n',
        'Content-Type: message/rfc822\r\n',
        'Content-Type: text/html; charset=iso-2022-kr\r\n',
        'Content-Transfer-Encoding: base64\r\n',
        'Content-Transfer-Encoding: quoted-printable\r\n',
        'Content-Disposition: attachment; filename*0*=utf-8\'\'%e2; filename*1="x"\r\n',
        'From: "a" <b@c>, g: d@e;\r\n',
        'Subject: =?utf-8?q?=c3?= =?utf-8?q?=a4?=\r\n',
        'Date: Thu, 22 Aug 2002 13:52:38 +0100\r\n',
        '<p>text &amp; more',
        '=',
        '=\r\n',
        '\0',
        '\xe9',
        ' ',
        '"',
        '(',
      ),
      fc.string({ maxLength: 8 }),
    ),
    { maxLength: 40 },
  )
  .map((pieces) => Buffer.from(pieces.join(''), 'latin1'));

/** The bytes in pieces, cut as `sizes` says. */
export function chunks(bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  let at = 0;
  for (let i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length] ?? bytes.length;
    pieces.push(bytes.subarray(at, at + size));
    at += size;
  }
  return pieces;
}

const corpus = resolve(import.meta.dirname, '../../../shared/corpus');

/** Files of the shared corpus under these folders; empty, with a printed reason, when it is not there. */
export function corpusFiles(folders: readonly string[]): { name: string; read: () => Buffer }[] {
  if (!existsSync(corpus)) {
    console.log(`skipped: there is no corpus at ${corpus}`);
    return [];
  }
  return folders.flatMap((folder) =>
    readdirSync(resolve(corpus, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => ({
        name: entry.name,
        read: () => readFileSync(resolve(entry.parentPath, entry.name)),
      })),
  );
}
