import { createHash, createHmac } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { rawMessage } from '../../src/mail/raw-message.ts';
import { playTranscript } from '../transcript.ts';
import { ALICE, Client, PASSWORD, Pop3World } from './world.ts';

let world: Pop3World;

async function start(...args: Parameters<typeof Pop3World.start>): Promise<void> {
  world = await Pop3World.start(...args);
}

afterEach(async () => {
  await world.close();
});

const MESSAGES = ['Subject: one\r\n\r\nfirst\r\n', 'Subject: two\r\n\r\n.dot\r\n..\r\nend'];

function fill(account: string = ALICE): void {
  for (const message of MESSAGES) world.inbox(account).add(message);
}

describe('a session', () => {
  beforeEach(() => start());

  test('as in RFC 1939 10', async () => {
    fill();
    await playTranscript(
      `
      S: +OK *
      C: USER ${ALICE}
      S: +OK *
      C: PASS ${PASSWORD}
      S: +OK 2 messages (52 octets)
      C: STAT
      S: +OK 2 52
      C: LIST
      S: +OK 2 messages (52 octets)
      S: 1 23
      S: 2 29
      S: .
      C: QUIT
      S: +OK *
      S: [closed]`
        .replaceAll('57', '52')
        .replace('2 29', '2 29'),
      world.connectTls,
    );
  });

  test('as in the fixture of the users', async ({ skip }) => {
    const file = resolve(import.meta.dirname, '../../../shared/fixtures/pop3-basic.txt');
    if (!existsSync(file)) skip('the fixtures are not beside this checkout');
    world.inbox('test@example.org').add('one line\r\n');
    world.inbox('test@example.org').add('other line\r\n');
    await playTranscript(readFileSync(file, 'utf8'), world.connectTls);
  });

  test('with every command, and its refusals', async () => {
    fill();
    await playTranscript(
      `
      S: +OK *
      C: stat
      S: -ERR log in first
      C: user ${ALICE}
      S: +OK *
      C: pass ${PASSWORD}
      S: +OK *
      C: USER ${ALICE}
      S: -ERR not after login
      C: LIST 2
      S: +OK 2 29
      C: LIST 3
      S: -ERR no such message
      C: LIST 0
      S: -ERR no such message
      C: LIST x
      S: -ERR a message number is missing
      C: UIDL
      S: +OK*
      S: 1 0000000148fc5de7
      S: 2 0000000248fc5de7
      S: .
      C: UIDL 2
      S: +OK 2 0000000248fc5de7
      C: RETR 2
      S: +OK 29 octets
      S: Subject: two
      S:
      S: ..dot
      S: ...
      S: end
      S: .
      C: TOP 2 1
      S: +OK *
      S: Subject: two
      S:
      S: ..dot
      S: .
      C: TOP 2
      S: -ERR an argument is missing
      C: TOP 2 -1
      S: -ERR a number of lines is missing
      C: DELE 1
      S: +OK *
      C: DELE 1
      S: -ERR message 1 is marked as deleted
      C: RETR 1
      S: -ERR message 1 is marked as deleted
      C: STAT
      S: +OK 1 29
      C: LIST
      S: +OK *
      S: 2 29
      S: .
      C: RSET
      S: +OK *
      C: STAT
      S: +OK 2 52
      C: NOOP
      S: +OK *
      C: NOOP now
      S: -ERR this command has no arguments
      C: XTND XMIT
      S: -ERR unknown command
      C: QUIT
      S: +OK *
      S: [closed]`,
      world.connectTls,
    );
  });

  test('takes pipelined commands in turn (RFC 2449 6.6), and answers a client that has hung up half', async () => {
    fill();
    const client = await world.client();
    client.socket.end(
      `USER ${ALICE}\r\nPASS ${PASSWORD}\r\nSTAT\r\nRETR 1\r\nDELE 1\r\nRETR 2\r\nDELE 2\r\nQUIT\r\n`,
    );
    const answers = await client.closed();
    expect(answers.match(/^\+OK/gm)).toHaveLength(8);
    expect(world.inbox().messages.size).toBe(0);
  });

  test('has blanks in names and passwords, and UTF-8 (RFC 6856 2.2)', async () => {
    const client = await world.client();
    const latin1 = (text: string): string => Buffer.from(text).toString('latin1');
    await client.ask(latin1('USER "félix le [chat]"@example.org'));
    expect(await client.ask(latin1('PASS pâté'))).toMatch(/^\+OK/);
    const other = await world.client();
    expect(await other.ask('USER \xff')).toBe('-ERR this is not UTF-8');
  });
});

