import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { languageFor } from '../../src/lib/language.ts';
import { textIn } from '../../src/pop3/languages.ts';
import { playTranscript } from '../transcript.ts';
import { ALICE, PASSWORD, Pop3World } from './world.ts';

let world: Pop3World;
beforeAll(async () => {
  world = await Pop3World.start();
  world.inbox().add('Subject: one\r\n\r\nfirst\r\n');
});
afterAll(() => world.close());

/** The texts are ours, and `es`, `de` and the others are languages we do not speak. */
test('as in RFC 6856 3.3', async () => {
  await playTranscript(
    `
    S: +OK *
    C: USER ${ALICE}
    S: +OK *
    C: PASS ${PASSWORD}
    S: +OK 1 messages (23 octets)
    C: LANG MUL
    S: -ERR no such language
    C: LANG
    S: +OK language listing follows
    S: en English
    S: fr *
    S: .
    C: LANG FR
    S: +OK fr cette langue *
    C: RETR 9
    S: -ERR message inconnu
    C: STAT
    S: +OK 1 23
    C: LANG uga
    S: -ERR langue inconnue
    C: LANG fr-CA
    S: +OK fr *
    C: LIST
    S: +OK 1 messages (23 octets)
    S: 1 23
    S: .
    C: TOP 1 0
    S: +OK le *
    S: Subject: one
    S:
    S: .
    C: CAPA
    S: +OK la liste *
    S: RESP-CODES
    S: AUTH-RESP-CODE
    S: PIPELINING
    S: EXPIRE NEVER
    S: USER
    S: SASL *
    S: TOP
    S: UIDL
    S: LANG
    S: UTF8 USER
    S: IMPLEMENTATION *
    S: .
    C: LANG *
    S: +OK en this language from now on
    C: QUIT
    S: +OK bye
    S: [closed]`,
    world.connectTls,
  );
});

test('texts are UTF-8, before login as well', async () => {
  const client = await world.client('plain');
  await client.ask('LANG fr');
  expect(Buffer.from(await client.ask('NOOP'), 'latin1').toString()).toBe('-ERR identifiez-vous d’abord');
  expect(Buffer.from(await client.lines('LANG'), 'latin1').toString()).toContain('fr Français\r\n');
  client.socket.end();
});

test('a range finds its language by lookup (RFC 4647 3.4)', () => {
  expect(languageFor('fr')).toBe('fr');
  expect(languageFor('FR-ca-x-old')).toBe('fr');
  expect(languageFor('en-GB')).toBe('en');
  for (const range of ['', 'f', 'fro', 'mul', '*', '-fr', 'x-fr']) expect(languageFor(range)).toBeUndefined();
});

test('every text of ours that has no number in it is known in French', () => {
  const room = new URL('../../src/pop3/', import.meta.url);
  const texts = readdirSync(room, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .flatMap((file) => {
      const code = readFileSync(new URL(file, room), 'utf8');
      return [...code.matchAll(/new Pop3(?:Syntax)?Error\('([^']+)'|\bsay\('([^']+)'\)/g)];
    })
    .map(([, error, said]) => error ?? said ?? '');
  expect(texts.length).toBeGreaterThan(30);
  expect(texts.filter((text) => textIn('fr', text) === text)).toEqual([]);
  expect(textIn('fr', 'message 3 is marked as deleted')).toBe('le message 3 est marqué comme supprimé');
});
