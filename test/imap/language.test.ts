import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { responseIn, textIn } from '../../src/imap/languages.ts';
import { play } from './dialogue.ts';
import { ALICE, ImapWorld, PASSWORD } from './world.ts';

/** LANGUAGE (RFC 5255 3). */

const wire = (text: string): string => Buffer.from(text).toString('latin1');

let world: ImapWorld;
beforeAll(async () => {
  world = await ImapWorld.start({ plaintextFrom: '127.0.0.1' });
  await world.fill('INBOX', ['Subject: one\n\nbody\n']);
});
afterAll(() => world.close());

describe('dialogues', () => {
  // RFC 5255 3.2, with French in the place of German, and languages that we do not speak in the place of French. `NO`
  // as the answer to an enumeration (B001) is never ours.
  test('as in RFC 5255 3.2', async () => {
    const client = await world.client();
    client.send(`A001 LOGIN ${ALICE} "${PASSWORD}"\r\n`);
    expect(await client.response()).toMatch(/^A001 OK \[CAPABILITY [^\]]*\] Logged in$/);
    await play(
      client,
      `
      C: A002 LANGUAGE MUL
      S: A002 NO
      C: A003 LANGUAGE
      S: * LANGUAGE (en fr i-default)
      S: A003 OK
      C: C001 LANGUAGE FR
      S: * LANGUAGE (fr)
      S: * NAMESPACE (("" "/")) (("Other Users/" "/" "TRANSLATION" ("Autres utilisateurs/"))) NIL
      S: C001 OK
      C: D001 LANGUAGE DE
      S: D001 NO
      C: D002 LANGUAGE FR-CH
      S: * LANGUAGE (fr)
      S: * NAMESPACE (("" "/")) (("Other Users/" "/" "TRANSLATION" ("Autres utilisateurs/"))) NIL
      S: D002 OK
      C: D003 LANGUAGE "default"
      S: * LANGUAGE (en)
      S: * NAMESPACE (("" "/")) (("Other Users/" "/")) NIL
      S: D003 OK
      C: E001 LANGUAGE DE-AT EN-CA
      S: * LANGUAGE (en)
      S: * NAMESPACE (("" "/")) (("Other Users/" "/")) NIL
      S: E001 OK
      C: F001 LANGUAGE i-default
      S: * LANGUAGE (i-default)
      S: * NAMESPACE (("" "/")) (("Other Users/" "/")) NIL
      S: F001 OK`,
    );
  });

  test('all texts are French from the answer on, in UTF-8, before login too', async () => {
    const client = await world.client();
    expect(await client.ok('LANGUAGE de fr')).toEqual(['LANGUAGE (fr)']);
    expect(await client.tagged('FOO')).toMatch(/^BAD Commande inconnue : FOO \(octet \d+\)$/);
    expect(await client.tagged('SELECT INBOX')).toBe(wire('BAD Identifiez-vous avant SELECT'));
    expect(await client.tagged(`LOGIN ${ALICE} wrong`)).toBe(
      wire('NO [AUTHENTICATIONFAILED] Nom d’utilisateur ou mot de passe erroné'),
    );
    expect(await client.tagged(`LOGIN ${ALICE} "${PASSWORD}"`)).toMatch(/\] Identification r\xc3\xa9ussie$/);
    expect(await client.ok('SELECT INBOX')).toContain('OK [UIDNEXT 2] Prochain UID');
    expect(await client.tagged('LANGUAGE xx')).toBe(wire('NO Cette langue n’est pas parlée ici'));
    expect(await client.tagged('NOOP')).toBe(wire('OK NOOP terminé'));
    client.send('i IDLE\r\n');
    expect(await client.response()).toBe('+ en attente');
    client.send('DONE\r\n');
    expect(await client.response()).toBe(wire('i OK IDLE terminé'));
    client.send('c CREATE {3}\r\n');
    expect(await client.response()).toBe('+ Allez-y');
    client.send('box\r\n');
    expect(await client.response()).toMatch(/ CREATE termin\xc3\xa9$/);
    client.send('b LOGOUT\r\n');
    expect(await client.response()).toBe('* BYE Au revoir');
  });

  test('announced in the greeting and by CAPABILITY (RFC 5255 3.1)', async () => {
    const socket = await world.connectTls();
    const [greeting] = (await new Promise<Buffer>((resolve) => socket.once('data', resolve)))
      .toString()
      .split('\r\n');
    expect(greeting).toMatch(/^\* OK \[CAPABILITY [^\]]* LANGUAGE /);
    socket.destroy();
  });

  test('a new user begins with English again, and so does TLS (RFC 5255 3.1, 7)', async () => {
    const client = await world.login();
    await client.ok('LANGUAGE fr');
    expect(await client.tagged('UNAUTHENTICATE')).toBe('OK Another user may log in');
    const plain = await world.client('plain');
    await plain.ok('LANGUAGE fr');
    expect(await plain.tagged('STARTTLS')).toBe('OK Commencez TLS maintenant');
  });

  test('ranges are as many as somebody reads', async () => {
    const client = await world.client();
    expect(await client.tagged(`LANGUAGE ${'de '.repeat(50)}fr`)).toMatch(/^BAD/);
    expect(await client.ok('LANGUAGE "*"')).toEqual(['LANGUAGE (en)']);
    expect(await client.ok('LANGUAGE {2+}\r\nfr')).toEqual(['LANGUAGE (fr)']);
    expect(await client.tagged('LANGUAGE (fr)')).toMatch(/^BAD/);
  });

  test('`default` is what the administrator prefers', async () => {
    const french = await ImapWorld.start({ settings: { language: 'fr' } });
    try {
      const client = await french.client();
      expect(await client.tagged('NOOP')).toBe('OK NOOP completed');
      expect(await client.ok('LANGUAGE default')).toEqual(['LANGUAGE (fr)']);
      expect(await client.tagged('NOOP')).toBe(wire('OK NOOP terminé'));
    } finally {
      await french.close();
    }
  });
});

