import { afterAll, beforeAll, expect, test } from 'vitest';
import { rawMessage } from '../../src/mail/raw-message.ts';
import { playTranscript } from '../transcript.ts';
import { ALICE, PASSWORD, Pop3World } from './world.ts';

/** UTF8 (RFC 6856 2 and 5). The RFC prints dialogues of LANG only, which are in lang.test.ts. */

const EAI = 'From: Zoë <zoë@example.org>\r\nSubject: Grüße\r\n\r\nHallo é\r\n.\r\n';
const SURROGATE =
  'From: =?utf-8?B?Wm/Dqw==?= =?utf-8?B?em/Dq0BleGFtcGxlLm9yZw==?= :;\r\n' +
  'Subject: =?utf-8?B?R3LDvMOfZQ==?=\r\n\r\nHallo é\r\n.\r\n';
const wire = (text: string): string => Buffer.from(text).toString('latin1');

let world: Pop3World;
beforeAll(async () => {
  world = await Pop3World.start();
  const inbox = world.inbox();
  inbox.add('Subject: one\r\n\r\nfirst\r\n');
  inbox.add(rawMessage([Buffer.from(EAI)]));
  inbox.add(rawMessage([Buffer.from(EAI)]));
  inbox.add(wire(`Subject: ${'é'.repeat(200_000)}\r\n\r\nlong\r\n`));
});
afterAll(() => world.close());

test('after UTF8 messages come as they are, and LIST tells their size (RFC 6856 2.1)', async () => {
  const client = await world.client();
  expect(await client.ask('UTF8')).toBe('+OK UTF-8 from now on');
  await client.ask(`USER ${ALICE}`);
  await client.ask(`PASS ${PASSWORD}`);
  expect(await client.ask('LIST 2')).toBe(`+OK 2 ${Buffer.from(EAI).length}`);
  expect(await client.lines('RETR 2')).toBe(wire(EAI));
  expect(await client.lines('TOP 3 0')).toBe(wire(EAI.slice(0, EAI.indexOf('\r\n\r\n') + 4)));
  expect(await client.lines('TOP 4 1')).toContain('\xc3\xa9');
  await client.ask('QUIT');
});

test('without it headers are ASCII, of RETR and TOP, in memory or not (RFC 6857)', async () => {
  const client = await world.login();
  for (const number of [2, 3]) {
    expect(await client.lines(`RETR ${number}`)).toBe(wire(SURROGATE));
    // RFC 6858 4: lines are counted in the surrogate.
    expect(await client.lines(`TOP ${number} 1`)).toBe(wire(SURROGATE.slice(0, -3)));
  }
  expect(await client.lines('RETR 1')).toBe('Subject: one\r\n\r\nfirst\r\n');
  await client.ask('QUIT');
});

test('a message whose headers are too long for that needs UTF8 (RFC 6856 5)', async () => {
  const client = await world.login();
  expect(await client.ask('RETR 4')).toBe('-ERR [UTF8] this message needs UTF8');
  expect(await client.ask('TOP 4 0')).toMatch(/^-ERR \[UTF8\]/);
  expect(await client.ask('NOOP')).toMatch(/^\+OK/);
  await client.ask('QUIT');
});

test('UTF8 is for before the login, without arguments; STLS comes before it', async () => {
  const client = await world.client('plain');
  expect(await client.ask('UTF8 now')).toMatch(/^-ERR/);
  expect(await client.ask('UTF8')).toMatch(/^\+OK/);
  expect(await client.ask('STLS')).toBe('-ERR STLS comes before UTF8');
  const late = await world.login();
  expect(await late.ask('UTF8')).toBe('-ERR not after login');
  client.socket.end();
  await late.ask('QUIT');
});

test('names and passwords are UTF-8, with SASLprep (RFC 6856 2.2)', async () => {
  await playTranscript(
    `
    S: +OK *
    C: CAPA
    S: +OK *
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
    C: QUIT
    S: +OK bye
    S: [closed]`,
    world.connectTls,
  );
  const client = await world.client();
  expect(await client.ask(wire('USER "félix le [chat]"@example.org'))).toMatch(/^\+OK/);
  // Composed differently: SASLprep makes one of both.
  expect(await client.ask(wire(`PASS ${'pâté'.normalize('NFD')}`))).toMatch(/^\+OK/);
  await client.ask('QUIT');
  const other = await world.client();
  expect(await other.ask('USER caf\xe9')).toBe('-ERR this is not UTF-8');
  // RFC 4013 2.3: private use, control characters beyond ASCII.
  for (const bad of ['a\ue000b', 'a\u0085b', 'a\u202eb'])
    expect(await other.ask(wire(`USER ${bad}`))).toBe('-ERR this name or password cannot be one');
  other.socket.end();
});

test('where it is masked, all is as it was', async () => {
  const masked = await Pop3World.start({
    settings: {
      mask: [
        { account: '*@example.org', hide: ['UTF8'] },
        { address: '192.0.2.0/24', hide: ['TOP'] },
      ],
    },
  });
  try {
    masked.inbox().add(rawMessage([Buffer.from(EAI)]));
    const stranger = await masked.client();
    expect(await stranger.lines('CAPA')).toContain('UTF8 USER');
    const client = await masked.login();
    const capabilities = await client.lines('CAPA');
    expect(capabilities).not.toContain('UTF8');
    expect(capabilities).toContain('TOP');
    expect(await client.lines('RETR 1')).toBe(wire(EAI));
    stranger.socket.end();
  } finally {
    await masked.close();
  }
});
