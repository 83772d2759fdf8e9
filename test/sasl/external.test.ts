import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConnectionOptions, type TLSSocket, connect as tlsConnect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { playTranscript } from '../transcript.ts';
import { startWorld, type World } from '../world.ts';
import { authority, type ClientPair, type ClientWish } from './client-authority.ts';
import { world as saslWorld, start as startMechanism } from './harness.ts';
import { hurried } from './hurried.ts';
import { WITHDRAWN } from './withdrawn.ts';

const ALICE = 'alice@example.org';
const BOB = 'bob@example.org';
const ours = authority('Users of Example');
const theirs = authority('Users of Example');
let world: World;
let byName: World;
let dir: string;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'facteur-external-'));
  writeFileSync(join(dir, 'ca.pem'), ours.pem);
  const accounts = { [ALICE]: 'a', [BOB]: 'b' };
  const ca = [join(dir, 'ca.pem')];
  world = await startWorld({ accounts, clock: hurried, settings: { auth: { clientCertificates: { ca } } } });
  byName = await startWorld({
    accounts,
    clock: hurried,
    settings: {
      auth: { defaultDomain: 'example.org', clientCertificates: { ca, account: 'commonName' } },
    },
  });
});
afterAll(async () => {
  await world.close();
  await byName.close();
  rmSync(dir, { recursive: true });
});

const base64 = (text: string): string => Buffer.from(text).toString('base64');

async function secure(service: string, pair: ClientPair | undefined, more: ConnectionOptions = {}) {
  const port = (more.port ?? world.port(service)) as number;
  const socket = tlsConnect({ host: '127.0.0.1', ...more, port, rejectUnauthorized: false, ...pair });
  await once(socket, 'secureConnect');
  return socket;
}

/** What AUTHENTICATE EXTERNAL says over IMAP, or that it is not offered. */
async function outcome(
  pair: ClientPair | undefined,
  authzid = '',
  port = world.port('imaps'),
): Promise<string> {
  const socket = await secure('imaps', pair, { port });
  const text = await exchange(socket, `a AUTHENTICATE EXTERNAL ${base64(authzid) || '='}\r\nb LOGOUT\r\n`);
  if (!text.split('\r\n', 1)[0]?.includes('AUTH=EXTERNAL')) return 'not offered';
  return /^a (?:OK|NO|BAD)/m.exec(text)?.[0] ?? text;
}

async function exchange(socket: Socket, commands: string): Promise<string> {
  let text = '';
  socket.on('data', (chunk) => {
    text += String(chunk);
  });
  socket.write(commands);
  await once(socket, 'close');
  return text;
}

/** One command at a time, as SMTP wants it; all that was answered. */
async function inTurns(socket: Socket, commands: readonly string[]): Promise<string> {
  let text = '';
  for (const command of ['', ...commands]) {
    if (command !== '') socket.write(`${command}\r\n`);
    let reply = '';
    while (!/^\d{3} .*\r\n$/m.test(reply)) reply += String((await once(socket, 'data'))[0]);
    text += reply;
  }
  return text;
}

const alice: ClientWish = { emails: [ALICE] };

