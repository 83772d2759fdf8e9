import { SieveRuntimeError } from './errors.ts';
import type { SieveLimits } from './limits.ts';
import type { MessageVersion } from './message.ts';

/**
 * What a script decided. The engine changes nothing itself; who runs it carries these out, in their order.
 * Each has the message as it was at that moment (RFC 5293 3).
 */
export type SieveAction<Message = MessageVersion> =
  | Keep<Message>
  | FileInto<Message>
  | Redirect<Message>
  | { readonly type: 'discard' }
  | Reject
  | Vacation
  | Notify
  | Pipe<Message>
  | Report<Message>;

export interface Keep<Message = MessageVersion> {
  readonly type: 'keep';
  readonly flags: readonly string[];
  readonly message: Message;
  /** Nothing else was decided (RFC 5228 2.10.2). */
  readonly implicit: boolean;
}

export interface Reject {
  readonly type: 'reject';
  readonly reason: string;
  /** `ereject` (RFC 5429 2.1): better in the SMTP dialogue than as a message of its own. */
  readonly extended: boolean;
}

export interface FileInto<Message = MessageVersion> {
  readonly type: 'fileinto';
  readonly mailbox: string;
  readonly flags: readonly string[];
  /** Made where it is missing (RFC 5490 3.2). */
  readonly create: boolean;
  /** Attribute without backslash, preferred to `mailbox` (RFC 8579 4). */
  readonly specialUse: string | null;
  /** Preferred to both (RFC 9042 4). */
  readonly mailboxId: string | null;
  readonly message: Message;
}

export interface Redirect<Message = MessageVersion> {
  readonly type: 'redirect';
  readonly to: string;
  readonly message: Message;
  /** RFC 6009. */
  readonly notify: string | null;
  readonly ret: string | null;
  /** The list that it is in (RFC 6134 2.3): all of its members are one redirection to the limits. */
  readonly list: string | null;
}

/** A copy of what is sent (RFC 8580). */
export interface Fcc {
  readonly mailbox: string;
  readonly create: boolean;
  readonly flags: readonly string[];
  readonly specialUse: string | null;
  readonly mailboxId: string | null;
}

export interface Vacation {
  readonly type: 'vacation';
  /** null: the words of the answer say which it is. */
  readonly handle: string | null;
  readonly seconds: number;
  readonly subject: string | null;
  readonly from: string | null;
  readonly addresses: readonly string[];
  readonly mime: boolean;
  readonly reason: string;
  readonly fcc: Fcc | null;
}

export interface Notify {
  readonly type: 'notify';
  readonly method: string;
  readonly from: string | null;
  readonly importance: 1 | 2 | 3;
  readonly options: readonly string[];
  readonly message: string | null;
  readonly fcc: Fcc | null;
}

/** A program that an admin has listed gets the message (vnd.dovecot.pipe). */
export interface Pipe<Message = MessageVersion> {
  readonly type: 'pipe';
  readonly program: string;
  readonly args: readonly string[];
  /** Where it cannot be run, the script goes on as if it had (`:try`). */
  readonly optional: boolean;
  readonly message: Message;
}

/** An abuse report about the message (vnd.dovecot.report, RFC 5965). */
export interface Report<Message = MessageVersion> {
  readonly type: 'report';
  readonly feedback: string;
  readonly text: string;
  readonly to: string;
  readonly headersOnly: boolean;
  readonly message: Message;
}

/** Which actions leave no room for others (RFC 5429 2.4, RFC 5230 4.7). */
const REFUSING: ReadonlySet<SieveAction['type']> = new Set([
  'keep',
  'fileinto',
  'redirect',
  'vacation',
  'reject',
]);

/**
 * Adds an action to those decided so far. The same destination twice is one delivery (RFC 5228 2.10.3).
 * @throws SieveRuntimeError when it does not go with them, or when there are too many.
 */
export function addAction(actions: SieveAction[], action: SieveAction, limits: SieveLimits): void {
  for (const [i, earlier] of actions.entries()) {
    if (conflict(action, earlier) || conflict(earlier, action))
      throw new SieveRuntimeError(
        `${action.type} does not go with ${earlier.type} in one run (action conflict)`,
      );
    const merged = merge(earlier, action);
    if (merged === undefined) continue;
    actions[i] = merged;
    return;
  }
  const redirected = new Set(
    actions.flatMap((each) => (each.type === 'redirect' ? [each.list ?? each.to] : [])),
  );
  const isListed = action.type === 'redirect' && action.list !== null && redirected.has(action.list);
  const others = actions.filter(({ type }) => type !== 'redirect').length;
  if (!isListed && others + redirected.size >= limits.actions)
    throw new SieveRuntimeError(`total number of actions exceeds policy limit of ${limits.actions}`);
  if (action.type === 'redirect' && !isListed && redirected.size >= limits.redirects)
    throw new SieveRuntimeError(`number of redirect actions exceeds policy limit of ${limits.redirects}`);
  if (action.type === 'notify') {
    if (limits.notifications === 0)
      throw new SieveRuntimeError('local policy prohibits the use of a notify action');
    if (actions.filter(({ type }) => type === 'notify').length >= limits.notifications)
      throw new SieveRuntimeError(`number of notify actions exceeds policy limit of ${limits.notifications}`);
  }
  actions.push(action);
}

function conflict(one: SieveAction, other: SieveAction): boolean {
  if (one.type === 'vacation') return other.type === 'vacation';
  return one.type === 'reject' && REFUSING.has(other.type);
}

/** What two actions with one destination come to; undefined when they have not. */
function merge(earlier: SieveAction, action: SieveAction): SieveAction | undefined {
  if (isInbox(action) && isInbox(earlier)) return inInbox(earlier, action);
  if (action.type === 'fileinto' && earlier.type === 'fileinto')
    return sameMailbox(earlier, action) ? { ...action, create: earlier.create || action.create } : undefined;
  if (action.type === 'redirect' && earlier.type === 'redirect')
    return earlier.to.toLowerCase() === action.to.toLowerCase() ? action : undefined;
  return action.type === 'discard' && earlier.type === 'discard' ? earlier : undefined;
}

/** `keep` files into INBOX (RFC 5228 4.3). */
function isInbox(action: SieveAction): boolean {
  if (action.type !== 'fileinto') return action.type === 'keep';
  return /^inbox$/i.test(action.mailbox) && action.mailboxId === null && action.specialUse === null;
}

function inInbox(earlier: SieveAction, action: SieveAction): SieveAction {
  const keep = earlier.type === 'keep' ? earlier : action;
  if (keep.type !== 'keep' || (action.type !== 'keep' && action.type !== 'fileinto')) return action;
  return { ...keep, flags: action.flags, message: action.message };
}

function sameMailbox(one: FileInto, other: FileInto): boolean {
  return (
    sameName(one.mailbox, other.mailbox) &&
    one.mailboxId === other.mailboxId &&
    one.specialUse === other.specialUse
  );
}

/** INBOX is known in any case, also as the first of several names. */
function sameName(one: string, other: string): boolean {
  const normal = (name: string): string => name.replace(/^inbox(?=$|[./])/i, 'INBOX');
  return normal(one) === normal(other);
}
