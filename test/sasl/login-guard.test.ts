import { describe, expect, test } from 'vitest';
import { type GuardSettings, LoginGuard } from '../../src/sasl/login-guard.ts';
import { authOptions } from '../../src/sasl/options.ts';
import { ManualClock } from '../clock.ts';
import { silent } from '../directory/memory-directory.ts';
import { start, world } from './harness.ts';

const HERE = '192.0.2.1';
const MINUTE = 60_000;

function guard(over: Partial<GuardSettings> = {}): { guard: LoginGuard; clock: ManualClock } {
  const clock = new ManualClock();
  const settings = { ...authOptions.parse({}).bans, addressFailures: 3, accountFailures: 5, ...over };
  return { guard: new LoginGuard(settings, clock, silent), clock };
}

function fail(one: LoginGuard, times: number, ip = HERE, login = 'alice@example.org'): void {
  for (let i = 0; i < times; i++) one.failed(ip, login);
}

describe('an address', () => {
  test('is banned after too many failures, whatever the names, each time for longer', () => {
    const { guard: one, clock } = guard();
    for (let i = 0; i < 2; i++) one.failed(HERE, `user${i}`);
    expect(one.admits(HERE, 'anybody')).toBe(true);
    one.failed(HERE, 'user3');
    expect(one.admits(HERE, 'anybody')).toBe(false);
    expect(one.admits('192.0.2.2', 'anybody')).toBe(true);
    expect(one.bans()).toEqual([
      { kind: 'address', name: HERE, failures: 3, until: new Date(clock.now().getTime() + 5 * MINUTE) },
    ]);
    clock.set(clock.now().getTime() + 5 * MINUTE);
    expect(one.admits(HERE, 'anybody')).toBe(true);
    expect(one.bans()).toEqual([]);
    fail(one, 3);
    clock.set(clock.now().getTime() + 9 * MINUTE);
    expect(one.admits(HERE, 'anybody')).toBe(false);
    clock.set(clock.now().getTime() + MINUTE);
    expect(one.admits(HERE, 'anybody')).toBe(true);
  });

  test('of an IPv6 /64 is all of it, and an IPv4-mapped one is IPv4', () => {
    const { guard: one } = guard();
    fail(one, 3, '2001:db8::1', 'x');
    expect(one.admits('2001:db8::ffff', 'y')).toBe(false);
    expect(one.admits('2001:db8:0:1::1', 'y')).toBe(true);
    fail(one, 3, '::ffff:192.0.2.9', 'x2');
    expect(one.admits('192.0.2.9', 'y')).toBe(false);
  });

  test('of loopback or an allowed network never is; one that knew the password is not for that name', () => {
    const { guard: one } = guard({ allow: ['198.51.100.0/24'] });
    for (const ip of ['127.0.0.1', '::1', '::ffff:127.0.0.9', '198.51.100.7']) {
      fail(one, 50, ip, 'x');
      expect(one.admits(ip, 'x')).toBe(true);
    }
    one.passed(HERE, 'Alice@example.org');
    fail(one, 50, HERE, 'bob@example.org');
    expect(one.admits(HERE, 'alice@example.org')).toBe(true);
    expect(one.admits(HERE, 'bob@example.org')).toBe(false);
  });

  test('gets no pardon for others by an account of its own', () => {
    const { guard: one } = guard();
    fail(one, 2, HERE, 'victim');
    one.passed(HERE, 'mallory');
    fail(one, 1, HERE, 'victim');
    expect(one.admits(HERE, 'victim')).toBe(false);
  });

  test('is forgotten after the window, and freed by hand', () => {
    const { guard: one, clock } = guard();
    fail(one, 2);
    clock.set(clock.now().getTime() + 11 * MINUTE);
    fail(one, 2);
    expect(one.admits(HERE, 'x')).toBe(true);
    fail(one, 1);
    expect(one.admits(HERE, 'x')).toBe(false);
    expect(one.lift(HERE)).toBe(true);
    expect(one.lift(HERE)).toBe(false);
    expect(one.admits(HERE, 'x')).toBe(true);
    fail(one, 3, '2001:db8::1');
    expect(one.lift('2001:db8::2')).toBe(true);
  });

  test('or a name is never banned where that is switched off', () => {
    const { guard: one } = guard({ addressFailures: 0, accountFailures: 0 });
    fail(one, 1000);
    expect(one.admits(HERE, 'alice@example.org')).toBe(true);
  });
});

describe('a name', () => {
  test('tried from many addresses is closed to strangers, open to those who had its password', () => {
    const { guard: one, clock } = guard();
    one.passed('203.0.113.5', 'alice@example.org');
    for (let i = 0; i < 5; i++) one.failed(`192.0.2.${i}`, 'ALICE@example.org');
    expect(one.admits('192.0.2.77', 'alice@example.org')).toBe(false);
    expect(one.admits('192.0.2.77', 'bob@example.org')).toBe(true);
    expect(one.admits('203.0.113.5', 'alice@example.org')).toBe(true);
    expect(one.bans()).toMatchObject([{ kind: 'account', name: 'alice@example.org' }]);
    clock.set(clock.now().getTime() + 5 * MINUTE);
    expect(one.admits('192.0.2.77', 'alice@example.org')).toBe(true);
  });

  test('is counted whether it exists or not, and memory stays bounded', () => {
    const { guard: one } = guard();
    for (let i = 0; i < 5; i++) one.failed(`192.0.2.${i}`, 'nobody');
    expect(one.admits(HERE, 'nobody')).toBe(false);
    for (let i = 0; i < 21_000; i++) one.failed(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, `n${i}`);
    expect(one.admits(HERE, 'nobody')).toBe(true);
  });
});

test('a banned login is refused without a look at the password, by every mechanism', async () => {
  const clock = new ManualClock();
  const settings = { ...authOptions.parse({}).bans, addressFailures: 2 };
  const town = await world(
    { accounts: { 'alice@example.org': 'pw' } },
    { guard: new LoginGuard(settings, clock, silent) },
  );
  for (let i = 0; i < 2; i++)
    await town.settle(town.sasl.login('alice@example.org', 'wrong', town.context()));
  const refused = { is: 'failed', reason: 'limited' };
  expect(await town.settle(town.sasl.login('alice@example.org', 'pw', town.context()))).toEqual(refused);
  const plain = start(town, 'PLAIN').respond(Buffer.from('\0alice@example.org\0pw'));
  expect(await town.settle(plain)).toEqual(refused);
  const elsewhere = town.context({ ip: '192.0.2.2' });
  expect(await town.sasl.login('alice@example.org', 'pw', elsewhere)).toMatchObject({ is: 'done' });
  await town.memory.close();
});