describe('a certificate of one of the authorities', () => {
  const pair = ours.issue(alice);

  test('logs into IMAP, with and without an initial response (RFC 4422 A.2)', async () => {
    await playTranscript(
      `
      S: * OK [CAPABILITY *AUTH=EXTERNAL*
      C: a002 AUTHENTICATE EXTERNAL
      S: + 
      C: 
      S: a002 OK *
      C: x LOGOUT
      S: * BYE *
      S: x OK *
      `,
      () => secure('imaps', pair),
    );
    // "Cannot assume requested authorization identity".
    await playTranscript(
      `
      S: * OK *
      C: a002 AUTHENTICATE EXTERNAL ${base64('fred@example.com')}
      S: a002 NO [AUTHENTICATIONFAILED] *
      C: a003 AUTHENTICATE EXTERNAL ${base64(ALICE)}
      S: a003 OK *
      `,
      () => secure('imaps', pair),
    );
  });

  test('logs into POP3 and submission', async () => {
    const pop3 = await exchange(await secure('pop3s', pair), 'CAPA\r\nAUTH EXTERNAL =\r\nQUIT\r\n');
    expect(pop3).toMatch(/^SASL EXTERNAL .*\r\n.*\+OK .*\+OK/ms);
    const smtp = await inTurns(await secure('submissions', pair), [
      'EHLO x',
      `AUTH EXTERNAL ${base64(ALICE)}`,
    ]);
    expect(smtp).toMatch(/^250-AUTH EXTERNAL .*^235 /ms);
  });

  test.each([
    [
      'imap',
      'x STARTTLS\r\n',
      /^x OK/m,
      'a CAPABILITY\r\nb AUTHENTICATE EXTERNAL =\r\nc LOGOUT\r\n',
      /AUTH=EXTERNAL.*b OK/s,
    ],
    ['pop3', 'STLS\r\n', /\+OK.*\+OK/s, 'AUTH EXTERNAL =\r\nQUIT\r\n', /^\+OK/],
  ])('after STARTTLS on %s too, not before', async (service, begin, begun, then, proof) => {
    const plain = connect(world.port(service), '127.0.0.1');
    let text = '';
    plain.on('data', (chunk) => {
      text += String(chunk);
    });
    plain.write(begin);
    while (!begun.test(text)) await once(plain, 'data');
    expect(text).not.toContain('EXTERNAL');
    plain.removeAllListeners('data');
    const socket = tlsConnect({ socket: plain, rejectUnauthorized: false, ...pair });
    await once(socket, 'secureConnect');
    expect(await exchange(socket, then)).toMatch(proof);
  });

  test('after STARTTLS on submission too, not before', async () => {
    const plain = connect(world.port('submission'), '127.0.0.1');
    expect(await inTurns(plain, ['EHLO x', 'STARTTLS'])).not.toContain('EXTERNAL');
    const socket = tlsConnect({ socket: plain, rejectUnauthorized: false, ...pair });
    await once(socket, 'secureConnect');
    socket.write('EHLO x\r\n');
    const ehlo = String((await once(socket, 'data'))[0]);
    socket.write('AUTH EXTERNAL =\r\n');
    expect(ehlo + String((await once(socket, 'data'))[0])).toMatch(/AUTH EXTERNAL.*^235/ms);
  });

  test('in a session of TLS that is taken up again as well', async () => {
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      const first = tlsConnect({
        host: '127.0.0.1',
        port: world.port('imaps'),
        rejectUnauthorized: false,
        maxVersion,
        ...pair,
      });
      first.resume();
      const [ticket] = await once(first, 'session');
      first.destroy();
      const second: TLSSocket = await secure('imaps', pair, { maxVersion, session: ticket as Buffer });
      expect(second.isSessionReused()).toBe(true);
      expect(await exchange(second, 'a AUTHENTICATE EXTERNAL =\r\nb LOGOUT\r\n')).toMatch(/^a OK/m);
    }
  });

  test('the name by which the client asks makes no difference (SNI)', async () => {
    const socket = await secure('imaps', pair, { servername: 'mx.example.org' });
    expect(await exchange(socket, 'a AUTHENTICATE EXTERNAL =\r\nb LOGOUT\r\n')).toMatch(/^a OK/m);
  });
});

describe('which account', () => {
  test.each<[string, ClientWish, string, string]>([
    ['the address of the subject, where there is no other', { subjectEmail: ALICE }, '', 'a OK'],
    [
      'not that of the subject where there is another',
      { subjectEmail: ALICE, emails: ['x@example.net'] },
      '',
      'a NO',
    ],
    ['not the common name', { commonName: ALICE }, '', 'a NO'],
    ['nobody here', { emails: ['nobody@example.org'] }, '', 'a NO'],
    ['one of two that do not say which', { emails: [ALICE, BOB] }, '', 'a NO'],
    ['one of two that is asked for', { emails: [ALICE, BOB] }, BOB, 'a OK'],
    ['the only one that is here', { emails: ['x@example.net', BOB] }, '', 'a OK'],
    ['somebody else', { emails: [ALICE] }, BOB, 'a NO'],
    ['what only looks like an address in another name', { dnsNames: [`x, email:${ALICE}`] }, '', 'a NO'],
    ['a NUL', { emails: [ALICE] }, 'a\0b', 'a NO'],
  ])('%s', async (_what, wish, authzid, expected) => {
    const said = await outcome(ours.issue(wish), authzid);
    expect(said.replace('a BAD', 'a NO')).toBe(expected);
  });

  test('the common name, where that is configured', async () => {
    const port = byName.port('imaps');
    expect(await outcome(ours.issue({ commonName: 'alice' }), '', port)).toBe('a OK');
    expect(await outcome(ours.issue({ emails: [ALICE] }), '', port)).toBe('a NO');
  });
});

