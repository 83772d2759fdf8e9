import { once } from 'node:events';
import type { Socket } from 'node:net';
import { type TLSSocket, connect as tlsConnect } from 'node:tls';
import fc from 'fast-check';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ConnectionLost, IdleTimeout, LineTooLong } from '../../src/net/errors.ts';
import type { SocketLineConnection } from '../../src/net/line-connection.ts';
import type { Certificates } from '../../src/tls/certificates.ts';
import { Openings, readAll, testCertificates } from './world.ts';

let certificates: Certificates;
beforeAll(async () => {
  certificates = await testCertificates();
});
const world = new Openings();
afterEach(() => world.closeAll());

const BOUND = { maxBytes: 100, timeoutMs: 5000 };

async function line(connection: SocketLineConnection): Promise<string | undefined> {
  return (await connection.readLine(BOUND))?.toString('latin1');
}

async function octets(connection: SocketLineConnection, size: number, timeoutMs = 5000): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of connection.readOctets(size, { timeoutMs })) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function handshakeOver(client: Socket): Promise<TLSSocket> {
  const secure = world.add(tlsConnect({ socket: client, rejectUnauthorized: false }));
  await once(secure, 'secureConnect');
  return secure;
}

describe('reading lines', () => {
  test('one by one, ended by CRLF or LF, pipelined or in pieces', async () => {
    const { client, connection } = await world.pair(certificates);
    client.write('one\r\ntwo\nthree\r');
    expect(await line(connection)).toBe('one');
    expect(String(connection.ahead)).toBe('two\nthree\r');
    expect(await line(connection)).toBe('two');
    expect(String(connection.ahead)).toBe('three\r');
    const third = line(connection);
    client.write('\n\r\n');
    expect(await third).toBe('three');
    expect(await line(connection)).toBe('');
  });

  test('null at the end; a line without its end is not acted on', async () => {
    const { client, connection } = await world.pair(certificates);
    client.end('last\r\nDELE 1');
    expect(await line(connection)).toBe('last');
    expect(await line(connection)).toBeUndefined();
    expect(await line(connection)).toBeUndefined();
  });

  test('null when the peer resets', async () => {
    const { client, connection } = await world.pair(certificates);
    const reading = line(connection);
    client.resetAndDestroy();
    expect(await reading).toBeUndefined();
  });

  test('one of exactly the bound, and one octet more', async () => {
    const { client, connection } = await world.pair(certificates);
    client.write(`${'x'.repeat(100)}\r\n${'y'.repeat(101)}\r\nnext\r\n`);
    expect(await line(connection)).toHaveLength(100);
    await expect(line(connection)).rejects.toThrow(LineTooLong);
    expect(await line(connection)).toBe('next');
  });

  test('one that is too long is noticed before it ends, and its rest skipped', async () => {
    const { client, connection } = await world.pair(certificates);
    client.write('z'.repeat(500));
    await expect(line(connection)).rejects.toThrow(LineTooLong);
    client.write(`${'z'.repeat(200_000)}\r\nnext\r\n`);
    expect(await line(connection)).toBe('next');
  });

  test('one without an end is an offence again and again', async () => {
    const { client, connection } = await world.pair(certificates);
    const flood = setInterval(() => client.write('z'.repeat(200_000)), 1);
    try {
      for (let i = 0; i < 3; i++) await expect(line(connection)).rejects.toThrow(LineTooLong);
    } finally {
      clearInterval(flood);
    }
  });

  test('a peer that trickles is too slow: the time is for the whole line', async () => {
    const { client, connection } = await world.pair(certificates);
    const trickle = setInterval(() => client.write('x'), 5);
    const reading = connection.readLine({ maxBytes: 10_000, timeoutMs: 100 });
    await expect(reading).rejects.toThrow(IdleTimeout);
    clearInterval(trickle);
  });

  test('after a timeout one may go on', async () => {
    const { client, connection } = await world.pair(certificates);
    await expect(connection.readLine({ maxBytes: 10, timeoutMs: 20 })).rejects.toThrow(IdleTimeout);
    client.write('late\r\n');
    expect(await line(connection)).toBe('late');
  });

  test('what nobody asks for stays with the peer', async () => {
    const { client, connection, accepted } = await world.pair(certificates);
    client.write('first\r\n');
    expect(await line(connection)).toBe('first');
    const flood = Buffer.alloc(65_536, 'a');
    for (let i = 0; i < 400; i++) client.write(flood);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(accepted.socket.bytesRead).toBeLessThan(400_000);
    expect(client.writableLength).toBeGreaterThan(1_000_000);
  });

  test('lines arrive as they were sent, however they are cut', async () => {
    const text = fc.array(fc.stringMatching(/^[\x20-\x7e]{0,90}$/), { minLength: 1, maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(
        text,
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
        async (lines, cuts) => {
          const { client, connection } = await world.pair(certificates);
          client.setNoDelay();
          const bytes = lines.map((one) => `${one}\r\n`).join('');
          const sending = (async () => {
            for (let at = 0, i = 0; at < bytes.length; i++) {
              const size = cuts[i % cuts.length] ?? 1;
              client.write(bytes.slice(at, at + size));
              at += size;
              if (i % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
            }
            client.end();
          })();
          const seen: Buffer[] = [];
          for (let next = await connection.readLine(BOUND); next; next = await connection.readLine(BOUND))
            seen.push(next);
          await sending;
          // Compared at the end: a line handed out must not change while later ones arrive.
          expect(seen.map((one) => one.toString('latin1'))).toEqual(lines);
          world.closeAll();
        },
      ),
      { numRuns: 40 },
    );
  });
});

describe('reading octets', () => {
  test('exactly so many, then lines again', async () => {
    const { client, connection } = await world.pair(certificates);
    client.write('A {7}\r\nab\r\ncd\n B\r\n');
    expect(await line(connection)).toBe('A {7}');
    expect(await octets(connection, 7)).toEqual(Buffer.from('ab\r\ncd\n'));
    expect(await line(connection)).toBe(' B');
    expect(await octets(connection, 0)).toHaveLength(0);
  });

  test('many, without holding them', async () => {
    const { client, connection } = await world.pair(certificates);
    const size = 8 * 1024 * 1024;
    client.write(Buffer.alloc(size, 'm'));
    client.write('\r\n');
    let seen = 0;
    let largest = 0;
    for await (const chunk of connection.readOctets(size, { timeoutMs: 5000 })) {
      seen += chunk.length;
      largest = Math.max(largest, chunk.length);
    }
    expect(seen).toBe(size);
    expect(largest).toBeLessThanOrEqual(200_000);
    expect(await line(connection)).toBe('');
  });

  test('too few are a lost connection', async () => {
    const { client, connection } = await world.pair(certificates);
    client.end('abc');
    await expect(octets(connection, 4)).rejects.toThrow(ConnectionLost);
  });

  test('none, or a trickle of them, are silence', async () => {
    const { client, connection } = await world.pair(certificates);
    await expect(octets(connection, 4, 20)).rejects.toThrow(IdleTimeout);
    const trickle = setInterval(() => client.write('x'), 5);
    await expect(octets(connection, 100_000, 100)).rejects.toThrow(IdleTimeout);
    clearInterval(trickle);
  });

  test('may take long as long as they come', async () => {
    const { client, connection } = await world.pair(certificates);
    let sent = 0;
    const steady = setInterval(() => {
      if (sent++ < 10) client.write(Buffer.alloc(5000));
      else clearInterval(steady);
    }, 120);
    expect(await octets(connection, 50_000, 1000)).toHaveLength(50_000);
  });
});

describe('writing', () => {
  test('strings are bytes; nothing to wait for while the kernel takes it', async () => {
    const { client, connection } = await world.pair(certificates);
    expect(connection.write('caf\xe9 ')).toBeUndefined();
    expect(connection.write(Buffer.from([0, 255]))).toBeUndefined();
    const [chunk] = (await once(client, 'data')) as [Buffer];
    expect(chunk).toEqual(Buffer.from('caf\xe9 \0\xff', 'latin1'));
  });

  test('waits for a peer that reads slowly', async () => {
    const { client, connection } = await world.pair(certificates);
    let received = 0;
    let waits = 0;
    setTimeout(() => client.on('data', (chunk: Buffer) => (received += chunk.length)), 50);
    const block = Buffer.alloc(65_536, 'd');
    for (let i = 0; i < 200; i++) {
      const room = connection.write(block);
      if (room !== undefined) waits++;
      await room;
    }
    await connection.end();
    await expect.poll(() => received).toBe(200 * 65_536);
    expect(waits).toBeGreaterThan(1);
  });

  test('gives up on a peer that reads nothing', async () => {
    const { client, connection } = await world.pair(certificates, { writeTimeoutMs: 50 });
    client.pause();
    const block = Buffer.alloc(1024 * 1024);
    await expect(
      (async () => {
        for (;;) await connection.write(block);
      })(),
    ).rejects.toThrow(ConnectionLost);
    expect(connection.signal.aborted).toBe(true);
  });

  test('throws when the peer is gone', async () => {
    const { client, connection } = await world.pair(certificates);
    client.resetAndDestroy();
    await expect.poll(() => connection.signal.aborted).toBe(true);
    expect(() => connection.write('x')).toThrow(ConnectionLost);
  });

  test('answers a peer that has ended its side already', async () => {
    const { client, connection } = await world.pair(certificates);
    const answer = readAll(client);
    client.end('QUIT\r\n');
    expect(await line(connection)).toBe('QUIT');
    expect(await line(connection)).toBeUndefined();
    void connection.write('+OK bye\r\n');
    await connection.end();
    expect(await answer).toBe('+OK bye\r\n');
  });
});

describe('the end', () => {
  test('sends what is pending, though the peer still sends', async () => {
    const { client, connection, accepted } = await world.pair(certificates);
    client.write('a\r\n'.repeat(3000));
    const answer = readAll(client);
    expect(await line(connection)).toBe('a');
    void connection.write(`${'b'.repeat(100_000)}\r\n`);
    await connection.end();
    expect(await answer).toHaveLength(100_002);
    client.destroy();
    await expect.poll(() => accepted.socket.destroyed).toBe(true);
  });

  test('does not wait for ever for the peer’s', async () => {
    const { client, connection, accepted } = await world.pair(certificates);
    client.allowHalfOpen = true;
    await connection.end();
    await expect.poll(() => accepted.socket.destroyed, { timeout: 5000 }).toBe(true);
  });

  test('wakes a reader and aborts the signal', async () => {
    const { connection } = await world.pair(certificates);
    const { signal } = connection;
    const reading = line(connection);
    connection.destroy();
    expect(await reading).toBeUndefined();
    expect(signal.aborted).toBe(true);
    await connection.end();
  });
});

describe('STARTTLS', () => {
  test('encrypts from there on, in both directions', async () => {
    const { client, connection } = await world.pair(certificates);
    client.write('STLS\r\n');
    expect(await line(connection)).toBe('STLS');
    void connection.write('+OK\r\n');
    const started = connection.startTls();
    expect(String((await once(client, 'data'))[0])).toBe('+OK\r\n');
    client.removeAllListeners('data');
    const secure = await handshakeOver(client);
    await started;
    expect(connection.tls?.version).toBe('TLSv1.3');
    secure.write('CAPA\r\nNOOP\r\n');
    expect(await line(connection)).toBe('CAPA');
    expect(await line(connection)).toBe('NOOP');
    void connection.write('+OK again\r\n');
    expect(String((await once(secure, 'data'))[0])).toBe('+OK again\r\n');
    secure.end();
    expect(await line(connection)).toBeUndefined();
    await connection.end();
    await expect.poll(() => connection.signal.aborted).toBe(true);
  });

  test('what was pipelined in the clear is never a command (CVE-2011-0411)', async () => {
    const { client, connection } = await world.pair(certificates);
    client.write(`STLS\r\n${'DELE 1\r\n'.repeat(500)}`);
    expect(await line(connection)).toBe('STLS');
    expect(connection.ahead.length).toBeGreaterThan(0);
    void connection.write('+OK\r\n');
    const started = connection.startTls();
    expect(String((await once(client, 'data'))[0])).toBe('+OK\r\n');
    client.removeAllListeners('data');
    const secure = await handshakeOver(client);
    await started;
    expect(connection.ahead.length).toBe(0);
    secure.write('NOOP\r\n');
    expect(await line(connection)).toBe('NOOP');
  });

  test('that fails ends the connection', async () => {
    const { client, connection } = await world.pair(certificates);
    client.write('STLS\r\n');
    await line(connection);
    void connection.write('+OK\r\n');
    const started = connection.startTls();
    client.write('no TLS at all\r\n');
    await expect(started).rejects.toThrow();
    expect(connection.signal.aborted).toBe(true);
    expect(await line(connection)).toBeUndefined();
  });
});
