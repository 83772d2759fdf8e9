import { readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadedCapabilities } from '../../src/imap/capability.ts';
import { commands } from '../../src/imap/commands/index.ts';
import { ALICE, type Client, ImapWorld, PASSWORD } from './world.ts';

const source = resolve(import.meta.dirname, '../../src/imap');

describe('lists', () => {
  test.each(['commands', 'fetch', 'search'])('every file in %s/ is used by its index', (folder) => {
    const index = readFileSync(resolve(source, folder, 'index.ts'), 'utf8');
    const shared = ['index.ts', 'item.ts', 'key.ts', 'section.ts'];
    for (const file of readdirSync(resolve(source, folder)).filter((name) => !shared.includes(name)))
      expect(index, file).toContain(`'./${file}'`);
  });

  test('commands have names of their own', () => {
    const names = commands.map((command) => command.name);
    expect(new Set(names).size).toBe(names.length);
  });

  test('capabilities come from what is loaded', () => {
    expect(loadedCapabilities()).toEqual([
      'ACL',
      'BINARY',
      'CATENATE',
      'CHILDREN',
      'COMPRESS=DEFLATE',
      'CONDSTORE',
      'CONTEXT=SEARCH',
      'CONTEXT=SORT',
      'CREATE-SPECIAL-USE',
      'ENABLE',
      'ESEARCH',
      'ESORT',
      'FILTERS',
      'I18NLEVEL=1',
      'ID',
      'IDLE',
      'IMAP4rev2',
      'INPROGRESS',
      'LANGUAGE',
      'LIST-EXTENDED',
      'LIST-METADATA',
      'LIST-MYRIGHTS',
      'LIST-STATUS',
      'LITERAL+',
      'METADATA',
      'METADATA-SERVER',
      'MOVE',
      'MULTIAPPEND',
      'MULTISEARCH',
      'NAMESPACE',
      'NOTIFY',
      'OBJECTID',
      'PARTIAL',
      'PREVIEW',
      'QRESYNC',
      'QUOTA',
      'QUOTA=RES-MAILBOX',
      'QUOTA=RES-MESSAGE',
      'QUOTA=RES-STORAGE',
      'QUOTASET',
      'REPLACE',
      'RIGHTS=texk',
      'SASL-IR',
      'SAVEDATE',
      'SEARCH=FUZZY',
      'SEARCHRES',
      'SORT',
      'SORT=DISPLAY',
      'SPECIAL-USE',
      'STATUS=SIZE',
      'THREAD=ORDEREDSUBJECT',
      'THREAD=REFERENCES',
      'THREAD=REFS',
      'UIDBATCHES',
      'UIDONLY',
      'UIDPLUS',
      'UNAUTHENTICATE',
      'UNSELECT',
      'URL-PARTIAL',
      'UTF8=ACCEPT',
      'WITHIN',
    ]);
  });
});

describe('bounds', () => {
  let world: ImapWorld;
  beforeAll(async () => {
    world = await ImapWorld.start({ settings: { maxErrors: 5, loginTimeout: 200, literalTimeout: 150 } });
    await world.fill('INBOX', ['A: 1\n\n']);
  });
  afterAll(() => world.close());

  test('sets of 10,000 UIDs are fine (RFC 2683 3.2.1.5 and its clients)', async () => {
    const client = await world.login('INBOX');
    const set = Array.from({ length: 10_000 }, (_, i) => 2 * i + 1).join(',');
    expect(await client.ok(`UID FETCH ${set} UID`)).toEqual(['1 FETCH (UID 1)']);
  });

  test('a line without end is refused, and the session lives on', async () => {
    const client = await world.login('INBOX');
    client.send(`x NOOP ${'y'.repeat(300_000)}\r\n`);
    expect(await client.response()).toMatch(/^x BAD The line is too long/);
    expect(await client.tagged('NOOP')).toMatch(/^OK/);
  });

  test('all literals of a command together are bounded', async () => {
    const client = await world.login();
    const literal = `{60000+}\r\n${'x'.repeat(60_000)}`;
    expect(await client.tagged(`LIST "" (${Array(10).fill(literal).join(' ')})`)).toMatch(/^BAD \[TOOBIG\]/);
    expect(await client.tagged(`LIST "" (${Array(1100).fill('{1+}\r\na').join(' ')})`)).toMatch(/^BAD/);
    expect(await client.tagged('NOOP')).toMatch(/^OK/);
  });

  test('what stands beside the messages of a command is bounded', async () => {
    const client = await world.login();
    const message = `(${Array(7000).fill('\\Flagged').join(' ')}) {3+}\r\na\r\n`;
    expect(await client.tagged(`APPEND INBOX ${message}`)).toMatch(/^OK/);
    expect(await client.tagged(`APPEND INBOX ${message} ${message} ${message}`)).toMatch(
      /^BAD The command is too long/,
    );
    expect(await client.tagged('NOOP')).toMatch(/^OK/);
  });

  test('after too many mistakes in a row the connection is closed', async () => {
    const client = await world.login();
    for (let i = 0; i < 4; i++) expect(await client.tagged('FOO')).toMatch(/^BAD/);
    await client.ok('NOOP');
    for (let i = 0; i < 5; i++) expect(await client.tagged('FOO')).toMatch(/^BAD/);
    expect(await client.closed()).toBe('* BYE Too many wrong commands\r\n');
  });

  test('who does not log in in time is cut off', async () => {
    const client = await world.client();
    expect(await client.closed()).toBe('* BYE You were silent for too long\r\n');
  });

  test('who stops in the middle of a command is cut off', async () => {
    const client = await world.login();
    client.send('x LIST "" {10+}\r\nabc');
    expect(await client.closed()).toBe('* BYE You were silent for too long\r\n');
  });

  test('one who reads nothing costs no memory: commands wait until there is room', async () => {
    const id = await world.fill('Many', []);
    const store = await world.account();
    for (let i = 0; i < 5000; i++) store.put(id, Buffer.from('A: b\r\n\r\n'));
    const { messages } = store;
    let started = 0;
    store.messages = function count(...args) {
      started++;
      return messages.apply(this, args);
    };
    const { socket } = await world.login('Many');
    socket.removeAllListeners('data');
    socket.pause();
    const commandsSent = 60;
    for (let i = 0; i < commandsSent; i++)
      socket.write(`m${i} FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE)\r\n`);
    // Until no more is done.
    for (let before = -1; started > before; await new Promise((done) => setTimeout(done, 150)))
      before = started;
    expect(started).toBeLessThan(commandsSent);
    let end = '';
    await new Promise<void>((done) => {
      socket.on('data', (chunk: Buffer) => {
        end = (end + chunk.toString('latin1')).slice(-100);
        if (end.includes(`m${commandsSent - 1} OK`)) done();
      });
      socket.resume();
    });
    expect(started).toBe(commandsSent);
  });
});