describe('not offered', () => {
  test.each<[string, () => ClientPair | undefined]>([
    ['without a certificate', () => undefined],
    ['with one of another authority, whatever its name', () => theirs.issue(alice)],
    ['with one that has ended', () => ours.issue({ ...alice, notAfter: new Date(Date.now() - 60_000) })],
    ['with one for servers only', () => ours.issue({ ...alice, usage: 'serverAuth' })],
  ])('%s', async (_what, pair) => {
    expect(await outcome(pair())).toBe('not offered');
  });

  test('on port 25 nobody is asked for a certificate', async () => {
    const plain = connect(world.port('smtp'), '127.0.0.1');
    await inTurns(plain, ['EHLO x', 'STARTTLS']);
    const socket = tlsConnect({ socket: plain, rejectUnauthorized: false, ...ours.issue(alice) });
    await once(socket, 'secureConnect');
    socket.write('EHLO x\r\n');
    expect(String((await once(socket, 'data'))[0])).toMatch(/^250-(?!.*AUTH).*250 /s);
  });
});

test('one that its authority has withdrawn, where there is a list of those', async () => {
  const files = { ca: [join(dir, 'withdrawn-ca.pem')], crl: [join(dir, 'crl.pem')] };
  writeFileSync(files.ca[0] ?? '', WITHDRAWN.ca);
  writeFileSync(files.crl[0] ?? '', WITHDRAWN.crl);
  const { key, good, withdrawn } = WITHDRAWN;
  for (const crl of [files.crl, []]) {
    const settings = { auth: { clientCertificates: { ...files, crl } } };
    const listing = await startWorld({ accounts: { [ALICE]: 'a' }, clock: hurried, settings });
    try {
      const port = listing.port('imaps');
      expect(await outcome({ cert: good, key }, '', port)).toBe('a OK');
      expect(await outcome({ cert: withdrawn, key }, '', port)).toBe(crl.length > 0 ? 'not offered' : 'a OK');
    } finally {
      await listing.close();
    }
  }
});

test('files that are not there, or of another kind, are told of at the start', async () => {
  const settings = { auth: { clientCertificates: { ca: [join(dir, 'nowhere.pem')] } } };
  await expect(startWorld({ settings })).rejects.toThrow(/nowhere\.pem \(auth\.clientCertificates\)/);
  writeFileSync(join(dir, 'wrong.pem'), WITHDRAWN.crl);
  const wrong = { auth: { clientCertificates: { ca: [join(dir, 'wrong.pem')] } } };
  await expect(startWorld({ settings: wrong })).rejects.toThrow(/has no CERTIFICATE in PEM form/);
});

test('a certificate that ended after the handshake is no good any more', async () => {
  const town = await saslWorld({ accounts: { [ALICE]: 'a' } });
  const tls = {
    version: 'TLSv1.3',
    cipher: 'x',
    servername: null,
    clientCertificate: {
      emails: [ALICE],
      commonNames: [],
      validTo: new Date(town.clock.now().getTime() + 1000),
    },
  };
  const external = town.sasl.find('EXTERNAL', false, tls);
  const respond = () => external?.start(town.context({ tls })).respond(Buffer.alloc(0));
  expect(await respond()).toMatchObject({ is: 'done' });
  await town.clock.advance(1000);
  expect(await town.settle(respond() ?? Promise.reject(new Error('none')))).toMatchObject({ is: 'failed' });
  expect(town.sasl.find('EXTERNAL', true, null)).toBeUndefined();
  expect(() => startMechanism(town, 'EXTERNAL')).toThrow();
  await town.memory.close();
});
