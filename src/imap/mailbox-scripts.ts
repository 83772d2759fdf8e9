import type { MailboxEvent, MailboxEvents } from '../delivery/mailbox-events.ts';
import type { AccountId } from '../directory/directory.ts';
import {
  ACCOUNT,
  type Flag,
  type MailboxId,
  type MailStore,
  type Message,
  type Uid,
} from '../store/store.ts';
import type { ImapSession } from './command.ts';
import { withNotices } from './progress.ts';
import type { UserView } from './shared/view.ts';

/**
 * Scripts that run because of what a session does (RFC 6785): which one is said by an annotation of the mailbox, else of its
 * owner's account. Nearly nobody has any, so that is remembered as long as nothing is annotated.
 */

const ENTRY = '/shared/imapsieve/script';

type Target = Pick<MailboxEvent, 'account' | 'script' | 'mailbox' | 'path' | 'user'>;

/** Flags of messages before they are changed. */
export type FlagsBefore = ReadonlyMap<Uid, readonly Flag[]>;

export class MailboxScripts {
  readonly #session: ImapSession;
  readonly #view: UserView;
  readonly #store: MailStore;
  readonly #events: MailboxEvents;
  /** Names for the user's own mailboxes; empty: none runs. */
  readonly #known = new Map<MailboxId, string>();
  #stop: (() => void) | undefined;

  constructor(session: ImapSession, events: MailboxEvents) {
    this.#session = session;
    this.#view = session.store;
    this.#store = session.world.store;
    this.#events = events;
  }

  close(): void {
    this.#stop?.();
  }

  /** Resolves when the scripts have run. Never rejects for what they do. */
  async added(cause: 'APPEND' | 'COPY', mailbox: MailboxId, uids: readonly Uid[]): Promise<void> {
    if (uids.length === 0) return;
    const target = await this.#target(mailbox);
    if (!target) return;
    await this.#run(uids.map((uid) => ({ ...target, uid, cause, changedFlags: [] })));
  }

  /** What `flagged` has to know; null when no script runs for this mailbox. */
  async flagsBefore(mailbox: MailboxId, uids: readonly Uid[]): Promise<FlagsBefore | null> {
    if ((await this.#script(mailbox)) === '') return null;
    const before = new Map<Uid, readonly Flag[]>();
    const ranges = uids.map((uid) => ({ first: uid, last: uid }));
    for await (const batch of this.#view.messages(mailbox, ranges))
      for (const { uid, flags } of batch) before.set(uid, flags);
    return before;
  }

  /** Messages as they are after a change of their flags. Resolves when the scripts have run. */
  async flagged(mailbox: MailboxId, before: FlagsBefore | null, messages: readonly Message[]): Promise<void> {
    const target = before && (await this.#target(mailbox));
    if (!target) return;
    const events: MailboxEvent[] = [];
    for (const { uid, flags } of messages) {
      const changedFlags = difference(before.get(uid) ?? flags, flags);
      if (changedFlags.length > 0) events.push({ ...target, uid, cause: 'FLAG', changedFlags });
    }
    await this.#run(events);
  }

  /** RFC 6785 2.2: each message on its own. */
  async #run(events: readonly MailboxEvent[]): Promise<void> {
    let done = 0;
    const all = async (): Promise<void> => {
      for (; done < events.length; done++) await this.#events.happened(events[done] as MailboxEvent);
    };
    await withNotices(this.#session, all(), () => ({ done, of: events.length }));
  }

  async #target(mailbox: MailboxId): Promise<Target | null> {
    const script = await this.#script(mailbox);
    if (script === '') return null;
    const account = this.#view.ownerOf(mailbox);
    const all = await (await this.#store.account(account)).mailboxes();
    const path = all.find(({ id }) => id === mailbox)?.path;
    return path === undefined ? null : { account, script, mailbox, path, user: this.#view.account };
  }

  async #script(mailbox: MailboxId): Promise<string> {
    const owner = this.#view.ownerOf(mailbox);
    // Of somebody else's mailboxes not all changes are told here.
    if (owner !== this.#view.account) return this.#annotated(owner, mailbox);
    const known = this.#known.get(mailbox);
    if (known !== undefined) return known;
    this.#stop ??= this.#view.watch((change) => {
      if (change.type === 'annotated') this.#known.clear();
    });
    const script = await this.#annotated(owner, mailbox);
    this.#known.set(mailbox, script);
    return script;
  }

  /** RFC 6785 2.3.1: an entry of the mailbox counts even if it is empty. */
  async #annotated(owner: AccountId, mailbox: MailboxId): Promise<string> {
    const store = await this.#store.account(owner);
    for (const id of [mailbox, ACCOUNT])
      for (const [name, value] of await store.annotations(id))
        if (name.toLowerCase() === ENTRY) return Buffer.from(value, 'latin1').toString('utf8');
    return '';
  }
}

/** Those that are in one list only, as they are written where they are. */
function difference(before: readonly Flag[], after: readonly Flag[]): Flag[] {
  const lower = (flags: readonly Flag[]): Set<string> => new Set(flags.map((flag) => flag.toLowerCase()));
  const [was, is] = [lower(before), lower(after)];
  return [
    ...after.filter((flag) => !was.has(flag.toLowerCase())),
    ...before.filter((flag) => !is.has(flag.toLowerCase())),
  ];
}
