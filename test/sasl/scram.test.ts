import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { deriveScramKeys } from '../../src/directory/scram-keys.ts';
import type { SaslStep } from '../../src/sasl/sasl.ts';
import { checkProof } from '../../src/sasl/scram-proof.ts';
import { address } from '../directory/memory-directory.ts';
import { challenge, start, type World, world } from './harness.ts';

let town: World;
beforeAll(async () => {
  town = await world({
    accounts: { 'alice@example.org': 'pencil', '"a,b=c"@example.org': 'pw', 'off@example.org': 'pw' },
  });
  await town.memory.sqlite.setState(address('off@example.org'), 'disabled');
});
afterAll(() => town.memory.close());

test('the example of RFC 7677 3', async () => {
  const keys = await deriveScramKeys('pencil', Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64'), 4096);
  const nonce = 'rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0';
  const authMessage = `n=user,r=rOprNGfwEbeRWgbNEkqO,r=${nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=${nonce}`;
  const proof = Buffer.from('dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=', 'base64');
  expect(checkProof('sha256', keys, authMessage, proof)?.toString('base64')).toBe(
    '6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
  );
  expect(checkProof('sha256', keys, `${authMessage}x`, proof)).toBeUndefined();
  expect(checkProof('sha256', keys, authMessage, Buffer.alloc(32))).toBeUndefined();
});

interface Wishes {
  readonly gs2?: string;
  readonly binding?: string;
  /** Changes what the client sends last. */
  readonly final?: (text: string) => string;
  readonly bare?: (nonce: string) => string;
}

/** A client, written from RFC 5802 alone. */
async function client(
  login: string,
  password: string,
  { gs2 = 'n,,', binding = gs2, final = (text) => text, bare }: Wishes = {},
): Promise<{ readonly step: SaslStep; readonly verified: boolean }> {
  const exchange = start(town, 'SCRAM-SHA-256');
  const nonce = randomBytes(18).toString('base64');
  const first = bare?.(nonce) ?? `n=${login.replaceAll('=', '=3D').replaceAll(',', '=2C')},r=${nonce}`;
  const answer = await exchange.respond(Buffer.from(gs2 + first));
  if (answer.is !== 'challenge') return { step: answer, verified: false };
  const serverFirst = challenge(answer);
  const [, whole = '', salt = '', iterations = ''] = /^r=([^,]+),s=([^,]+),i=(\d+)$/.exec(serverFirst) ?? [];
  expect(whole.startsWith(nonce)).toBe(true);
  expect(whole.length).toBeGreaterThanOrEqual(nonce.length + 18);

  const salted = pbkdf2Sync(password, Buffer.from(salt, 'base64'), Number(iterations), 32, 'sha256');
  const hmac = (key: Uint8Array, text: string): Buffer => createHmac('sha256', key).update(text).digest();
  const clientKey = hmac(salted, 'Client Key');
  const storedKey = createHash('sha256').update(clientKey).digest();
  const withoutProof = `c=${Buffer.from(binding).toString('base64')},r=${whole}`;
  const authMessage = `${first},${serverFirst},${withoutProof}`;
  const signature = hmac(storedKey, authMessage);
  const proof = Buffer.from(clientKey.map((byte, i) => byte ^ (signature[i] ?? 0))).toString('base64');
  const step = await town.settle(exchange.respond(Buffer.from(final(`${withoutProof},p=${proof}`))));
  const expected = `v=${hmac(hmac(salted, 'Server Key'), authMessage).toString('base64')}`;
  return { step, verified: step.is === 'done' && Buffer.from(step.data ?? []).toString() === expected };
}

describe('a whole exchange', () => {
  test.each(['n,,', 'y,,', 'n,a=alice@example.org,', 'y,a=ALICE@example.org,'])('with %s', async (gs2) => {
    const { step, verified } = await client('alice@example.org', 'pencil', { gs2 });
    expect(step).toMatchObject({ is: 'done', account: { id: 'alice@example.org' } });
    expect(verified).toBe(true);
  });

  test('without initial response', async () => {
    const exchange = start(town, 'SCRAM-SHA-256');
    expect(challenge(await exchange.respond(null))).toBe('');
    expect(challenge(await exchange.respond(Buffer.from('n,,n=alice@example.org,r=abc')))).toMatch(/^r=abc/);
  });

  test('with extensions that may be ignored (RFC 5802 5.1)', async () => {
    const bare = (nonce: string): string => `n=alice@example.org,r=${nonce},x=unknown`;
    expect((await client('', 'pencil', { bare })).verified).toBe(true);
  });
});

test('wrong password, unknown and disabled accounts look alike to the end', async () => {
  const failed = { is: 'failed', reason: 'credentials' };
  expect((await client('alice@example.org', 'pencils')).step).toEqual(failed);
  expect((await client('nobody@example.org', 'pencil')).step).toEqual(failed);
  expect((await client('off@example.org', 'pw')).step).toEqual(failed);
});

test('another’s authorization identity is refused', async () => {
  const { step } = await client('alice@example.org', 'pencil', { gs2: 'n,a=off@example.org,' });
  expect(step).toEqual({ is: 'failed', reason: 'credentials' });
});

test('a comma in a name is written =2C (RFC 5802 5.1)', async () => {
  expect((await client('"a,b=c"@example.org', 'pw')).verified).toBe(true);
});

describe('what breaks the rules', () => {
  const protocol = { is: 'failed', reason: 'protocol' };

  test.each([
    'p=tls-unique,,n=alice@example.org,r=abc',
    'p=tls-exporter,,n=alice@example.org,r=abc',
    'n,,m=must,n=alice@example.org,r=abc',
    'n,,n=al=ice,r=abc',
    'n,,n=,r=abc',
    'n,,n=alice@example.org,r=',
    'n,,n=alice@example.org,r=a b',
    'n,n=alice@example.org,r=abc',
    'x,,n=alice@example.org,r=abc',
    'n,,r=abc,n=alice@example.org',
    'n,b=x,n=alice@example.org,r=abc',
    '',
    'n=alice@example.org',
  ])('%j as the first message', async (text) => {
    expect(await start(town, 'SCRAM-SHA-256').respond(Buffer.from(text))).toEqual(protocol);
  });

  test('a binding that is not what was said first: somebody in the middle changed it (RFC 5802 6)', async () => {
    expect((await client('alice@example.org', 'pencil', { binding: 'y,,' })).step).toEqual(protocol);
    expect((await client('alice@example.org', 'pencil', { gs2: 'y,,', binding: 'n,,' })).step).toEqual(
      protocol,
    );
  });

  test('a nonce that is not ours', async () => {
    const final = (text: string): string => text.replace(/r=[^,]+/, 'r=other');
    expect((await client('alice@example.org', 'pencil', { final })).step).toEqual(protocol);
  });

  test.each([
    (text: string) => text.replace(/,p=.*/, ''),
    (text: string) => text.slice(0, -3),
    (text: string) => `${text},x=y`,
    () => '',
  ])('a last message that is cut or longer: %s', async (final) => {
    expect((await client('alice@example.org', 'pencil', { final })).step).toEqual(protocol);
  });

  test('a second try in the same exchange', async () => {
    const exchange = start(town, 'SCRAM-SHA-256');
    await exchange.respond(Buffer.from('n,,n=alice@example.org,r=abc'));
    expect(await exchange.respond(Buffer.from('c=biws,r=abc,p=AAAA'))).toEqual(protocol);
    expect(await exchange.respond(Buffer.from('n,,n=alice@example.org,r=abc'))).toEqual(protocol);
  });

  test('no text makes it throw', async () => {
    const piece = fc.constantFrom('n,,', 'n=', 'r=', 'p=', 'c=biws', 'a@example.org', ',', '=2C', '\0', 'é');
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 12 }), fc.array(piece), async (first, second) => {
        const exchange = start(town, 'SCRAM-SHA-256');
        await exchange.respond(Buffer.from(first.join('')));
        expect((await exchange.respond(Buffer.from(second.join('')))).is).not.toBe('done');
      }),
      { numRuns: 200 },
    );
  });
});
