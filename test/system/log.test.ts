import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { ImapFlow } from 'imapflow';
import nodemailer from 'nodemailer';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Peer } from '../delivery/peer.ts';
import { DnsServer } from '../dns-server.ts';
import { imapSession, Lines, mail, smtpSession } from '../lines.ts';
import { Daemon, freePorts, type Place, place } from '../processes.ts';

/** What an admin reads afterwards, at the level that says most: a message by its qid, a session by its sid, no secret. */

const ANN = 'ann@log.test';
const SERVICES = ['smtp', 'submission', 'submissions', 'imap', 'imaps', 'pop3', 'pop3s', 'lmtp'] as const;
const secret = (): string => randomBytes(9).toString('hex');
/** Her password, a wrong one, her next one, and what only the reader of a message should see. */
const secrets = { right: secret(), wrong: secret(), later: secret(), text: secret() };

let at: Place;
let daemon: Daemon;
let dns: DnsServer;
let peer: Peer | undefined;
let port: Readonly<Record<(typeof SERVICES)[number], number>>;

beforeAll(async () => {
  ({ '127.0.0.31': peer } = await Peer.startAll({ '127.0.0.31': {} }));
  dns = await DnsServer.start({ 'far.test MX': ['10 mx.far.test'], 'mx.far.test A': ['127.0.0.31'] });
  const ports = await freePorts(SERVICES.length);
  port = Object.fromEntries(SERVICES.map((name, i) => [name, ports[i] ?? 0])) as typeof port;
  at = place({
    listeners: Object.fromEntries(
      Object.entries(port).map(([name, number]) => [name, [{ host: '127.0.0.1', port: number }]]),
    ),
    dns: { servers: [dns.address] },
    delivery: { port: peer?.port, ipv6: false },
    auth: { allowPlaintextFrom: ['127.0.0.1'], cramMd5: true },
    log: { level: 'debug', format: 'json' },
  });
  at.facteur(['domain', 'add', 'log.test']);
  at.facteur(['account', 'add', ANN, '--password-stdin'], `${secrets.right}\n`);
  daemon = await Daemon.start(at);
});
afterAll(async () => {
  await daemon?.end();
  await peer?.close();
  await dns?.close();
  at?.remove();
});

function submission(
  service: 'submission' | 'submissions',
  pass: string,
  method: string,
): ReturnType<typeof nodemailer.createTransport> {
  return nodemailer.createTransport({
    host: '127.0.0.1',
    port: port[service],
    secure: service === 'submissions',
    authMethod: method,
    auth: { user: ANN, pass },
    tls: { rejectUnauthorized: false },
  });
}

const lines = (field: 'qid' | 'sid' | 'msg', value: unknown): readonly string[] =>
  daemon.log.filter((line) => line[field] === value).map((line) => String(line['msg']));

