import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ManualClock } from '../clock.ts';
import { Peer } from '../delivery/peer.ts';
import { DnsServer } from '../dns-server.ts';
import { eventually, inbox, type Line, sendAs, startWorld, type World } from '../world.ts';

/**
 * Two Facteurs and a real DNS server: a.test on 127.0.0.2, b.test on 127.0.0.3, scripted hosts beside them, all on one
 * port. a.test's clock is moved by hand.
 */
const SECRET = 'correct horse battery';
let dns: DnsServer;
let peers: Record<string, Peer>;
let a: World;
let b: World;
const clock = new ManualClock(Date.now());

beforeAll(async () => {
  peers = await Peer.startAll({
    '127.0.0.21': { rcpt: ['451 4.7.1 Greylisted, come back in five minutes', '250 2.1.5 Ok'] },
    '127.0.0.22': { rcpt: '550 5.7.1 We do not want your mail' },
    '127.0.0.23': {},
  });
  const port = peers['127.0.0.21']?.port ?? 0;
  dns = await DnsServer.start({
    'a.test MX': ['10 mx.a.test'],
    'mx.a.test A': ['127.0.0.2'],
    'b.test MX': ['10 down.b.test', '20 mx.b.test'],
    'down.b.test A': ['127.0.0.99'],
    'mx.b.test A': ['127.0.0.3'],
    'grey.test MX': ['10 mx.grey.test'],
    'mx.grey.test A': ['127.0.0.21'],
    'refuse.test MX': ['10 mx.refuse.test'],
    'mx.refuse.test A': ['127.0.0.22'],
    'implicit.test A': ['127.0.0.23'],
    'null.test MX': ['0 .'],
    'silent.test MX': 'TIMEOUT',
  });
  const settings = (hostname: string): object => ({
    hostname,
    dns: { servers: [dns.address], timeout: '200ms', tries: 1 },
    delivery: { port, ipv6: false },
  });
  a = await startWorld({
    host: '127.0.0.2',
    smtpPort: port,
    settings: settings('mx.a.test'),
    accounts: { 'alice@a.test': SECRET },
    clock,
  });
  b = await startWorld({
    host: '127.0.0.3',
    smtpPort: port,
    settings: settings('mx.b.test'),
    accounts: { 'bob@b.test': SECRET },
  });
});

afterAll(async () => {
  await Promise.all([a?.close(), b?.close()]);
  for (const peer of Object.values(peers ?? {})) await peer.close();
  await dns?.close();
});

function attempt(world: World, to: string, status: string): Promise<Line> {
  return eventually(`${to} ${status}`, () =>
    world.lines.find((line) => line['to'] === to && line['status'] === status),
  );
}

describe('mail between two domains', () => {
  test('goes out by MX, past a first host that is down, and arrives', async () => {
    await sendAs(a, 'alice@a.test', SECRET, { to: 'bob@b.test', subject: 'Over there' });
    const [message] = await inbox(b, 'bob@b.test', SECRET, 1);
    expect(message).toMatch(/^Return-Path: <alice@a.test>\r\nDelivered-To: bob@b.test\r\n/);
    expect(message).toMatch(/Received: from mx\.a\.test .*\r\n\tby mx\.b\.test .*with ESMTPS/s);
    expect(message).toContain('Subject: Over there');
    const line = await attempt(a, 'bob@b.test', 'delivered').catch(() => attempt(a, 'bob@b.test', 'relayed'));
    expect(line['reply']).toMatch(/^250 2\.0\.0 /);
  });

  test('and the answer comes back', async () => {
    await sendAs(b, 'bob@b.test', SECRET, { to: 'alice@a.test', subject: 'Back again' });
    const [message] = await inbox(a, 'alice@a.test', SECRET, 1);
    expect(message).toContain('Subject: Back again');
  });

  test('a domain without MX is its own host (RFC 5321 5.1)', async () => {
    await sendAs(a, 'alice@a.test', SECRET, { to: 'x@implicit.test', subject: 'Implicit' });
    await attempt(a, 'x@implicit.test', 'delivered');
    expect(peers['127.0.0.23']?.messages).toHaveLength(1);
  });
});

describe('what goes wrong', () => {
  test('a greylisting host gets the message at the second attempt, five minutes later', async () => {
    await sendAs(a, 'alice@a.test', SECRET, { to: 'g@grey.test', subject: 'Grey' });
    const line = await attempt(a, 'g@grey.test', 'deferred');
    expect(line['reply']).toBe('451 4.7.1 Greylisted, come back in five minutes');
    expect(peers['127.0.0.21']?.messages).toHaveLength(0);
    await clock.advance(6 * 60_000);
    await attempt(a, 'g@grey.test', 'delivered');
    expect(peers['127.0.0.21']?.messages).toHaveLength(1);
  });

  test.each([
    ['no@refuse.test', '550 5.7.1 We do not want your mail', 'a permanent refusal'],
    ['no@null.test', '556 5.1.10', 'a null MX (RFC 7505)'],
    ['no@nowhere.test', '550 5.1.2', 'a domain that does not exist'],
  ])('%s bounces with %s: %s', async (to, reply) => {
    const before = (await inbox(a, 'alice@a.test', SECRET, 0)).length;
    await sendAs(a, 'alice@a.test', SECRET, { to, subject: 'Bounce me' });
    const line = await attempt(a, to, 'failed');
    expect(line['reply']).toContain(reply);
    const bounce = (await inbox(a, 'alice@a.test', SECRET, before + 1)).at(-1) ?? '';
    expect(bounce).toMatch(/^Return-Path: <>\r\n/);
    expect(bounce).toMatch(/Content-Type: multipart\/report; report-type=delivery-status/i);
    expect(bounce).toContain(`Final-Recipient: rfc822; ${to}`);
    expect(bounce).toContain('Subject: Bounce me');
  });

  test('no answer from DNS is no reason to bounce: it waits, warns after four hours, bounces after five days', async () => {
    const before = (await inbox(a, 'alice@a.test', SECRET, 0)).length;
    await sendAs(a, 'alice@a.test', SECRET, { to: 'q@silent.test', subject: 'Patience' });
    const line = await attempt(a, 'q@silent.test', 'deferred');
    expect(line['reply']).toContain('4.4.3');
    await move(5 * 3_600_000, () =>
      a.lines.some((l) => l['to'] === 'q@silent.test' && Number(l['attempts']) >= 6),
    );
    const warning = (await inbox(a, 'alice@a.test', SECRET, before + 1)).at(-1) ?? '';
    expect(warning).toContain('Action: delayed');
    await move(6 * 86_400_000, () =>
      a.lines.some((l) => l['to'] === 'q@silent.test' && l['status'] === 'expired'),
    );
    const bounce = (await inbox(a, 'alice@a.test', SECRET, before + 2)).at(-1) ?? '';
    expect(bounce).toContain('Action: failed');
    expect(bounce).toContain('Final-Recipient: rfc822; q@silent.test');
  });
});

/** Moves the clock on in steps, with real time between them for what the daemon does then, until `done` or `total`. */
async function move(total: number, done: () => boolean): Promise<void> {
  const step = 10 * 60_000;
  for (let moved = 0; moved < total && !done(); moved += step) {
    await clock.advance(step);
    await new Promise((resolve) => setTimeout(resolve, 15));
  }
}
