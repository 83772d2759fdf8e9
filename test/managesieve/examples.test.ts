import { connect } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { AccountId } from '../../src/directory/directory.ts';
import { playTranscript } from '../transcript.ts';
import { ManageSieveWorld } from './world.ts';

/**
 * The examples of RFC 5804, with the mechanisms and texts that we have. What is not played, and why:
 *
 * - 2.1: DIGEST-MD5 is historic (RFC 6331), GSSAPI is not there; SCRAM takes their places (managesieve.test.ts).
 * - 1.3, referrals: there is one server.
 * - 2.4, the example: capabilities as they are here are in the dialogues below.
 */

let world: ManageSieveWorld;
const ALICE = 'alice@example.org' as AccountId;
const PLAIN = Buffer.from(`\0${ALICE}\0wonderland`).toString('base64');

beforeAll(async () => {
  world = await ManageSieveWorld.start();
});
afterAll(() => world.close());
beforeEach(() => world.clear(ALICE));

const SENT =
  'require ["fileinto", "envelope"];\n\nif envelope :contains "to" "tmartin+sent" {\n  fileinto "INBOX.sent";\n}\n';
const FORWARDS =
  'require "envelope";\nredirect "111@example.net";\n\nif size :under 10k {\n    redirect "mobile@cell.example.com";\n}\n\n' +
  'if envelope :contains "to" "tmartin+lists" {\n    redirect "lists@groups.example.com";\n}\n';

/** As the end of a command, and the lines of a dialogue behind it. */
function literal(source: string): string {
  const text = source.replaceAll('\n', '\r\n');
  return `{${text.length}+}\n${source
    .split('\n')
    .map((line) => `C: ${line}`)
    .join('\n')}`;
}

/** Logged in, the greeting read. */
const session = (dialogue: string): Promise<void> =>
  playTranscript(`S: OK *\nC: AUTHENTICATE "PLAIN" "${PLAIN}"\nS: OK "done"\n${dialogue}`, world.connect);