describe('messages', () => {
  beforeEach(() => start());

  test('come with the same octets, whatever is in them', async () => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i).filter((i) => i !== 10 && i !== 13));
    const text = `X: \xe9\r\n\r\n${bytes.toString('latin1')}\r\n.\r\n..\r\n\r\n.\r\n`;
    world.inbox().add(text);
    const client = await world.login('utf8');
    expect(await client.lines('RETR 1')).toBe(text);
  });

  test('of the mime corpus come with the same octets', async ({ skip }) => {
    const folder = resolve(import.meta.dirname, '../../../shared/corpus/mime');
    if (!existsSync(folder)) skip('the corpus is not beside this checkout');
    const { readdirSync } = await import('node:fs');
    const texts: string[] = [];
    for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
      if (!name.endsWith('.eml') || texts.length >= 100) continue;
      const text = readFileSync(resolve(folder, name), 'latin1').replace(/\r?\n/g, '\r\n');
      texts.push(text.endsWith('\r\n') ? text : `${text}\r\n`);
    }
    for (const text of texts) world.inbox().add(text);
    expect(texts.length).toBeGreaterThan(20);
    const client = await world.login('utf8');
    for (const [i, text] of texts.entries()) expect(await client.lines(`RETR ${i + 1}`)).toBe(text);
  });

  test('of any size are streamed at the pace of the client', async () => {
    const size = 64 * 1024 * 1024;
    let read = 0;
    const line = Buffer.from(`${'x'.repeat(1022)}\r\n`);
    world.inbox().add({
      size,
      pieces: [],
      async *read() {
        for (; read < size; read += 65_536) yield Buffer.alloc(65_536, line);
      },
    });
    const client = await world.login();
    client.socket.pause();
    client.send('RETR 1');
    await expect.poll(() => read).toBeGreaterThan(0);
    await new Promise((done) => setTimeout(done, 200));
    expect(read).toBeLessThan(size / 2);
    let octets = 0;
    client.socket.removeAllListeners('data');
    client.socket.on('data', (chunk: Buffer) => {
      octets += chunk.length;
    });
    client.socket.resume();
    await expect.poll(() => octets, { timeout: 10_000 }).toBe(size + '+OK 67108864 octets\r\n.\r\n'.length);
  });

  test('that cannot be read to their end end the connection, not the message', async () => {
    world.inbox().add({
      size: 1000,
      pieces: [],
      async *read() {
        yield Buffer.from('Subject: half\r\n\r\n');
        throw new Error('disk error');
      },
    });
    const client = await world.login();
    client.send('RETR 1');
    const seen = await client.closed();
    expect(seen).not.toMatch(/\r\n\.\r\n/);
    expect(world.inbox().messages.size).toBe(1);
    expect(world.lines.find((line) => line.message === 'POP3 session broken off')?.level).toBe('error');
  });

  test('that another session has removed are refused, the session lives on', async () => {
    fill();
    const client = await world.login();
    world.inbox().messages.delete(1);
    expect(await client.ask('RETR 1')).toMatch(/^-ERR that message is gone/);
    expect(await client.ask('NOOP')).toMatch(/^\+OK/);
  });

  test('ten thousand are listed', async () => {
    for (let i = 0; i < 10_000; i++) world.inbox().add('a\r\n');
    const client = await world.login();
    expect(await client.ask('STAT')).toBe('+OK 10000 30000');
    const list = (await client.lines('LIST')).trim().split('\r\n');
    expect(list).toHaveLength(10_000);
    expect(list.at(-1)).toBe('10000 3');
    const ids = (await client.lines('UIDL')).trim().split('\r\n');
    expect(new Set(ids.map((line) => line.split(' ')[1])).size).toBe(10_000);
    expect(ids.every((line) => /^\d+ [\x21-\x7e]{1,70}$/.test(line))).toBe(true);
  });

  test('an empty maildrop has empty lists', async () => {
    const client = await world.login();
    expect(await client.ask('STAT')).toBe('+OK 0 0');
    expect(await client.lines('LIST')).toBe('');
    expect(await client.lines('UIDL')).toBe('');
  });

  test('put there by other programs are looked for at login', async () => {
    await world.login();
    expect(world.inbox().refreshed).toBe(1);
  });
});

