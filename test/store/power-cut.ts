import { closeSync, fsyncSync, openSync, readdirSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../src/lib/clock.ts';
import { rawMessage } from '../../src/mail/raw-message.ts';
import { MaildirStore } from '../../src/store/maildir-store.ts';
import { storeOptions } from '../../src/store/options.ts';
import type {
  AccountStore,
  Change,
  Mailbox,
  MailboxId,
  MailStore,
  NewMessage,
  Uid,
} from '../../src/store/store.ts';
import { alice, all, silent } from './surroundings.ts';

/**
 * Several sessions at work on one account, and what is known of it at each moment: acknowledged, begun, or shown by the
 * change feed. `World` does random things to a store and writes marks; `whatIsKnown` reads the marks up to a cut.
 */

export type Mark =
  | { readonly is: 'begin'; readonly number: number; readonly op: Op }
  | { readonly is: 'done'; readonly number: number; readonly result: Result }
  | { readonly is: 'shown'; readonly change: Shown }
  /** What a session was told there is. */
  | { readonly is: 'listed'; readonly boxes: readonly Mailbox[] }
  /** Every file name says what the index says. */
  | { readonly is: 'settled' };

export type Op =
  | {
      readonly kind: 'deliver' | 'append' | 'outside';
      readonly token: string;
      readonly box: MailboxId;
      readonly path: string;
      readonly flags: string;
    }
  | {
      readonly kind: 'appendAll';
      readonly tokens: readonly string[];
      readonly box: MailboxId;
      readonly flags: string;
    }
  | {
      readonly kind: 'replace';
      readonly token: string;
      readonly targets: readonly number[];
      readonly to: MailboxId;
      readonly flags: string;
    }
  | { readonly kind: 'flags'; readonly targets: readonly number[]; readonly flags: string }
  | { readonly kind: 'copy' | 'move'; readonly targets: readonly number[]; readonly to: MailboxId }
  | { readonly kind: 'expunge'; readonly targets: readonly number[] }
  | { readonly kind: 'create'; readonly path: string; readonly use: 'archive' | null }
  | { readonly kind: 'rename'; readonly box: MailboxId; readonly from: string; readonly to: string }
  | { readonly kind: 'delete'; readonly box: MailboxId }
  | { readonly kind: 'subscribe'; readonly path: string; readonly how: 'yes' | 'no' };

export interface Result {
  /** The messages that came of it, for as many tokens or targets. */
  readonly uids?: readonly number[];
  readonly box?: Mailbox;
}

export type Shown =
  | {
      readonly type: 'messages';
      readonly box: MailboxId;
      readonly messages: readonly { readonly uid: number; readonly modSeq: number; readonly flags: string }[];
    }
  | {
      readonly type: 'gone';
      readonly box: MailboxId;
      readonly uids: readonly number[];
      readonly modSeq: number;
    };

/** One message in one mailbox. */
export interface Instance {
  readonly number: number;
  readonly token: string;
  readonly box: MailboxId;
  readonly uid: number;
  readonly flags: string;
  /** What its name on disk may still say. */
  readonly former: readonly string[];
}

export interface Known {
  readonly boxes: ReadonlyMap<
    MailboxId,
    { readonly path: string; readonly uidValidity: number; readonly use: string | null }
  >;
  readonly instances: ReadonlyMap<number, Instance>;
  readonly pending: ReadonlyMap<number, Op>;
  /** Expunged, and their files perhaps not yet gone. */
  readonly leaving: readonly Instance[];
  readonly subscribed: ReadonlySet<string>;
  /** What a client of each mailbox has seen. */
  readonly seen: ReadonlyMap<MailboxId, Seen>;
}

export interface Seen {
  readonly flags: Map<number, string>;
  readonly uids: Set<number>;
  modSeq: number;
}

export const words = (flags: readonly string[]): string => [...flags].sort().join(' ');
const FLAGS = ['\\Seen', '\\Flagged', '\\Answered', 'Work', 'Play', '$Forwarded'];
const NAMES = ['One', 'Two', 'Three', 'Élan'];

/** Only what the store waits for at the moment goes on; nothing happens by itself. */
export class PatientClock implements Clock {
  #sleepers: { readonly ms: number; readonly wake: () => void }[] = [];

  now(): Date {
    return new Date();
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
      this.#sleepers.push({ ms, wake: resolve });
    });
  }

  /** Those that wait for less than a second have waited long enough. */
  wake(): void {
    const due = this.#sleepers.filter(({ ms }) => ms < 1000);
    this.#sleepers = this.#sleepers.filter(({ ms }) => ms >= 1000);
    for (const { wake } of due) wake();
  }
}

