import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import { formatAddress } from '../mail/address.ts';
import type { RawMessage } from '../mail/raw-message.ts';
import { formatReply, type Reply } from '../mail/reply.ts';
import { type Attempt, judge } from './attempt.ts';
import { composeDsn } from './dsn.ts';
import type { QueueOptions } from './options.ts';
import type { Capacity, DeliveryAgent, Job, NewMessage, Outcome, QueueStore } from './queue.ts';
import type { DsnEvent } from './report.ts';

export interface SchedulerOptions extends QueueOptions {
  /** Our name in reports. */
  readonly hostname: string;
}

export interface SchedulerDeps {
  readonly store: QueueStore;
  readonly agents: Readonly<Record<Job['agent'], DeliveryAgent>>;
  readonly clock: Clock;
  readonly log: Logger;
  /** Takes a report into the queue, resolved to where its recipient's mail goes; resolves when it is durable. */
  submit(message: NewMessage, raw: RawMessage): Promise<void>;
  /** From 0 (inclusive) to 1 (exclusive). */
  readonly random?: () => number;
}

/** Jobs taken at once. */
const MAX_CLAIM = 64;
/** A lease outlives the longest attempt, with time for it to be broken off. */
const LEASE_MARGIN = 10 * 60_000;
/** How often attempts are looked at that take too long. */
const WATCH_MS = 60_000;
/** When the queue itself fails. */
const TROUBLE_MS = 1000;
/** What a broken-off attempt has to come to its end. */
const ABORT_GRACE_MS = 5000;
/** Ours, when an agent throws or forgets a recipient. */
const BUG: Reply = { code: 451, enhanced: '4.3.0', text: 'Internal error, will be tried again' };

interface Running {
  readonly job: Job;
  readonly deadline: number;
  readonly abort: AbortController;
}

/**
 * Delivers what is due: a new message at once, others at their time, never more than the settings allow to one
 * destination or in all. What an attempt came to is settled only when the sender's report, if one is due, is durable:
 * a crash in between makes a second report, never none.
 */
export class Scheduler implements Capacity {
  #options: SchedulerOptions;
  readonly #deps: SchedulerDeps;
  readonly #log: Logger;
  readonly #running = new Map<Job, Running>();
  readonly #agents: Record<Job['agent'], number> = { local: 0, remote: 0 };
  readonly #hops = new Map<string, number>();
  #state: 'new' | 'started' | 'stopping' = 'new';
  #pumping = false;
  #again = false;
  #alarm: { readonly at: number; readonly cancel: AbortController } | undefined;
  #watching = false;
  /** Ends the watch: a sleeping timer would keep the process from ending. */
  readonly #closing = new AbortController();
  #idle: (() => void) | undefined;

  constructor(options: SchedulerOptions, deps: SchedulerDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#log = deps.log;
  }