test('a session waits for its commands, the server’s end does not wait for idle ones', async () => {
  const world = await ImapWorld.start();
  try {
    await world.fill('INBOX', ['A: 1\n\n']);
    const waiting = await world.login('INBOX');
    const idling = await world.login('INBOX');
    idling.send('x IDLE\r\n');
    expect(await idling.response()).toBe('+ idling');
    const stranger = await world.client();
    expect(world.server.sessions).toBe(3);
    await world.server.close(5000);
    for (const client of [waiting, idling, stranger])
      expect(await client.closed()).toBe('* BYE The server is going down\r\n');
    expect(world.server.sessions).toBe(0);
  } finally {
    await world.close();
  }
});

test('a bug is answered NO [SERVERBUG] and logged with its stack; the session lives on', async () => {
  const world = await ImapWorld.start();
  try {
    const client = await world.login('INBOX');
    const store = await world.account();
    Object.assign(store, { quota: () => Promise.reject(new TypeError('oops')) });
    expect(await client.tagged('GETQUOTA ""')).toBe('NO [SERVERBUG] Internal error, see the server log');
    expect(await client.tagged('NOOP')).toMatch(/^OK/);
    expect(world.lines.find((line) => line.level === 'error')?.fields).toMatchObject({
      err: expect.any(TypeError),
      command: 'GETQUOTA',
    });
  } finally {
    await world.close();
  }
});

describe('no bytes are a bug', () => {
  let world: ImapWorld;
  let client: Client;
  beforeAll(async () => {
    world = await ImapWorld.start({ settings: { maxErrors: 1_000_000 } });
    await world.fill('INBOX', ['Subject: a\n\nb\n', 'Subject: c\n\nd\n']);
    client = await world.login('INBOX');
  });
  afterAll(() => world.close());

  const words = [
    ...commands.map((command) => command.name).filter((name) => name !== 'LOGOUT' && name !== 'IDLE'),
    ...[
      'UID',
      'INBOX',
      '1',
      '1:*',
      '*',
      '$',
      '()',
      '(',
      ')',
      '""',
      '"a',
      '\\Seen',
      'FLAGS',
      '+FLAGS',
      'BODY[]',
    ],
    ...[
      'BODY[1.MIME]<0.1>',
      'RETURN',
      '(MIN)',
      'NOT',
      'OR',
      'CHARSET',
      'UTF-8',
      'SUBJECT',
      'NIL',
      '99',
      '0',
      '-1',
    ],
    ...[
      '{1+}\r\na',
      '{0+}\r\n',
      '~{2+}\r\n\0a',
      '(QRESYNC (1 1))',
      '(CHANGEDSINCE 1)',
      '\0',
      '\xff',
      '%',
      '&-',
    ],
  ];

  test('each line gets OK, NO or BAD', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(fc.constantFrom(...words), fc.string({ unit: 'binary', maxLength: 4 })), {
          maxLength: 7,
        }),
        async (parts) => {
          const line = parts
            .map((part) => (part.includes('+}\r\n') ? part : part.replace(/[\r\n]/g, '')))
            .join(' ');
          // A literal that waits for leave, made by chance, would wait for ever.
          fc.pre(!/\{\d+\+?\}$/.test(line.trimEnd()));
          const { tagged } = await client.ask(line);
          expect(tagged).toMatch(/^(OK|NO|BAD) /);
          expect(tagged).not.toContain('SERVERBUG');
          if (!tagged.startsWith('OK') || !line.startsWith('SELECT')) await client.ask('SELECT INBOX');
        },
      ),
      { numRuns: 300 },
    );
  });

  test('nor do they hang the server', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.string({ unit: 'binary', maxLength: 60 }), { maxLength: 5 }),
        async (lines) => {
          const fresh = await world.client();
          fresh.send(`x LOGIN ${ALICE} "${PASSWORD}"\r\n`);
          fresh.send(`${lines.join('\r\n')}\r\n`);
          fresh.socket.end();
          await fresh.closed();
        },
      ),
      { numRuns: 60 },
    );
    expect(world.lines.filter((line) => line.level === 'error')).toEqual([]);
  });
});
