import { describe, expect, test } from 'vitest';
import { deliveryOptions } from '../../src/delivery/options.ts';
import { mailCommand, rcptCommand } from '../../src/delivery/remote/envelope.ts';
import { parsePeerReply } from '../../src/delivery/remote/peer-reply.ts';
import { parseRelayHost } from '../../src/delivery/remote/relay-host.ts';
import { ourselves } from '../../src/delivery/self.ts';
import { address, recipient } from './world.ts';

const ALL = new Map(['SIZE', '8BITMIME', 'SMTPUTF8', 'REQUIRETLS', 'DSN'].map((word) => [word, '']));
const NONE = new Map<string, string>();

describe('ORCPT', () => {
  test.each([
    ['rfc822;Bob@example.test', 'rfc822;Bob@example.test'],
    ['rfc822;bob+tag=1 @x', 'rfc822;bob+2Btag+3D1+20@x'],
    ['rfc822;é@x', 'rfc822;+C3+A9@x'],
    ['utf-8;é+a=b\\@x', 'utf-8;\\x{E9}\\x{2B}a\\x{3D}b\\x{5C}@x'],
    ['utf-8;用户@例子.test', 'utf-8;\\x{7528}\\x{6237}@\\x{4F8B}\\x{5B50}.test'],
    ['UTF-8;\\x{E9}@x', 'UTF-8;\\x{E9}@x'],
  ])('%s goes as %s (RFC 3461 4.2, RFC 6533 3)', (orcpt, expected) => {
    expect(rcptCommand(recipient({ to: 'a@b.test', orcpt }, 0), ALL)).toBe(
      `RCPT TO:<a@b.test> ORCPT=${expected}`,
    );
  });
});

test('MAIL has what the message needs and the host knows, nothing else', () => {
  const message = { from: address('bob@bücher.test'), ret: 'full', envid: 'a b' } as const;
  const parameters = { size: 7, body: '8bitmime', smtputf8: true, requireTls: true } as const;
  expect(mailCommand(message, parameters, ALL)).toBe(
    'MAIL FROM:<bob@xn--bcher-kva.test> SIZE=7 BODY=8BITMIME SMTPUTF8 REQUIRETLS RET=FULL ENVID=a+20b',
  );
  expect(mailCommand(message, parameters, NONE)).toBe('MAIL FROM:<bob@xn--bcher-kva.test>');
});

test('a quoted local part stays quoted', () => {
  const to = String.raw`"a \"b\" <c>"@x.test`;
  expect(rcptCommand(recipient(to, 0), NONE)).toBe(`RCPT TO:<${to}>`);
});

test.each([
  ['250 ok', { code: 250, text: 'ok' }],
  ['250 2.1.5 ok', { code: 250, enhanced: '2.1.5', text: 'ok' }],
  ['250', { code: 250, text: '' }],
  [
    '550-5.1.1 first\n550-5.1.1 second\n550 5.1.1 third',
    { code: 550, enhanced: '5.1.1', text: 'first\nsecond\nthird' },
  ],
  ['550-first\r\n550 second', { code: 550, text: 'first\nsecond' }],
  ['550 4.1.1 class does not fit', { code: 550, text: '4.1.1 class does not fit' }],
  ['550 5.1.1', { code: 550, enhanced: '5.1.1', text: '' }],
  ['450 été\u001b[0m\ttab', { code: 450, text: 'été?[0m tab' }],
  ['hello', undefined],
  ['199 too low', undefined],
  ['2500 too long', undefined],
  ['', undefined],
])('the reply %j (RFC 5321 4.2, RFC 2034 4)', (raw, reply) => {
  expect(parsePeerReply(raw)).toEqual(reply);
});

test('of a reply without end 2 KB are kept', () => {
  expect(parsePeerReply(`550 ${'x'.repeat(60_000)}`)?.text.length).toBe(2048);
  expect(parsePeerReply(`${'550-x\n'.repeat(10_000)}550 x`)?.text.length).toBeLessThanOrEqual(2048);
});

test.each([
  ['smtp.example.test:587', { host: 'smtp.example.test', port: 587, lookUp: 'mx' }],
  ['smtp.example.test', { host: 'smtp.example.test', port: 25, lookUp: 'mx' }],
  ['[smtp.example.test]:587', { host: 'smtp.example.test', port: 587, lookUp: 'address' }],
  ['[SMTP.Bücher.test]', { host: 'smtp.xn--bcher-kva.test', port: 25, lookUp: 'address' }],
  ['192.0.2.1:2525', { host: '192.0.2.1', port: 2525, lookUp: 'address' }],
  ['[192.0.2.1]', { host: '192.0.2.1', port: 25, lookUp: 'address' }],
  ['[2001:db8::1]:587', { host: '2001:db8::1', port: 587, lookUp: 'address' }],
  ['localhost:2525', { host: 'localhost', port: 2525, lookUp: 'mx' }],
  ['', undefined],
  [':25', undefined],
  ['smtp.example.test:0', undefined],
  ['smtp.example.test:99999', undefined],
  ['smtp example:25', undefined],
  ['2001:db8::1', undefined],
])('relayhost %j', (text, relay) => {
  expect(parseRelayHost(text, 25)).toEqual(relay);
});

describe('settings', () => {
  test('have defaults', () => {
    expect(deliveryOptions.parse({})).toEqual({
      port: 25,
      relayhost: null,
      relayhostAuth: null,
      relayhostTls: 'may',
      tls: 'may',
      ipv6: true,
      bindAddresses: [],
      maxAddresses: 5,
      maxSessions: 2,
      maxRecipients: 100,
      reuse: { idle: 5000, maxDeliveries: 100, maxIdle: 50 },
      timeouts: {
        connect: 30_000,
        greeting: 300_000,
        command: 300_000,
        data: 120_000,
        block: 180_000,
        end: 600_000,
      },
    });
  });
  test.each([{ relayhost: 'no good:25' }, { bindAddresses: ['eth0'] }, { port: 0 }, { prot: 25 }])(
    '%j is refused',
    (input) => {
      expect(deliveryOptions.safeParse(input).success).toBe(false);
    },
  );
});

describe('ourselves among mail hosts', () => {
  const listeners = [
    { host: '192.0.2.1', port: 25 },
    { host: '192.0.2.2', port: 2525 },
    { host: '::ffff:192.0.2.3', port: 25 },
  ];
  test('are our name and the addresses where we listen at that port', () => {
    const self = ourselves('MX.example.test', listeners, 25);
    expect([...self.names]).toEqual(['mx.example.test']);
    expect([...self.addresses].sort()).toEqual(['192.0.2.1', '192.0.2.3']);
  });
  test('are all addresses of the machine when we listen on all', () => {
    expect(ourselves('mx.example.test', [{ host: '::', port: 25 }], 25).addresses.has('127.0.0.1')).toBe(
      true,
    );
    expect(ourselves('mx.example.test', [{ host: '::', port: 25 }], 2525).addresses.size).toBe(0);
  });
});
