import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { simpleParser } from 'mailparser';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AccountId } from '../../src/directory/directory.ts';
import { asCrlf, asRead, type CorpusMessage, corpusMessages, haveCorpus } from '../corpus.ts';
import { Lines } from '../lines.ts';
import { maildirStore } from '../store/surroundings.ts';
import { fetched, StrictImap } from '../strict-imap.ts';
import { startWorld, type World } from '../world.ts';
import { checkMessage } from './strict-message.ts';

/** Real and malformed mail goes in on every way there is, and comes out byte for byte, listed and searched. */

const PASSWORD = 'wonder Land.1';
const DELIVERED = 'delivered@example.org';
const DROPPED = 'dropped@example.org';
const APPENDED = 'appended@example.org';
/** Messages fetched by one command. */
const STEP = 200;

/** Through POP3 go so many, spread over the corpus: it reads as IMAP does, and each takes a command. */
const POP3_MESSAGES = 1000;
/** Messages whose words are searched for. */
const SEARCHED = 150;
const MUTATIONS = 300;

describe.skipIf(!haveCorpus)('the corpus', () => {
  const messages = haveCorpus ? corpusMessages() : [];
  let dir: string;
  let world: World;
  const clients: StrictImap[] = [];

  const login = async (user: string): Promise<StrictImap> => {
    const client = await StrictImap.login(world.port('imaps'), user, PASSWORD);
    clients.push(client);
    return client;
  };

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'facteur-corpus-'));
    const store = maildirStore(join(dir, 'data'));
    await Promise.all(
      messages.map(({ bytes }, at) =>
        store.deliver({
          account: DELIVERED as AccountId,
          mailbox: 'INBOX',
          key: `corpus-${at}`,
          flags: [],
          internalDate: Date.UTC(2020, 0, 1) + at * 1000,
          content: [asCrlf(bytes)],
        }),
      ),
    );
    await store.close();
    const maildir = join(dir, 'data/mail/example.org/dropped/Maildir');
    for (const name of ['tmp', 'new', 'cur']) mkdirSync(join(maildir, name), { recursive: true });
    messages.forEach(({ bytes }, at) => {
      writeFileSync(join(maildir, 'new', `${1_500_000_000 + at}.M${at}P1.host`), bytes);
    });
    world = await startWorld({
      dir,
      accounts: { [DELIVERED]: PASSWORD, [DROPPED]: PASSWORD, [APPENDED]: PASSWORD },
    });
  }, 120_000);

  afterAll(async () => {
    for (const client of clients) client.close();
    await world?.close();
    rmSync(dir, { recursive: true, force: true });
  });

  /** All messages of INBOX are these, in this order, RFC822.SIZE included. */
  const comesOut = async (client: StrictImap, wanted: readonly CorpusMessage[]): Promise<void> => {
    await client.ok('SELECT INBOX');
    for (let first = 1; first <= wanted.length; first += STEP) {
      const last = Math.min(first + STEP - 1, wanted.length);
      const { untagged } = await client.ok(`FETCH ${first}:${last} (RFC822.SIZE BODY.PEEK[])`);
      const found = untagged.map(fetched).filter((items) => items !== undefined);
      expect(found).toHaveLength(last - first + 1);
      found.forEach((items, at) => {
        const { name, bytes } = wanted[first + at - 1] ?? { name: 'none', bytes: Buffer.alloc(0) };
        const body = items.get('BODY[]');
        expect(items.get('RFC822.SIZE'), name).toBe(bytes.length);
        if (!(body instanceof Buffer) || !body.equals(bytes)) expect(String(body), name).toBe(String(bytes));
      });
    }
  };

  test('delivered, it comes out by IMAP', async () => {
    const client = await login(DELIVERED);
    await comesOut(
      client,
      messages.map(({ name, bytes }) => ({ name, bytes: asCrlf(bytes) })),
    );
  }, 60_000);

  test('dropped into new/ with any line ends, it comes out by IMAP', async () => {
    const client = await login(DROPPED);
    await comesOut(
      client,
      messages.map(({ name, bytes }) => ({ name, bytes: asRead(bytes) })),
    );
  }, 60_000);

  test('appended by IMAP, it comes out with the line ends of mail', async () => {
    const client = await login(APPENDED);
    // Headers with 8-bit octets are among them (RFC 6855 4).
    await client.ok('ENABLE UTF8=ACCEPT');
    // Messages with NUL are refused: RFC 9051 4.3.1.
    const some = messages.filter(({ bytes }, at) => at % 3 === 0 && !bytes.includes(0));
    const answers = await Promise.all(some.map(({ bytes }) => client.append('INBOX', bytes)));
    expect(answers.filter(({ status }) => status !== 'OK')).toEqual([]);
    await comesOut(
      client,
      some.map(({ name, bytes }) => ({ name, bytes: asRead(bytes) })),
    );
  }, 60_000);

  test('dropped, it comes out by POP3, dots and last lines as they are', async () => {
    const client = Lines.tls(world.port('pop3s'));
    await client.reply();
    await client.ask('UTF8');
    await client.ask(`USER ${DROPPED}`);
    expect(await client.ask(`PASS ${PASSWORD}`)).toMatch(/^\+OK/);
    const every = Math.ceil(messages.length / POP3_MESSAGES);
    for (let at = 0; at < messages.length; at += every) {
      const { name, bytes } = messages[at] ?? { name: 'none', bytes: Buffer.alloc(0) };
      const wanted = asRead(bytes).toString('latin1');
      client.write(`RETR ${at + 1}\r\n`);
      const first = await client.reply();
      expect(first, name).toBe(`+OK ${wanted.length} octets\r\n`);
      const ended = wanted.endsWith('\n') ? '' : wanted.endsWith('\r') ? '\n' : '\r\n';
      const stuffed = wanted.replace(/(^|\n)\./g, '$1..') + ended;
      const text = await client.exactly(stuffed.length + 3);
      if (text !== `${stuffed}.\r\n`) expect(text, name).toBe(`${stuffed}.\r\n`);
    }
    client.close();
  }, 60_000);

  test('every part that a structure names is there, and all sizes agree (of the archives every tenth message)', async () => {
    const client = await login(DROPPED);
    await client.ok('EXAMINE INBOX');
    const faults: string[] = [];
    const odd = messages.flatMap(({ name }, at) => (name.includes(':') && at % 10 > 0 ? [] : at + 1));
    for (let first = 0; first < odd.length; first += STEP) {
      const numbers = odd.slice(first, first + STEP);
      const found = await Promise.all(numbers.map((number) => checkMessage(client, number)));
      found.forEach((fault, at) => {
        if (fault) faults.push(`${messages[(numbers[at] ?? 0) - 1]?.name}: ${fault}`);
      });
    }
    expect(faults).toEqual([]);
  }, 120_000);

  test('what another reader of mail finds in them, SEARCH finds too', async () => {
    const client = await login(DROPPED);
    await client.ok('EXAMINE INBOX');
    const missed: string[] = [];
    let asked = 0;
    // Of loose files those that claim a charset: that is where readers differ.
    const some = messages.flatMap((message, at) =>
      !message.name.includes(':') && /charset|=\?[\w-]+\?[bq]\?/i.test(message.bytes.toString('latin1'))
        ? [{ ...message, uid: at + 1 }]
        : [],
    );
    for (let at = 0; at < some.length; at += Math.ceil(some.length / SEARCHED)) {
      const { uid, name, bytes } = some[at] ?? { uid: 0, name: '', bytes: Buffer.alloc(0) };
      const { subject = '', text = '', from } = await simpleParser(asRead(bytes), { skipImageLinks: true });
      for (const [key, words] of [
        ['SUBJECT', wordsOf(subject)],
        ['FROM', wordsOf(from?.value[0]?.name ?? '')],
        ['BODY', wordsOf(text)],
        ['TEXT', [...wordsOf(text).slice(0, 2), ...wordsOf(subject).slice(0, 2)]],
      ] as const) {
        for (const word of words.slice(0, 3)) {
          asked++;
          const literal = Buffer.from(word);
          const command = `UID SEARCH CHARSET UTF-8 UID ${uid} ${key} {${literal.length}+}\r\n`;
          const { untagged } = await client.ok(command + literal.toString('latin1'));
          if (!untagged.some((line) => String(line) === `* SEARCH ${uid}`))
            missed.push(`${name}: ${key} ${word}`);
        }
      }
    }
    expect(asked).toBeGreaterThan(SEARCHED);
    expect(missed).toEqual([]);
  }, 60_000);

  test('what is left of messages that were torn, cut and mixed is served like any other', async () => {
    const client = await login(APPENDED);
    await client.ok('ENABLE UTF8=ACCEPT');
    await client.ok('CREATE Mutated');
    const small = messages.filter(({ bytes }) => bytes.length < 30_000);
    const wanted: Buffer[] = [];
    fc.assert(
      fc.property(mutation(small), (bytes) => {
        if (bytes.length > 0 && !bytes.includes(0)) wanted.push(bytes);
      }),
      { numRuns: MUTATIONS },
    );
    const answers = await Promise.all(wanted.map((bytes) => client.append('Mutated', bytes)));
    expect(answers.filter(({ status }) => status !== 'OK')).toEqual([]);
    await client.ok('EXAMINE Mutated');
    const faults: string[] = [];
    const found = await Promise.all(wanted.map((_, at) => checkMessage(client, at + 1)));
    found.forEach((fault, at) => {
      if (fault) faults.push(`${fault}: ${JSON.stringify(wanted[at]?.toString('latin1'))}`);
    });
    expect(faults).toEqual([]);
    for (const key of ['SUBJECT', 'FROM', 'BODY', 'TEXT']) await client.ok(`UID SEARCH ${key} "the"`);
  }, 60_000);
});

