import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { setAccountState } from '../../src/admin/accounts.ts';
import type { AccountId } from '../../src/directory/directory.ts';
import { textIn } from '../../src/managesieve/languages.ts';
import { scramClient } from '../sasl/scram-client.ts';
import { playTranscript } from '../transcript.ts';
import { ManageSieveWorld } from './world.ts';

/** Sessions as clients and others have them: octets that come back, limits, several at once, what is no command. */

const ALICE = 'alice@example.org' as AccountId;
const BOB = 'bob@example.org' as AccountId;
const LOGIN = `AUTHENTICATE "PLAIN" "${Buffer.from(`\0${ALICE}\0wonderland`).toString('base64')}"`;
const LOGIN_BOB = `AUTHENTICATE "PLAIN" "${Buffer.from(`\0${BOB}\0builder`).toString('base64')}"`;

let world: ManageSieveWorld;

beforeAll(async () => {
  world = await ManageSieveWorld.start({
    managesieve: {
      maxScriptSize: '64KB',
      maxScripts: 3,
      maxScriptsSize: '100KB',
      maxErrors: 5,
      maxAuthFailures: 3,
    },
  });
});
afterAll(() => world.close());
beforeEach(() => world.clear(ALICE));

/** Raw octets: nothing of a line end is the test's own. */
class Client {
  readonly socket: Socket;
  #text = '';
  #ended = false;

