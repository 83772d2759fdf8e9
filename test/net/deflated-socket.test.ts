import { once } from 'node:events';
import { constants, createInflateRaw, deflateRawSync, inflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { ConnectionLost, LineTooLong } from '../../src/net/errors.ts';
import type { Certificates } from '../../src/tls/certificates.ts';
import { Openings, testCertificates } from './world.ts';

let certificates: Certificates;
beforeAll(async () => {
  certificates = await testCertificates();
});
const world = new Openings();
afterEach(() => world.closeAll());

const BOUND = { maxBytes: 100, timeoutMs: 5000 };
const FLUSHED = { finishFlush: constants.Z_SYNC_FLUSH };

test('a few octets that unfold to 64 MB are not unfolded before somebody asks', async () => {
  const { client, connection } = await world.pair(certificates);
  await connection.compress();
  const unfolded = Buffer.alloc(64 * 1024 ** 2, 'x');
  const bomb = deflateRawSync(unfolded, FLUSHED);
  const before = process.memoryUsage().arrayBuffers;
  client.write(bomb);
  await new Promise((resolve) => setTimeout(resolve, 200));
  // What was unfolded here is still held, so that nothing makes up for what the connection takes.
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(unfolded.length / 16);
  await expect(connection.readLine(BOUND)).rejects.toThrow(LineTooLong);
  connection.destroy();
});

test('a peer that does not read stops the writer', async () => {
  const { client, connection } = await world.pair(certificates);
  await connection.compress();
  client.pause();
  let waits = 0;
  let sent = 0;
  const noise = Buffer.alloc(32 * 1024);
  for (let at = 0; at < noise.length; at++) noise[at] = (at * at * 2654435761) >>> 13;
  for (; waits === 0 && sent < 64 * 1024 ** 2; sent += noise.length) {
    for (let at = 0; at < 8000; at++)
      noise[(at * 4 + sent) % noise.length] = Math.imul(at + sent, 40503) >>> 7;
    const room = connection.write(noise);
    if (!room) continue;
    const first = await Promise.race([
      room.then(() => 'room'),
      new Promise((resolve) => setTimeout(resolve, 300, 'none')),
    ]);
    if (first === 'none') waits++;
  }
  expect(waits).toBe(1);
  const inflate = createInflateRaw(FLUSHED);
  let read = 0;
  inflate.on('data', (chunk: Buffer) => {
    read += chunk.length;
  });
  client.pipe(inflate);
  client.resume();
  await connection.end();
  await once(inflate, 'end');
  expect(read).toBe(sent);
});

test('what is written arrives as it was, in blocks however they were cut', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 5000 }), { maxLength: 10 }), async (pieces) => {
      const { client, connection } = await world.pair(certificates);
      await connection.compress();
      const chunks: Buffer[] = [];
      client.on('data', (chunk: Buffer) => chunks.push(chunk));
      for (const piece of pieces) await connection.write(piece);
      await connection.end();
      await once(client, 'end');
      const whole = Buffer.concat(pieces);
      expect(inflateRawSync(Buffer.concat(chunks), FLUSHED).equals(whole)).toBe(true);
      client.destroy();
    }),
    { numRuns: 25 },
  );
});

test('lines and octets that come in blocks, cut anywhere', async () => {
  const { client, connection } = await world.pair(certificates);
  await connection.compress();
  expect(connection.compressed).toBe(true);
  const wire = deflateRawSync('one\r\ntwo {5}\r\n12345 three\r\nhalf', FLUSHED);
  const reading = (async () => {
    const lines = [];
    for (let at = 0; at < 2; at++) lines.push((await connection.readLine(BOUND))?.toString());
    const literal: Buffer[] = [];
    for await (const chunk of connection.readOctets(5, { timeoutMs: 5000 })) literal.push(chunk);
    lines.push(Buffer.concat(literal).toString());
    for (let at = 0; at < 2; at++) lines.push((await connection.readLine(BOUND))?.toString());
    return lines;
  })();
  for (const byte of wire) {
    client.write(Buffer.of(byte));
    await new Promise((resolve) => setImmediate(resolve));
  }
  client.end();
  expect(await reading).toEqual(['one', 'two {5}', '12345', ' three', undefined]);
});

test('octets that are no DEFLATE are a lost connection', async () => {
  const { client, connection } = await world.pair(certificates);
  await connection.compress();
  client.write('\xff\xff\xff\xff no DEFLATE\r\n');
  expect(await connection.readLine(BOUND)).toBeNull();
  expect(() => connection.write('x')).toThrow(ConnectionLost);
  await expect(connection.compress()).rejects.toThrow(ConnectionLost);
});
