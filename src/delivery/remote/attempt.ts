import { isTransient, type Reply } from '../../mail/reply.ts';
import type { Job, Outcome, QueuedRecipient } from '../../queue/queue.ts';
import type { SmtpClient } from './client.ts';
import { isPositive } from './peer-reply.ts';
import type { SessionError } from './session-error.ts';
import { relayName, reply, type Target } from './targets.ts';
import { describeTls } from './tls-used.ts';
import type { Progress } from './transaction.ts';

/** Who said something: nobody when it was DNS, or a host we never reached. */
type Speaker = Pick<Outcome, 'remoteMta' | 'relay' | 'tls'>;

type Verdict = 'delivered' | 'relayed' | 'deferred' | 'failed';

/**
 * What has become of the recipients of one job so far. A recipient is open until it has an outcome that no other host
 * can change; what is still open at the end is deferred for the reason heard last.
 */
export class Attempt {
  readonly #recipients: readonly QueuedRecipient[];
  readonly #final = new Map<number, Outcome>();
  /** What a recipient is deferred for when no other host takes it. */
  readonly #soft = new Map<number, Outcome>();

  constructor(job: Job) {
    this.#recipients = job.recipients;
  }

  /** Recipients that another host, or another transaction, may still take. */
  get open(): readonly QueuedRecipient[] {
    return this.#recipients.filter(({ index }) => !this.#final.has(index));
  }

  /** Ends the attempt for these recipients. */
  settle(
    recipients: readonly QueuedRecipient[],
    verdict: Verdict,
    answer: Reply,
    speaker: Speaker = {},
  ): void {
    for (const { index } of recipients)
      this.#final.set(index, { index, is: verdict, reply: answer, ...speaker });
  }

  /** Remembers why these are deferred, if nothing better comes. */
  postpone(recipients: readonly QueuedRecipient[], answer: Reply, speaker: Speaker = {}): void {
    for (const { index } of recipients)
      this.#soft.set(index, { index, is: 'deferred', reply: answer, ...speaker });
  }

  /** One outcome for each recipient; `otherwise` for those that nobody said anything about. */
  outcomes(otherwise: Reply): readonly Outcome[] {
    return this.#recipients.map(
      ({ index }) =>
        this.#final.get(index) ?? this.#soft.get(index) ?? { index, is: 'deferred', reply: otherwise },
    );
  }

  /**
   * Takes in what a host said to a transaction.
   * @returns whether there was a recipient that this host takes in another transaction.
   */
  record(
    recipients: readonly QueuedRecipient[],
    progress: Progress,
    client: SmtpClient,
    target: Target,
    error: SessionError | undefined,
  ): 'more' | 'all' {
    const speaker = speakerOf(target, client);
    const { mail, data } = progress;
    if (mail && !isPositive(mail)) {
      if (isTransient(mail)) this.postpone(recipients, mail, speaker);
      // Refused for its sender or its size: no recipient of it can fare better.
      else this.settle(this.open, 'failed', mail, speaker);
      return 'all';
    }
    const answers = recipients.map((recipient, i) => ({ recipient, answer: progress.rcpts[i] }));
    const accepted = answers
      .filter(({ answer }) => answer && isPositive(answer))
      .map(({ recipient }) => recipient);
    let more: 'more' | 'all' = 'all';
    for (const { recipient, answer } of answers) {
      if (!answer || isPositive(answer)) continue;
      if (isTooMany(answer) && accepted.length > 0) {
        this.postpone([recipient], answer, speaker);
        more = 'more';
      } else if (!isTransient(answer)) this.settle([recipient], 'failed', answer, speaker);
      else if (isAboutTheHost(answer)) this.postpone([recipient], answer, speaker);
      else this.settle([recipient], 'deferred', answer, speaker);
    }
    if (data) this.#recordData(accepted, data, client, speaker);
    else if (error) this.#recordLoss(recipients, accepted, error, target, speaker);
    return more;
  }

  #recordData(
    accepted: readonly QueuedRecipient[],
    answer: Reply,
    client: SmtpClient,
    speaker: Speaker,
  ): void {
    if (isPositive(answer)) {
      for (const recipient of accepted) {
        // RFC 3461 5.2.2 (b): who wanted to hear of success hears now that nobody else will tell.
        const wanted = recipient.notify?.includes('success') === true && !client.extensions.has('DSN');
        this.settle([recipient], wanted ? 'relayed' : 'delivered', answer, speaker);
      }
    } else if (!isTransient(answer)) this.settle(accepted, 'failed', answer, speaker);
    else if (isAboutTheHost(answer)) this.postpone(accepted, answer, speaker);
    else this.settle(accepted, 'deferred', answer, speaker);
  }

  #recordLoss(
    recipients: readonly QueuedRecipient[],
    accepted: readonly QueuedRecipient[],
    error: SessionError,
    target: Target,
    speaker: Speaker,
  ): void {
    const where = relayName(target);
    if (error.phase === 'end') {
      // RFC 5321 4.5.3.2.6: asking another host now would make the second copy likely; later it is only possible.
      const text = `${where}: ${error.message}; the host may have taken the message, it may arrive twice`;
      this.settle(accepted, 'deferred', reply(451, '4.4.2', text), speaker);
      return;
    }
    const open = new Set(this.open);
    const undecided = recipients.filter((recipient) => open.has(recipient));
    const answer = error.reply ?? reply(451, '4.4.2', `${where}: ${error.message}`);
    // A 5xx out of turn is about the conversation: the recipients were not refused.
    this.postpone(
      undecided.filter(({ index }) => !this.#soft.has(index) || accepted.some((one) => one.index === index)),
      isTransient(answer)
        ? answer
        : reply(451, '4.4.2', `${where}: ${error.message}: ${answer.code} ${answer.text}`),
      speaker,
    );
  }
}

export function speakerOf(target: Target, client: SmtpClient): Speaker {
  return { remoteMta: target.name, relay: relayName(target), tls: describeTls(client.tlsUsed) };
}

/** RFC 5321 4.5.3.1.10: 452, or 552 from older hosts; not those that speak of the mailbox or of our message. */
function isTooMany(answer: Reply): boolean {
  if (answer.code !== 452 && answer.code !== 552) return false;
  return answer.enhanced === undefined || /^[45]\.5\.3$/.test(answer.enhanced);
}

/**
 * Whether a temporary refusal is about the host (RFC 3463: subject 3 is the mail system, 4 the network), so that
 * another one may do better. A mailbox that is full, or a greylist, is the same at all of them.
 */
function isAboutTheHost(answer: Reply): boolean {
  if (answer.code === 421) return true;
  if (answer.enhanced === undefined) return answer.code === 451;
  return /^4\.[34]\./.test(answer.enhanced);
}
