import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { AccountId } from '../../src/directory/directory.ts';
import { type AclChange, RIGHTS } from '../../src/store/acl.ts';
import type { AccountStore, MailboxId, MailStore, ModSeq, Uid } from '../../src/store/store.ts';
import { MemoryStore } from './memory-store.ts';
import { storeAt } from './power-cut.ts';
import { dice } from './power-cut-rounds.ts';
import { RecordedDisk } from './recorded-disk.ts';
import { told } from './sharing.contract.ts';
import { type Fate, SimulatedDisk } from './simulated-disk.ts';
import { alice, all, message, temporaryDirectory } from './surroundings.ts';

/**
 * Random work on access control lists and on what others have seen. Without a mishap both stores come to the same; and
 * after a power cut at any step there is what the last answer said, or the next one, whoever shares is found, and a
 * reader who resynchronises knows what there is (RFC 7162 3.2).
 */

const READERS = ['bob@example.org', 'carol@example.org'] as AccountId[];
const IDENTIFIERS = [...READERS, 'anyone', '-bob@example.org'];
const PATHS = ['INBOX', 'Work', 'Work/below', 'Else'];
const EVERYTHING = [{ first: 1, last: '*' as const }];

interface Box {
  readonly acl: string;
  readonly modSeq: number;
  /** By UID: what it is, and which readers have seen it. */
  readonly messages: ReadonlyMap<number, string>;
}

/** By path. */
type State = ReadonlyMap<string, Box>;

async function stateOf(account: AccountStore): Promise<State> {
  const found = new Map<string, Box>();
  for (const { id, path, highestModSeq, selectable } of await account.mailboxes()) {
    if (!selectable || !PATHS.includes(path)) continue;
    const seen = await Promise.all(READERS.map(async (reader) => new Set(await account.seenBy(id, reader))));
    const messages = new Map<number, string>();
    for (const { uid, header } of await all(account.headers(id, [...(await account.uids(id))] as Uid[]))) {
      const subject = /^Subject: (.*)\r$/m.exec(Buffer.from(header).toString('latin1'))?.[1] ?? '';
      messages.set(
        uid,
        `${subject}${READERS.filter((_, at) => seen[at]?.has(uid)).map((reader) => ` ${reader}`)}`,
      );
    }
    const acl = Object.entries(told(await account.acl(id)));
    found.set(path, { acl: JSON.stringify(acl.sort()), modSeq: highestModSeq, messages });
  }
  return found;
}

/** One thing at a time, the same for the same dice in any store. */
class Work {
  readonly #account: AccountStore;
  readonly #random: () => number;
  #count = 0;

  constructor(account: AccountStore, random: () => number) {
    this.#account = account;
    this.#random = random;
  }

