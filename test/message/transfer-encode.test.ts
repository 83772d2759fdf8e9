import fc from 'fast-check';
import { expect, test } from 'vitest';
import { transferDecoder } from '../../src/message/transfer.ts';
import { base64, quotedPrintable } from '../../src/message/transfer-encode.ts';

async function* cut(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function encoded(encode: typeof base64, bytes: Uint8Array, size = 7): Promise<string> {
  let text = '';
  for await (const chunk of encode(cut(bytes, size))) text += Buffer.from(chunk).toString('latin1');
  return text;
}

function decoded(encoding: string, text: string): Buffer {
  const decoder = transferDecoder(encoding);
  return Buffer.concat([decoder.write(Buffer.from(text, 'latin1')), decoder.end()]);
}

test.each([
  ['plain text', 'plain text'],
  ['a=b', 'a=3Db'],
  ['été', '=C3=A9t=C3=A9'],
  ['blank at the end \r\nnext\t\r\n', 'blank at the end=20\r\nnext=09\r\n'],
  ['blank at the very end ', 'blank at the very end=20'],
  ['a \rb\nc\r', 'a=20=0Db=0Ac=0D'],
  ['\0\x7f', '=00=7F'],
  ['\r\r\n', '=0D\r\n'],
  ['x'.repeat(80), `${'x'.repeat(75)}=\r\n${'x'.repeat(5)}`],
])('quoted-printable of %j (RFC 2045 6.7)', async (text, expected) => {
  expect(await encoded(quotedPrintable, Buffer.from(text))).toBe(expected);
});

test('base64 has lines of 76 (RFC 2045 6.8)', async () => {
  const bytes = Buffer.alloc(60, 'a');
  expect(await encoded(base64, bytes)).toBe(
    `${Buffer.alloc(57, 'a').toString('base64')}\r\n${Buffer.alloc(3, 'a').toString('base64')}`,
  );
  expect(await encoded(base64, Buffer.alloc(0))).toBe('');
});

test.each([
  ['quoted-printable', quotedPrintable],
  ['base64', base64],
] as const)(
  'any octets come back from %s, wherever they are cut, in lines that everybody takes',
  async (name, encode) => {
    const octets = fc.array(
      fc.constantFrom(...['\r\n', '\r', '\n', ' ', '\t', '=', 'a', '\xff', '\0', 'b'.repeat(70)]),
      {
        maxLength: 60,
      },
    );
    await fc.assert(
      fc.asyncProperty(octets, fc.integer({ min: 1, max: 90 }), async (tokens, size) => {
        const bytes = Buffer.from(tokens.join(''), 'latin1');
        const text = await encoded(encode, bytes, size);
        expect(decoded(name, text).toString('latin1')).toBe(bytes.toString('latin1'));
        expect(text).toMatch(/^[\t\r\n\x20-\x7e]*$/);
        expect(text).not.toMatch(/[ \t]\r\n|(?<!\r)\n|\r(?!\n)/);
        for (const line of text.split('\r\n')) expect(line.length).toBeLessThanOrEqual(76);
      }),
      { numRuns: 500 },
    );
  },
);