  start(): void {
    if (this.#state !== 'new') return;
    this.#state = 'started';
    this.#deps.store.onReady(() => this.#wake());
    this.#wake();
  }

  /** New settings count from the next attempt on. */
  reload(options: SchedulerOptions): void {
    this.#options = options;
    this.#wake();
  }

  agent(agent: Job['agent']): number {
    const { localConcurrency, remoteConcurrency } = this.#options;
    return (agent === 'local' ? localConcurrency : remoteConcurrency) - this.#agents[agent];
  }

  nextHop(agent: Job['agent'], nextHop: string): number {
    const { accountConcurrency, destinationConcurrency } = this.#options;
    const running = this.#hops.get(`${agent} ${nextHop}`) ?? 0;
    return (agent === 'local' ? accountConcurrency : destinationConcurrency) - running;
  }

  /** Attempts under way. */
  get running(): number {
    return this.#running.size;
  }

  /** Begins nothing new; attempts under way may end within `ms`, then they are broken off and will be made again. */
  async close(ms: number): Promise<void> {
    if (this.#state === 'stopping') return;
    this.#state = 'stopping';
    this.#closing.abort();
    this.#alarm?.cancel.abort();
    if (await this.#quiet(ms)) return;
    this.#log.info({ attempts: this.#running.size }, 'breaking off deliveries');
    for (const { abort } of this.#running.values()) abort.abort(new Error('the server stops'));
    if (await this.#quiet(ABORT_GRACE_MS)) return;
    this.#log.warn({ attempts: this.#running.size }, 'deliveries that do not stop are left behind');
  }

  /** Whether all attempts ended within `ms`. */
  async #quiet(ms: number): Promise<boolean> {
    if (this.#running.size === 0) return true;
    const cancel = new AbortController();
    const idle = new Promise<void>((resolve) => {
      this.#idle = resolve;
    });
    await Promise.race([idle, this.#deps.clock.sleep(ms, cancel.signal).catch(() => undefined)]);
    cancel.abort();
    return this.#running.size === 0;
  }

  #wake(): void {
    this.#again = true;
    if (this.#pumping || this.#state !== 'started') return;
    this.#pumping = true;
    void this.#pump();
  }

  async #pump(): Promise<void> {
    try {
      while (this.#again && this.#state === 'started') {
        this.#again = false;
        // Messages that became durable together are claimed together, after their senders have their answers.
        await new Promise<void>((resolve) => setImmediate(resolve));
        await this.#claim();
      }
      await this.#setAlarm();
    } catch (error) {
      this.#log.error({ err: error }, 'the queue does not answer');
      this.#alarmAt(this.#now() + TROUBLE_MS);
    } finally {
      this.#pumping = false;
      if (this.#again) this.#wake();
    }
  }

  async #claim(): Promise<void> {
    const limit = Math.min(MAX_CLAIM, Math.max(0, this.agent('local')) + Math.max(0, this.agent('remote')));
    if (limit === 0) return;
    const now = this.#now();
    const { deliveryTimeout } = this.#options;
    const jobs = await this.#deps.store.claim(now, now + deliveryTimeout + LEASE_MARGIN, limit, this);
    if (jobs.length > 0) this.#again = true;
    for (const job of jobs) {
      this.#count(job, 1);
      const running = { job, deadline: now + deliveryTimeout, abort: new AbortController() };
      this.#running.set(job, running);
      void this.#run(running);
    }
    if (!this.#watching && this.#running.size > 0) void this.#watch();
  }

  async #setAlarm(): Promise<void> {
    if (this.#state !== 'started') return;
    const due = await this.#deps.store.nextDue();
    if (due === undefined) return;
    const now = this.#now();
    if (due > now) this.#alarmAt(due);
    // What is due and was not claimed has to wait for an attempt to end; that wakes us. Without one, look again.
    else if (this.#running.size === 0) this.#alarmAt(now + TROUBLE_MS);
  }

  #alarmAt(at: number): void {
    if (this.#alarm && this.#alarm.at <= at && this.#alarm.at > this.#now()) return;
    if (this.#state !== 'started') return;
    this.#alarm?.cancel.abort();
    const alarm = { at, cancel: new AbortController() };
    this.#alarm = alarm;
    this.#deps.clock.sleep(at - this.#now(), alarm.cancel.signal).then(
      () => {
        if (this.#alarm === alarm) this.#alarm = undefined;
        this.#wake();
      },
      () => undefined,
    );
  }

  /** Breaks off attempts that take too long. */
  async #watch(): Promise<void> {
    this.#watching = true;
    while (this.#running.size > 0 && this.#state === 'started') {
      await this.#deps.clock.sleep(WATCH_MS, this.#closing.signal).catch(() => undefined);
      for (const { deadline, abort } of this.#running.values())
        if (deadline <= this.#now()) abort.abort(new Error('the attempt took too long'));
    }
    this.#watching = false;
  }

  async #run({ job, abort }: Running): Promise<void> {
    try {
      await this.#attempt(job, abort.signal);
    } catch (error) {
      // Its lease runs out in time.
      this.#log.error({ qid: job.message.id, err: error }, 'cannot settle a delivery');
    } finally {
      this.#running.delete(job);
      this.#count(job, -1);
      if (this.#running.size === 0) this.#idle?.();
      this.#wake();
    }
  }

  async #attempt(job: Job, signal: AbortSignal): Promise<void> {
    const { store } = this.#deps;
    const outcomes = await this.#deliver(job, signal);
    const now = this.#now();
    const random = this.#deps.random ?? Math.random;
    const attempts: Attempt[] = [];
    for (const recipient of job.recipients) {
      const outcome = outcomes.get(recipient.index) ?? { index: recipient.index, is: 'deferred', reply: BUG };
      // We broke it off: it does not count, and comes back when we do.
      if (outcome.is === 'deferred' && signal.aborted && this.#state === 'stopping') continue;
      const attempt = judge(job.message, recipient, outcome, now, this.#options, random());
      this.#logAttempt(job, attempt, now);
      attempts.push(attempt);
    }
    await this.#report(job, attempts, now);
    await store.settle(
      job,
      attempts.map(({ recipient, state }) => ({ index: recipient.index, state })),
    );
  }

  async #deliver(job: Job, signal: AbortSignal): Promise<ReadonlyMap<number, Outcome>> {
    try {
      const raw = await this.#deps.store.raw(job.message.id);
      const outcomes = await this.#deps.agents[job.agent].deliver(job, raw, signal);
      return new Map(outcomes.map((outcome) => [outcome.index, outcome]));
    } catch (error) {
      const { agent, nextHop } = job;
      if (!signal.aborted)
        this.#log.error({ qid: job.message.id, agent, nextHop, err: error }, 'delivery agent failed');
      return new Map();
    }
  }

  /** Sends the reports that are due; where that fails, the attempts are changed so that they will be due again. */
  async #report(job: Job, attempts: readonly Attempt[], now: number): Promise<void> {
    const due = new Set(attempts.map(({ event }) => event));
    for (const event of due) {
      if (event === undefined) continue;
      const concerned = attempts.filter((attempt) => attempt.event === event);
      try {
        await this.#send(job, event, concerned, now);
      } catch (error) {
        this.#log.error(
          { qid: job.message.id, report: event, err: error },
          'cannot send a report to the sender',
        );
        for (const attempt of concerned) attempt.state = attempt.unreported;
      }
    }
  }

  async #send(job: Job, event: DsnEvent, attempts: readonly Attempt[], now: number): Promise<void> {
    const { message } = job;
    // Nobody hears anything at the null reverse-path: judge() knows that.
    if (message.from === null) return;
    const { hostname, expire } = this.#options;
    const original = await this.#deps.store.raw(message.id);
    const recipients = attempts.flatMap(({ told }) => told ?? []);
    const dsn = await composeDsn(message, message.from, original, event, recipients, {
      hostname,
      now,
      expire,
    });
    await this.#deps.submit(dsn.message, dsn.raw);
    this.#log.info(
      { qid: message.id, report: event, to: formatAddress(message.from), recipients: recipients.length },
      'report to the sender',
    );
  }

  #logAttempt(
    { message, agent, nextHop }: Job,
    { recipient, outcome, state, attempts }: Attempt,
    now: number,
  ): void {
    const { relay, tls, reply } = outcome;
    const status = state.is === 'waiting' ? 'deferred' : state.is;
    const to = formatAddress(recipient.address);
    const delay = now - message.queuedAt;
    const next = state.is === 'waiting' ? { next: new Date(state.nextAttempt).toISOString() } : undefined;
    this.#log.info(
      {
        qid: message.id,
        to,
        agent,
        nextHop,
        relay,
        tls,
        status,
        reply: formatReply(reply),
        delay,
        attempts,
        ...next,
      },
      'delivery attempt',
    );
    if (message.from === null && (state.is === 'failed' || state.is === 'expired'))
      this.#log.warn({ qid: message.id, to }, 'undeliverable, and nobody to return it to');
  }

  #count(job: Job, change: 1 | -1): void {
    this.#agents[job.agent] += change;
    const key = `${job.agent} ${job.nextHop}`;
    const count = (this.#hops.get(key) ?? 0) + change;
    if (count === 0) this.#hops.delete(key);
    else this.#hops.set(key, count);
  }

  #now(): number {
    return this.#deps.clock.now().getTime();
  }
}