describe('the log', () => {
  test('one grep for the qid shows a message from its acceptance to its last delivery', async () => {
    const transport = submission('submission', secrets.right, 'PLAIN');
    const { response } = await transport.sendMail({
      from: ANN,
      to: [ANN, 'bob@far.test'],
      subject: 'followed',
      text: secrets.text,
    });
    transport.close();
    const qid = / queued as (\w+)/.exec(response)?.[1] ?? '';
    await daemon.logged('delivery attempt', { qid, to: ANN, status: 'delivered' });
    const far = await daemon.logged('delivery attempt', { qid, to: 'bob@far.test', status: 'delivered' });
    expect(far['reply']).toMatch(/^250 /);
    expect(far['relay']).toMatch(/mx\.far\.test/);
    expect(lines('qid', qid)[0]).toBe('accepted');
    expect(lines('qid', qid).filter((message) => message === 'delivery attempt')).toHaveLength(2);
    // The acceptance names the session too: from there its login and its peer are found.
    const accepted = await daemon.logged('accepted', { qid });
    expect(accepted).toMatchObject({ sid: expect.any(String), from: ANN, ip: '127.0.0.1' });
    expect(lines('sid', accepted['sid']).length).toBeGreaterThan(1);
    expect(daemon.log.some((line) => line['sid'] === accepted['sid'] && line['account'] === ANN)).toBe(true);
  });

  test('logins in all protocols and mechanisms, right and wrong, clumsy and broken off', async () => {
    for (const method of ['PLAIN', 'LOGIN', 'CRAM-MD5'])
      for (const service of ['submission', 'submissions'] as const) {
        const good = submission(service, secrets.right, method);
        await good.verify();
        good.close();
        const bad = submission(service, secrets.wrong, method);
        await expect(bad.verify()).rejects.toThrow(/535/);
        bad.close();
      }
    for (const pass of [secrets.right, secrets.wrong]) {
      const client = new ImapFlow({
        host: '127.0.0.1',
        port: port.imaps,
        secure: true,
        auth: { user: ANN, pass },
        tls: { rejectUnauthorized: false },
        logger: false,
      });
      if (pass === secrets.right) {
        await client.connect();
        await client.logout();
      } else await expect(client.connect()).rejects.toThrow();
      const pop3 = Lines.plain(port.pop3);
      await pop3.reply();
      await pop3.ask(`USER ${ANN}`);
      expect(await pop3.ask(`PASS ${pass}`)).toMatch(pass === secrets.right ? /^\+OK/ : /^-ERR/);
      pop3.close();
    }
    (await imapSession(port.imap, ANN, secrets.right)).close();
    // What people and broken programs do: a password where it does not belong, too many words, half a login.
    const clumsy: readonly [keyof typeof port, readonly string[]][] = [
      ['pop3', [`PASS ${secrets.wrong}`, `PAS ${secrets.wrong}`, `USER ${ANN} ${secrets.wrong} x y`]],
      [
        'imap',
        [
          `a LOGIN ${ANN} ${secrets.wrong} more`,
          `b LOGIN ${ANN} "${secrets.wrong}`,
          `LOGIN ${secrets.wrong}`,
        ],
      ],
      ['imap', [`a AUTHENTICATE PLAIN ${plain(secrets.wrong)}`, `b AUTHENTICATE PLAIN ${secrets.wrong}!`]],
      ['smtp', ['EHLO x', `AUTH PLAIN ${plain(secrets.wrong)}`, `PASS ${secrets.wrong}`]],
      [
        'submission',
        ['EHLO x', `AUTH PLAIN ${plain(secrets.wrong)} x`, 'AUTH LOGIN', base64(ANN), secrets.wrong],
      ],
      ['submission', ['EHLO x', 'AUTH LOGIN', base64(ANN), base64(secrets.wrong)]],
    ];
    for (const [service, typed] of clumsy) await type(service, typed);
  });

  test('a changed password is not in it either', () => {
    const { code } = at.facteur(['account', 'password', ANN, '--password-stdin'], `${secrets.later}\n`);
    expect(code).toBe(0);
  });

  test('mail from outside, and from a server before us by LMTP, has its sid', async () => {
    const smtp = await smtpSession(port.smtp);
    const { reply } = await mail(smtp, 'far@far.test', ANN, `Subject: in\r\n\r\n${secrets.text}\r\n`);
    smtp.close();
    const lmtp = Lines.plain(port.lmtp);
    await lmtp.reply();
    await lmtp.ask('LHLO before.test');
    const { reply: answer } = await mail(lmtp, 'far@far.test', ANN, `Subject: in\r\n\r\n${secrets.text}\r\n`);
    lmtp.close();
    for (const text of [reply, answer]) {
      const qid = / queued as (\w+)/.exec(text)?.[1];
      expect(await daemon.logged('accepted', { qid })).toMatchObject({ sid: expect.any(String) });
    }
  });

  test('every line about a connection has its sid, and no line has a secret', async () => {
    daemon.kill('SIGTERM');
    expect(await daemon.ended(20_000)).toBe(0);
    const ofSessions = daemon.log.filter((line) => line['ip'] !== undefined || line['sid'] !== undefined);
    expect(ofSessions.length).toBeGreaterThan(20);
    expect(ofSessions.filter((line) => line['sid'] === undefined)).toEqual([]);
    expect(daemon.log.filter((line) => line['level'] === 'error')).toEqual([]);
    // They did arrive: six by mail programs, and more by hand.
    expect(lines('msg', 'authentication failed').length).toBeGreaterThan(8);
    expect(lines('msg', 'authenticated').length).toBeGreaterThan(8);
    for (const word of Object.values(secrets))
      for (const form of [word, base64(word), plain(word), Buffer.from(word).toString('hex')])
        expect(daemon.text.split('\n').filter((line) => line.includes(form))).toEqual([]);
  });
});

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

/** The initial response of PLAIN (RFC 4616 2). */
function plain(password: string): string {
  return base64(`\0${ANN}\0${password}`);
}

/** Types the lines whatever is answered, with time for an answer after each, and goes away. */
async function type(service: keyof typeof port, typed: readonly string[]): Promise<void> {
  const socket = connect(port[service], '127.0.0.1');
  socket.on('error', () => {});
  let answered: (() => void) | undefined;
  socket.on('data', () => answered?.());
  const answer = (): Promise<void> =>
    new Promise((resolve) => {
      answered = resolve;
      setTimeout(resolve, 1500);
    });
  await answer();
  for (const line of typed) {
    socket.write(`${line}\r\n`);
    await answer();
  }
  socket.destroy();
}