export function storeAt(
  directory: string,
  clock: Clock = new PatientClock(),
  delivery: 'rename' | 'link' = 'rename',
  turn = 5,
): MaildirStore {
  const settings = storeOptions.parse({ delivery });
  return new MaildirStore(
    { directory, settings, clock, log: silent, host: 'mx.example.org', pid: 1, turn },
    async () => null,
  );
}

export function textOf(token: string): Buffer {
  return Buffer.from(
    `Subject: ${token}\r\nMessage-ID: <${token}@example.org>\r\n\r\n${'text '.repeat(token.length * 3)}\r\n`,
  );
}

export interface WorldOptions {
  /** Opens the store, also again after it was closed. */
  readonly open: (clock: PatientClock) => MailStore;
  /** The account's Maildir, for other programs; null when there is none, and nothing outlives a restart. */
  readonly maildir: string | null;
}

/** A Maildir in this directory. */
export function maildirAt(directory: string, delivery: 'rename' | 'link' = 'rename', turn = 5): WorldOptions {
  return {
    open: (clock) => storeAt(directory, clock, delivery, turn),
    maildir: join(directory, 'mail/example.org/alice/Maildir'),
  };
}

export class World {
  readonly #random: () => number;
  readonly #mark: (mark: Mark) => void;
  readonly #options: WorldOptions;
  readonly #marks: Mark[] = [];
  #store: MailStore;
  #clock: PatientClock;
  #sessions: readonly AccountStore[] = [];
  #number = 0;
  /** Tokens: of two changes of one message at the same time nobody could tell what belongs to which. */
  #busy = new Set<string>();
  #closed = new Set<MailboxId>();