describe('the end of a session', () => {
  beforeEach(() => start());

  test('QUIT deletes what was marked, and nothing else (RFC 1939 6)', async () => {
    fill();
    world.inbox().add('three\r\n');
    const client = await world.login();
    await client.ask('DELE 1');
    await client.ask('DELE 3');
    expect([...world.inbox().messages.keys()]).toEqual([1, 2, 3]);
    expect(await client.ask('QUIT')).toMatch(/^\+OK/);
    expect([...world.inbox().messages.keys()]).toEqual([2]);
    expect(world.inbox().expunged).toEqual([[1, 3]]);
    expect(world.lines.at(-1)).toMatchObject({ message: 'POP3 session ended', fields: { deleted: 2 } });
  });

  test('a lost connection deletes nothing', async () => {
    fill();
    const client = await world.login();
    await client.ask('DELE 1');
    client.socket.destroy();
    await expect.poll(() => world.lines.at(-1)?.message).toBe('POP3 session ended');
    expect(world.inbox().messages.size).toBe(2);
  });

  test('a half-closed connection without QUIT deletes nothing', async () => {
    fill();
    const client = await world.login();
    client.socket.end('DELE 1\r\nQUI');
    await client.closed();
    expect(world.inbox().messages.size).toBe(2);
  });

  test('what was retrieved is seen, once the session has ended properly', async () => {
    fill();
    const client = await world.login();
    await client.lines('RETR 1');
    await client.lines('TOP 2 10');
    expect(world.inbox().flags(1)).toEqual([]);
    await client.ask('QUIT');
    expect(world.inbox().flags(1)).toEqual(['\\Seen']);
    expect(world.inbox().flags(2)).toEqual([]);
  });

  test('a deletion that fails is said, and the session ends', async () => {
    fill();
    const client = await world.login();
    await client.ask('DELE 1');
    world.inbox().failing = 'disk-full';
    expect(await client.ask('QUIT')).toMatch(/^-ERR \[SYS\/TEMP\]/);
    await client.closed();
    expect(world.inbox().messages.size).toBe(2);
  });
});

describe('settings', () => {
  test('markSeen: false leaves the flags alone; uidl writes what the old server wrote', async () => {
    await start({ settings: { markSeen: false, uidl: 'courier' } });
    fill();
    const client = await world.login();
    await client.lines('RETR 1');
    expect(await client.ask('UIDL 1')).toBe('+OK 1 UID1-1224498663');
    await client.ask('QUIT');
    expect(world.inbox().flags(1)).toEqual([]);
  });

  test('messages from another server keep their unique ids, and new ones go on in its way', async () => {
    await start({ settings: { uidl: 'courier' } });
    fill();
    world.inbox().add('Subject: new\r\n\r\n');
    world.inbox().kept = [
      { format: '%08Xu%08Xv', ids: [{ uid: 1, uniqueId: '1700000000.M1P2.old,S=4' }] },
      { format: '%08Xu%08Xv', ids: [{ uid: 77, uniqueId: 'gone' }] },
    ];
    const client = await world.login();
    expect(await client.lines('UIDL')).toBe(
      '1 1700000000.M1P2.old,S=4\r\n2 0000000248fc5de7\r\n3 0000000348fc5de7\r\n',
    );
  });

  test('silence ends the session without an answer and without deletions (RFC 1939 3)', async () => {
    await start({ settings: { idleTimeout: 100 } });
    fill();
    const client = await world.login();
    await client.ask('DELE 1');
    expect(await client.closed()).toBe('');
    expect(world.inbox().messages.size).toBe(2);
    expect(world.lines.map((line) => line.message)).toContain('POP3 client was silent for too long');
  });

  test('too many wrong commands in a row, and too many wrong passwords, end the session', async () => {
    await start({ settings: { maxErrors: 3, maxAuthFailures: 2 } });
    const client = await world.client();
    await client.ask('GET / HTTP/1.0');
    await client.ask('Host: pop.example.org');
    expect(await client.ask('')).toBe('-ERR too many errors');
    await client.closed();
    const guesser = await world.client();
    for (let i = 0; i < 2; i++) {
      await guesser.ask(`USER ${ALICE}`);
      expect(await guesser.ask(`PASS ${i}`)).toBe('-ERR [AUTH] wrong name or password');
    }
    await guesser.closed();
  });
});

