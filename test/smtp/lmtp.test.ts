import { afterAll, beforeAll, expect, test } from 'vitest';
import { smtpWorld, type World } from './world.ts';

let world: World;
beforeAll(async () => {
  world = await smtpWorld({ service: 'lmtp' });
});
afterAll(() => world.close());

test('a reply for each recipient, in their order, also for one named twice (RFC 2033 4.2)', async () => {
  await world.play(`
    S: 220 mx.example.org LMTP Facteur
    C: EHLO client.example.net
    S: 500 5.5.1 *
    C: LHLO client.example.net
    S: 250-mx.example.org
    S: 250-PIPELINING
    S: 250-STARTTLS
    S: 250 ENHANCEDSTATUSCODES
    C: MAIL FROM:<chris@bar.com>
    S: 250 2.1.0 *
    C: RCPT TO:<alice@example.org>
    S: 250 2.1.5 *
    C: RCPT TO:<nobody@example.org>
    S: 550 5.1.1 *
    C: RCPT TO:<bob@example.org>
    S: 250 2.1.5 *
    C: RCPT TO:<alice@example.org>
    S: 250 2.1.5 *
    C: RCPT TO:<x@elsewhere.test>
    S: 550 5.7.1 *
    C: DATA
    S: 354 *
    C: Subject: hello
    C:
    C: .
    S: 250 2.0.0 * queued as $qid$
    S: 250 2.0.0 * queued as $qid$
    S: 250 2.0.0 * queued as $qid$
    C: NOOP
    S: 250 2.0.0 OK
    C: QUIT
    S: 221 2.0.0 *
    S: [closed]
  `);
  const { message, text } = world.queue.last();
  expect(message.recipients.map(({ account }) => account)).toEqual(['alice@example.org', 'bob@example.org']);
  expect(message.source).toBe('lmtp');
  expect(text).toContain(' with LMTP\r\n');
});

test('refusals are for each recipient too, and there is one for each', () =>
  world.play(`
    S: 220 *
    C: LHLO client.example.net
    S: 250 *
    C: MAIL FROM:<a@example.net>
    S: 250 *
    C: RCPT TO:<alice@example.org>
    S: 250 *
    C: RCPT TO:<alice@example.org>
    S: 250 *
    C: DATA
    S: 354 *
    C: Delivered-To: alice@example.org
    C:
    C: .
    S: 554 5.4.6 *
    S: 554 5.4.6 *
    C: QUIT
    S: 221 *
  `));

test('no recipient, no message (RFC 2033 4.2)', () =>
  world.play(`
    S: 220 *
    C: LHLO client.example.net
    S: 250 *
    C: MAIL FROM:<a@example.net>
    S: 250 *
    C: RCPT TO:<nobody@example.org>
    S: 550 5.1.1 *
    C: DATA
    S: 554 5.5.1 *
    C: QUIT
    S: 221 *
  `));

test('after STARTTLS: LMTPS in the trace', async () => {
  await world.play(`
    S: 220 *
    C: LHLO client.example.net
    S: 250 *
    C: STARTTLS
    S: 220 2.0.0 *
    C: [tls]
    C: LHLO client.example.net
    S: 250-mx.example.org
    S: 250 REQUIRETLS
    C: MAIL FROM:<a@example.net> REQUIRETLS
    S: 250 *
    C: RCPT TO:<alice@example.org>
    S: 250 *
    C: DATA
    S: 354 *
    C:
    C: .
    S: 250 2.0.0 *
    C: QUIT
    S: 221 *
  `);
  expect(world.queue.last().text).toMatch(/ with LMTPS \(TLSv1\.3 TLS_[A-Z0-9_]+\)\r\n/);
  expect(world.queue.last().message.requireTls).toBe(true);
});
