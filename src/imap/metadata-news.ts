import type { Change, MailboxId } from '../store/store.ts';
import type { ImapSession, News } from './command.ts';
import { astring, mailboxName } from './response.ts';

/**
 * Annotations that others change, told to a client that has enabled METADATA or METADATA-SERVER, or has asked for it with
 * NOTIFY (RFC 5465 5.6, 5.7): names, without values (RFC 5464 4.4.2). What this session does itself is no news to it.
 */

/** Names that wait to be told; beyond, a mailbox's are told as "something below /private and /shared". */
const MAX_WAITING = 1000;
const EVERYTHING: ReadonlyMap<string, string> = new Map([
  ['/private', '/private'],
  ['/shared', '/shared'],
]);

interface Changed {
  path: string;
  /** Spellings, by name without case. */
  names: Map<string, string>;
}

export class MetadataNews implements News {
  onPending: (() => void) | null = null;
  readonly stop: () => void;
  readonly #session: ImapSession;
  readonly #changed = new Map<MailboxId, Changed>();
  #waiting = 0;

  /** Begins, unless it has begun. */
  static of(session: ImapSession): void {
    if ([...session.news].some((each) => each instanceof MetadataNews)) return;
    session.news.add(new MetadataNews(session));
  }

  private constructor(session: ImapSession) {
    this.#session = session;
    this.stop = session.store.watch((change) => this.#hear(change));
  }

  get hasPending(): boolean {
    return this.#changed.size > 0;
  }

  async tell(): Promise<void> {
    const { out, names: form, store } = this.#session;
    const told = [...this.#changed];
    this.#changed.clear();
    this.#waiting = 0;
    for (const [id, { path, names }] of told) {
      // The right may have been withdrawn since (RFC 5464 3.3); the server's have no mailbox.
      if (path !== '' && !(await store.rightsIfAny(id)).has('l')) continue;
      out.untagged(`METADATA ${mailboxName(path, form)} ${[...names.values()].map(astring).join(' ')}`);
    }
  }

  #isWanted(mailbox: MailboxId, path: string): boolean {
    const { enabled, notify } = this.#session;
    if (notify?.wantsMetadata(mailbox, path)) return true;
    // METADATA-SERVER is about the server's annotations alone (RFC 5464 1).
    return enabled.has('METADATA') || (path === '' && enabled.has('METADATA-SERVER'));
  }

  #hear(change: Change): void {
    if (change.type === 'mailbox') {
      const changed = this.#changed.get(change.mailbox);
      if (changed && change.what === 'renamed') changed.path = change.path;
      if (change.what === 'deleted') this.#changed.delete(change.mailbox);
      return;
    }
    if (change.type !== 'annotated' || change.by === this.#session.connection.sid) return;
    if (!this.#isWanted(change.mailbox, change.path)) return;
    const changed = this.#changed.get(change.mailbox) ?? { path: change.path, names: new Map() };
    changed.path = change.path;
    this.#changed.set(change.mailbox, changed);
    for (const name of change.entries) {
      if (!changed.names.has(name.toLowerCase())) this.#waiting++;
      changed.names.set(name.toLowerCase(), name);
    }
    if (this.#waiting > MAX_WAITING) changed.names = new Map(EVERYTHING);
    this.onPending?.();
  }
}
