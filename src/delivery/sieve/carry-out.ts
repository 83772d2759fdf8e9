import { createHash } from 'node:crypto';
import type {
  FileInto,
  Keep,
  Notify,
  Pipe,
  Redirect,
  Reject,
  Report,
  SieveAction,
  Vacation,
} from '../../sieve/action.ts';
import type { SieveSettings } from '../../sieve/options.ts';
import { scriptAddress } from '../../sieve/script-address.ts';
import { notification, notifyProblem } from './notify.ts';
import { firstValue, type Occasion, senderOf } from './outgoing.ts';
import { type Bytes, joined, type Parted } from './parted.ts';
import { isRedirectLoop, redirectedHeader } from './redirect.ts';
import { rejectNotice } from './reject.ts';
import { abuseReport } from './report.ts';
import { addressed, vacationAnswer, vacationKey } from './vacation.ts';

/**
 * Carries out what a script has decided. First the message is stored, everywhere it has to be; then mail is sent. Each step
 * is done once, however often the delivery is tried: what is stored has a key, what is sent leaves a mark. A step that fails
 * is thrown and tried again with the whole delivery; one that cannot be done ever is noted, and the message kept.
 */

/** How long marks of what was sent live: longer than any delivery is tried, ms. */
const DONE_FOR = 10 * 86_400_000;
const DONE = 'done';
const VACATION = 'vacation';

/** Mail that is sent. */
export interface Outgoing {
  /** Empty: the null reverse-path. */
  readonly from: string;
  readonly to: readonly string[];
  readonly content: Bytes;
  /** RFC 6009. */
  readonly notify?: string | null;
  readonly ret?: string | null;
}

/** A place for a message; the path is what the script wrote where nothing else led to one. */
export interface Place {
  readonly path: string;
  readonly isThere: boolean;
}

/** What the house does for it. `Message` is how a message of an action is known. */
export interface Ports<Message> {
  find(action: Pick<FileInto, 'mailbox' | 'mailboxId' | 'specialUse'>): Promise<Place>;
  /** Throws StoreError 'invalid-name', 'limit'. */
  create(path: string, specialUse: string | null): Promise<void>;
  store(path: string, message: Message | Buffer, flags: readonly string[]): Promise<void>;
  /** In place of storing into INBOX. */
  keep?(flags: readonly string[]): Promise<void>;
  send(mail: Outgoing): Promise<void>;
  content(message: Message): Promise<Parted>;
  run(action: Pipe<Message>): Promise<boolean>;
  recall(space: string, key: string): Promise<string | undefined>;
  remember(space: string, key: string, value: string, expires: number): Promise<void>;
  isOwn(address: string): Promise<boolean>;
  /** For the log: what was done or not done, in words. */
  note(text: string, problem?: 'problem'): void;
}

export interface Terms {
  readonly settings: Pick<SieveSettings, 'redirectSender' | 'notifySender' | 'reportSender' | 'vacation'>;
  /** Where mail for the postmaster goes. */
  readonly postmaster: string;
}

export interface Outcome {
  /** RFC 5429: the message was refused, for this reason; `ereject` wants that to be a delivery report. */
  readonly refused: Reject | null;
}

export async function carryOut<Message>(
  actions: readonly SieveAction<Message>[],
  original: Message,
  occasion: Occasion,
  terms: Terms,
  ports: Ports<Message>,
): Promise<Outcome> {
  const carrier = new Carrier(original, occasion, terms, ports);
  await carrier.stores(actions);
  for (const [i, action] of actions.entries()) await carrier.sends(action, i);
  await carrier.keepIfNeeded();
  return { refused: carrier.refused };
}

class Carrier<Message> {
  refused: Reject | null = null;
  readonly #original: Message;
  readonly #occasion: Occasion;
  readonly #terms: Terms;
  readonly #ports: Ports<Message>;
  readonly #stored = new Set<string>();
  /** Something could not be done that would have taken the message elsewhere. */
  #mustKeep = false;
  #isKept = false;
  /** Who was told of the message by `notify`. */
  readonly #told = new Set<string>();

