/**
 * Final delivery: into the account's mailbox, or wherever its scripts want it (sieve/), with Return-Path and Delivered-To on top (RFC 5321 4.4). The same
 * recipient of the same message is delivered once, however often it is tried: the delivery's key comes from the queue.
 */
import type { AccountId, Directory } from '../directory/directory.ts';
import type { Logger } from '../lib/logger.ts';
import type { Piece } from '../lib/pieces.ts';
import type { RawMessage } from '../mail/raw-message.ts';
import type { EnhancedCode, Reply } from '../mail/reply.ts';
import { deliveredToField, returnPathField } from '../mail/trace.ts';
import { fieldValues } from '../message/header.ts';
import type { DeliveryAgent, Job, Outcome, QueuedMessage, QueuedRecipient } from '../queue/queue.ts';
import { StoreError } from '../store/store.ts';
import { scriptEnvelope } from './sieve/envelope.ts';
import type { Filter } from './sieve/filter.ts';
import { rejectReply } from './sieve/reject.ts';

/** Of the header, for loops: trace fields stand on top (RFC 5321 4.4), this is far beyond them. */
const MAX_HEADER = 256 * 1024;

export class LocalAgent implements DeliveryAgent {
  readonly name = 'local';
  readonly #directory: Directory;
  readonly #filter: Pick<Filter, 'deliver'>;
  readonly #delimiter: string;
  readonly #whenFull: 'tempfail' | 'reject';
  readonly #log: Logger;

  constructor(dependencies: {
    readonly directory: Directory;
    readonly filter: Pick<Filter, 'deliver'>;
    /** Between user and detail of an address. */
    readonly delimiter: string;
    /** Whether mail for a full mailbox waits, or goes back at once. */
    readonly whenFull: 'tempfail' | 'reject';
    readonly log: Logger;
  }) {
    this.#directory = dependencies.directory;
    this.#filter = dependencies.filter;
    this.#delimiter = dependencies.delimiter;
    this.#whenFull = dependencies.whenFull;
    this.#log = dependencies.log;
  }

  async deliver(job: Job, raw: RawMessage, signal: AbortSignal): Promise<readonly Outcome[]> {
    const { message, recipients } = job;
    // Where there is one mailbox only, the receiving side has looked for loops already, and written the trace fields.
    const visited = message.finalTrace > 0 ? new Set<string>() : await visitedMailboxes(raw);
    return Promise.all(
      recipients.map(async (recipient) => {
        if (signal.aborted)
          return deferred(recipient, 451, '4.3.2', 'Delivery was stopped, it goes on later');
        try {
          return await this.#deliverTo(recipient, message, raw, visited);
        } catch (error) {
          return this.#refusal(recipient, message, error);
        }
      }),
    );
  }

  async #deliverTo(
    recipient: QueuedRecipient,
    message: QueuedMessage,
    raw: RawMessage,
    visited: ReadonlySet<string>,
  ): Promise<Outcome> {
    const { account } = recipient;
    if (account === null || !(await this.#directory.account(account)))
      return failed(recipient, 550, '5.1.1', 'The mailbox is no longer there');
    if (visited.has(mailboxKey(account)))
      return failed(recipient, 554, '5.4.6', 'Mail loop: the message has been delivered here before');
    const { refused } = await this.#filter.deliver({
      account,
      detail: recipient.detail,
      envelope: scriptEnvelope(message, recipient, account, this.#delimiter),
      key: `${message.id}-${recipient.index}`,
      internalDate: message.queuedAt,
      content: finalContent(message, account, raw.pieces),
    });
    // RFC 5429 2.1: the queue tells the sender.
    if (refused?.extended)
      return { index: recipient.index, is: 'failed', reply: rejectReply(refused.reason, message.smtputf8) };
    return { index: recipient.index, is: 'delivered', reply: reply(250, '2.0.0', 'Delivered to mailbox') };
  }

  #refusal(recipient: QueuedRecipient, message: QueuedMessage, error: unknown): Outcome {
    if (error instanceof StoreError && error.kind === 'over-quota')
      return this.#whenFull === 'reject'
        ? failed(recipient, 552, '5.2.2', error.message)
        : deferred(recipient, 452, '4.2.2', error.message);
    this.#log.error({ qid: message.id, account: recipient.account, err: error }, 'local delivery failed');
    if (!(error instanceof StoreError)) return deferred(recipient, 451, '4.3.0', 'Local error');
    switch (error.kind) {
      case 'disk-full':
        return deferred(recipient, 452, '4.3.1', 'No room on the mail system');
      case 'not-found':
        return deferred(recipient, 450, '4.2.0', 'Mailbox cannot be opened');
      case 'over-quota':
      case 'exists':
      case 'invalid-name':
      case 'expunged':
      case 'read-only':
      case 'no-permission':
      case 'busy':
      case 'limit':
        return deferred(recipient, 451, '4.3.0', 'Local error');
    }
  }
}

/** A message that has its trace fields goes as it is: one piece that is a file can then be linked, not copied. */
function finalContent(
  message: QueuedMessage,
  account: AccountId,
  pieces: readonly Piece[],
): readonly Piece[] {
  if (message.finalTrace > 0) return pieces;
  return [Buffer.from(`${returnPathField(message.from)}${deliveredToField(account)}`), ...pieces];
}

/** The mailboxes that the message says it was delivered to. */
async function visitedMailboxes(raw: RawMessage): Promise<ReadonlySet<string>> {
  let header = '';
  for await (const chunk of raw.read({ start: 0, end: MAX_HEADER })) {
    const from = Math.max(0, header.length - 3);
    header += Buffer.from(chunk).toString('latin1');
    if (header.startsWith('\r\n') || header.indexOf('\r\n\r\n', from) >= 0) break;
  }
  if (!/^delivered-to/im.test(header)) return new Set();
  return new Set(
    fieldValues(header, 'delivered-to').map((value) =>
      mailboxKey(Buffer.from(value, 'latin1').toString('utf8')),
    ),
  );
}

/** Accounts are compared without case, as the directory does. */
function mailboxKey(text: string): string {
  return text.trim().normalize('NFC').toLowerCase();
}

function failed(recipient: QueuedRecipient, code: number, enhanced: EnhancedCode, text: string): Outcome {
  return { index: recipient.index, is: 'failed', reply: reply(code, enhanced, text) };
}

function deferred(recipient: QueuedRecipient, code: number, enhanced: EnhancedCode, text: string): Outcome {
  return { index: recipient.index, is: 'deferred', reply: reply(code, enhanced, text) };
}

function reply(code: number, enhanced: EnhancedCode, text: string): Reply {
  return { code, enhanced, text };
}
