import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SaslStep } from '../../src/sasl/sasl.ts';
import { checkProof } from '../../src/sasl/scram-proof.ts';
import { ALICE, PASSWORD, Pop3World } from '../pop3/world.ts';
import { challenge, type World, world } from './harness.ts';
import { scramClient } from './scram-client.ts';

let dir: string;
let town: World;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'facteur-scram-'));
  const keyFile = join(dir, 'key');
  town = await world({ accounts: { 'alice@example.org': 'pencil' }, keyFile }, { cramMd5: true });
});
afterAll(async () => {
  await town.memory.close();
  rmSync(dir, { recursive: true });
});

const EXPORTED = Buffer.alloc(32, 7);
const TLS13 = { version: 'TLSv1.3', cipher: 'x', servername: null, exporter: () => EXPORTED };
const TLS12 = { version: 'TLSv1.2', cipher: 'x', servername: null };
const protocol = { is: 'failed', reason: 'protocol' };

interface Attempt {
  readonly gs2: string;
  readonly binding?: Uint8Array;
  readonly password?: string;
  readonly login?: string;
}

async function attempt(
  name: string,
  { gs2, binding, password = 'pencil', login = 'alice@example.org' }: Attempt,
): Promise<SaslStep> {
  const mechanism = town.sasl.find(name, true, TLS13);
  if (!mechanism) throw new Error(`${name} is not offered`);
  const exchange = mechanism.start(town.context({ tls: TLS13 }));
  const hash = name.includes('256') ? 'sha256' : 'sha1';
  const client = scramClient({ hash, login, password, gs2, ...(binding ? { binding } : {}) });
  const answer = await exchange.respond(Buffer.from(client.first));
  if (answer.is !== 'challenge') return answer;
  const final = client.final(challenge(answer));
  const step = await town.settle(exchange.respond(Buffer.from(final.text)));
  if (step.is === 'done') expect(Buffer.from(step.data ?? []).toString()).toBe(final.signature);
  return step;
}

test('the example of RFC 5802 5', () => {
  const hmac = (key: Uint8Array, text: string): Buffer => createHmac('sha1', key).update(text).digest();
  const salted = pbkdf2Sync('pencil', Buffer.from('QSXCR+Q6sek8bf92', 'base64'), 4096, 20, 'sha1');
  const keys = {
    storedKey: createHash('sha1').update(hmac(salted, 'Client Key')).digest(),
    serverKey: hmac(salted, 'Server Key'),
  };
  const nonce = 'fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j';
  const message = `n=user,r=fyko+d2lbbFgONRv9qkxdawL,r=${nonce},s=QSXCR+Q6sek8bf92,i=4096,c=biws,r=${nonce}`;
  const proof = Buffer.from('v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=', 'base64');
  expect(checkProof('sha1', keys, message, proof)?.toString('base64')).toBe('rmF9pqV8S7suAoZWja4dJRkFsKQ=');
  expect(checkProof('sha1', keys, `${message}x`, proof)).toBeUndefined();
  expect(checkProof('sha1', keys, message, Buffer.alloc(32))).toBeUndefined();
});

describe.each(['SCRAM-SHA-256', 'SCRAM-SHA-1'])('%s-PLUS', (family) => {
  const plus = `${family}-PLUS`;

  test('is there where TLS has an exporter only', () => {
    const names = (tls: typeof TLS12 | null, service = 'imap'): string[] =>
      town.sasl.mechanisms(true, tls, service).map(({ name }) => name);
    expect(names(TLS13)).toContain(plus);
    expect(names(TLS13).indexOf(plus)).toBeLessThan(names(TLS13).indexOf(family));
    expect(names(TLS12)).not.toContain(plus);
    expect(names(null)).not.toContain(plus);
    expect(town.sasl.find(plus, true, TLS12)).toBeUndefined();
    // Where clients that cannot do it would take nothing else it is not told of, and can be used all the same.
    for (const service of ['pop', 'smtp']) expect(names(TLS13, service)).not.toContain(plus);
    expect(town.sasl.find(plus, true, TLS13)).toBeDefined();
  });

  test('logs in through this connection, and not through another', async () => {
    const gs2 = 'p=tls-exporter,,';
    expect(await attempt(plus, { gs2, binding: EXPORTED })).toMatchObject({ is: 'done' });
    expect(await attempt(plus, { gs2, binding: Buffer.alloc(32, 8) })).toEqual(protocol);
    expect(await attempt(plus, { gs2 })).toEqual(protocol);
    const wrong = { is: 'failed', reason: 'credentials' };
    expect(await attempt(plus, { gs2, binding: EXPORTED, password: 'pen' })).toEqual(wrong);
    expect(await attempt(plus, { gs2, binding: EXPORTED, login: 'nobody@example.org' })).toEqual(wrong);
  });

  test('wants its binding, and the plain form refuses a client that was lied to (RFC 5802 6)', async () => {
    for (const gs2 of ['n,,', 'y,,', 'p=tls-unique,,'])
      expect(await attempt(plus, { gs2 })).toEqual(protocol);
    expect(await attempt(family, { gs2: 'y,,' })).toEqual(protocol);
    expect(await attempt(family, { gs2: 'p=tls-exporter,,', binding: EXPORTED })).toEqual(protocol);
    expect(await attempt(family, { gs2: 'n,,' })).toMatchObject({ is: 'done' });
  });
});

test('over a real TLS connection, both ends export the same octets (RFC 9266)', async () => {
  const server = await Pop3World.start();
  const client = await server.client();
  const { socket } = client;
  if (!(socket instanceof TLSSocket)) throw new Error('no TLS');
  expect(await client.lines('CAPA')).toMatch(/^SASL SCRAM-SHA-256 PLAIN LOGIN\r$/m);
  const binding = socket.exportKeyingMaterial(32, 'EXPORTER-Channel-Binding', Buffer.alloc(0));
  const us = { hash: 'sha256', login: ALICE, password: PASSWORD, gs2: 'p=tls-exporter,,', binding } as const;
  const scram = scramClient(us);
  const decode = (line: string): string => Buffer.from(line.slice(2), 'base64').toString();
  const encode = (text: string): string => Buffer.from(text).toString('base64');
  const first = decode(await client.ask(`AUTH SCRAM-SHA-256-PLUS ${encode(scram.first)}`));
  const final = scram.final(first);
  expect(decode(await client.ask(encode(final.text)))).toBe(final.signature);
  expect(await client.ask('')).toMatch(/^\+OK/);
  await server.close();
});
