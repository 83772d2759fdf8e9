import type { RawMessage } from '../mail/raw-message.ts';
import { ruleFor } from '../store/folder-rules.ts';
import type { Listed, Place, TransferAccount } from './account.ts';
import { TransferError } from './errors.ts';
import type { Progress } from './progress.ts';

/** What goes out of an account: its folders, their messages one after the other, the next ones asked for meanwhile. */

/** Messages listed at a time. */
const PAGE = 500;
/** Asked for together, while those before are written; small ones are in memory then. */
const AHEAD = 32;

export interface ExportParts {
  readonly account: TransferAccount;
  readonly signal: AbortSignal;
  onProgress(progress: Progress): void;
}

export interface ExportSummary extends Progress {
  readonly places: readonly { readonly folder: string; readonly file: string; readonly messages: number }[];
  readonly notes: readonly string[];
}

export interface Outgoing extends Listed {
  readonly raw: RawMessage;
}

/** The folders with these names or patterns (`*`, and `%` for anything within a level); none given: all. */
export async function chosenFolders(
  account: TransferAccount,
  patterns: readonly string[],
): Promise<readonly Place[]> {
  const all = (await account.mailboxes()).filter(({ selectable }) => selectable);
  if (patterns.length === 0) return all;
  for (const pattern of patterns)
    if (!all.some(({ path }) => matches(path, pattern)))
      throw new TransferError(`the account has no folder "${pattern}"`);
  return all.filter(({ path }) => patterns.some((pattern) => matches(path, pattern)));
}

/** INBOX in any case. */
export function matches(path: string, pattern: string): boolean {
  return ruleFor([{ folder: pattern }], { path, use: null }) !== undefined;
}

/** What is expunged meanwhile is left out. */
export async function* messagesOf(
  account: TransferAccount,
  place: Place,
  wanted: (message: Listed) => boolean,
): AsyncGenerator<Outgoing | { readonly skipped: Listed }> {
  const uids = await account.uids(place.id);
  for (let at = 0; at < uids.length; at += PAGE) {
    const first = uids[at] ?? 0;
    const last = uids[Math.min(at + PAGE, uids.length) - 1] ?? 0;
    yield* page(account, place, await account.messages(place.id, first, last), wanted);
  }
}

async function* page(
  account: TransferAccount,
  place: Place,
  listed: readonly Listed[],
  wanted: (message: Listed) => boolean,
): AsyncGenerator<Outgoing | { readonly skipped: Listed }> {
  const fresh: Listed[] = [];
  for (const message of listed) {
    if (wanted(message)) fresh.push(message);
    else yield { skipped: message };
  }
  const ask = (at: number): Promise<readonly (RawMessage | null)[]> => {
    const group = fresh.slice(at, at + AHEAD);
    const asked =
      group.length === 0
        ? Promise.resolve([])
        : account.raws(
            place.id,
            group.map(({ uid }) => uid),
          );
    // It may fail before anybody waits for it.
    asked.catch(() => undefined);
    return asked;
  };
  let next = ask(0);
  for (let at = 0; at < fresh.length; at += AHEAD) {
    const raws = await next;
    next = ask(at + AHEAD);
    for (const [offset, raw] of raws.entries()) {
      const message = fresh[at + offset];
      if (raw && message) yield { ...message, raw };
    }
  }
}

/** Counts, and how far it is. */
export class ExportCount {
  readonly #onProgress: (progress: Progress) => void;
  readonly #total: number;
  readonly #count = { messages: 0, octets: 0, known: 0, passed: 0, failed: 0, foldersDone: 0 };
  readonly #folders: number;
  #folder = '';

  constructor(places: readonly Place[], onProgress: (progress: Progress) => void) {
    this.#onProgress = onProgress;
    this.#folders = places.length;
    this.#total = places.reduce((sum, { total }) => sum + total, 0);
  }

  begin(folder: string): void {
    this.#folder = folder;
  }

  add(what: 'messages' | 'known', octets: number): void {
    this.#count[what]++;
    if (what === 'messages') this.#count.octets += octets;
    this.#onProgress(this.progress());
  }

  end(): void {
    this.#count.foldersDone++;
    this.#onProgress(this.progress());
  }

  progress(): Progress {
    const done = this.#count.messages + this.#count.known;
    const fraction = this.#total === 0 ? null : Math.min(done / this.#total, 1);
    return { ...this.#count, folders: this.#folders, folder: this.#folder, fraction };
  }
}