describe('texts', () => {
  test('a response code is no text, whatever is in it', () => {
    expect(responseIn('fr', 'OK [UNSEEN 3] First unseen')).toBe(wire('OK [UNSEEN 3] Premier message non lu'));
    expect(responseIn('fr', 'NO [NOUPDATE "a\\"] Moved"] Too many contexts')).toBe(
      'NO [NOUPDATE "a\\"] Moved"] Trop de contextes',
    );
    expect(responseIn('fr', '3 EXISTS')).toBe('3 EXISTS');
    expect(responseIn('fr', 'OK what nobody knows')).toBe('OK what nobody knows');
  });

  /** A text is missing here: write its French into src/imap/languages.ts. */
  test('every text that a client may show to people is known in French', () => {
    const room = new URL('../../src/imap/', import.meta.url);
    const texts = readdirSync(room, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts') && !['languages.ts', 'options.ts'].includes(file))
      .flatMap((file) => textsIn(readFileSync(new URL(file, room), 'utf8')));
    texts.push(...textsIn(readFileSync(new URL('../store/quota.ts', room), 'utf8')));
    expect(texts.length).toBeGreaterThan(150);
    expect(new Set(texts.filter((text) => textIn('fr', text) === text))).toEqual(new Set());
  });
});

/** Strings of the code that are sentences, and those that follow a status; what is put into them is a number. */
function textsIn(code: string): string[] {
  const bare = code.replace(/\/\*\*[\s\S]*?\*\/|^\s*\/\/.*$|\s\/\/ .*$/gm, '');
  return [...bare.matchAll(/'((?:[^'\\\n]|\\.)*)'|`((?:[^`\\]|\\.)*)`/g)].flatMap(([, plain, template]) => {
    const text = (plain ?? filled(template ?? '')).replace(/\\(.)/g, '$1');
    const [, status] = /^(?:OK|NO|BAD|BYE) (?:\[[^\]]*\] )?(.*)$/s.exec(text) ?? [];
    if (status !== undefined) return /[a-z]{2}/.test(status) ? [status] : [];
    if (/^[A-Z]+ \(/.test(text)) return [];
    return /^["\\]?[A-Z][A-Za-z0-9=8\\"]* (?:[\S]+ )*[a-z]{2,}/.test(text) ? [text] : [];
  });
}

/** `${…}`, braces within it included, is 7. */
function filled(template: string): string {
  let text = '';
  let depth = 0;
  for (let at = 0; at < template.length; at++) {
    if (template.startsWith('${', at)) {
      if (depth++ === 0) text += '7';
      at++;
    } else if (depth > 0) depth += template[at] === '{' ? 1 : template[at] === '}' ? -1 : 0;
    else text += template[at];
  }
  return text;
}
