import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AccountStore, MailStore } from '../../src/store/store.ts';
import { ManualClock } from '../clock.ts';
import { MemoryMail } from './memory-mail.ts';
import { type Client, ImapWorld } from './world.ts';

/** A store that takes as long as the test wants. */
class SlowMail extends MemoryMail {
  #gate: Promise<void> = Promise.resolve();

  hold(): () => void {
    let open = (): void => {};
    this.#gate = new Promise((resolve) => {
      open = resolve;
    });
    return open;
  }

  slow(account: AccountStore): AccountStore {
    const held = new Set<PropertyKey>(['search', 'sort', 'thread', 'copy', 'move']);
    return new Proxy(account, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        if (!held.has(name)) return value.bind(target);
        return async (...args: unknown[]) => {
          await this.#gate;
          return value.apply(target, args);
        };
      },
    });
  }
}

const clock = new ManualClock();
const mail = new SlowMail();
const store: MailStore = {
  account: async (id) => mail.slow(await mail.account(id)),
  deliver: (delivery) => mail.deliver(delivery),
  admit: async () => {},
  remove: async () => {},
  sharers: async () => [],
  close: async () => {},
};
let world: ImapWorld;
let client: Client;
beforeAll(async () => {
  world = await ImapWorld.start({ clock, store });
  const account = await mail.account('alice@example.org' as Parameters<MemoryMail['account']>[0]);
  const inbox = await account.mailbox('INBOX');
  if (!inbox) throw new Error('no INBOX');
  for (let at = 0; at < 3; at++)
    account.put(inbox.id, Buffer.from('Subject: a\r\n\r\n'), { internalDate: 0 });
  await account.create('Other');
  client = await world.login('INBOX');
});
afterAll(() => world.close());

/** Moves the clock when somebody waits for it. */
async function pass(ms: number): Promise<void> {
  while (clock.sleeping === 0) await new Promise((resolve) => setImmediate(resolve));
  await clock.advance(ms);
}

test.each([
  ['SEARCH ALL', 'SEARCH 1 2 3'],
  ['SORT (DATE) UTF-8 ALL', 'SORT 1 2 3'],
  ['THREAD ORDEREDSUBJECT UTF-8 ALL', 'THREAD (1 (2)(3))'],
  ['COPY 1 Other', undefined],
  ['UID MOVE 1 Other', undefined],
])('%s that takes long says so every ten seconds (RFC 9585 4)', async (command, answer) => {
  const open = mail.hold();
  client.send(`A001 ${command}\r\n`);
  for (let round = 0; round < 2; round++) {
    await pass(9_999);
    await pass(1);
    expect(await client.response()).toMatch(/^\* OK \[INPROGRESS \("A001" NIL NIL\)\] \S/);
  }
  open();
  const { untagged, tagged } = await client.answer('A001');
  expect(tagged).toMatch(/^OK/);
  expect(untagged.join('\n')).not.toContain('INPROGRESS');
  if (answer) expect(untagged).toEqual([answer]);
  expect(clock.sleeping).toBe(0);
});

test('a tag that would end the response code is not told (RFC 9585 4)', async () => {
  const open = mail.hold();
  client.send('a]b SEARCH ALL\r\n');
  await pass(10_000);
  expect(await client.response()).toMatch(/^\* OK \[INPROGRESS \(NIL NIL NIL\)\] \S/);
  open();
  expect((await client.answer('a]b')).tagged).toMatch(/^OK/);
});

test('what is quick says nothing', async () => {
  expect(await client.ok('SEARCH ALL')).toEqual(['SEARCH 1 2']);
});
