import { parseDate } from '../message/date.ts';
import { byteString, fieldValues } from '../message/header.ts';
import type { Flag, StoreError } from '../store/store.ts';
import type { Delivered, Incoming, TransferAccount } from './account.ts';
import { TransferError } from './errors.ts';
import { type Placing, placeFolders } from './folders.ts';
import type { Claim, LedgerFolder, LedgerSource } from './ledger.ts';
import { type Failure, MAX_FAILURES, type Progress } from './progress.ts';
import type { Source, SourceFolder, SourceMessage } from './source.ts';
import { inMemory, type Spool, type Spooled } from './spool.ts';

/**
 * Brings the mail of a source into an account. Stopped at any point, killed too, and started again it brings each
 * message exactly once: a message is settled in the ledger when the store has it durably, and delivered under a key
 * that is the same in every run. One batch is on its way to the store while the next is read; that is all the mail in
 * memory at any time.
 */

/** Messages of a batch share their syncs; small enough that other deliveries are not kept waiting. */
const BATCH = 200;
const BATCH_OCTETS = 8 * 1024 * 1024;
/** Known ones are settled in bigger steps. */
const KNOWN = 2000;
/** Longer ones cannot be kept; RFC 9051 sets no limit. */
const MAX_KEYWORD = 100;

export interface ImportWishes extends Placing {
  readonly overQuota: 'stop' | 'ignore';
  readonly mode: 'import' | 'dry-run';
  readonly syncFlags: 'yes' | 'no';
}

export interface ImportParts {
  readonly account: TransferAccount;
  readonly ledger: LedgerSource;
  readonly spool: Spool;
  readonly signal: AbortSignal;
  onProgress(progress: Progress): void;
}

export interface Summary extends Progress {
  readonly failures: readonly Failure[];
  readonly notes: readonly string[];
  /** Where each folder went. */
  readonly places: readonly {
    readonly folder: string;
    readonly mailbox: string;
    readonly messages: number;
  }[];
}

interface Item {
  readonly claim: Claim;
  /** Null: it is there. */
  readonly incoming: Incoming | null;
  readonly label: string;
  readonly size: number;
}

/** Throws TransferError when it cannot go on; what came until then is kept, and the next run goes on from there. */
export async function importMail(source: Source, wishes: ImportWishes, parts: ImportParts): Promise<Summary> {
  return new Import(source, wishes, parts).run();
}

class Import {
  readonly #source: Source;
  readonly #wishes: ImportWishes;
  readonly #parts: ImportParts;
  readonly #failures: Failure[] = [];
  readonly #notes: string[] = [];
  readonly #count = { folders: 0, foldersDone: 0, messages: 0, octets: 0, known: 0, passed: 0, failed: 0 };
  #folder = '';
  #total = 0;
  #done = 0;
  #droppedKeywords = 0;

  constructor(source: Source, wishes: ImportWishes, parts: ImportParts) {
    this.#source = source;
    this.#wishes = wishes;
    this.#parts = parts;
  }

