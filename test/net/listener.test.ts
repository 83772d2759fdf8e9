import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { type TLSSocket, connect as tlsConnect } from 'node:tls';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { networks } from '../../src/lib/ip.ts';
import { ListenError } from '../../src/net/errors.ts';
import type { Certificates } from '../../src/tls/certificates.ts';
import { anywhere, Openings, readAll, testCertificates } from './world.ts';

let certificates: Certificates;
beforeAll(async () => {
  certificates = await testCertificates();
});
const world = new Openings();
afterEach(() => world.closeAll());

async function secureClient(port: number): Promise<TLSSocket> {
  const socket = world.add(tlsConnect({ port, host: '127.0.0.1', rejectUnauthorized: false }));
  await once(socket, 'secureConnect');
  return socket;
}

describe('accepting', () => {
  test('hands over the socket with both addresses and a name of its own', async () => {
    const place = await world.listen(certificates);
    const clients = [await place.connect(), await place.connect()];
    const [one, two] = [await place.next(), await place.next()];
    expect(one.peer).toEqual({
      ip: '127.0.0.1',
      port: clients[0]?.localPort,
      localIp: '127.0.0.1',
      localPort: place.port,
    });
    expect(one.tls).toBeNull();
    expect(one.sid).toMatch(/^[0-9a-z]{6,}$/);
    expect(two.sid).not.toBe(one.sid);
  });

  test('works over IPv6, and an IPv4 client of a dual-stack socket would be an IPv4 peer', async () => {
    const place = await world.listen(certificates, { host: '::1' });
    await place.connect();
    expect((await place.next()).peer).toMatchObject({ ip: '::1', localIp: '::1' });
  });

  test('ends with close, while those accepted live on', async () => {
    const place = await world.listen(certificates);
    const client = await place.connect();
    const accepted = await place.next();
    place.listener.close();
    await expect(place.connect()).rejects.toThrow(/ECONNREFUSED/);
    accepted.socket.write('still here');
    const [chunk] = (await once(client, 'data')) as [Buffer];
    expect(chunk.toString()).toBe('still here');
  });

  test('survives a peer that resets at once', async () => {
    const place = await world.listen(certificates, { implicitTls: true });
    for (let i = 0; i < 20; i++) (await place.connect()).resetAndDestroy();
    await secureClient(place.port);
    expect((await place.next()).tls?.version).toBe('TLSv1.3');
    await expect.poll(() => place.limits.total).toBe(1);
  });
});

describe('an address that cannot be listened on', () => {
  test('is taken: the message says by what it is wanted and what to do', async () => {
    const other: Server = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const address = other.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    const error = await world.listen(certificates, { port }).catch((thrown: unknown) => thrown);
    other.close();
    expect(error).toBeInstanceOf(ListenError);
    expect(error).toMatchObject({
      kind: 'in-use',
      message: expect.stringContaining(`127.0.0.1:${port} (test)`),
    });
  });

  test('is not ours', async () => {
    const error = await world.listen(certificates, { host: '192.0.2.1' }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ name: 'ListenError', kind: 'no-such-address' });
  });
});

describe('limits', () => {
  test('of one address: the next is told so in the protocol’s words, and may come when one has left', async () => {
    const place = await world.listen(certificates, { maxConnectionsPerIp: 2 });
    const first = await place.connect();
    await place.connect();
    await place.next();
    await place.next();
    expect(await readAll(await place.connect())).toBe('-ERR too-many-from-address\r\n');
    first.destroy();
    await expect.poll(() => place.limits.total).toBe(1);
    await place.connect();
    await place.next();
    expect(place.accepted).toHaveLength(3);
  });

  test('in all', async () => {
    const place = await world.listen(certificates, { maxConnections: 1 });
    await place.connect();
    await place.next();
    expect(await readAll(await place.connect())).toBe('-ERR too-many-connections\r\n');
    expect(place.lines.at(-1)).toMatchObject({
      message: 'connection refused',
      fields: { ip: '127.0.0.1', reason: 'too-many-connections' },
    });
  });

  test('count an encrypted connection until it is closed, from either side', async () => {
    const place = await world.listen(certificates, { implicitTls: true });
    const client = await secureClient(place.port);
    await secureClient(place.port);
    expect(place.limits.total).toBe(2);
    client.destroy();
    await expect.poll(() => place.limits.total).toBe(1);
    await place.next();
    (await place.next()).socket.destroy();
    for (const { socket } of place.accepted) socket.destroy();
    await expect.poll(() => place.limits.total).toBe(0);
  });
});

