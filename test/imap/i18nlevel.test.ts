import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AccountId } from '../../src/directory/directory.ts';
import { rawMessage } from '../../src/mail/raw-message.ts';
import type { MaildirStore } from '../../src/store/maildir-store.ts';
import { maildirStore, temporaryDirectory } from '../store/surroundings.ts';
import { ALICE, type Client, ImapWorld } from './world.ts';

/** I18NLEVEL=1 (RFC 5255 4): i;unicode-casemap (RFC 5051) is how SEARCH, SORT and THREAD compare. */

const wire = (text: string): string => Buffer.from(text).toString('latin1');
const q = (charset: string, octets: string): string =>
  `Subject: =?${charset}?q?${octets.replace(/ /g, '=')}?=\r\n\r\nbody\r\n`;

/** RFC 5255 4.6, the four strings of its example, in this order. */
const EXAMPLE = [
  q('UTF-8', ' D0 C0 D0 BD D0 B4 D1 80 D0 B5 D0 B9'),
  q('UTF-8', ' D1 81 D0 95 D0 A0 D0 93 D0 95 D0 99'),
  q('UTF-8', ' D0 92 D0 B0 D1 81 D0 B8 D0 BB D0 B8 FF B9'),
  q('KOI8-R', ' E1 CC C5 CB D3 C5 CA'),
];

const ACCENTS = ['résumé', 'resume', 'RÉSUMÉ', 'Resumé', 'Straße', 'strasse'].map(
  (subject) => `Subject: ${subject}\r\nFrom: "${subject}" <${subject}@example.org>\r\n\r\n${subject}\r\n`,
);

describe.each(['memory', 'Maildir'])('%s', (kind) => {
  let world: ImapWorld;
  let directory: ReturnType<typeof temporaryDirectory> | undefined;
  let store: MaildirStore | undefined;
  beforeAll(async () => {
    if (kind === 'Maildir') {
      directory = temporaryDirectory();
      store = maildirStore(directory.path);
      world = await ImapWorld.start({ store });
      const account = await store.account(ALICE as AccountId);
      for (const [path, messages] of Object.entries({ Example: EXAMPLE, Accents: ACCENTS })) {
        const { id } = await account.create(path);
        for (const message of messages) {
          const bytes = Buffer.from(message);
          await account.append(id, rawMessage([bytes]), { flags: [], internalDate: 0 });
        }
      }
    } else {
      world = await ImapWorld.start();
      await world.fill('Example', EXAMPLE);
      await world.fill('Accents', ACCENTS);
    }
  });
  afterAll(async () => {
    await world.close();
    await store?.close();
    directory?.remove();
  });

  async function search(client: Client, text: string): Promise<string | undefined> {
    return (await client.ok(wire(text)))[0];
  }

  test('the order of RFC 5255 4.6', async () => {
    const client = await world.login('Example');
    expect(await client.ok('SORT (SUBJECT) UTF-8 ALL')).toEqual(['SORT 4 2 3 1']);
  });

  test('case does not matter, accents do', async () => {
    const client = await world.login('Accents');
    for (const key of ['SUBJECT', 'FROM', 'TEXT', 'BODY', 'HEADER Subject']) {
      expect(await search(client, `SEARCH ${key} "rÉsumÉ"`)).toBe('SEARCH 1 3');
      expect(await search(client, `SEARCH ${key} "RESUME"`)).toBe('SEARCH 2 4');
      // RFC 5051 2: decomposed, the letter is there without its mark.
      expect(await search(client, `SEARCH ${key} "rESUMé"`)).toBe('SEARCH 4');
      expect(await search(client, `SEARCH ${key} "STRASSE"`)).toBe('SEARCH 6');
      expect(await search(client, `SEARCH ${key} "STRAß"`)).toBe('SEARCH 5');
    }
  });

  test('FUZZY leaves them out', async () => {
    const client = await world.login('Accents');
    for (const key of ['SUBJECT', 'TEXT']) {
      expect(await search(client, `SEARCH FUZZY ${key} "resume"`)).toBe('SEARCH 1 2 3 4');
      expect(await search(client, `SEARCH FUZZY ${key} "rèsümê"`)).toBe('SEARCH 1 2 3 4');
      expect(await search(client, `SEARCH FUZZY ${key} "Straße"`)).toBe('SEARCH 5 6');
    }
  });

  test('a letter with an accent comes right after its word without (RFC 5051)', async () => {
    const client = await world.login('Accents');
    expect(await client.ok('SORT (SUBJECT) UTF-8 ALL')).toEqual(['SORT 2 4 1 3 6 5']);
    expect(await client.ok('THREAD ORDEREDSUBJECT UTF-8 SUBJECT resum')).toEqual(['THREAD (2)(4)']);
  });

  test('it is announced, and COMPARATOR is not there to change it (RFC 5255 4.3)', async () => {
    const client = await world.login('Accents');
    const [capabilities = ''] = await client.ok('CAPABILITY');
    expect(capabilities.match(/I18NLEVEL=\d/g)).toEqual(['I18NLEVEL=1']);
    expect(await client.tagged('COMPARATOR')).toMatch(/^BAD/);
    expect(await client.tagged(wire('SEARCH CHARSET UTF-8 SUBJECT "é"'))).toMatch(/^OK/);
  });
});