  constructor(options: WorldOptions, random: () => number, mark: (mark: Mark) => void) {
    this.#options = options;
    this.#random = random;
    this.#clock = new PatientClock();
    this.#store = options.open(this.#clock);
    this.#mark = (entry) => {
      this.#marks.push(entry);
      mark(entry);
    };
  }

  get store(): MailStore {
    return this.#store;
  }

  /** What is known of it after all that was done. */
  get known(): Known {
    return whatIsKnown(this.#marks);
  }

  async open(): Promise<void> {
    this.#sessions = await Promise.all([1, 2, 3].map(() => this.#store.account(alice)));
    const [first] = this.#sessions;
    first?.watch((change) => this.#show(change));
    this.#mark({ is: 'listed', boxes: (await first?.mailboxes()) ?? [] });
  }

  /** Does `rounds` times up to three things at once. */
  async work(rounds: number): Promise<void> {
    for (let round = 0; round < rounds; round++) {
      this.#busy = new Set();
      this.#closed = new Set();
      const known = whatIsKnown(this.#marks);
      const ops = Array.from({ length: 1 + this.#below(3) }, (_, others) => this.#invent(known, others));
      await Promise.all(ops.map((op) => op && this.#do(op, known)));
      const dice = this.#random();
      if (dice < 0.3) {
        this.#clock.wake();
        for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
      } else if (dice < 0.35 && this.#options.maildir !== null) {
        await this.close();
        this.#clock = new PatientClock();
        this.#store = this.#options.open(this.#clock);
        await this.open();
      }
    }
  }

  async close(): Promise<void> {
    await this.#store.close();
    this.#mark({ is: 'settled' });
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  #pick<T>(list: readonly T[]): T | undefined {
    return list[this.#below(list.length)];
  }

  #flags(): string {
    return words(FLAGS.filter(() => this.#random() < 0.3));
  }

  #invent(known: Known, others: number): Op | undefined {
    const open = [...known.boxes].filter(([id]) => !this.#closed.has(id));
    const box = this.#pick(open);
    if (!box) return undefined;
    const [id, { path }] = box;
    const free = [...known.instances.values()].filter(
      (instance) => !this.#busy.has(instance.token) && !this.#closed.has(instance.box),
    );
    const first = this.#pick(free);
    const some = (most = 4): number[] => {
      const many = free.filter(
        (instance) => instance.box === first?.box && (instance === first || this.#random() < 0.5),
      );
      const targets = many.slice(0, most);
      for (const { token } of targets) this.#busy.add(token);
      return targets.map(({ number }) => number);
    };
    const token = `t${this.#number}-${this.#below(1e6)}`;
    const dice = this.#random();
    if (dice < 0.22 || !first)
      return { kind: 'deliver', token, box: id, path, flags: this.#random() < 0.5 ? '' : this.#flags() };
    if (dice < 0.27) return { kind: 'append', token, box: id, path, flags: this.#flags() };
    if (dice < 0.31) {
      const tokens = Array.from({ length: 1 + this.#below(4) }, (_, at) => `${token}-${at}`);
      return { kind: 'appendAll', tokens, box: id, flags: this.#flags() };
    }
    if (dice < 0.35 && this.#options.maildir !== null)
      return { kind: 'outside', token, box: id, path, flags: '' };
    if (dice < 0.49) return { kind: 'flags', targets: some(), flags: this.#flags() };
    if (dice < 0.55) return { kind: 'replace', token, targets: some(1), to: id, flags: this.#flags() };
    if (dice < 0.63) return { kind: 'copy', targets: some(), to: id };
    if (dice < 0.72) return { kind: 'move', targets: some(), to: id };
    if (dice < 0.82) return { kind: 'expunge', targets: some() };
    // What follows must be alone with its mailbox.
    if (others > 0 || this.#closed.size > 0) return undefined;
    const paths = new Set(
      open.flatMap(([, one]) => (one.path.includes('/') ? [one.path, one.path.split('/')[0]] : [one.path])),
    );
    const parent =
      this.#random() < 0.3
        ? this.#pick(open.filter(([, one]) => !one.path.includes('/')))?.[1].path
        : undefined;
    const name = (parent === undefined ? '' : `${parent}/`) + (this.#pick(NAMES) ?? '');
    const other = this.#pick(open.filter(([, one]) => one.path !== 'INBOX'));
    this.#closed = new Set(known.boxes.keys());
    if (dice < 0.88)
      return paths.has(name)
        ? undefined
        : { kind: 'create', path: name, use: this.#random() < 0.3 ? 'archive' : null };
    if (dice < 0.93) {
      if (!other || paths.has(name) || name.startsWith(`${other[1].path}/`)) return undefined;
      return { kind: 'rename', box: other[0], from: other[1].path, to: name };
    }
    if (dice < 0.96) return other && { kind: 'delete', box: other[0] };
    return { kind: 'subscribe', path: name, how: this.#random() < 0.6 ? 'yes' : 'no' };
  }

  async #do(op: Op, known: Known): Promise<void> {
    const number = this.#number++;
    this.#mark({ is: 'begin', number, op });
    const result = await this.#perform(op, known);
    this.#mark({ is: 'done', number, result });
  }

  async #perform(op: Op, known: Known): Promise<Result> {
    const session = this.#pick(this.#sessions);
    if (!session) throw new Error('no session');
    const uidsOf = (targets: readonly number[]): Uid[] =>
      targets.map((target) => (known.instances.get(target)?.uid ?? 0) as Uid);
    const boxOf = (targets: readonly number[]): MailboxId =>
      known.instances.get(targets[0] ?? -1)?.box ?? ('' as MailboxId);
    switch (op.kind) {
      case 'deliver': {
        const { uid } = await this.#store.deliver({
          account: alice,
          mailbox: op.path,
          key: op.token,
          flags: flagList(op.flags),
          internalDate: 1_700_000_000_000,
          content: [textOf(op.token)],
        });
        return { uids: [uid] };
      }
      case 'append': {
        const options = { flags: flagList(op.flags), internalDate: 1_700_000_000_000 };
        const { uid } = await session.append(op.box, rawMessage([textOf(op.token)]), options);
        return { uids: [uid] };
      }
      case 'appendAll': {
        const messages = op.tokens.map((token) => newMessage(token, op.flags));
        return { uids: (await session.appendAll(op.box, messages)).map(({ uid }) => uid) };
      }
      case 'replace': {
        const [uid] = uidsOf(op.targets);
        const replaces = { mailbox: boxOf(op.targets), uid: uid ?? (0 as Uid) };
        const [stored] = await session.appendAll(op.to, [newMessage(op.token, op.flags)], replaces);
        return { uids: [stored?.uid ?? 0] };
      }
      case 'outside':
        return this.#dropIn(op.token, op.box, op.path, session);
      case 'flags':
        await session.setFlags(boxOf(op.targets), uidsOf(op.targets), {
          mode: 'set',
          flags: flagList(op.flags),
        });
        return {};
      case 'copy':
      case 'move': {
        const uids = uidsOf(op.targets);
        const pairs = await session[op.kind](boxOf(op.targets), uids, op.to);
        return { uids: uids.map((uid) => pairs.find(({ from }) => from === uid)?.to ?? 0) };
      }
      case 'expunge':
        await session.expunge(boxOf(op.targets), uidsOf(op.targets));
        return {};
      case 'create':
        return { box: await session.create(op.path, op.use ?? undefined) };
      case 'rename':
        await session.rename(op.box, op.to);
        return {};
      case 'delete':
        await session.delete(op.box);
        return {};
      case 'subscribe':
        await session.subscribe(op.path, op.how);
        return {};
    }
  }

  /** As another delivery agent does it: durably, under a name of its own. */
  async #dropIn(token: string, box: MailboxId, path: string, session: AccountStore): Promise<Result> {
    const { maildir } = this.#options;
    if (maildir === null) throw new Error('there is no Maildir');
    const folder = path === 'INBOX' ? maildir : join(maildir, directoryName(maildir, path));
    const name = `1700000000.M1P77_${token}.other`;
    const fd = openSync(join(folder, 'tmp', name), 'wx');
    const bytes = textOf(token);
    writeSync(fd, bytes, 0, bytes.length, null);
    fsyncSync(fd);
    closeSync(fd);
    renameSync(join(folder, 'tmp', name), join(folder, 'new', name));
    const directory = openSync(join(folder, 'new'), 'r');
    fsyncSync(directory);
    closeSync(directory);
    const before = new Set(await session.uids(box));
    await session.refresh(box);
    const fresh = [...(await session.uids(box))].filter((uid) => !before.has(uid));
    const found: number[] = [];
    for (const uid of fresh) {
      const [header] = await all(session.headers(box, [uid as Uid]));
      if (header && Buffer.from(header.header).includes(`Subject: ${token}\r\n`)) found.push(uid);
    }
    return found.length > 0 ? { uids: found } : this.#find(token, box, session);
  }

  /** Another session looked in between. */
  async #find(token: string, box: MailboxId, session: AccountStore): Promise<Result> {
    for (const uid of await session.uids(box)) {
      const [header] = await all(session.headers(box, [uid as Uid]));
      if (header && Buffer.from(header.header).includes(`Subject: ${token}\r\n`)) return { uids: [uid] };
    }
    throw new Error(`a message dropped into new/ is not seen: ${token}`);
  }

  #show(change: Change): void {
    if (change.type === 'added' || change.type === 'flags') {
      const messages = change.messages.map(({ uid, modSeq, flags }) => ({
        uid,
        modSeq,
        flags: words(flags),
      }));
      this.#mark({ is: 'shown', change: { type: 'messages', box: change.mailbox, messages } });
    } else if (change.type === 'expunged') {
      const { mailbox, uids, modSeq } = change;
      this.#mark({ is: 'shown', change: { type: 'gone', box: mailbox, uids, modSeq } });
    }
  }
}

export function directoryName(maildir: string, path: string): string {
  const wanted = path.split('/').at(-1) ?? '';
  const found = readdirSync(maildir).find((name) =>
    path.includes('Élan')
      ? name.includes('&AMk-lan') && name.split('.').length === path.split('/').length + 1
      : name === `.${path.replaceAll('/', '.')}`,
  );
  if (found === undefined) throw new Error(`no directory for ${wanted}`);
  return found;
}

function newMessage(token: string, flags: string): NewMessage {
  return { raw: rawMessage([textOf(token)]), flags: flagList(flags), internalDate: 1_700_000_000_000 };
}

export function flagList(flags: string): string[] {
  return flags === '' ? [] : flags.split(' ');
}

export function whatIsKnown(marks: Iterable<Mark>): Known {
  const boxes = new Map<MailboxId, { path: string; uidValidity: number; use: string | null }>();
  const instances = new Map<number, Instance>();
  const pending = new Map<number, Op>();
  let leaving: Instance[] = [];
  const subscribed = new Set<string>();
  const seen = new Map<MailboxId, Seen>();
  const seenOf = (box: MailboxId): Seen => {
    let one = seen.get(box);
    if (!one) {
      one = { flags: new Map(), uids: new Set(), modSeq: 0 };
      seen.set(box, one);
    }
    return one;
  };
  const add = (box: Mailbox): void => {
    if (!box.selectable) return;
    boxes.set(box.id, { path: box.path, uidValidity: box.uidValidity, use: box.specialUse });
    if (box.subscribed) subscribed.add(box.path);
  };
  for (const mark of marks) {
    switch (mark.is) {
      case 'listed':
        for (const box of mark.boxes) add(box);
        break;
      case 'begin':
        pending.set(mark.number, mark.op);
        break;
      case 'settled':
        for (const [number, instance] of instances) instances.set(number, { ...instance, former: [] });
        leaving = [];
        break;
      case 'shown': {
        const { change } = mark;
        const client = seenOf(change.box);
        if (change.type === 'messages')
          for (const { uid, modSeq, flags } of change.messages) {
            client.flags.set(uid, flags);
            client.uids.add(uid);
            client.modSeq = Math.max(client.modSeq, modSeq);
          }
        else {
          for (const uid of change.uids) client.flags.delete(uid);
          client.modSeq = Math.max(client.modSeq, change.modSeq);
        }
        break;
      }
      case 'done': {
        const op = pending.get(mark.number);
        pending.delete(mark.number);
        if (mark.result.box) add(mark.result.box);
        if (op) apply(op, mark.number, mark.result, { boxes, instances, subscribed, leaving });
        break;
      }
    }
  }
  return { boxes, instances, pending, leaving, subscribed, seen };
}

interface State {
  readonly boxes: Map<MailboxId, { path: string; uidValidity: number; use: string | null }>;
  readonly instances: Map<number, Instance>;
  readonly subscribed: Set<string>;
  readonly leaving: Instance[];
}

function apply(
  op: Op,
  number: number,
  { uids = [] }: Result,
  { boxes, instances, subscribed, leaving }: State,
): void {
  switch (op.kind) {
    case 'deliver':
    case 'append':
    case 'outside':
      instances.set(number * 10, {
        number: number * 10,
        token: op.token,
        box: op.box,
        uid: uids[0] ?? 0,
        flags: op.flags,
        former: [],
      });
      break;
    case 'appendAll':
      op.tokens.forEach((token, at) => {
        const instance = { token, box: op.box, uid: uids[at] ?? 0, flags: op.flags, former: [] };
        instances.set(number * 10 + at, { ...instance, number: number * 10 + at });
      });
      break;
    case 'replace': {
      for (const target of op.targets) {
        const instance = instances.get(target);
        if (instance) leaving.push(instance);
        instances.delete(target);
      }
      const { token, to: box, flags } = op;
      instances.set(number * 10, { number: number * 10, token, box, uid: uids[0] ?? 0, flags, former: [] });
      break;
    }
    case 'flags':
      for (const target of op.targets) {
        const instance = instances.get(target);
        if (instance)
          instances.set(target, {
            ...instance,
            flags: op.flags,
            former: [...instance.former, instance.flags],
          });
      }
      break;
    case 'copy':
    case 'move':
      op.targets.forEach((target, at) => {
        const instance = instances.get(target);
        if (!instance) return;
        const next = { ...instance, box: op.to, uid: uids[at] ?? 0, former: [] };
        if (op.kind === 'move') instances.set(target, next);
        else instances.set(number * 10 + at, { ...next, number: number * 10 + at });
      });
      break;
    case 'expunge':
      for (const target of op.targets) {
        const instance = instances.get(target);
        if (instance) leaving.push(instance);
        instances.delete(target);
      }
      break;
    case 'create':
      break;
    case 'rename': {
      for (const [id, box] of boxes) {
        if (box.path !== op.from && !box.path.startsWith(`${op.from}/`)) continue;
        boxes.set(id, { ...box, path: op.to + box.path.slice(op.from.length) });
      }
      break;
    }
    case 'delete':
      boxes.delete(op.box);
      for (const [target, instance] of instances) if (instance.box === op.box) instances.delete(target);
      break;
    case 'subscribe':
      if (op.how === 'yes') subscribed.add(op.path);
      else subscribed.delete(op.path);
      break;
  }
}
