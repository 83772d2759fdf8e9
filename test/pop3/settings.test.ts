import { afterEach, expect, test } from 'vitest';
import { pop3Options } from '../../src/pop3/options.ts';
import type { Mailbox } from '../../src/store/store.ts';
import { playTranscript } from '../transcript.ts';
import { ALICE, PASSWORD, Pop3World } from './world.ts';

let world: Pop3World;
afterEach(() => world.close());

const MESSAGE = 'Subject: one\r\n\r\nfirst\r\n';

test('deleted mail goes to the mailbox for it, made where there is none', async () => {
  world = await Pop3World.start({ settings: { deleted: 'trash' } });
  for (let round = 0; round < 2; round++) {
    world.inbox().add(MESSAGE);
    const client = await world.login();
    await client.ask('DELE 1');
    expect(await client.ask('QUIT')).toMatch(/^\+OK/);
  }
  const inbox = world.inbox();
  expect(inbox.mailboxes).toMatchObject([{ path: 'Trash', specialUse: 'trash' }]);
  expect(inbox.moved).toEqual([
    ['Trash', [1]],
    ['Trash', [2]],
  ]);
  expect(inbox.expunged).toEqual([]);

  // One that says what it is for comes before one that only has the name.
  inbox.mailboxes.push({ id: 'Corbeille', path: 'Corbeille', specialUse: 'trash' } as unknown as Mailbox);
  inbox.mailboxes.splice(0, 1, { id: 'Trash', path: 'Trash', specialUse: null } as unknown as Mailbox);
  inbox.add(MESSAGE);
  const client = await world.login();
  await client.ask('DELE 1');
  await client.ask('QUIT');
  expect(inbox.moved[2]).toEqual(['Corbeille', [3]]);
});

test('LOGIN-DELAY is announced in whole seconds and kept, per account (RFC 2449 6.5, 8.1.1)', async () => {
  world = await Pop3World.start({ settings: { loginDelay: 899_500 } });
  const session = (name: string, password: string, answer: string): Promise<void> =>
    playTranscript(
      `
      S: +OK *
      C: USER ${name}
      S: +OK *
      C: PASS ${password}
      S: ${answer}
      C: QUIT
      S: +OK *
      S: [closed]`,
      world.connectTls,
    );
  const client = await world.client();
  expect(await client.lines('CAPA')).toMatch(/^LOGIN-DELAY 900\r$/m);
  await client.ask('QUIT');
  await session(ALICE, 'wrong', '-ERR [AUTH] *');
  await session(ALICE, PASSWORD, '+OK *');
  await session(ALICE, PASSWORD, '-ERR [LOGIN-DELAY] *');
  await session('test@example.org', 'test', '+OK *');
});

test('without it nothing is said of it', async () => {
  world = await Pop3World.start();
  expect(await (await world.client()).lines('CAPA')).not.toContain('LOGIN-DELAY');
});

test('unique ids have the form that the setting spells out', async () => {
  world = await Pop3World.start({ settings: { uidl: 'm%u.%08Xv' } });
  world.inbox().add(MESSAGE);
  const client = await world.login();
  expect(await client.ask('UIDL 1')).toBe('+OK 1 m1.48fc5de7');
  expect(pop3Options.parse({ uidl: 'cyrus' }).uidl).toBe('cyrus');
  expect(pop3Options.parse({ uidl: '%08Xv%08Xu' }).uidl).toBe('%08Xv%08Xu');
  for (const uidl of ['', 'postfix', '%v', '%g', '%u %v', '%z'])
    expect(pop3Options.safeParse({ uidl }).success, uidl).toBe(false);
});
