import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { authOptions } from '../../src/sasl/options.ts';
import type { SaslStep } from '../../src/sasl/sasl.ts';
import { start, world } from './harness.ts';

const names = (list: readonly { readonly name: string }[]): string[] => list.map(({ name }) => name);

test('the settings have the names and defaults that tools rely on', () => {
  expect(authOptions.parse({})).toMatchObject({
    allowPlaintextFrom: [],
    defaultDomain: null,
    cramMd5: false,
  });
  expect(authOptions.safeParse({ allowPlaintextFrom: ['nonsense'] }).success).toBe(false);
  expect(authOptions.safeParse({ defaultDomain: 'a..b' }).success).toBe(false);
});

describe('what is announced', () => {
  test('passwords in clear only where they may go; CRAM-MD5 and APOP only where switched on', async () => {
    const { sasl, memory } = await world({});
    expect(names(sasl.mechanisms(true, null, 'imap'))).toEqual(['SCRAM-SHA-256', 'PLAIN', 'LOGIN']);
    expect(names(sasl.mechanisms(false, null, 'imap'))).toEqual(['SCRAM-SHA-256']);
    expect(sasl.find('plain', true, null)?.name).toBe('PLAIN');
    expect(sasl.find('PLAIN', false, null)).toBeUndefined();
    expect(sasl.find('CRAM-MD5', true, null)).toBeUndefined();
    expect(sasl.apop).toBeNull();
    await memory.close();
    const on = await world({}, { cramMd5: true });
    // Its digest can be guessed from by anybody who listens.
    expect(names(on.sasl.mechanisms(false, null, 'imap'))).toEqual(['SCRAM-SHA-256', 'SCRAM-SHA-1']);
    expect(names(on.sasl.mechanisms(true, null, 'imap'))).toEqual([
      'SCRAM-SHA-256',
      'SCRAM-SHA-1',
      'CRAM-MD5',
      'PLAIN',
      'LOGIN',
    ]);
    expect(on.sasl.apop).not.toBeNull();
    await on.memory.close();
  });

  test('SCRAM only while everybody can use it, or where there is nothing else', async () => {
    let all = false;
    const { sasl, memory } = await world({}, { allHaveScram: () => all });
    expect(names(sasl.mechanisms(true, null, 'imap'))).toEqual(['PLAIN', 'LOGIN']);
    expect(names(sasl.mechanisms(false, null, 'imap'))).toEqual(['SCRAM-SHA-256']);
    expect(sasl.find('SCRAM-SHA-256', true, null)).toBeDefined();
    all = true;
    expect(names(sasl.mechanisms(true, null, 'imap'))).toContain('SCRAM-SHA-256');
    await memory.close();
  });

  test('every mechanism’s file is in the list', () => {
    const room = new URL('../../src/sasl/', import.meta.url);
    const index = readFileSync(new URL('index.ts', room), 'utf8');
    const mechanisms = readdirSync(room).filter((file) =>
      /: (readonly )?SaslMechanism(\[\])? \{/.test(readFileSync(new URL(file, room), 'utf8')),
    );
    expect(mechanisms.sort()).toEqual([
      'bearer.ts',
      'cram-md5.ts',
      'external.ts',
      'login.ts',
      'oauthbearer.ts',
      'plain.ts',
      'scram.ts',
      'xoauth2.ts',
    ]);
    // What the two for tokens share.
    const shared = ['bearer.ts'];
    for (const file of mechanisms.filter((name) => !shared.includes(name)))
      expect(index).toContain(`'./${file}'`);
  });
});

describe('the log', () => {
  test('one line an attempt, with session, address and login, never the password', async () => {
    const town = await world({ accounts: { 'alice@example.org': 'geheim-1' } });
    const { sasl, lines } = town;
    await sasl.login('alice@example.org', 'geheim-1', town.context({ sid: 'abc' }));
    await town.settle(sasl.login('alice@example.org', 'geheim-2', town.context({ sid: 'abd' })));
    await town.settle(sasl.login('x'.repeat(5000), 'geheim-3', town.context()));
    await start(town, 'PLAIN').respond(Buffer.from('geheim-4'));
    const seen = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(seen).toEqual([
      {
        level: 'info',
        sid: 'abc',
        ip: '192.0.2.1',
        service: 'imap',
        mechanism: 'password',
        login: 'alice@example.org',
        account: 'alice@example.org',
        message: 'authenticated',
      },
      {
        level: 'info',
        sid: 'abd',
        ip: '192.0.2.1',
        service: 'imap',
        mechanism: 'password',
        login: 'alice@example.org',
        message: 'authentication failed',
      },
      expect.objectContaining({ login: 'x'.repeat(320), message: 'authentication failed' }),
      expect.objectContaining({ level: 'info', message: 'authentication exchange malformed' }),
    ]);
    expect(lines.join()).not.toContain('geheim');
    await town.memory.close();
  });

  test('a directory that cannot answer is temporary, and an error', async () => {
    const town = await world({ accounts: { 'alice@example.org': 'pw' } });
    town.memory.sqlite.close();
    expect(await town.sasl.login('alice@example.org', 'pw', town.context())).toEqual({
      is: 'failed',
      reason: 'temporary',
    });
    const first = Buffer.from('n,,n=alice@example.org,r=abc');
    expect(await start(town, 'SCRAM-SHA-256').respond(first)).toEqual({ is: 'failed', reason: 'temporary' });
    expect(town.lines.map((line) => JSON.parse(line).level)).toEqual(['error', 'error']);
  });
});

describe('a failure', () => {
  test('is answered late, a little later each time, never more than two seconds', async () => {
    const town = await world({ accounts: { 'alice@example.org': 'pw' } });
    const { clock, sasl } = town;
    const waits: number[] = [];
    for (let i = 0; i < 60; i++) {
      const before = clock.now().getTime();
      await town.settle(sasl.login('alice@example.org', 'wrong', town.context()));
      waits.push(clock.now().getTime() - before);
    }
    expect(waits[0]).toBeGreaterThanOrEqual(100);
    expect(waits[9]).toBeGreaterThan(waits[0] ?? 0);
    expect(Math.max(...waits)).toBeLessThanOrEqual(2000);

    const before = clock.now().getTime();
    expect(await sasl.login('alice@example.org', 'pw', town.context())).toMatchObject({ is: 'done' });
    expect(clock.now().getTime()).toBe(before);

    const other = town.context({ ip: '192.0.2.2' });
    await town.settle(sasl.login('alice@example.org', 'wrong', other));
    expect(clock.now().getTime() - before).toBe(waits[0]);

    clock.set(clock.now().getTime() + 3_600_000);
    const later = clock.now().getTime();
    await town.settle(sasl.login('alice@example.org', 'wrong', town.context()));
    expect(clock.now().getTime() - later).toBe(waits[0]);
    await town.memory.close();
  });

  test('takes the same time for an account that does not exist', async () => {
    const town = await world({ accounts: { 'alice@example.org': 'pw' } });
    const waits: number[] = [];
    for (const [i, login] of ['alice@example.org', 'nobody@example.org', 'x'].entries()) {
      const before = town.clock.now().getTime();
      await town.settle(town.sasl.login(login, 'wrong', town.context({ ip: `192.0.2.${i}` })));
      waits.push(town.clock.now().getTime() - before);
    }
    expect(new Set(waits).size).toBe(1);
    await town.memory.close();
  });

  test('of one address of an IPv6 network counts for all of it', async () => {
    const town = await world({});
    const waits: number[] = [];
    for (const ip of ['2001:db8::1', '2001:db8::2', '2001:db8:0:1::1']) {
      const before = town.clock.now().getTime();
      await town.settle(town.sasl.login('x', 'wrong', town.context({ ip })));
      waits.push(town.clock.now().getTime() - before);
    }
    expect(waits[1]).toBeGreaterThan(waits[0] ?? 0);
    expect(waits[2]).toBe(waits[0]);
    await town.memory.close();
  });

  test('is not waited for when the peer is gone', async () => {
    const town = await world({});
    const gone = new AbortController();
    const step: Promise<SaslStep> = town.sasl.login('x', 'wrong', town.context({ signal: gone.signal }));
    while (town.clock.sleeping === 0) await new Promise((resolve) => setImmediate(resolve));
    gone.abort(new Error('gone'));
    expect(await step).toEqual({ is: 'failed', reason: 'credentials' });
    await town.memory.close();
  });
});
