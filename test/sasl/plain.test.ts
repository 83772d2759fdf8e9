import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SaslStep } from '../../src/sasl/sasl.ts';
import { address } from '../directory/memory-directory.ts';
import { challenge, start, type World, world } from './harness.ts';

let town: World;
beforeAll(async () => {
  town = await world({
    accounts: { 'alice@example.org': 'geheim pässword', 'bob@example.org': 'pw', 'off@example.org': 'pw' },
  });
  await town.memory.sqlite.setState(address('off@example.org'), 'disabled');
});
afterAll(() => town.memory.close());

const plain = (text: string | Uint8Array): Promise<SaslStep> =>
  town.settle(start(town, 'PLAIN').respond(Buffer.from(text)));

describe('PLAIN (RFC 4616)', () => {
  test('the right password', async () => {
    expect(await plain('\0alice@example.org\0geheim pässword')).toMatchObject({
      is: 'done',
      account: { id: 'alice@example.org' },
    });
  });

  test('without initial response an empty challenge asks for it (RFC 4422 5)', async () => {
    const exchange = start(town, 'PLAIN');
    expect(challenge(await exchange.respond(null))).toBe('');
    expect(await exchange.respond(Buffer.from('\0bob@example.org\0pw'))).toMatchObject({ is: 'done' });
  });

  test.each(['alice@example.org', 'ALICE@example.org', ''])(
    'the authorization identity %j is oneself',
    async (id) => {
      expect(await plain(`${id}\0alice@example.org\0geheim pässword`)).toMatchObject({ is: 'done' });
    },
  );

  test('another’s authorization identity is refused like a wrong password', async () => {
    expect(await plain('bob@example.org\0alice@example.org\0geheim pässword')).toEqual({
      is: 'failed',
      reason: 'credentials',
    });
  });

  test('wrong password, unknown and disabled accounts look alike', async () => {
    const failed = { is: 'failed', reason: 'credentials' };
    expect(await plain('\0alice@example.org\0wrong')).toEqual(failed);
    expect(await plain('\0nobody@example.org\0pw')).toEqual(failed);
    expect(await plain('\0off@example.org\0pw')).toEqual(failed);
  });

  test.each(['', '\0', '\0\0', 'a\0b', '\0a@b\0', '\0\0pw', 'a\0b\0c\0d', '\0a@example.org\0p\0w'])(
    '%j is malformed',
    async (text) => {
      expect(await plain(text)).toEqual({ is: 'failed', reason: 'protocol' });
    },
  );

  test('octets that are no UTF-8, and more than any line may have, are malformed', async () => {
    expect(await plain(Buffer.from([0, 0x61, 0, 0xff]))).toEqual({ is: 'failed', reason: 'protocol' });
    expect(await plain(`\0${'a'.repeat(13_000)}\0pw`)).toEqual({ is: 'failed', reason: 'protocol' });
  });

  test('no bytes make it throw', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 60 }), async (bytes) => {
        expect((await plain(bytes)).is).toBe('failed');
      }),
      { numRuns: 60 },
    );
  });
});

describe('LOGIN', () => {
  test('asks for name and password', async () => {
    const exchange = start(town, 'LOGIN');
    expect(challenge(await exchange.respond(null))).toBe('Username:');
    expect(challenge(await exchange.respond(Buffer.from('bob@example.org')))).toBe('Password:');
    expect(await exchange.respond(Buffer.from('pw'))).toMatchObject({
      is: 'done',
      account: { id: 'bob@example.org' },
    });
  });

  test('takes the name as initial response', async () => {
    const exchange = start(town, 'login');
    expect(challenge(await exchange.respond(Buffer.from('bob@example.org')))).toBe('Password:');
    expect(await town.settle(exchange.respond(Buffer.from('no')))).toEqual({
      is: 'failed',
      reason: 'credentials',
    });
  });

  test('an empty answer is malformed', async () => {
    const exchange = start(town, 'LOGIN');
    await exchange.respond(null);
    expect(await exchange.respond(new Uint8Array())).toEqual({ is: 'failed', reason: 'protocol' });
  });
});

test('a protocol’s own login command is the same check', async () => {
  const { sasl } = town;
  expect(await sasl.login('bob@example.org', 'pw', town.context())).toMatchObject({ is: 'done' });
  expect(await town.settle(sasl.login('bob@example.org', 'no', town.context()))).toEqual({
    is: 'failed',
    reason: 'credentials',
  });
});