  async step(): Promise<void> {
    const account = this.#account;
    const path = this.#pick(PATHS) ?? 'INBOX';
    const target = await account.mailbox(this.#pick(PATHS) ?? 'INBOX');
    const other = target?.selectable ? target.id : undefined;
    const dice = this.#random();
    const chosen = PATHS.map(() => this.#random());
    const mode = (['set', 'add', 'remove'] as const)[this.#below(3)] ?? 'set';
    const rights = new Set([...RIGHTS].filter(() => this.#random() < 0.3));
    const identifier = this.#pick(IDENTIFIERS) ?? 'anyone';
    const reader = this.#pick(READERS) ?? alice;
    const box = await account.mailbox(path);
    if (!box?.selectable) {
      await account.create(path);
      return;
    }
    const uids = ([...(await account.uids(box.id))] as Uid[]).filter((_, at) => (chosen[at % 4] ?? 0) < 0.5);
    if (dice < 0.15) await this.#append(box.id);
    else if (dice < 0.35) await account.setAcl(box.id, identifier, { mode, rights } satisfies AclChange);
    else if (dice < 0.65) await account.setSeenBy(box.id, reader, uids, mode === 'remove' ? 'no' : 'yes');
    else if (dice < 0.75 && other !== undefined) await account.copy(box.id, uids, other);
    else if (dice < 0.85 && other !== undefined && other !== box.id) await account.move(box.id, uids, other);
    else if (dice < 0.9) await account.expunge(box.id, uids.slice(0, 1));
    else if (dice < 0.95 && path !== 'INBOX') await account.delete(box.id);
    else if (path === 'Work' && !(await account.mailbox('Else'))) await account.rename(box.id, 'Else');
    else await this.#append(box.id);
  }

  async #append(id: MailboxId): Promise<void> {
    const text = `m${this.#count++}`;
    await this.#account.append(id, message(text, text), { flags: [], internalDate: 0 });
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  #pick<T>(list: readonly T[]): T | undefined {
    return list[this.#below(list.length)];
  }
}

test.each([1, 2, 3, 4])(
  'random work comes to the same in memory and on a disk (%i)',
  async () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    const { path, remove } = temporaryDirectory();
    const stores: MailStore[] = [storeAt(path), new MemoryStore(async () => null)];
    const accounts = await Promise.all(stores.map((store) => store.account(alice)));
    const work = accounts.map((account) => new Work(account, dice(seed)));
    for (let round = 0; round < 60; round++) {
      for (const one of work) await one.step();
      const [disk, memory] = await Promise.all(accounts.map(stateOf));
      const plain = (state: State | undefined): unknown =>
        [...(state ?? [])].map(([name, { acl, messages }]) => [name, acl, [...messages]]);
      expect(plain(disk), `seed ${seed}, round ${round}`).toEqual(plain(memory));
      const [one, two] = await Promise.all(stores.map((store) => store.sharers(IDENTIFIERS)));
      expect(one, `seed ${seed}, round ${round}`).toEqual(two);
    }
    for (const store of stores) await store.close();
    remove();
  },
  60_000,
);

const FATES: readonly Fate[] = ['all lost', 'by chance', 'all kept'];
const INDEXES = ['latest', 'oldest', 'none'] as const;
const ROUNDS = 45;
/** Of the steps. */
const SHARE = 0.04;

/** What is done to an account, and a power cut at some of its steps. */
async function cutAt(
  random: () => number,
  share: number,
  indexes: readonly (typeof INDEXES)[number][],
  work: (account: AccountStore, mark: () => Promise<void>) => Promise<void>,
  where: string,
): Promise<void> {
  const { path, remove } = temporaryDirectory();
  const disk = new RecordedDisk<State>(path);
  try {
    const store = storeAt(path);
    const account = await store.account(alice);
    // The register is there from now on, and not made from the lists when somebody asks.
    await store.sharers([]);
    const mark = async (): Promise<void> => disk.mark(await stateOf(account));
    await mark();
    await work(account, mark);
    await store.close();
  } finally {
    disk.stop();
    remove();
  }
  const marks = disk.steps.flatMap((step) => (step.is === 'mark' ? [step.mark] : []));
  const simulated = new SimulatedDisk();
  let marked = 0;
  for (const [at, step] of disk.steps.entries()) {
    simulated.do(step);
    if (step.is === 'mark') marked++;
    if (marked === 0 || random() > share) continue;
    const fate = FATES[Math.floor(random() * FATES.length)] ?? 'all lost';
    const choice = indexes[Math.floor(random() * indexes.length)] ?? 'latest';
    const target = temporaryDirectory();
    try {
      simulated.cut(target.path, fate, random);
      const directory = join(target.path, 'mail/example.org/alice');
      const { databases } = simulated;
      const index = { latest: databases.at(-1), oldest: databases[0], none: undefined }[choice];
      if (index && existsSync(directory)) writeFileSync(join(directory, 'index.sqlite'), index);
      const store = storeAt(target.path);
      const account = await store.account(alice);
      const found = await stateOf(account);
      const [before, after] = marks.slice(marked - 1, marked + 1);
      const how = `${where}, step ${at} (${step.is}), ${fate}, index ${choice}`;
      await judge(store, account, found, before ?? new Map(), after ?? before ?? new Map(), choice, how);
      await store.close();
    } finally {
      target.remove();
    }
  }
}

test('and a power cut at any step loses nothing that was answered', async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const random = dice(seed);
  const work = async (account: AccountStore, mark: () => Promise<void>): Promise<void> => {
    const one = new Work(account, random);
    for (let round = 0; round < ROUNDS; round++) {
      await one.step();
      await mark();
    }
  };
  await cutAt(random, SHARE, INDEXES, work, `seed ${seed}`);
}, 120_000);

test('nobody sees what was seen without hearing of it, wherever the power was cut', async () => {
  const [bob = alice, carol = alice] = READERS;
  const work = async (account: AccountStore, mark: () => Promise<void>): Promise<void> => {
    const { id } = await account.create('Work');
    for (let at = 0; at < 4; at++)
      await account.append(id, message(`m${at}`, `m${at}`), { flags: [], internalDate: 0 });
    await mark();
    for (const [reader, uids, seen] of [
      [bob, [1, 3], 'yes'],
      [carol, [3], 'yes'],
      [bob, [1], 'no'],
      [bob, [2, 4], 'yes'],
    ] as const) {
      // From here on no older index can be left, whose messages would all be news.
      const flags = [`of-${reader.slice(0, 3)}-${seen}-${uids.length}`];
      await account.setFlags(id, [1 as Uid], { mode: 'set', flags });
      await mark();
      await account.setSeenBy(id, reader, [...uids] as Uid[], seen);
      await mark();
    }
    await account.setAcl(id, bob, { mode: 'set', rights: new Set('lr') });
    await mark();
    const below = await account.create('Work/below');
    await mark();
    await account.move(id, [3, 4] as Uid[], below.id);
    await mark();
  };
  const seed = Math.floor(Math.random() * 2 ** 31);
  await cutAt(dice(seed), 0.25, ['latest', 'oldest'], work, `seed ${seed}`);
}, 120_000);

async function judge(
  store: MailStore,
  account: AccountStore,
  found: State,
  before: State,
  after: State,
  index: (typeof INDEXES)[number],
  where: string,
): Promise<void> {
  for (const [path, { acl, messages }] of found) {
    const states = [before.get(path), after.get(path)];
    // One that a rename, or a delete, has under way.
    const others = [before.get('Work'), before.get('Work/below')];
    expect(
      [...states, ...others].map((state) => state?.acl),
      `${where}: ${path}`,
    ).toContain(acl);
    for (const [uid, text] of messages) {
      const allowed = [...states, ...others].map((state) => state?.messages.get(uid));
      // A copy that nobody was told of; an expunged message whose index is lost may be back.
      if (allowed.every((one) => one === undefined)) continue;
      if (index === 'none' && !states[1]?.messages.has(uid)) continue;
      expect(allowed, `${where}: ${path} ${uid}`).toContain(text);
    }
  }
  const shared = [...(await account.acls()).values()].flatMap((acl) => [...acl.keys()]);
  for (const identifier of shared) expect(await store.sharers([identifier]), where).toEqual([alice]);
  for (const [path, { modSeq, messages }] of before) {
    const box = await account.mailbox(path);
    const now = found.get(path);
    if (!box?.selectable || !now || !after.has(path)) continue;
    expect(box.highestModSeq, `${where}: ${path}`).toBeGreaterThanOrEqual(modSeq);
    const client = new Map(messages);
    for (const uid of await account.vanished(box.id, modSeq as ModSeq)) client.delete(uid);
    for (const { uid } of await all(account.messages(box.id, EVERYTHING, modSeq as ModSeq)))
      client.set(uid, now.messages.get(uid) ?? '');
    expect(
      [...client].sort(([a], [b]) => a - b),
      `${where}: ${path} after a resynchronisation`,
    ).toEqual([...now.messages].sort(([a], [b]) => a - b));
  }
}