  async run(): Promise<Summary> {
    const { account } = this.#parts;
    const folders = await this.#source.folders();
    // Messages of a view lie elsewhere too, and those come first.
    const ordered = [...folders.filter(({ view }) => !view), ...folders.filter(({ view }) => view)];
    const places = placeFolders(ordered, await account.mailboxes(), this.#wishes);
    this.#count.folders = ordered.length;
    this.#total = ordered.reduce((sum, { total }) => sum + amount(total), 0);
    const results: { folder: string; mailbox: string; messages: number }[] = [];
    for (const folder of ordered) {
      this.#parts.signal.throwIfAborted();
      const mailbox = places.get(folder) ?? 'INBOX';
      this.#folder = folder.name;
      const before = this.#count.messages;
      await this.#bring(folder, mailbox);
      this.#count.foldersDone++;
      this.#notes.push(...folder.notes().map((note) => `${folder.name}: ${note}`));
      results.push({ folder: folder.name, mailbox, messages: this.#count.messages - before });
      this.#tell();
    }
    if (this.#droppedKeywords > 0)
      this.#notes.push(`${this.#droppedKeywords} message(s) lost keywords that cannot be kept here`);
    return { ...this.#progress(), failures: this.#failures, notes: this.#notes, places: results };
  }

  async #bring(folder: SourceFolder, mailbox: string): Promise<void> {
    const { account, ledger, signal } = this.#parts;
    const dry = this.#wishes.mode === 'dry-run';
    if (!dry) await this.#prepare(folder, mailbox);
    if (!folder.selectable) return;
    const known = ledger.folder(folder.name, mailbox);
    let batch: Item[] = [];
    let octets = 0;
    let fresh = 0;
    let sending: Promise<void> = Promise.resolve();
    const start = this.#done;
    try {
      for await (const item of folder.messages(known)) {
        signal.throwIfAborted();
        this.#done = start + item.done;
        if (item.is !== 'message') {
          if (item.is === 'broken') this.#fail(item.label, item.reason);
          else this.#count[item.is]++;
          this.#tell();
          continue;
        }
        const taken = await this.#take(item, folder, known, mailbox);
        if (dry) {
          if (taken.incoming) {
            this.#count.messages++;
            this.#count.octets += taken.size;
            this.#parts.spool.release(taken.incoming.content);
          } else this.#count.known++;
          this.#tell();
          continue;
        }
        batch.push(taken);
        if (taken.incoming) {
          fresh++;
          octets += inMemory(taken.incoming.content);
        }
        if (fresh < BATCH && octets < BATCH_OCTETS && batch.length < KNOWN) continue;
        await sending;
        sending = this.#send(batch, known);
        // It may fail before anybody waits for it.
        sending.catch(() => undefined);
        batch = [];
        octets = 0;
        fresh = 0;
      }
      await sending;
      await this.#send(batch, known);
      if (this.#wishes.syncFlags === 'yes' && folder.syncFlags && !dry) {
        const changed = await folder.syncFlags(known, account);
        if (changed > 0) this.#notes.push(`${folder.name}: ${changed} message(s) have other flags now`);
      }
    } finally {
      await sending.catch(() => undefined);
    }
    this.#done = start + amount(folder.total);
  }

  async #prepare(folder: SourceFolder, mailbox: string): Promise<void> {
    const { account } = this.#parts;
    const places = await account.mailboxes();
    const there = places.some(({ path, selectable }) => path === mailbox && selectable);
    if (!there && folder.selectable) {
      const use = places.some(({ specialUse }) => specialUse === folder.specialUse)
        ? null
        : folder.specialUse;
      await account.create(mailbox, use);
    }
    if (folder.subscribed === 'yes' || (folder.subscribed === 'unknown' && !there))
      await account.subscribe(mailbox);
  }

  async #take(
    message: SourceMessage,
    folder: SourceFolder,
    ledger: LedgerFolder,
    mailbox: string,
  ): Promise<Item> {
    const { identity, label } = message;
    const flags = JSON.stringify(message.flags);
    const content = await this.#parts.spool.take(message.chunks);
    const claim =
      identity.by === 'name'
        ? ledger.claimName(identity.name, flags)
        : ledger.claimContent(content.digest, identity.name, flags);
    const size = content.size;
    if (claim.known || (folder.view && ledger.elsewhere(content.digest))) {
      this.#parts.spool.release(content.pieces);
      return { claim, incoming: null, label, size };
    }
    return { claim, incoming: this.#incoming(message, content, mailbox, claim.key), label, size };
  }

  #incoming(message: SourceMessage, content: Spooled, mailbox: string, key: string): Incoming {
    const flags = message.flags.filter(isKept);
    if (flags.length < message.flags.length) this.#droppedKeywords++;
    return {
      mailbox,
      key,
      flags,
      internalDate: dateOf(message, content),
      content: content.pieces,
      quota: this.#wishes.overQuota === 'ignore' ? 'ignored' : 'kept',
    };
  }

  /** Resolves when all that could be delivered is settled. */
  async #send(batch: readonly Item[], ledger: LedgerFolder): Promise<void> {
    const { account, spool } = this.#parts;
    const fresh = batch.flatMap(({ incoming }) => incoming ?? []);
    try {
      const answers = new Map<Incoming, Delivered>();
      for (const [at, answer] of (await account.deliver(fresh)).entries()) {
        const incoming = fresh[at];
        if (incoming) answers.set(incoming, answer);
      }
      const stop = this.#settle(batch, ledger, answers, await this.#again(fresh, answers));
      this.#tell();
      if (stop) throw stop;
    } finally {
      for (const { content } of fresh) spool.release(content);
    }
  }

  /** A folder has room for 26 keywords: messages that bring more come without. */
  async #again(
    fresh: readonly Incoming[],
    answers: ReadonlyMap<Incoming, Delivered>,
  ): Promise<ReadonlyMap<Incoming, Delivered>> {
    const limited = fresh.filter((incoming) => {
      const answer = answers.get(incoming);
      const keywords = incoming.flags.some((flag) => !flag.startsWith('\\'));
      return answer && 'refused' in answer && answer.refused === 'limit' && keywords;
    });
    if (limited.length === 0) return new Map();
    this.#droppedKeywords += limited.length;
    const plain = limited.map((one) => ({
      ...one,
      flags: one.flags.filter((flag) => flag.startsWith('\\')),
    }));
    const second = await this.#parts.account.deliver(plain);
    return new Map(limited.flatMap((one, at) => (second[at] ? [[one, second[at]]] : [])));
  }