describe('the maildrop', () => {
  beforeEach(() => start());

  test('is locked: a second session is told so (RFC 2449 8.1.2), until the first has ended', async () => {
    fill();
    const first = await world.login();
    const second = await world.client();
    await second.ask(`USER ${ALICE}`);
    expect(await second.ask(`PASS ${PASSWORD}`)).toMatch(/^-ERR \[IN-USE\]/);
    await world.login('ascii', 'test@example.org', 'test');
    expect(await first.ask('QUIT')).toMatch(/^\+OK/);
    await second.ask(`USER ${ALICE}`);
    expect(await second.ask(`PASS ${PASSWORD}`)).toMatch(/^\+OK/);
    second.socket.destroy();
    await expect.poll(() => world.login().then(() => 'in', String)).toBe('in');
  });

  test('that cannot be opened is a temporary error, and not left locked', async () => {
    world.inbox().failing = 'busy';
    await expect(world.login()).rejects.toThrow('-ERR [SYS/TEMP]');
    world.inbox().failing = null;
    await world.login();
  });

  test('does not change under the client when mail comes', async () => {
    fill();
    const client = await world.login();
    world.inbox().add('late\r\n');
    expect(await client.ask('STAT')).toBe('+OK 2 52');
    expect(await client.ask('LIST 3')).toBe('-ERR no such message');
  });
});

