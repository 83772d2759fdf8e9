import type { Self } from '../../dns/mx.ts';
import type { Resolver } from '../../dns/resolver.ts';
import type { Logger } from '../../lib/logger.ts';
import type { RawMessage } from '../../mail/raw-message.ts';
import { formatReply, type Reply } from '../../mail/reply.ts';
import type { DeliveryAgent, Job, Outcome } from '../../queue/queue.ts';
import type { DeliveryOptions } from '../options.ts';
import { Attempt } from './attempt.ts';
import { Conversation } from './conversation.ts';
import { ContentError, Outgoing } from './outgoing.ts';
import { type Protection, Sessions } from './sessions.ts';
import { relayName, reply, type Target, targetsOf } from './targets.ts';

export interface RemoteAgentOptions {
  readonly delivery: DeliveryOptions;
  /** Our name, for EHLO. */
  readonly hostname: string;
  /** How to know ourselves among a domain's hosts: `ourselves()`. */
  readonly self: Self;
  /** PEM of certificate authorities to trust besides the system's. */
  readonly trust?: readonly string[];
  /** From 0 to 1; for the order of equal MX. */
  readonly random?: () => number;
}

const STOPPED: Reply = reply(451, '4.3.2', 'delivery was stopped, it goes on later');
const NOBODY_LEFT: Reply = reply(451, '4.4.1', 'no mail host could be reached');

/** Brings mail to other hosts by SMTP: the MX of the domain in turn, or the smarthost. */
export class RemoteAgent implements DeliveryAgent {
  readonly name = 'remote';
  readonly #options: RemoteAgentOptions;
  readonly #resolver: Resolver;
  readonly #log: Logger;
  readonly #sessions: Sessions;

  constructor(
    options: RemoteAgentOptions,
    dependencies: { readonly resolver: Resolver; readonly log: Logger },
  ) {
    this.#options = options;
    this.#resolver = dependencies.resolver;
    this.#log = dependencies.log;
    this.#sessions = new Sessions({ trust: [], ...options });
  }

  async deliver(job: Job, raw: RawMessage, signal: AbortSignal): Promise<readonly Outcome[]> {
    const { delivery, self, random = Math.random } = this.#options;
    const attempt = new Attempt(job);
    try {
      signal.throwIfAborted();
      const found = await targetsOf(job.nextHop, this.#resolver, { delivery, self, random }, signal);
      if (found.is === 'targets') await this.#tryAll(found.targets, job, raw, attempt, signal);
      else {
        const { is, reply, reason } = found;
        if (reason !== undefined)
          this.#log.info({ qid: job.message.id, reason }, 'mail host not found for now');
        attempt.settle(attempt.open, is, reply);
      }
    } catch (error) {
      if (signal.aborted) return attempt.outcomes(STOPPED);
      if (!(error instanceof ContentError)) throw error;
      this.#log.error({ qid: job.message.id, err: error.cause }, 'message cannot be read for delivery');
      attempt.settle(attempt.open, 'deferred', reply(451, '4.3.0', 'the message cannot be read for now'));
    }
    return attempt.outcomes(signal.aborted ? STOPPED : NOBODY_LEFT);
  }

  /** Says good-bye to the hosts that wait for another message. */
  close(): void {
    this.#sessions.close();
  }

  async #tryAll(
    targets: readonly Target[],
    job: Job,
    raw: RawMessage,
    attempt: Attempt,
    signal: AbortSignal,
  ): Promise<void> {
    const { delivery } = this.#options;
    const { message } = job;
    const log = this.#log.child({ qid: message.id });
    const outgoing = new Outgoing(message, raw);
    // RFC 8689 5: a bounce goes on without rather than not at all.
    const protection: Protection = message.requireTls && message.from !== null ? 'protected' : 'any';
    let sessions = 0;
    let unfit: { readonly reply: Reply; readonly speaker: Pick<Outcome, 'remoteMta' | 'relay'> } | undefined;
    let reached: 'some' | 'none' = 'none';
    for (const target of withinLimit(targets, delivery.maxAddresses)) {
      if (attempt.open.length === 0 || sessions >= delivery.maxSessions) break;
      signal.throwIfAborted();
      const opened = await this.#sessions.open(target, protection, 'any', log, signal);
      if (opened.is === 'open') {
        sessions++;
        reached = 'some';
        const way = { sessions: this.#sessions, delivery, target, protection, log, signal };
        await new Conversation(way, job.message, outgoing).run(opened, attempt);
        continue;
      }
      const speaker = { remoteMta: target.name, relay: relayName(target) };
      log.info({ relay: speaker.relay, reply: formatReply(opened.reply) }, 'host cannot be used');
      if (opened.is === 'unfit') unfit = { reply: opened.reply, speaker };
      else {
        reached = 'some';
        attempt.postpone(attempt.open, opened.reply, speaker);
      }
    }
    // Every host there is was asked, and none can give what the message must have (RFC 8689 4.2.1).
    if (unfit && reached === 'none') attempt.settle(attempt.open, 'failed', unfit.reply, unfit.speaker);
  }
}

/** Addresses of one host that come before the next host gets any of a short list. */
const FAIR_SHARE = 2;

/** At most `max`, in their order, and so that a host with many addresses leaves room for the others. */
function withinLimit(targets: readonly Target[], max: number): readonly Target[] {
  const seen = new Map<string, number>();
  return targets
    .map((target, place) => {
      const count = seen.get(target.name) ?? 0;
      seen.set(target.name, count + 1);
      return { target, place, round: Math.floor(count / FAIR_SHARE) };
    })
    .sort((a, b) => a.round - b.round || a.place - b.place)
    .slice(0, max)
    .sort((a, b) => a.place - b.place)
    .map(({ target }) => target);
}