describe('implicit TLS', () => {
  test('is done before the socket is handed over', async () => {
    const place = await world.listen(certificates, { implicitTls: true });
    const client = world.add(
      tlsConnect({ port: place.port, servername: 'imap.example.org', rejectUnauthorized: false }),
    );
    const accepted = await place.next();
    expect(accepted.tls).toMatchObject({ version: 'TLSv1.3', servername: 'imap.example.org' });
    expect(accepted.tls?.cipher).toMatch(/^TLS_/);
    accepted.socket.write('hello');
    expect(String((await once(client, 'data'))[0])).toBe('hello');
  });

  test('that fails is a line in the log: noise for debugging, refusals for information', async () => {
    const place = await world.listen(certificates, { implicitTls: true });
    const scanner = await place.connect();
    scanner.write('GET / HTTP/1.0\r\n\r\n');
    await once(scanner, 'close');
    await expect
      .poll(() => place.lines.at(-1))
      .toMatchObject({ level: 'debug', message: 'TLS handshake failed' });
    const old = tlsConnect({
      port: place.port,
      host: '127.0.0.1',
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1.1',
      ciphers: 'DEFAULT:@SECLEVEL=0',
    });
    await once(old, 'error');
    await expect
      .poll(() => place.lines.at(-1))
      .toMatchObject({ level: 'info', fields: { reason: expect.stringMatching(/version|protocol/) } });
    expect(place.accepted).toHaveLength(0);
    await expect.poll(() => place.limits.total).toBe(0);
  });

  test('that never comes is cut off', async () => {
    const place = await world.listen(certificates, { implicitTls: true, handshakeTimeoutMs: 50 });
    await once(await place.connect(), 'close');
    expect(place.lines.at(-1)?.fields).toMatchObject({ reason: 'TLS handshake timed out' });
  });
});

describe('PROXY protocol', () => {
  const V1 = 'PROXY TCP4 192.0.2.1 198.51.100.2 56789 25\r\n';

  test('gives the client’s addresses, and leaves what follows to the protocol', async () => {
    const place = await world.listen(certificates, { proxyFrom: anywhere });
    const client = await place.connect();
    client.write(`${V1}EHLO client.example\r\n`);
    const { peer, socket } = await place.next();
    expect(peer).toEqual({ ip: '192.0.2.1', port: 56_789, localIp: '198.51.100.2', localPort: 25 });
    expect(String((await once(socket, 'data'))[0])).toBe('EHLO client.example\r\n');
  });

  test('in pieces', async () => {
    const place = await world.listen(certificates, { proxyFrom: anywhere });
    const client = await place.connect();
    client.setNoDelay();
    for (const char of `${V1}QUIT\r\n`) {
      client.write(char);
      await new Promise((resolve) => setImmediate(resolve));
    }
    const { peer, socket } = await place.next();
    expect(peer.ip).toBe('192.0.2.1');
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk;
    });
    await expect.poll(() => text).toBe('QUIT\r\n');
  });

  test('before implicit TLS, the ClientHello in the same packet', async () => {
    const place = await world.listen(certificates, { proxyFrom: anywhere, implicitTls: true });
    const client = await place.connect();
    client.cork();
    client.write(V1);
    const secure = world.add(tlsConnect({ socket: client, rejectUnauthorized: false }));
    setImmediate(() => client.uncork());
    const { peer, tls, socket } = await place.next();
    expect(peer.ip).toBe('192.0.2.1');
    expect(tls?.version).toBe('TLSv1.3');
    socket.write('hello');
    expect(String((await once(secure, 'data'))[0])).toBe('hello');
  });

  test('version 2 LOCAL, as in health checks: the proxy itself', async () => {
    const place = await world.listen(certificates, { proxyFrom: anywhere });
    const client = await place.connect();
    client.write(Buffer.from('0d0a0d0a000d0a515549540a20000000', 'hex'));
    expect((await place.next()).peer.ip).toBe('127.0.0.1');
  });

  test('limits count the client, not the proxy', async () => {
    const place = await world.listen(certificates, { proxyFrom: anywhere, maxConnectionsPerIp: 1 });
    for (const ip of ['192.0.2.1', '192.0.2.2']) {
      (await place.connect()).write(V1.replace('192.0.2.1', ip));
      await place.next();
    }
    const third = await place.connect();
    third.write(V1);
    expect(await readAll(third)).toBe('-ERR too-many-from-address\r\n');
  });

  test.each(['EHLO client.example\r\n', 'PROXY TCP4 x y 1 2\r\n'])('%j is closed', async (text) => {
    const place = await world.listen(certificates, { proxyFrom: anywhere });
    const client = await place.connect();
    client.write(text);
    expect(await readAll(client)).toBe('');
    expect(place.lines.at(-1)).toMatchObject({ level: 'warn', message: 'no valid PROXY header' });
    await expect.poll(() => place.limits.total).toBe(0);
  });

  test('that does not come is closed in time', async () => {
    const place = await world.listen(certificates, { proxyFrom: anywhere, proxyTimeoutMs: 50 });
    const client = await place.connect();
    client.write('PROXY ');
    await once(client, 'close');
    expect(place.lines.at(-1)?.fields).toMatchObject({ reason: 'timeout' });
  });

  test('from a stranger is not even read', async () => {
    const place = await world.listen(certificates, { proxyFrom: networks(['192.0.2.0/24']) });
    const client = await place.connect();
    client.write(V1);
    await once(client, 'close');
    expect(place.lines.at(-1)?.message).toBe('connection from outside the proxies');
    expect(place.accepted).toHaveLength(0);
  });
});
