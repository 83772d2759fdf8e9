import { createHash, createHmac } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { domain } from '../directory/memory-directory.ts';
import { challenge, start, type World, world } from './harness.ts';

let town: World;
let dir: string;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'cram-'));
  town = await world(
    {
      keyFile: join(dir, 'key'),
      accounts: {
        'tim@example.org': 'tanstaaftanstaaf',
        'mrose@example.org': 'tanstaaf',
        '"a b"@example.org': 'pw',
      },
      settings: { defaultDomain: domain('example.org') },
    },
    { cramMd5: true, hostname: 'postoffice.reston.mci.net' },
  );
});
afterAll(async () => {
  await town.memory.close();
  rmSync(dir, { recursive: true });
});

test('the example of RFC 2195 2', async () => {
  town.clock.set(697_170_952_000);
  const exchange = start(town, 'CRAM-MD5', { random: () => Buffer.from('1896', 'hex') });
  expect(challenge(await exchange.respond(null))).toBe('<1896.697170952@postoffice.reston.mci.net>');
  const step = await exchange.respond(Buffer.from('tim b913a602c7eda7a495b4e6e7334d3890'));
  expect(step).toMatchObject({ is: 'done', account: { id: 'tim@example.org' } });
});

async function cram(login: string, password: string): Promise<unknown> {
  const exchange = start(town, 'CRAM-MD5');
  const asked = challenge(await exchange.respond(null));
  const digest = createHmac('md5', password).update(asked).digest('hex');
  return town.settle(exchange.respond(Buffer.from(`${login} ${digest}`)));
}

test('a name may have spaces; every challenge is another', async () => {
  expect(await cram('"a b"@example.org', 'pw')).toMatchObject({ is: 'done' });
  const [a, b] = [await start(town, 'CRAM-MD5').respond(null), await start(town, 'CRAM-MD5').respond(null)];
  expect(challenge(a)).not.toBe(challenge(b));
});

test('wrong passwords and unknown names look alike', async () => {
  const failed = { is: 'failed', reason: 'credentials' };
  expect(await cram('tim', 'wrong')).toEqual(failed);
  expect(await cram('nobody', '')).toEqual(failed);
  expect(await cram('nobody', 'x')).toEqual(failed);
});

test.each(['', 'tim', 'tim zz', 'tim  ', ' b913a602c7eda7a495b4e6e7334d3890'])(
  '%j is malformed',
  async (text) => {
    const exchange = start(town, 'CRAM-MD5');
    await exchange.respond(null);
    expect(await exchange.respond(Buffer.from(text))).toEqual({ is: 'failed', reason: 'protocol' });
  },
);

test('an initial response is against the mechanism', async () => {
  expect(await start(town, 'CRAM-MD5').respond(Buffer.from('tim x'))).toEqual({
    is: 'failed',
    reason: 'protocol',
  });
});

test('APOP: the example of RFC 1939 7', async () => {
  const { apop } = town.sasl;
  const banner = '<1896.697170952@dbc.mtview.ca.us>';
  const right = 'c4c9334bac560ecc979e58001b3e22fb';
  expect(await apop?.('mrose', right, banner, town.context())).toMatchObject({
    is: 'done',
    account: { id: 'mrose@example.org' },
  });
  expect(await apop?.('mrose', right.toUpperCase(), banner, town.context())).toMatchObject({ is: 'done' });
  const empty = createHash('md5').update(banner).digest('hex');
  for (const [login, digest] of [
    ['mrose', right.replace('c4', 'c5')],
    ['mrose', ''],
    ['mrose', `${right}00`],
    ['nobody', right],
    ['nobody', empty],
  ] as const) {
    const step = apop?.(login, digest, banner, town.context());
    if (!step) throw new Error('APOP is not offered');
    expect(await town.settle(step)).toEqual({ is: 'failed', reason: 'credentials' });
  }
});