describe('logging in', () => {
  const plain = (login: string, password: string): string =>
    Buffer.from(`\0${login}\0${password}`).toString('base64');

  test('AUTH PLAIN with and without an initial response (RFC 5034 6)', async () => {
    await start();
    const one = await world.client();
    expect(await one.ask(`AUTH PLAIN ${plain(ALICE, PASSWORD)}`)).toMatch(/^\+OK/);
    expect(await one.ask(`AUTH PLAIN ${plain(ALICE, PASSWORD)}`)).toBe('-ERR not after login');
    await one.ask('QUIT');
    const two = await world.client();
    expect(await two.ask('auth plain')).toBe('+ ');
    expect(await two.ask(plain(ALICE, PASSWORD))).toMatch(/^\+OK/);
  });

  test('AUTH can be cancelled, is strict about base64, and can be tried again (RFC 5034 4)', async () => {
    await start();
    const client = await world.client();
    await client.ask('AUTH PLAIN');
    expect(await client.ask('*')).toBe('-ERR authentication cancelled');
    for (const bad of ['=AAA', 'AAA=BBB', 'AAA', 'A AA', '!!!!']) {
      await client.ask('AUTH PLAIN');
      expect(await client.ask(bad), bad).toBe('-ERR this is not base64');
    }
    expect(await client.ask('AUTH PLAIN =')).toMatch(/^-ERR/);
    expect(await client.ask('AUTH NONSENSE')).toBe('-ERR [AUTH] no such mechanism');
    expect(await client.ask(`AUTH PLAIN ${plain(ALICE, 'wrong')}`)).toBe(
      '-ERR [AUTH] wrong name or password',
    );
    expect(await client.ask(`AUTH PLAIN ${plain(ALICE, PASSWORD)}`)).toMatch(/^\+OK/);
  });

  test('a response may be longer than a command (RFC 5034 4)', async () => {
    await start();
    const client = await world.client();
    await client.ask('AUTH PLAIN');
    expect(await client.ask(plain(ALICE, 'x'.repeat(6000)))).toMatch(/^-ERR/);
    expect(await client.ask(`USER ${'x'.repeat(5000)}`)).toBe('-ERR line too long');
    expect(await client.ask(`AUTH PLAIN ${plain(ALICE, PASSWORD)}`)).toMatch(/^\+OK/);
  });

  test('AUTH without an argument lists the mechanisms', async () => {
    await start();
    const client = await world.client();
    expect((await client.lines('AUTH')).split('\r\n')).toEqual(
      expect.arrayContaining(['SCRAM-SHA-256', 'PLAIN', 'LOGIN']),
    );
  });

  test('AUTH LOGIN asks twice', async () => {
    await start();
    const client = await world.client();
    expect(await client.ask('AUTH LOGIN')).toMatch(/^\+ /);
    expect(await client.ask(Buffer.from(ALICE).toString('base64'))).toMatch(/^\+ /);
    expect(await client.ask(Buffer.from(PASSWORD).toString('base64'))).toMatch(/^\+OK/);
  });

  test('AUTH SCRAM-SHA-256 gives its signature as a challenge of its own (RFC 5034 4, RFC 7677)', async () => {
    await start();
    const client = await world.client('plain');
    const first = `n=${ALICE},r=rOprNGfwEbeRWgbNEkqO`;
    const challenge = await client.ask(`AUTH SCRAM-SHA-256 ${Buffer.from(`n,,${first}`).toString('base64')}`);
    const serverFirst = Buffer.from(challenge.slice(2), 'base64').toString();
    const [, nonce = '', salt = '', rounds = ''] = /^r=([^,]+),s=([^,]+),i=(\d+)$/.exec(serverFirst) ?? [];
    const { pbkdf2Sync } = await import('node:crypto');
    const salted = pbkdf2Sync(PASSWORD, Buffer.from(salt, 'base64'), Number(rounds), 32, 'sha256');
    const hmac = (key: Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();
    const clientKey = hmac(salted, 'Client Key');
    const last = `c=biws,r=${nonce}`;
    const message = `${first},${serverFirst},${last}`;
    const signature = hmac(createHash('sha256').update(clientKey).digest(), message);
    const proof = clientKey.map((byte, i) => byte ^ (signature[i] ?? 0));
    const final = `${last},p=${Buffer.from(proof).toString('base64')}`;
    const verdict = await client.ask(Buffer.from(final).toString('base64'));
    const expected = hmac(hmac(salted, 'Server Key'), message).toString('base64');
    expect(verdict).toBe(`+ ${Buffer.from(`v=${expected}`).toString('base64')}`);
    expect(await client.ask('')).toMatch(/^\+OK/);
  });

  test('APOP and CRAM-MD5 only where the server keeps their secrets (RFC 1939 7, RFC 2195)', async () => {
    await start({ cramMd5: true });
    const inTheClear = new Client(await world.connectPlain());
    expect(await inTheClear.line()).not.toContain('<');
    expect(await inTheClear.lines('CAPA')).not.toContain('CRAM-MD5');
    expect(await inTheClear.ask('AUTH CRAM-MD5')).toMatch(/^-ERR \[AUTH\] not without encryption/);
    const greeting = new Client(await world.connectTls());
    const banner = await greeting.line();
    const timestamp = /<[^<>@ ]+@pop\.example\.org>/.exec(banner)?.[0] ?? '';
    expect(timestamp).not.toBe('');
    const digest = createHash('md5')
      .update(timestamp + PASSWORD)
      .digest('hex');
    expect(await greeting.ask(`APOP ${ALICE} ${'0'.repeat(32)}`)).toBe('-ERR [AUTH] wrong name or password');
    expect(await greeting.ask(`APOP ${ALICE}`)).toBe('-ERR a name and a digest are expected');
    expect(await greeting.ask(`APOP ${ALICE} ${digest}`)).toMatch(/^\+OK/);
    await greeting.ask('QUIT');
    const cram = await world.client();
    const challenge = Buffer.from((await cram.ask('AUTH CRAM-MD5')).slice(2), 'base64').toString();
    const answer = `${ALICE} ${createHmac('md5', PASSWORD).update(challenge).digest('hex')}`;
    expect(await cram.ask(Buffer.from(answer).toString('base64'))).toMatch(/^\+OK/);
  });

  test('no timestamp and no APOP otherwise', async () => {
    await start();
    const client = new Client(await world.connectPlain());
    expect(await client.line()).not.toContain('<');
    expect(await client.ask(`APOP ${ALICE} ${'0'.repeat(32)}`)).toBe('-ERR [AUTH] APOP is not offered here');
  });

  test('the password is in no line of the log', async () => {
    await start();
    await world.login();
    const client = await world.client();
    await client.ask('AUTH PLAIN');
    await client.ask(plain(ALICE, PASSWORD));
    expect(JSON.stringify(world.lines)).not.toContain(PASSWORD);
    expect(JSON.stringify(world.lines)).not.toContain(plain(ALICE, PASSWORD));
  });
});

describe('TLS', () => {
  const CAPABILITIES =
    /^(TOP|UIDL|RESP-CODES|AUTH-RESP-CODE|PIPELINING|EXPIRE NEVER|IMPLEMENTATION Facteur 1\.2\.3)$/gm;

  test('without it no password is taken, and none is asked for (RFC 2595 4)', async () => {
    await start();
    const client = await world.client('plain');
    const capa = await client.lines('CAPA');
    expect(capa.replaceAll('\r', '').match(CAPABILITIES)).toHaveLength(7);
    expect(capa).toContain('STLS\r\n');
    expect(capa).toContain('SASL SCRAM-SHA-256\r\n');
    expect(capa).not.toMatch(/USER|PLAIN|LOGIN/);
    for (const command of [`USER ${ALICE}`, `PASS ${PASSWORD}`, 'AUTH PLAIN', 'AUTH LOGIN'])
      expect(await client.ask(command)).toMatch(/^-ERR \[AUTH\] not without encryption/);
  });

  test('STLS changes to it, and forgets the name given before', async () => {
    await start({ plaintextFrom: '127.0.0.1' });
    await playTranscript(
      `
      S: +OK *
      C: USER mallory@example.org
      S: +OK *
      C: STLS
      S: +OK *
      C: [tls]
      C: PASS ${PASSWORD}
      S: -ERR USER comes first
      C: STLS
      S: -ERR the connection is encrypted already
      C: USER ${ALICE}
      S: +OK *
      C: PASS ${PASSWORD}
      S: +OK *
      C: STLS
      S: -ERR not after login
      C: QUIT
      S: +OK *`,
      world.connectPlain,
    );
  });

  test('the capabilities under it: USER and all mechanisms, no STLS; before login and after', async () => {
    await start();
    const client = await world.client();
    const before = await client.lines('CAPA');
    expect(before).toMatch(/^USER\r\n/m);
    expect(before).toMatch(/^SASL SCRAM-SHA-256 PLAIN LOGIN\r\n/m);
    expect(before).not.toContain('STLS');
    await client.ask(`USER ${ALICE}`);
    await client.ask(`PASS ${PASSWORD}`);
    expect(await client.lines('CAPA')).toBe(before);
  });

  test('networks that are trusted need none', async () => {
    await start({ plaintextFrom: '127.0.0.1' });
    const client = await world.client('plain');
    expect(await client.lines('CAPA')).toMatch(/^USER\r\n/m);
    await client.ask(`USER ${ALICE}`);
    expect(await client.ask(`PASS ${PASSWORD}`)).toMatch(/^\+OK/);
  });
});

describe('stopping the server', () => {
  beforeEach(() => start());

  test('sends away who waits, and deletes nothing', async () => {
    fill();
    const client = await world.login();
    await client.ask('DELE 1');
    await world.server.close(5000);
    expect(await client.closed()).toBe('');
    expect(world.inbox().messages.size).toBe(2);
  });

  test('lets a message that is being sent come to its end', async () => {
    let release: () => void = () => {};
    const gate = new Promise<void>((done) => {
      release = done;
    });
    world.inbox().add({
      size: 12,
      pieces: [],
      async *read() {
        yield Buffer.from('first\r\n');
        await gate;
        yield Buffer.from('end\r\n');
      },
    });
    const client = await world.login();
    client.send('RETR 1');
    await client.until('first\r\n');
    const closing = world.server.close(5000);
    release();
    expect((await client.closed()).endsWith('end\r\n.\r\n')).toBe(true);
    await closing;
  });

  test('cuts a client that never reads, after the grace', async () => {
    world.inbox().add(rawMessage([Buffer.alloc(32 * 1024 * 1024, 'x\r\n')]));
    const client = await world.login();
    client.socket.pause();
    client.send('RETR 1');
    await new Promise((done) => setTimeout(done, 100));
    await world.server.close(50);
    expect(world.lines.map((line) => line.message)).toContain('POP3 session ended');
  });
});
