import { expect, test } from 'vitest';
import { limitsOptions, listenersOptions } from '../../src/net/options.ts';

test('no listeners by default; every limit has one', () => {
  const off = { smtp: [], submission: [], submissions: [], lmtp: [], imap: [], imaps: [] };
  expect(listenersOptions.parse({})).toMatchObject(off);
  const limits = limitsOptions.parse({});
  // 1,000 idle IMAP connections are common; the clients of one address reach 60 of IMAP and 30 of SMTP.
  expect(limits.imap.maxConnections).toBeGreaterThanOrEqual(5000);
  expect(limits.imap.maxConnectionsPerIp).toBeGreaterThanOrEqual(60);
  expect(limits.smtp.maxConnectionsPerIp).toBeGreaterThanOrEqual(30);
  expect(limits.handshakeTimeout).toBe(30_000);
});

test('a listener needs a port, and no more', () => {
  expect(listenersOptions.parse({ imap: [{ port: 143 }] }).imap).toEqual([
    { host: '0.0.0.0', port: 143, proxyProtocol: false, proxyNetworks: ['0.0.0.0/0', '::/0'] },
  ]);
  for (const bad of [{}, { port: 65_536 }, { port: 25, host: 'mx.example.org' }, { port: 25, tls: true }])
    expect(listenersOptions.safeParse({ smtp: [bad] }).success).toBe(false);
});

test('limits can be changed one by one', () => {
  const limits = limitsOptions.parse({ imap: { maxConnectionsPerIp: 1000 }, proxyTimeout: '1s' });
  expect(limits.imap).toEqual({ maxConnections: 10_000, maxConnectionsPerIp: 1000 });
  expect(limits.proxyTimeout).toBe(1000);
  expect(limitsOptions.safeParse({ imap: { maxConnections: 0 } }).success).toBe(false);
});