  constructor(original: Message, occasion: Occasion, terms: Terms, ports: Ports<Message>) {
    this.#original = original;
    this.#occasion = occasion;
    this.#terms = terms;
    this.#ports = ports;
  }

  async stores(actions: readonly SieveAction<Message>[]): Promise<void> {
    for (const action of actions) {
      if (action.type === 'keep') await this.#keep(action);
      if (action.type === 'fileinto') await this.#fileInto(action);
    }
  }

  /** RFC 5228 2.10.6: what cannot be done leaves the message where it would have been without script. */
  async keepIfNeeded(): Promise<void> {
    if (this.#mustKeep) await this.#keep({ flags: this.#occasion.flags ?? [], message: this.#original });
  }

  async #keep(action: Pick<Keep<Message>, 'message' | 'flags'>): Promise<void> {
    if (!this.#ports.keep) return this.#store('INBOX', action);
    if (this.#isKept) return;
    this.#isKept = true;
    await this.#ports.keep(action.flags);
  }

  async sends(action: SieveAction<Message>, at: number): Promise<void> {
    switch (action.type) {
      case 'keep':
      case 'fileinto':
      case 'discard':
        return;
      case 'redirect':
        return this.#once(at, action.type, () => this.#redirect(action));
      case 'reject':
        return this.#once(at, action.type, () => this.#reject(action));
      case 'vacation':
        return this.#vacation(action);
      case 'notify':
        return this.#once(at, action.type, () => this.#notify(action));
      case 'report':
        return this.#once(at, action.type, () => this.#report(action));
      case 'pipe':
        return this.#once(at, action.type, () => this.#pipe(action));
    }
  }

  async #fileInto(action: FileInto<Message>): Promise<void> {
    const { path, isThere } = await this.#ports.find(action);
    if (!isThere) {
      const made = action.create && (await this.#make(path, action.specialUse));
      if (!made) {
        if (!action.create)
          this.#ports.note(
            `failed to store into mailbox '${path}': it does not exist, kept in INBOX`,
            'problem',
          );
        this.#mustKeep = true;
        return;
      }
    }
    await this.#store(path, action);
  }

  async #make(path: string, specialUse: string | null): Promise<boolean> {
    try {
      await this.#ports.create(path, specialUse);
      return true;
    } catch (error) {
      if (!(error instanceof Error) || error.name !== 'StoreError') throw error;
      this.#ports.note(
        `failed to store into mailbox '${path}': its name is not possible: ${error.message}`,
        'problem',
      );
      return false;
    }
  }

  async #store(path: string, { message, flags }: Pick<Keep<Message>, 'message' | 'flags'>): Promise<void> {
    // By another way the same mailbox.
    if (this.#stored.has(path)) return;
    this.#stored.add(path);
    await this.#ports.store(path, message, flags);
  }

  async #redirect({ to, message, notify, ret }: Redirect<Message>): Promise<void> {
    const { account, envelope, fields } = this.#occasion;
    if (isRedirectLoop([account, envelope.to], fields)) {
      this.#ports.note(`not redirected to ${to}: mail loop, kept in INBOX`);
      this.#mustKeep = true;
      return;
    }
    const { header, body } = await this.#ports.content(message);
    // RFC 5321 6.1: a message that came without sender goes on without one, or reports would circle.
    const from = envelope.from === '' ? '' : this.#sender(this.#terms.settings.redirectSender);
    const content = joined([Buffer.from(redirectedHeader(account, header), 'latin1')], body);
    await this.#ports.send({ from, to: [to], content, notify, ret });
    this.#ports.note(`redirected to ${to}`);
  }

  #sender(setting: string): string {
    return senderOf(setting, this.#occasion, this.#terms.postmaster);
  }

  async #reject(action: Reject): Promise<void> {
    this.refused = action;
    const { from } = this.#occasion.envelope;
    // RFC 5429 2.1: `ereject` is a delivery report, which the queue writes.
    if (action.extended) return;
    if (from === '') {
      this.#ports.note('rejected; nobody is told, as the message has no sender');
      return;
    }
    if (!/^no\b/i.test(firstValue(this.#occasion, 'auto-submitted') ?? 'no')) {
      this.#ports.note('rejected; nobody is told, as the message was written by a program');
      return;
    }
    const { header } = await this.#ports.content(this.#original);
    await this.#ports.send({
      from: '',
      to: [from],
      content: [rejectNotice(this.#occasion, action.reason, header)],
    });
    this.#ports.note(`rejected, ${from} is told`);
  }

  async #vacation(action: Vacation): Promise<void> {
    const { envelope, now } = this.#occasion;
    const settings = this.#terms.settings.vacation;
    const found = await addressed(this.#occasion, action, settings, (address) => this.#ports.isOwn(address));
    if ('problem' in found) {
      this.#ports.note(`no vacation answer: ${found.problem}`);
      return;
    }
    const key = vacationKey(action, envelope.from);
    if ((await this.#ports.recall(VACATION, key)) !== undefined) {
      this.#ports.note('no vacation answer: the sender has had one');
      return;
    }
    const { minPeriod, maxPeriod, sender } = settings;
    const message = vacationAnswer(this.#occasion, action, found.own, settings);
    // RFC 5230 5.1: without sender, so that nothing comes back.
    const from = sender === 'recipient' ? envelope.to : '';
    await this.#ports.send({ from, to: [envelope.from], content: [message] });
    const period = Math.min(Math.max(action.seconds * 1000, minPeriod), maxPeriod);
    await this.#ports.remember(VACATION, key, '', now.getTime() + period);
    if (action.fcc) await this.#fcc(action.fcc, message);
    this.#ports.note(`vacation answer to ${envelope.from}`);
  }

  async #notify(action: Notify): Promise<void> {
    const from = this.#notifySender(action);
    const problem = notifyProblem(this.#occasion);
    const shown = from === '' ? this.#terms.postmaster : from;
    const made = problem === undefined ? notification(this.#occasion, action, shown, this.#told) : undefined;
    if (!made || made.to.length === 0) {
      this.#ports.note(`no notification: ${problem ?? 'all have been told'}`);
      return;
    }
    for (const address of made.to) this.#told.add(address.toLowerCase());
    await this.#ports.send({ from, to: made.to, content: [made.message] });
    if (action.fcc) await this.#fcc(action.fcc, made.message);
    this.#ports.note(`notification to ${made.to.join(', ')}`);
  }

  /** RFC 5436 2.7: what has no sender is told of without one. */
  #notifySender({ from }: Notify): string {
    const { notifySender } = this.#terms.settings;
    if (this.#occasion.envelope.from === '') return '';
    if (notifySender !== null) return this.#sender(notifySender);
    return (from === null ? undefined : scriptAddress(from)) ?? this.#terms.postmaster;
  }

  /** RFC 8580: what was sent is stored, too; where that cannot be, it is not. */
  async #fcc(fcc: NonNullable<Vacation['fcc']>, message: Buffer): Promise<void> {
    const { path, isThere } = await this.#ports.find(fcc);
    if (!isThere && !(fcc.create && (await this.#make(path, fcc.specialUse)))) {
      this.#ports.note(`no copy in ${path}: it does not exist`);
      return;
    }
    await this.#ports.store(path, message, fcc.flags);
  }

  async #report(action: Report<Message>): Promise<void> {
    const original = await this.#ports.content(action.message);
    await this.#ports.send({
      from: '',
      to: [action.to],
      content: abuseReport(this.#occasion, action, original, this.#sender(this.#terms.settings.reportSender)),
    });
    this.#ports.note(`report sent to ${action.to}`);
  }

  async #pipe(action: Pipe<Message>): Promise<void> {
    if (await this.#ports.run(action)) {
      this.#ports.note(`piped to ${action.program}`);
      return;
    }
    this.#ports.note(`the program ${action.program} failed`, 'problem');
    if (!action.optional) this.#mustKeep = true;
  }

  /** What was done before a crash, or before another action failed, is not done again. */
  async #once(at: number, what: string, work: () => Promise<void>): Promise<void> {
    const { id, now } = this.#occasion;
    const key = createHash('sha256').update(`${id} ${at} ${what}`).digest('base64url');
    if ((await this.#ports.recall(DONE, key)) !== undefined) return;
    await work();
    await this.#ports.remember(DONE, key, '', now.getTime() + DONE_FOR);
  }
}