  constructor(socket: Socket = world.connect()) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#text += chunk.toString('latin1');
    });
    socket.on('close', () => {
      this.#ended = true;
    });
    socket.on('error', () => {});
  }

  static async loggedIn(login = LOGIN): Promise<Client> {
    const client = new Client();
    await client.until(/ready"\r\n$/);
    await client.ask(login);
    return client;
  }

  /** All that has come up to the first line that begins with OK, NO or BYE and is the last. */
  async ask(command: string | Buffer): Promise<string> {
    this.#text = '';
    this.socket.write(
      Buffer.concat([typeof command === 'string' ? Buffer.from(command) : command, Buffer.from('\r\n')]),
    );
    return this.until(/^(?:OK|NO|BYE)(?: .*| \{\d+\}\r\n[\s\S]+|)\r\n$/m);
  }

  async until(pattern: RegExp): Promise<string> {
    for (let i = 0; i < 500; i++) {
      if (pattern.test(this.#text)) return this.#text;
      if (this.#ended) throw new Error(`closed after ${JSON.stringify(this.#text)}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    throw new Error(`nothing like ${pattern} in ${JSON.stringify(this.#text)}`);
  }

  async closed(): Promise<string> {
    if (!this.#ended) await once(this.socket, 'close');
    return this.#text;
  }

  put(name: string, source: Buffer | string): Promise<string> {
    const octets = Buffer.from(source);
    return this.ask(Buffer.concat([Buffer.from(`PUTSCRIPT "${name}" {${octets.length}+}\r\n`), octets]));
  }

  async get(name: string): Promise<string> {
    const answer = await this.ask(`GETSCRIPT "${name}"`);
    return /^\{(\d+)\}\r\n([\s\S]*)\r\nOK "done"\r\n$/.exec(answer)?.[2] ?? answer;
  }
}

describe('what is put comes back, octet by octet', () => {
  const sources: Record<string, string> = {
    'comments as Roundcube writes them':
      '# rule:[Spam & Co.]\r\n/* rule:[two\r\nlines] */\r\nif false # rule:[off]\r\n{\r\n\tstop;\r\n}\r\n',
    'LF alone': '# one\nkeep;\n',
    'no line end': 'keep;',
    'UTF-8': '# règle «été» 🦊\r\nkeep;\r\n',
    'an empty script': '',
    'blank lines at its end': 'keep;\r\n\r\n\r\n',
    'a multi-line string with dots': 'require "vacation";\r\nvacation text:\r\n..dot\r\nHello\r\n.\r\n;\r\n',
  };
  test.each(Object.entries(sources))('%s', async (_name, source) => {
    const client = await Client.loggedIn();
    expect(await client.put('main', source)).toMatch(/^OK/);
    expect(Buffer.from(await client.get('main'), 'latin1').toString()).toBe(source);
    client.socket.end();
  });

  const fixture = resolve(import.meta.dirname, '../../../shared/fixtures/vacation-and-junk.sieve');
  test('the rule set of a webmail', async () => {
    let source: Buffer;
    try {
      source = readFileSync(fixture);
    } catch {
      console.log('no ../shared/fixtures beside the checkout: its rule set is not put');
      return;
    }
    const client = await Client.loggedIn();
    expect(await client.put('managesieve', source)).toBe('OK "done"\r\n');
    expect(Buffer.from(await client.get('managesieve'), 'latin1').equals(source)).toBe(true);
    expect(await client.ask('SETACTIVE "managesieve"')).toBe('OK "done"\r\n');
    client.socket.end();
  });
});

describe('names', () => {
  test.each(['é è', '..', '.hidden', 'x'.repeat(400), '漢字', 'con', '%41', 'name with \\"quotes\\"'])(
    '%s',
    async (name) => {
      const client = await Client.loggedIn();
      expect(await client.put(name, 'keep;')).toBe('OK "done"\r\n');
      expect(Buffer.from(await client.ask('LISTSCRIPTS'), 'latin1').toString()).toBe(
        `"${name}"\r\nOK "done"\r\n`,
      );
      expect(await client.get(name)).toBe('keep;');
      expect(await client.ask(`RENAMESCRIPT "${name}" "other"`)).toBe('OK "done"\r\n');
      expect(await client.ask('DELETESCRIPT "other"')).toBe('OK "done"\r\n');
      expect(await client.ask('LISTSCRIPTS')).toBe('OK "done"\r\n');
      client.socket.end();
      expect(readdirSync(join(world.whole.dir, 'data/mail/example.org')).sort()).toEqual(['alice']);
    },
  );

  test.each([
    ['', 'empty'],
    ['a/b', 'with a slash'],
    ['../../etc/passwd', 'a path'],
    ['a\tb', 'with a control character'],
    ['a\u2028b', 'with a line separator'],
    ['x'.repeat(520), 'longer than 512 octets'],
  ])('%j, %s, is refused', async (name) => {
    const client = await Client.loggedIn();
    expect(await client.put(name, 'keep;')).toMatch(/^NO "that cannot be the name of a script"\r\n$/);
    expect(await client.ask('NOOP')).toBe('OK "done"\r\n');
    client.socket.end();
  });
});

describe('limits', () => {
  test('the size of a script: said before it is sent, and when it has come', async () => {
    const client = await Client.loggedIn();
    expect(await client.ask(`HAVESPACE "x" ${64 * 1024 + 1}`)).toMatch(/^NO \(QUOTA\/MAXSIZE\)/);
    expect(await client.ask(`HAVESPACE "x" ${64 * 1024}`)).toBe('OK "done"\r\n');
    expect(await client.put('x', `#${'x'.repeat(64 * 1024)}`)).toMatch(/^NO \(QUOTA\/MAXSIZE\)/);
    expect(await client.put('x', `#${'x'.repeat(64 * 1024 - 1)}`)).toBe('OK "done"\r\n');
    expect(await client.ask('LISTSCRIPTS')).toBe('"x"\r\nOK "done"\r\n');
    client.socket.end();
  });

  test('the number of scripts, and their sizes together; one may be put in the place of another', async () => {
    const client = await Client.loggedIn();
    const big = `#${'x'.repeat(40_000)}`;
    for (const name of ['one', 'two']) expect(await client.put(name, big)).toBe('OK "done"\r\n');
    expect(await client.put('three', big)).toMatch(/^NO \(QUOTA\)/);
    expect(await client.put('two', `${big}y`)).toBe('OK "done"\r\n');
    expect(await client.put('three', 'keep;')).toBe('OK "done"\r\n');
    expect(await client.put('four', 'keep;')).toMatch(/^NO \(QUOTA\/MAXSCRIPTS\)/);
    expect(await client.ask('HAVESPACE "four" 1')).toMatch(/^NO \(QUOTA\/MAXSCRIPTS\)/);
    expect(await client.ask('HAVESPACE "two" 40000')).toBe('OK "done"\r\n');
    client.socket.end();
  });

  test('a literal beyond all reason ends the session, one that is too big does not', async () => {
    const client = await Client.loggedIn();
    expect(await client.ask(`PUTSCRIPT "x" {${200_000}+}\r\n${'x'.repeat(200_000)}`)).toMatch(
      /^NO \(QUOTA\/MAXSIZE\)/,
    );
    expect(await client.ask('NOOP')).toBe('OK "done"\r\n');
    client.socket.write('PUTSCRIPT "x" {99999999999+}\r\n');
    expect(await client.closed()).toMatch(/BYE "that is too much for one command"\r\n$/);
  });

  test('before login no script is read', async () => {
    const client = new Client();
    await client.until(/ready"\r\n$/);
    expect(await client.put('x', 'x'.repeat(50_000))).toMatch(/^NO/);
    expect(await client.ask('NOOP')).toBe('OK "done"\r\n');
    client.socket.end();
  });

  test('failed logins, and wrong commands, end the session', async () => {
    const client = new Client();
    await client.until(/ready"\r\n$/);
    const wrong = `AUTHENTICATE "PLAIN" "${Buffer.from('\0nobody@example.org\0x').toString('base64')}"`;
    expect(await client.ask(wrong)).toBe('NO "wrong name or password"\r\n');
    expect(await client.ask(wrong)).toBe('NO "wrong name or password"\r\n');
    expect(await client.ask(wrong)).toBe('BYE "wrong name or password"\r\n');
    await client.closed();
    const other = new Client();
    await other.until(/ready"\r\n$/);
    for (let i = 0; i < 4; i++)
      expect(await other.ask(`WHAT${'x'.repeat(i)}`)).toBe('NO "unknown command"\r\n');
    expect(await other.ask('WHAT')).toBe('BYE "too many errors"\r\n');
    await other.closed();
  });
});

describe('what is no command', () => {
  test.each([
    ['', 'a command is expected'],
    ['   ', 'a command is expected'],
    ['PUT SCRIPT', 'an argument is no string and no number'],
    ['PUTSCRIPT "x', 'an argument is no string and no number'],
    ['PUTSCRIPT "a\\q" "b"', 'an argument is no string and no number'],
    ['PUTSCRIPT "a" "b" "c"', 'too many arguments'],
    ['PUTSCRIPT "a"', 'an argument is missing'],
    ['PUTSCRIPT 1 2', 'a string is expected'],
    ['HAVESPACE "a" "b"', 'a number is expected'],
    ['HAVESPACE "a" 99999999999', 'an argument is no string and no number'],
    ['LISTSCRIPTS "x"', 'this command has no arguments'],
    ['"quoted" first', 'a command is expected'],
    ['GETSCRIPT "nö"', 'there is no script of that name'],
    ['STARTTLS', 'not after login'],
    [LOGIN, 'not after login'],
    [`GETSCRIPT ${'x'.repeat(20_000)}`, 'the line is too long'],
  ])('%j', async (command, text) => {
    const client = await Client.loggedIn();
    expect(await client.ask(command)).toMatch(new RegExp(`^NO .*"${text}"\r\n$`));
    expect(await client.ask('NOOP')).toBe('OK "done"\r\n');
    client.socket.end();
  });

  test('octets that are no UTF-8, and NUL, in names and scripts', async () => {
    const client = await Client.loggedIn();
    expect(await client.ask(Buffer.from('GETSCRIPT "\xff"', 'latin1'))).toMatch(/^NO "this is not UTF-8"/);
    expect(await client.put('x', Buffer.from('# \xff', 'latin1'))).toMatch(/^NO "this is not UTF-8"/);
    expect(await client.ask(Buffer.from('GETSCRIPT "a\0b"', 'latin1'))).toMatch(/^NO/);
    expect(await client.put('x', 'keep;\0')).toMatch(/^NO/);
    expect(await client.ask('LISTSCRIPTS')).toBe('OK "done"\r\n');
    client.socket.end();
  });

  test('a synchronising literal gets no go-ahead: there are none (RFC 5804 4)', async () => {
    const client = await Client.loggedIn();
    expect(await client.ask('PUTSCRIPT {1}\r\nx {5}\r\nkeep;')).toBe('OK "done"\r\n');
    expect(await client.get('x')).toBe('keep;');
    client.socket.end();
  });

  test('a peer that goes in the middle of anything leaves nothing behind', async () => {
    for (const part of [
      'AUTHENT',
      `${LOGIN}\r\nPUTSCRIPT "x" {100+}\r\nkeep;`,
      'AUTHENTICATE "SCRAM-SHA-256"\r\n',
    ]) {
      const client = new Client();
      await client.until(/ready"\r\n$/);
      client.socket.write(part);
      await new Promise((resolve) => setTimeout(resolve, 50));
      client.socket.destroy();
    }
    const client = await Client.loggedIn();
    expect(await client.ask('LISTSCRIPTS')).toBe('OK "done"\r\n');
    client.socket.end();
    expect(world.whole.lines.filter(({ level }) => level === 'error')).toEqual([]);
  });
});

test('pipelined commands are answered in their order', async () => {
  const client = await Client.loggedIn();
  client.socket.write('NOOP "1"\r\nPUTSCRIPT "p" {5+}\r\nkeep;\r\nLISTSCRIPTS\r\nWHAT\r\nNOOP "2"\r\n');
  const text = await client.until(/TAG "2"/);
  expect(text).toMatch(
    /OK \(TAG "1"\) "done"\r\nOK "done"\r\n"p"\r\nOK "done"\r\nNO "unknown command"\r\nOK \(TAG "2"\) "done"\r\n$/,
  );
  client.socket.end();
});

test('two sessions see each other’s changes; nobody sees another account’s scripts', async () => {
  const [one, two, bob] = [
    await Client.loggedIn(),
    await Client.loggedIn(),
    await Client.loggedIn(LOGIN_BOB),
  ];
  await Promise.all([one.put('a', 'keep;'), two.put('b', 'discard;'), bob.put('c', 'stop;')]);
  expect(await one.ask('LISTSCRIPTS')).toBe('"a"\r\n"b"\r\nOK "done"\r\n');
  expect(await two.ask('SETACTIVE "a"')).toBe('OK "done"\r\n');
  expect(await one.ask('LISTSCRIPTS')).toBe('"a" ACTIVE\r\n"b"\r\nOK "done"\r\n');
  expect(await one.ask('DELETESCRIPT "a"')).toMatch(/^NO \(ACTIVE\)/);
  expect(await bob.ask('LISTSCRIPTS')).toBe('"c"\r\nOK "done"\r\n');
  expect(await bob.ask('GETSCRIPT "a"')).toMatch(/^NO \(NONEXISTENT\)/);
  // One behind the other in each session, at the same time in both.
  await Promise.all(
    [one, two].map(async (client, side) => {
      for (let i = 0; i < 10; i++)
        expect(await client.ask(`PUTSCRIPT "a" "# ${2 * i + side}"`)).toMatch(/^OK/);
    }),
  );
  expect(await one.get('a')).toMatch(/^# (?:18|19)$/);
  for (const client of [one, two, bob]) client.socket.end();
});

test('a script that an admin has put there with mistakes is not made active, and can be read', async () => {
  const client = await Client.loggedIn();
  await client.put('good', 'keep;');
  writeFileSync(join(world.whole.dir, 'data/mail/example.org/alice/sieve/bad.sieve'), 'fileinto "x";');
  expect(await client.ask('LISTSCRIPTS')).toBe('"bad"\r\n"good"\r\nOK "done"\r\n');
  expect(await client.ask('SETACTIVE "bad"')).toMatch(/^NO "line 1, column 1: fileinto needs require/);
  expect(await client.get('bad')).toBe('fileinto "x";');
  client.socket.end();
});

test('all mistakes are told at once, each with its place', async () => {
  const client = await Client.loggedIn();
  const answer = await client.put('x', 'fileinto "a";\r\nif header "a" { keep; }\r\nfoo;\r\n');
  expect(answer).toMatch(
    /^NO \{\d+\}\r\nline 1, column 1: .*\r\nline 2, column 4: .*\r\nline 3, column 1: there is no command foo\r\n$/,
  );
  client.socket.end();
});

test('who is locked out is sent away from what is open', async () => {
  const client = await Client.loggedIn(LOGIN_BOB);
  await setAccountState(world.whole.facteur.directory, BOB, 'disabled');
  expect(await client.closed()).toMatch(/BYE/);
  const again = new Client();
  await again.until(/ready"\r\n$/);
  expect(await again.ask(LOGIN_BOB)).toBe('NO "wrong name or password"\r\n');
  again.socket.end();
});

test('SCRAM', async () => {
  const client = new Client();
  await client.until(/ready"\r\n$/);
  const scram = scramClient({ hash: 'sha256', login: ALICE, password: 'wonderland', gs2: 'n,,' });
  const first = await clientString(client, `AUTHENTICATE "SCRAM-SHA-256" "${base64(scram.first)}"`);
  const { text, signature } = scram.final(Buffer.from(first, 'base64').toString());
  const final = await client.ask(`"${base64(text)}"`);
  const [, data = ''] = /^OK \(SASL "(.*)"\) "done"\r\n$/.exec(final) ?? [];
  expect(Buffer.from(data, 'base64').toString()).toBe(signature);
  client.socket.end();
});

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

async function clientString(client: Client, command: string): Promise<string> {
  client.socket.write(`${command}\r\n`);
  const text = await client.until(/"[A-Za-z0-9+/=]{20,}"\r\n$/);
  return /"([A-Za-z0-9+/=]+)"\r\n$/.exec(text)?.[1] ?? '';
}

test('in French', async () => {
  const french = await ManageSieveWorld.start({ managesieve: { language: 'fr' } });
  try {
    await playTranscript(
      `S: "LANGUAGE" "fr"
       S: OK "Facteur ManageSieve prêt"
       C: WHAT
       S: NO "commande inconnue"
       C: LOGOUT
       S: OK "au revoir"`,
      french.connect,
    );
  } finally {
    await french.close();
  }
});

test('every text of ours is known in French', () => {
  const room = new URL('../../src/managesieve/', import.meta.url);
  const texts = readdirSync(room, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .flatMap((file) => {
      const code = readFileSync(new URL(file, room), 'utf8');
      return [
        ...code.matchAll(/new Sieve(?:No|Bye|SyntaxError)\(\s*'([^']+)'|\bsay\('([^']+)'\)|text: '([^']+)'/g),
      ];
    })
    .map(([, error, said, text]) => error ?? said ?? text ?? '');
  expect(texts.length).toBeGreaterThan(30);
  expect(texts.filter((text) => textIn('fr', text) === text)).toEqual([]);
});
