import fc from 'fast-check';
import { expect, test } from 'vitest';
import { multiLine, top } from '../../src/pop3/multi-line.ts';

async function* chunks(bytes: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function collect(source: AsyncIterable<Uint8Array>): Promise<string> {
  const all: Uint8Array[] = [];
  for await (const chunk of source) all.push(chunk);
  return Buffer.concat(all).toString('latin1');
}

const stuffed = (text: string, size = 1000): Promise<string> =>
  collect(multiLine(chunks(Buffer.from(text, 'latin1'), size)));

test.each([
  ['', '.\r\n'],
  ['a\r\n', 'a\r\n.\r\n'],
  ['a', 'a\r\n.\r\n'],
  ['a\r', 'a\r\n.\r\n'],
  ['.\r\n', '..\r\n.\r\n'],
  ['.', '..\r\n.\r\n'],
  ['..\r\n.a\r\n\r\n', '...\r\n..a\r\n\r\n.\r\n'],
  ['a.\r\nb', 'a.\r\nb\r\n.\r\n'],
])('%j is sent as %j (RFC 1939 3)', async (text, sent) => {
  for (const size of [1, 2, 3, 1000]) expect(await stuffed(text, size)).toBe(sent);
});

test('whatever the message and its chunks: one termination, at the end, and the client gets the same octets', async () => {
  const line = fc.stringMatching(/^[.ab]{0,4}$/);
  await fc.assert(
    fc.asyncProperty(fc.array(line), fc.integer({ min: 1, max: 7 }), async (lines, size) => {
      const text = lines.map((one) => `${one}\r\n`).join('');
      const sent = await stuffed(text, size);
      expect(sent.endsWith('.\r\n')).toBe(true);
      const body = sent.slice(0, -3);
      expect(`\r\n${body}`).not.toContain('\r\n.\r\n');
      expect(`\r\n${body}`.replaceAll('\r\n.', '\r\n').slice(2)).toBe(text);
    }),
  );
});

test.each([
  [0, 'A: b\r\n\r\n'],
  [1, 'A: b\r\n\r\none\r\n'],
  [3, 'A: b\r\n\r\none\r\n\r\nthree\r\n'],
  [4, 'A: b\r\n\r\none\r\n\r\nthree\r\nfour'],
  [1e15, 'A: b\r\n\r\none\r\n\r\nthree\r\nfour'],
])('TOP with %i lines (RFC 1939 7)', async (lines, expected) => {
  const message = Buffer.from('A: b\r\n\r\none\r\n\r\nthree\r\nfour');
  for (const size of [1, 2, 3, 5, 100])
    expect(await collect(top(chunks(message, size), lines))).toBe(expected);
});

test('TOP of a message without a body, and of one without a header', async () => {
  expect(await collect(top(chunks(Buffer.from('A: b\r\nC: d\r\n'), 3), 0))).toBe('A: b\r\nC: d\r\n');
  expect(await collect(top(chunks(Buffer.from('\r\nbody\r\nmore\r\n'), 3), 1))).toBe('\r\nbody\r\n');
});

test('TOP reads no further than it must', async () => {
  let read = 0;
  async function* endless(): AsyncGenerator<Uint8Array> {
    for (;;) {
      read++;
      yield Buffer.from('A: b\r\n\r\nline\r\nline\r\n');
    }
  }
  await collect(top(endless(), 5));
  expect(read).toBeLessThan(4);
});
