import type { Logger } from '../../lib/logger.ts';
import type { QueuedMessage, QueuedRecipient } from '../../queue/queue.ts';
import type { DeliveryOptions } from '../options.ts';
import { type Attempt, speakerOf } from './attempt.ts';
import type { SmtpClient } from './client.ts';
import { mailCommand, rcptCommand } from './envelope.ts';
import type { Outgoing } from './outgoing.ts';
import { SessionError } from './session-error.ts';
import type { Opened, Protection, Sessions } from './sessions.ts';
import { relayName, reply, type Target } from './targets.ts';
import type { Progress } from './transaction.ts';

/** The host a message is given to, and how. */
export interface Way {
  readonly sessions: Sessions;
  readonly delivery: DeliveryOptions;
  readonly target: Target;
  readonly protection: Protection;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** One message, given to one host: as many transactions as its recipients need. */
export class Conversation {
  readonly #way: Way;
  readonly #message: QueuedMessage;
  readonly #outgoing: Outgoing;

  constructor(way: Way, message: QueuedMessage, outgoing: Outgoing) {
    this.#way = way;
    this.#message = message;
    this.#outgoing = outgoing;
  }

  /** What comes of it is in `attempt`. The connection goes back to where others find it. */
  async run(opened: Extract<Opened, { is: 'open' }>, attempt: Attempt): Promise<void> {
    const { sessions, target, protection, delivery } = this.#way;
    let { client, used } = opened;
    let left = attempt.open;
    try {
      while (left.length > 0 && client.usable) {
        left = await this.#sendable(left, attempt, client);
        const batch = left.slice(0, delivery.maxRecipients);
        if (batch.length === 0) return;
        const { progress, error } = await this.#transact(batch, client);
        if (used === 'before' && error && !progress.started) {
          // It was kept too long, and the host has gone: that says nothing about the message.
          const another = await this.#reopen(left, attempt);
          if (!another) return;
          ({ client, used } = another);
          continue;
        }
        used = 'never';
        const more = attempt.record(batch, progress, client, target, error);
        if (error) return this.#brokeOff(error);
        // A message refused for its sender is not offered again, one that must wait neither.
        if (progress.mail && progress.mail.code >= 400) return;
        const rest = new Set(more === 'more' ? left : left.slice(batch.length));
        left = attempt.open.filter((recipient) => rest.has(recipient));
      }
    } finally {
      sessions.keep(target, protection, client);
    }
  }

  async #reopen(
    recipients: readonly QueuedRecipient[],
    attempt: Attempt,
  ): Promise<Extract<Opened, { is: 'open' }> | undefined> {
    const { sessions, target, protection, log, signal } = this.#way;
    signal.throwIfAborted();
    const opened = await sessions.open(target, protection, 'fresh', log, signal);
    if (opened.is === 'open') return opened;
    attempt.postpone(recipients, opened.reply, { remoteMta: target.name, relay: relayName(target) });
    return undefined;
  }

  #brokeOff(error: SessionError): void {
    this.#way.signal.throwIfAborted();
    this.#way.log.info(
      { relay: relayName(this.#way.target), reason: error.message },
      'conversation broke off',
    );
  }

  /** Those of `recipients` that this host can be given; the others get their outcome here. */
  async #sendable(
    recipients: readonly QueuedRecipient[],
    attempt: Attempt,
    client: SmtpClient,
  ): Promise<readonly QueuedRecipient[]> {
    const { extensions } = client;
    const { name } = this.#way.target;
    const speaker = speakerOf(this.#way.target, client);
    // RFC 1870 6.1: 0 is no limit.
    const limit = Number(extensions.get('SIZE') ?? 0);
    const { size } = this.#outgoing;
    if (limit > 0 && size > limit) {
      const text = `${name} takes messages of ${limit} octets, this one has ${size}`;
      attempt.settle(recipients, 'failed', reply(552, '5.3.4', text), speaker);
      return [];
    }
    if (extensions.has('SMTPUTF8')) return recipients;
    const needing = new Set(await this.#outgoing.needingUtf8(recipients));
    const text = `${name} does not support SMTPUTF8, which the addresses or the header need`;
    attempt.settle([...needing], 'failed', reply(550, '5.6.7', text), speaker);
    return recipients.filter((recipient) => !needing.has(recipient));
  }

  async #transact(
    batch: readonly QueuedRecipient[],
    client: SmtpClient,
  ): Promise<{ readonly progress: Progress; readonly error: SessionError | undefined }> {
    const message = this.#message;
    const { extensions } = client;
    const form = await this.#outgoing.form(extensions);
    const smtputf8 = message.smtputf8 || (await this.#outgoing.needingUtf8(batch)).length > 0;
    const parameters = {
      size: form.size,
      // RFC 6531 3.1 (8): SMTPUTF8 goes with 8BITMIME.
      body: smtputf8 && extensions.has('SMTPUTF8') ? ('8bitmime' as const) : form.body,
      smtputf8,
      requireTls: message.requireTls && client.tlsUsed?.verified === true,
    };
    const progress: Progress = { started: false, rcpts: [] };
    const transaction = {
      mail: mailCommand(message, parameters, extensions),
      rcpts: batch.map((recipient) => rcptCommand(recipient, extensions)),
      content: () => form.read(),
    };
    try {
      await client.transact(transaction, progress, this.#way.signal);
      return { progress, error: undefined };
    } catch (error) {
      if (error instanceof SessionError) return { progress, error };
      throw error;
    }
  }
}
