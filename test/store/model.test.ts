import { afterEach, describe, expect, test } from 'vitest';
import type { AccountStore, Change, MailboxId, ModSeq } from '../../src/store/store.ts';
import { MemoryStore } from './memory-store.ts';
import { maildirAt, World, type WorldOptions, words } from './power-cut.ts';
import { judge } from './power-cut-judge.ts';
import { dice } from './power-cut-rounds.ts';
import { alice, all, temporaryDirectory } from './surroundings.ts';

/**
 * Several sessions at work on one account, without a mishap: in the end there is what a model says, every session heard
 * of each change once and in order, and QRESYNC's answer from any moment leads to what there is (RFC 7162 3.2).
 */

const RUNS = 4;
const ROUNDS = 40;

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

const STORES: readonly [name: string, make: () => WorldOptions][] = [
  [
    'Maildir',
    () => {
      const { path, remove } = temporaryDirectory();
      closers.push(remove);
      return maildirAt(path, 'rename', 0);
    },
  ],
  ['in memory', () => ({ open: () => new MemoryStore(async () => null), maildir: null })],
];

interface Moment {
  readonly modSeq: ModSeq;
  readonly flags: ReadonlyMap<number, string>;
}

describe.each(STORES)('%s', (_name, make) => {
  test.each(Array.from({ length: RUNS }, (_, run) => run))('random work of three sessions (%i)', async () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    const world = new World(make(), dice(seed), () => {});
    await world.open();
    const moments = new Map<MailboxId, Moment[]>();
    for (let round = 0; round < ROUNDS; round++) {
      const heard: Change[][] = [[], [], []];
      const account = await world.store.account(alice);
      const stop = heard.map((list) => account.watch((change) => list.push(change)));
      const seen = await look(account);
      await world.work(1);
      for (const one of stop) one();
      for (const list of heard) {
        expect(list.map(place), `seed ${seed}`).toEqual(heard[0]?.map(place));
        expect(inOrder(list), `seed ${seed}`).toEqual([]);
      }
      for (const [id, moment] of seen) moments.set(id, [...(moments.get(id) ?? []), moment]);
    }
    const account = await world.store.account(alice);
    expect(
      await judge(world.store, world.known, { tokens: new Map(), index: 'kept' }),
      `seed ${seed}`,
    ).toEqual([]);
    for (const [id, now] of await look(account))
      for (const { modSeq, flags } of moments.get(id) ?? []) {
        const client = new Map(flags);
        for (const uid of await account.vanished(id, modSeq)) client.delete(uid);
        for (const message of await all(account.messages(id, [{ first: 1, last: '*' }], modSeq)))
          client.set(message.uid, words(message.flags));
        expect(sorted(client), `seed ${seed}, ${id} since ${modSeq}`).toEqual(sorted(now.flags));
      }
    await world.close();
  });
});

/** What each mailbox holds now. */
async function look(account: AccountStore): Promise<Map<MailboxId, Moment>> {
  const found = new Map<MailboxId, Moment>();
  for (const { id, selectable, highestModSeq } of await account.mailboxes()) {
    if (!selectable) continue;
    const messages = await all(account.messages(id, [{ first: 1, last: '*' }]));
    found.set(id, {
      modSeq: highestModSeq,
      flags: new Map(messages.map((message) => [Number(message.uid), words(message.flags)])),
    });
  }
  return found;
}

function sorted(flags: ReadonlyMap<number, string>): [number, string][] {
  return [...flags].sort(([a], [b]) => a - b);
}

function highest(change: Change): number {
  switch (change.type) {
    case 'added':
    case 'flags':
      return Math.max(...change.messages.map(({ modSeq }) => modSeq));
    case 'expunged':
      return change.modSeq;
    case 'mailbox':
    case 'annotated':
    case 'acl':
      return 0;
  }
}

function place(change: Change): string {
  return `${change.type} ${change.mailbox} ${highest(change)}`;
}

/** Changes that come twice, or before an earlier one. */
function inOrder(changes: readonly Change[]): string[] {
  const last = new Map<MailboxId, number>();
  return changes
    .filter((change) => {
      if (change.type === 'mailbox' || change.type === 'acl') return false;
      const before = last.get(change.mailbox) ?? 0;
      last.set(change.mailbox, highest(change));
      return highest(change) <= before;
    })
    .map(place);
}