/** Whole words, as they stand there: of letters only, so that no reader's punctuation or wrapping matters. */
function wordsOf(text: string): string[] {
  return text.match(/(?<![^\s])[\p{L}]{4,20}(?![^\s])/gu) ?? [];
}

/** Pieces of messages in any order, with what hurts parsers put in between. */
function mutation(messages: readonly CorpusMessage[]): fc.Arbitrary<Buffer> {
  const piece = fc.oneof(
    { weight: 4, arbitrary: slice(messages) },
    {
      weight: 1,
      arbitrary: fc
        .constantFrom(
          '\r\n\r\n',
          '\n',
          '\r',
          '--',
          'Content-Type: multipart/mixed; boundary=""\r\n',
          'Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n--a--\r\n',
          'Content-Type: message/rfc822\r\n\r\n',
          'Content-Transfer-Encoding: base64\r\n',
          'Content-Transfer-Encoding: quoted-printable\r\n',
          'Content-Disposition: attachment; filename*0*=utf-8\'\'%e2; filename*1="\u00ff"\r\n',
          'Subject: =?utf-8?b?//8=?= =?x?q?=?=\r\n',
          'From: "(<,;:@"\\\r\n',
          '"',
          '(',
          '=?',
          '\u00ff\u00fe',
        )
        .map((text) => Buffer.from(text, 'latin1')),
    },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)) },
  );
  return fc.array(piece, { minLength: 1, maxLength: 6 }).map((pieces) => Buffer.concat(pieces));
}

function slice(messages: readonly CorpusMessage[]): fc.Arbitrary<Buffer> {
  return fc
    .tuple(fc.nat(messages.length - 1), fc.double({ min: 0, max: 1, noNaN: true }), fc.boolean())
    .map(([at, share, front]) => {
      const bytes = messages[at]?.bytes ?? Buffer.alloc(0);
      const cut = Math.floor(bytes.length * share);
      return front ? bytes.subarray(0, cut) : bytes.subarray(cut);
    });
}
