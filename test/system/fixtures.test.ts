import { existsSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AccountId } from '../../src/directory/directory.ts';
import { FileScriptStore } from '../../src/store/script-store.ts';
import { mail, smtpSession } from '../lines.ts';
import { playTranscript } from '../transcript.ts';
import { eventually, inbox, startWorld, type World } from '../world.ts';

/** What users of a mail server type and see, against all of Facteur. */

const folder = resolve(import.meta.dirname, '../../../shared/fixtures');
const present = existsSync(folder);
if (!present) console.log('no ../shared/fixtures beside the checkout: the sample dialogues are not replayed');

const ACCOUNTS = {
  'alice@example.org': 'wonderland',
  'test@example.org': 'test',
  'testimap2@example.org': 'testimap2',
};
let world: World;
beforeAll(async () => {
  world = await startWorld({
    accounts: ACCOUNTS,
    settings: { auth: { allowPlaintextFrom: ['127.0.0.1'], defaultDomain: 'example.org' } },
  });
});
afterAll(() => world?.close());

function play(name: string, service: string): Promise<void> {
  const port = world.port(service);
  return playTranscript(readFileSync(resolve(folder, name), 'utf8'), () => connect(port, '127.0.0.1'));
}

/** Of the ManageSieve greeting. */
async function capability(port: number, name: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  let text = '';
  for await (const chunk of socket) {
    text += String(chunk);
    if (/^OK/m.test(text)) break;
  }
  return new RegExp(`^"${name}" "(.*)"`, 'm').exec(text)?.[1] ?? '';
}

/** `count` messages with `text` lie in the account's INBOX. */
async function deliver(to: keyof typeof ACCOUNTS, count: number, text: string): Promise<void> {
  for (let i = 0; i < count; i++) {
    const smtp = await smtpSession(world.port('smtp'));
    const { reply } = await mail(smtp, 'sender@example.net', to, text);
    expect(reply).toMatch(/^250 /);
    smtp.close();
  }
  await eventually('delivered', async () =>
    (await inbox(world, to, ACCOUNTS[to], count)).length === count ? true : undefined,
  );
}

describe.runIf(present)('the sample dialogues', () => {
  test.each(['smtp-basic.txt', 'smtp-ehlo.txt', 'smtp-space-after-colon.txt'])('%s replays', (name) =>
    play(name, 'smtp'),
  );

  test('and their two messages are in the mailbox, as they were typed', async () => {
    const messages = await inbox(world, 'alice@example.org', ACCOUNTS['alice@example.org'], 2);
    expect(messages.length).toBe(2);
    expect(messages[0]).toMatch(/\r\nSubject: Test de mail pour la conférence\r\n\r\nSalut Alice,\r\n/);
    expect(messages[1]).toMatch(/\r\nDemo\r\n\.a line that begins with a dot\r\n$/);
  });

  test('pop3-basic.txt replays', async () => {
    await deliver('test@example.org', 2, 'Subject: two of them\r\n\r\nhello\r\n');
    await play('pop3-basic.txt', 'pop3');
  });

  test('managesieve-basic.txt replays', async () => {
    const rules =
      'require ["fileinto"];\r\n# rule:[spammeur]\r\nif header :contains "From" "mailingpro.example"\r\n' +
      '{\r\n    fileinto "Junk";\r\n}';
    const scripts = new FileScriptStore(join(world.dir, 'data'), {
      maxSize: 1e6,
      maxScripts: 9,
      maxTotal: 1e7,
    });
    const alice = 'alice@example.org' as AccountId;
    await scripts.put(alice, 'managesieve', Buffer.from(rules));
    await scripts.activate(alice, 'managesieve');
    const login = Buffer.from(`\0${alice}\0${ACCOUNTS[alice as keyof typeof ACCOUNTS]}`).toString('base64');
    const port = world.port('managesieve');
    const given = readFileSync(resolve(folder, 'managesieve-basic.txt'), 'utf8');
    const names = / "SIEVE" "(.*)"/.exec(given)?.[1]?.split(/[* ]+/) ?? [];
    const known = await capability(port, 'SIEVE');
    expect(names.filter((name) => name !== '' && !known.split(' ').includes(name))).toEqual([]);
    const dialogue = given
      // What it says in words of its own.
      .replace(/^S: "SIEVE" .*$/m, 'S: "SIEVE" "*"')
      .replace(/^C: \(STARTTLS first.*$/m, 'C: STARTTLS\nS: OK *\nC: [tls]\nS: "SASL" "PLAIN*"\nS: OK *')
      .replace('<base64>', login)
      .replace(/\{105\}/, `{${rules.length}}`)
      .replace(/^S: "SASL" "PLAIN\*"$/m, '# SCRAM alone before STARTTLS');
    await playTranscript(dialogue, () => connect({ port, host: '127.0.0.1', localAddress: '127.0.0.2' }));
  });

  test('imap-basic.txt replays', async () => {
    await deliver('testimap2@example.org', 1, 'Subject: one\r\n\r\ncoucou\r\n');
    await play('imap-basic.txt', 'imap');
  });
});
