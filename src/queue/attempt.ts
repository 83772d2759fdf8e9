import { type Backoff, pauseAfter } from './backoff.ts';
import type { Outcome, QueuedMessage, QueuedRecipient, RecipientState } from './queue.ts';
import { type DsnEvent, type DsnRecipient, wanted } from './report.ts';

/** What an attempt means for one recipient: its next state, and what its sender is told. */
export interface Attempt {
  readonly recipient: QueuedRecipient;
  readonly outcome: Outcome;
  /** Attempts so far, with this one. */
  readonly attempts: number;
  state: RecipientState;
  /** The state when the sender could not be told. */
  readonly unreported: RecipientState;
  readonly event?: DsnEvent;
  readonly told?: DsnRecipient;
}

export interface Patience extends Backoff {
  /** From acceptance, in milliseconds. */
  readonly expire: number;
  /** From acceptance, in milliseconds; 0: only who asks for it is told of a delay. */
  readonly delayWarning: number;
}

/** Nobody is asked again sooner than this, whatever an agent proposes. */
const MIN_PAUSE = 1000;

export function judge(
  message: QueuedMessage,
  recipient: QueuedRecipient,
  outcome: Outcome,
  now: number,
  patience: Patience,
  random: number,
): Attempt {
  const { reply } = outcome;
  const before = recipient.state.is === 'waiting' ? recipient.state : undefined;
  const attempts = (before?.attempts ?? 0) + 1;
  const end = message.queuedAt + patience.expire;
  const wish = outcome.is === 'deferred' ? outcome.retryAt : undefined;
  const pause = Math.max(wish === undefined ? pauseAfter(attempts, patience, random) : wish - now, MIN_PAUSE);
  // The last attempt is at the end of the time, not before it.
  const nextAttempt = now < end ? Math.min(now + pause, Math.max(end, now + MIN_PAUSE)) : now + pause;
  const waiting: RecipientState = {
    is: 'waiting',
    attempts,
    nextAttempt,
    last: reply,
    ...(before?.warned && { warned: true }),
  };
  const base = { recipient, outcome, attempts };
  const told = (action: DsnRecipient['action']): DsnRecipient => ({
    recipient,
    action,
    reply,
    ...(outcome.remoteMta !== undefined && { remoteMta: outcome.remoteMta }),
  });

  switch (outcome.is) {
    case 'delivered':
    case 'relayed':
    case 'expanded': {
      const state: RecipientState = { is: outcome.is, at: now, reply };
      // A host that took it with our DSN parameters reports itself (RFC 3461 5.2.1).
      const ours = outcome.is !== 'delivered' || recipient.account !== null;
      // A receipt that cannot be sent is better lost than the message delivered twice.
      if (!ours || !wanted(message, recipient, 'success')) return { ...base, state, unreported: state };
      return { ...base, state, unreported: state, event: 'success', told: told(outcome.is) };
    }
    case 'failed': {
      const state: RecipientState = { is: 'failed', at: now, reply };
      if (!wanted(message, recipient, 'failure')) return { ...base, state, unreported: state };
      return { ...base, state, unreported: waiting, event: 'failure', told: told('failed') };
    }
    case 'deferred': {
      if (now >= end) {
        const state: RecipientState = { is: 'expired', at: now, reply };
        if (!wanted(message, recipient, 'failure')) return { ...base, state, unreported: state };
        return { ...base, state, unreported: waiting, event: 'failure', told: told('expired') };
      }
      if (!warns(message, recipient, now, patience)) return { ...base, state: waiting, unreported: waiting };
      const state: RecipientState = { ...waiting, warned: true };
      return { ...base, state, unreported: waiting, event: 'delay', told: told('delayed') };
    }
  }
}

/** Once, when the message is late, if the sender wants to know. */
function warns(
  message: QueuedMessage,
  recipient: QueuedRecipient,
  now: number,
  { delayWarning }: Patience,
): boolean {
  if (recipient.state.is === 'waiting' && recipient.state.warned) return false;
  if (delayWarning === 0 && recipient.notify === undefined) return false;
  return now >= message.queuedAt + delayWarning && wanted(message, recipient, 'delay');
}