describe('RFC 5804', () => {
  test('1.7: the greeting, and what there is after login', () =>
    playTranscript(
      `S: "IMPLEMENTATION" "Facteur *"
       S: "SASL" "PLAIN*"
       S: "SIEVE" "* fileinto * vacation *"
       S: "STARTTLS"
       S: "NOTIFY" "mailto"
       S: "MAXREDIRECTS" "4"
       S: "VERSION" "1.0"
       S: OK *
       C: AUTHENTICATE "PLAIN" "${PLAIN}"
       S: OK "done"
       C: CAPABILITY
       S: "IMPLEMENTATION" "Facteur *"
       S: "SASL" ""
       S: "SIEVE" "* fileinto * vacation *"
       S: "NOTIFY" "mailto"
       S: "OWNER" "${ALICE}"
       S: "MAXREDIRECTS" "4"
       S: "VERSION" "1.0"
       S: OK "done"`,
      world.connect,
    ));

  test('2.1, 2.2: STARTTLS brings the capabilities again; wrong passwords', () =>
    playTranscript(
      `S: "SASL" "SCRAM-SHA-256"
       S: "STARTTLS"
       S: OK *
       C: AUTHENTICATE "PLAIN" "${PLAIN}"
       S: NO (ENCRYPT-NEEDED) *
       C: StartTls
       S: OK *
       C: [tls]
       S: "IMPLEMENTATION" *
       S: "VERSION" "1.0"
       S: "SASL" "PLAIN*"
       S: OK "done"
       C: Authenticate "PLAIN" "AGFsaWNlAHg="
       S: NO *
       C: AUTHENTICATE "PLAIN" {${PLAIN.length}+}
       C: ${PLAIN}
       S: OK "done"`,
      world.connectCareful,
    ));

  test('2.3', () => playTranscript('S: OK *\nC: Logout\nS: OK *\nS: [closed]', world.connect));

  test('2.5', () =>
    session(
      `C: HAVESPACE "myscript" 99999999
       S: NO (QUOTA/MAXSIZE) *
       C: HAVESPACE "foobar" 435
       S: OK "done"`,
    ));

  test('2.6: two scripts, and one with mistakes', () =>
    session(
      `C: Putscript "foo" {31+}
       C: #comment
       C: InvalidSieveCommand
       C:
       S: NO "line *
       C: Putscript "mysievescript" ${literal(SENT)}
       S: OK "done"
       C: Putscript "myforwards" ${literal(FORWARDS)}
       S: OK*
       C: LISTSCRIPTS
       S: "myforwards"
       S: "mysievescript"
       S: OK "done"`,
    ));

  test('2.7', async () => {
    for (const name of ['summer_script', 'vacation_script', 'clever"script', 'main_script'])
      await world.scripts.put(ALICE, name, Buffer.from('keep;'));
    await world.scripts.activate(ALICE, 'main_script');
    await session(
      `C: Listscripts
       S: "clever\\"script"
       S: "main_script" ACTIVE
       S: "summer_script"
       S: "vacation_script"
       S: OK "done"`,
    );
  });

  test('2.8', async () => {
    await world.scripts.put(ALICE, 'vacationscript', Buffer.from('keep;'));
    await session(
      `C: Setactive "vacationscript"
       S: OK "done"
       C: LISTSCRIPTS
       S: "vacationscript" ACTIVE
       S: OK "done"
       C: Setactive ""
       S: OK "done"
       C: LISTSCRIPTS
       S: "vacationscript"
       S: OK "done"
       C: Setactive "baz"
       S: NO (NONEXISTENT) "there is no script of that name"`,
    );
  });

  test('2.9', async () => {
    await world.scripts.put(
      ALICE,
      'myscript',
      Buffer.from('#this is my wonderful script\r\nreject "I reject all";\r\n'),
    );
    await session(
      `C: Getscript "myscript"
       S: {54}
       S: #this is my wonderful script
       S: reject "I reject all";
       S:
       S: OK "done"`,
    );
  });

  test('2.10, 2.11', async () => {
    for (const name of ['foo', 'baz', 'one']) await world.scripts.put(ALICE, name, Buffer.from('keep;'));
    await world.scripts.activate(ALICE, 'baz');
    await session(
      `C: Deletescript "foo"
       S: OK "done"
       C: Deletescript "baz"
       S: NO (ACTIVE) *
       C: Renamescript "one" "bar"
       S: OK "done"
       C: Renamescript "baz" "bar"
       S: NO (ALREADYEXISTS) *
       C: Renamescript "baz" "active still"
       S: OK "done"
       C: LISTSCRIPTS
       S: "active still" ACTIVE
       S: "bar"
       S: OK "done"`,
    );
    expect((await world.scripts.list(ALICE)).map(({ name }) => name)).toEqual(['active still', 'bar']);
  });

  test('2.12', () =>
    session(
      `C: CheckScript {31+}
       C: #comment
       C: InvalidSieveCommand
       C:
       S: NO "line *
       C: CHECKSCRIPT "keep;"
       S: OK "done"
       C: LISTSCRIPTS
       S: OK "done"`,
    ));

  test('2.13', () =>
    playTranscript(
      `S: OK *
       C: NOOP
       S: OK "done"
       C: NOOP "STARTTLS-SYNC-42"
       S: OK (TAG "STARTTLS-SYNC-42") "done"`,
      world.connect,
    ));

  test('2.14: somebody else may log in then', () =>
    session(
      `C: UNAUTHENTICATE
       S: OK "done"
       C: LISTSCRIPTS
       S: NO "log in first"
       C: CAPABILITY
       S: "SASL" "PLAIN*"
       S: OK "done"
       C: AUTHENTICATE "PLAIN" "${Buffer.from('\0bob@example.org\0builder').toString('base64')}"
       S: OK "done"
       C: CAPABILITY
       S: "OWNER" "bob@example.org"
       S: OK "done"`,
    ));
});

test('1.2: what comes after LOGOUT is not run', async () => {
  await world.scripts.put(ALICE, 'stays', Buffer.from('keep;'));
  const socket = connect(world.port, '127.0.0.1');
  socket.write(`AUTHENTICATE "PLAIN" "${PLAIN}"\r\nLOGOUT\r\nDELETESCRIPT "stays"\r\n`);
  let text = '';
  for await (const chunk of socket) text += String(chunk);
  expect(text).toMatch(/\r\nOK "done"\r\nOK "bye"\r\n$/);
  expect(await world.scripts.list(ALICE)).toHaveLength(1);
});