  #settle(
    batch: readonly Item[],
    ledger: LedgerFolder,
    first: ReadonlyMap<Incoming, Delivered>,
    second: ReadonlyMap<Incoming, Delivered>,
  ): TransferError | undefined {
    let stop: TransferError | undefined;
    const settled: Parameters<LedgerFolder['settle']>[0][number][] = [];
    for (const { claim, incoming, label, size } of batch) {
      if (!incoming) {
        this.#count.known++;
        settled.push({ claim, at: null });
        continue;
      }
      const answer = second.get(incoming) ?? first.get(incoming);
      if (!answer)
        stop ??= new TransferError('the store did not answer for a message; run the command again');
      else if ('uid' in answer) {
        this.#count.messages++;
        this.#count.octets += size;
        settled.push({ claim, at: answer });
      } else if (answer.refused === 'limit') this.#fail(label, answer.reason);
      else stop ??= new TransferError(sentence(answer.refused, answer.reason));
    }
    ledger.settle(settled);
    return stop;
  }

  #fail(label: string, reason: string): void {
    this.#count.failed++;
    if (this.#failures.length < MAX_FAILURES) this.#failures.push({ label, reason });
  }

  #tell(): void {
    this.#parts.onProgress(this.#progress());
  }

  #progress(): Progress {
    const fraction = this.#total === 0 ? null : Math.min(this.#done / this.#total, 1);
    return { ...this.#count, folder: this.#folder, fraction };
  }
}

function amount(total: SourceFolder['total']): number {
  return 'octets' in total ? total.octets : total.messages;
}

/** What the store takes as a keyword: an atom (RFC 9051 9). */
function isKept(flag: Flag): boolean {
  if (flag.startsWith('\\')) return /^\\(?:Seen|Answered|Flagged|Deleted|Draft)$/i.test(flag);
  return /^[!#$&'+,\-./0-9:;<=>?@A-Z[^_`a-z|}~]+$/.test(flag) && flag.length <= MAX_KEYWORD;
}

function dateOf({ date }: SourceMessage, { beginning }: Spooled): number {
  if (date.from === 'source') return date.ms;
  const header = byteString(beginning);
  const received = fieldValues(header, 'received')[0];
  const came = received && parseDate(received.slice(received.lastIndexOf(';') + 1))?.ms;
  return came || parseDate(fieldValues(header, 'date')[0] ?? '')?.ms || date.ms;
}

function sentence(kind: StoreError['kind'], reason: string): string {
  switch (kind) {
    case 'over-quota':
      return `${reason}. Make room, or raise the limit ("facteur account quota"), and run the same command again; --ignore-quota brings the rest anyway`;
    case 'disk-full':
      return `the disk is full (${reason}). Make room and run the same command again`;
    case 'not-found':
      return 'a folder was deleted while mail was brought into it; run the same command again';
    case 'exists':
    case 'invalid-name':
    case 'expunged':
    case 'read-only':
    case 'no-permission':
    case 'busy':
    case 'limit':
      return `${reason}; run the same command again`;
  }
}
