import { randomBytes } from 'node:crypto';
import type { AccountId } from '../../directory/directory.ts';
import { type RawMessage, rawMessage } from '../../mail/raw-message.ts';
import type { Envelope } from '../../sieve/host.ts';
import { type AccountStore, type Message, StoreError } from '../../store/store.ts';
import type { MailboxEvent, MailboxEvents } from '../mailbox-events.ts';
import { Acting, type ActingDeps, type Subject } from './acting.ts';
import type { Content } from './decision.ts';
import { DUPLICATE } from './host.ts';
import { tellOwner } from './tell-owner.ts';

/**
 * Runs scripts on messages that are in a mailbox already (RFC 6785). What a script changes it changes in the store, not over
 * IMAP: no script runs because of that.
 */
export class ScriptedEvents implements MailboxEvents {
  readonly #deps: ActingDeps;

  constructor(deps: ActingDeps) {
    this.#deps = deps;
  }

  async happened(event: MailboxEvent): Promise<void> {
    const { account, mailbox, uid, script, cause } = event;
    try {
      const store = await this.#deps.store.account(account);
      const message = await messageAt(store, event);
      if (message) await this.#run(event, store, message);
    } catch (error) {
      // Gone meanwhile.
      if (error instanceof StoreError && (error.kind === 'expunged' || error.kind === 'not-found')) return;
      this.#deps.log.error({ account, mailbox, uid, script, cause, err: error }, 'mailbox script failed');
    }
  }

  async #run(event: MailboxEvent, store: AccountStore, message: Message): Promise<void> {
    const { sieve, log } = this.#deps;
    const { account, mailbox, uid, script, cause } = event;
    const decision = await sieve.decide({
      account,
      envelope: null,
      content: { mailbox, uid },
      size: message.size,
      flags: message.flags,
      environment: environmentOf(event),
      script,
      mode: 'event',
    });
    const key = `event-${randomBytes(12).toString('hex')}`;
    const fields = { account, mailbox: event.path, uid, script, cause };
    if (decision.problem) {
      log.warn({ ...fields, problem: decision.problem.text }, 'mailbox script could not be run');
      await tellOwner(this.#deps, account, key, decision.problem);
    }
    if (decision.problem || decision.actions === null) return;
    const subject = new EventSubject(store, message, await store.raw(mailbox, uid), key);
    const acting = new Acting(this.#deps, subject);
    await acting.carryOut(decision);
    // RFC 6785 2.2.4, 3.3 to 3.5: what went elsewhere, or nowhere, stays until it is expunged.
    if (!subject.isKept) await store.setFlags(mailbox, [uid], { mode: 'add', flags: ['\\Deleted'] });
    for (const { key: seen, expires } of decision.seen)
      await sieve.remember(account, DUPLICATE, seen, '', expires);
    log.debug({ ...fields, sieve: [...acting.notes, ...decision.notes] }, 'mailbox script has run');
  }
}

/** RFC 6785 4; the login is an address here. */
function environmentOf({ user, cause, path, changedFlags }: MailboxEvent): Record<string, string> {
  return {
    location: 'MS',
    phase: 'post',
    'imap.user': user,
    'imap.email': user,
    'imap.cause': cause,
    'imap.mailbox': path,
    'imap.changedflags': changedFlags.join(' '),
  };
}

async function messageAt(
  store: AccountStore,
  { mailbox, uid }: Pick<MailboxEvent, 'mailbox' | 'uid'>,
): Promise<Message | undefined> {
  for await (const [message] of store.messages(mailbox, [{ first: uid, last: uid }])) return message;
  return undefined;
}

class EventSubject implements Subject {
  readonly account: AccountId;
  readonly detail = undefined;
  readonly envelope: Envelope;
  readonly key: string;
  readonly raw: RawMessage;
  readonly flags: readonly string[];
  isKept = false;
  readonly #store: AccountStore;
  readonly #message: Message;

  constructor(store: AccountStore, message: Message, raw: RawMessage, key: string) {
    this.#store = store;
    this.#message = message;
    this.account = store.account;
    // RFC 6785 3.4: what is sent on comes from the mailbox's owner.
    this.envelope = { from: store.account, to: store.account };
    this.key = key;
    this.raw = raw;
    this.flags = message.flags;
  }

  async keep(flags: readonly string[]): Promise<void> {
    this.isKept = true;
    const { mailbox, uid } = this.#message;
    const [added, removed] = [without(flags, this.flags), without(this.flags, flags)];
    if (added.length > 0) await this.#store.setFlags(mailbox, [uid], { mode: 'add', flags: added });
    if (removed.length > 0) await this.#store.setFlags(mailbox, [uid], { mode: 'remove', flags: removed });
  }

  async store(path: string, message: Content | Buffer, flags: readonly string[]): Promise<string> {
    const { mailbox, uid, internalDate } = this.#message;
    const to = await this.#store.mailbox(path);
    if (!to?.selectable) {
      this.isKept = true;
      return `mailbox '${path}' has gone, kept where it is`;
    }
    if (!(message instanceof Uint8Array) && message.is === 'original') {
      const [copied] = await this.#store.copy(mailbox, [uid], to.id);
      if (copied) await this.#store.setFlags(to.id, [copied.to], { mode: 'set', flags: [...flags] });
    } else {
      const bytes = message instanceof Uint8Array ? message : await bytesOf(message, this.raw);
      await this.#store.append(to.id, rawMessage([bytes]), { flags: [...flags], internalDate });
    }
    return `stored in '${path}'`;
  }
}

function without(flags: readonly string[], others: readonly string[]): string[] {
  const known = new Set(others.map((flag) => flag.toLowerCase()));
  return flags.filter((flag) => !known.has(flag.toLowerCase()));
}

async function bytesOf(message: Content, raw: RawMessage): Promise<Uint8Array> {
  if (message.is === 'other') return message.bytes;
  const pieces: Uint8Array[] = message.is === 'edited' ? [message.header] : [];
  const start = message.is === 'edited' ? message.bodyAt : 0;
  for await (const chunk of raw.read({ start, end: raw.size })) pieces.push(Buffer.from(chunk));
  return Buffer.concat(pieces);
}
