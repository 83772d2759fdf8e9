import { type FolderRule, ruleFor } from './folder-rules.ts';
import { type SpecialUse, StoreError } from './store.ts';

/**
 * How much mail an account and a folder may hold: octets (RFC822.SIZE) and messages. Usage is counted by whoever keeps
 * the mail; here is the decision, the same for every way in. Moving mail within an account needs room in its folder only.
 */

/** null is no limit. */
export interface Limits {
  readonly storage: number | null;
  readonly messages: number | null;
  /** Of an account alone; not there is no limit either. */
  readonly mailboxes?: number | null;
}

export interface Usage {
  readonly bytes: number;
  readonly messages: number;
}

export interface QuotaSettings {
  /** Percent of the limit by which the last delivery may go beyond it. */
  readonly quotaGrace: number;
  /** Percent of the limit that may lie in the Trash beyond it. */
  readonly quotaTrashExtra: number;
  readonly mailboxSizeLimit: readonly (FolderRule & Partial<Limits>)[];
}

/** `delivery` has the grace, for nobody is there who could make room; whoever copies or appends can. */
export type Entrance = 'delivery' | 'append' | 'copy' | 'move';

/** What goes as something else takes its place, from the account and from the folder. */
export interface Leaving {
  readonly account: Usage;
  readonly folder: Usage;
}

interface Target {
  readonly path: string;
  readonly use: SpecialUse | null;
}

const NO_LIMITS: Limits = { storage: null, messages: null };
const NOTHING: Usage = { bytes: 0, messages: 0 };
const NOTHING_LEAVES: Leaving = { account: NOTHING, folder: NOTHING };

/** An account's own limits over those of everybody: null is none of its own, 0 no limit at all. */
export function accountLimits(
  own:
    | {
        readonly quotaBytes: number | null;
        readonly quotaMessages: number | null;
        readonly quotaMailboxes: number | null;
      }
    | undefined,
  all: Limits,
): Limits {
  const limit = (value: number | null): number | null => (value === 0 ? null : value);
  return {
    storage: limit(own?.quotaBytes ?? all.storage),
    messages: limit(own?.quotaMessages ?? all.messages),
    mailboxes: limit(own?.quotaMailboxes ?? all.mailboxes ?? null),
  };
}

export class QuotaRules {
  readonly #settings: QuotaSettings;

  constructor(settings: QuotaSettings) {
    this.#settings = settings;
  }

  /** What one folder may hold (`mailbox_size_limit`). */
  limitsOf(folder: Target): Limits {
    const rule = ruleFor(this.#settings.mailboxSizeLimit, folder);
    return rule ? { storage: rule.storage ?? null, messages: rule.messages ?? null } : NO_LIMITS;
  }

  /**
   * @param used by the whole account
   * @param inFolder already there
   * @param limits of the account; null is none
   * @param leaving makes room; what takes no more than that is let in, however full it is
   * @throws StoreError 'over-quota', with words that say which limit
   */
  admit(
    entrance: Entrance,
    more: Usage,
    used: Usage,
    limits: Limits | null,
    folder: Target & { readonly held: Usage },
    leaving: Leaving = NOTHING_LEAVES,
  ): void {
    const grace = entrance === 'delivery' ? this.#settings.quotaGrace : 0;
    if (limits && entrance !== 'move') {
      const extra = folder.use === 'trash' ? this.#settings.quotaTrashExtra : 0;
      if (!fits(used.bytes, more.bytes, widened(limits.storage, extra), grace, leaving.account.bytes))
        throw full('Mailbox full: its storage quota is used up');
      if (!fits(used.messages, more.messages, widened(limits.messages, extra), 0, leaving.account.messages))
        throw full('Mailbox full: it has as many messages as its quota allows');
    }
    if (this.#settings.mailboxSizeLimit.length === 0) return;
    const own = this.limitsOf(folder);
    if (!fits(folder.held.bytes, more.bytes, own.storage, grace, leaving.folder.bytes))
      throw full('Folder full: its size limit is reached');
    if (!fits(folder.held.messages, more.messages, own.messages, 0, leaving.folder.messages))
      throw full('Folder full: it has as many messages as it may');
  }
}

/** Throws 'over-quota' when so many mailboxes more, INBOX counted, were too many (RFC 9208 5.3). */
export function admitMailboxes(held: number, more: number, limits: Limits | null): void {
  if (more > 0 && held + more > (limits?.mailboxes ?? Number.POSITIVE_INFINITY))
    throw full('There are as many mailboxes as the quota allows');
}

/** What is full already takes nothing more, not even with the grace. */
function fits(used: number, more: number, limit: number | null, grace: number, leaving: number): boolean {
  if (limit === null || used - leaving + more <= limit || (leaving > 0 && more <= leaving)) return true;
  return used < limit && used + more <= limit + Math.floor((limit * grace) / 100);
}

function widened(limit: number | null, percent: number): number | null {
  return limit === null ? null : limit + Math.floor((limit * percent) / 100);
}

function full(message: string): StoreError {
  return new StoreError('over-quota', message);
}
