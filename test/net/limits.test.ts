import { expect, test } from 'vitest';
import { ConnectionLimits } from '../../src/net/limits.ts';

test('connections from one address are bounded, and those of another are not touched', () => {
  const limits = new ConnectionLimits({ maxConnections: 10, maxConnectionsPerIp: 2 });
  expect(limits.take('192.0.2.1')).toBe(true);
  expect(limits.take('192.0.2.1')).toBe(true);
  expect(limits.take('192.0.2.1')).toBe(false);
  expect(limits.take('192.0.2.2')).toBe(true);
  limits.giveBack('192.0.2.1');
  expect(limits.take('192.0.2.1')).toBe(true);
});

test('an IPv6 /64 is one peer', () => {
  const limits = new ConnectionLimits({ maxConnections: 10, maxConnectionsPerIp: 1 });
  expect(limits.take('2001:db8:1:2::1')).toBe(true);
  expect(limits.take('2001:db8:1:2:ffff::9')).toBe(false);
  expect(limits.take('2001:db8:1:3::1')).toBe(true);
});

test('it is full at its maximum', () => {
  const limits = new ConnectionLimits({ maxConnections: 1, maxConnectionsPerIp: 1 });
  expect(limits.full).toBe(false);
  limits.enter();
  expect(limits.full).toBe(true);
  limits.leave();
  expect(limits.full).toBe(false);
});
