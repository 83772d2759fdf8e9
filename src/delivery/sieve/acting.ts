import type { AccountId, Directory } from '../../directory/directory.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/logger.ts';
import { parseAddress } from '../../mail/address.ts';
import type { RawMessage } from '../../mail/raw-message.ts';
import type { QueueStore } from '../../queue/queue.ts';
import type { Envelope } from '../../sieve/host.ts';
import { fieldsOf } from '../../sieve/message.ts';
import type { SieveSettings } from '../../sieve/options.ts';
import { type MailStore, StoreError } from '../../store/store.ts';
import { submit } from '../submit.ts';
import type { SieveCalls } from './calls.ts';
import { carryOut, type Outcome, type Outgoing, type Ports } from './carry-out.ts';
import type { Action, Content, Decision } from './decision.ts';
import { normalPath, placeFor, programEnvironment } from './host.ts';
import { readHeader } from './original.ts';
import { isUtf8Address } from './outgoing.ts';
import { type Parted, parted } from './parted.ts';
import { runProgram } from './program.ts';

/** The house at work for what scripts have decided: its mailboxes, its queue, its programs. */

export interface ActingDeps {
  readonly sieve: SieveCalls;
  readonly store: MailStore;
  readonly directory: Directory;
  readonly queue: QueueStore;
  readonly clock: Clock;
  readonly log: Logger;
  readonly hostname: string;
  readonly settings: SieveSettings;
}

/** The message that scripts have decided about, and what its place has to do with it. */
export interface Subject {
  readonly account: AccountId;
  readonly envelope: Envelope;
  /** Names what is done for this message for ever; letters, digits, '-'. */
  readonly key: string;
  readonly raw: RawMessage;
  /** That it has already. */
  readonly flags: readonly string[];
  /** What stands behind the delimiter of the address (RFC 5233). */
  readonly detail: string | undefined;
  /** Puts it, or what was made of it, into a mailbox. @returns where it is now, in words */
  store(path: string, message: Content | Buffer, flags: readonly string[], nth: number): Promise<string>;
  /** What `keep` means where that is not a mailbox called INBOX (RFC 6785 3.2). */
  keep?(flags: readonly string[]): Promise<void>;
}

/** Does what scripts have decided, with one message. */
export class Acting {
  /** What was done, in words. */
  readonly notes: string[] = [];
  readonly #deps: ActingDeps;
  readonly #subject: Subject;
  #stores = 0;

  constructor(deps: ActingDeps, subject: Subject) {
    this.#deps = deps;
    this.#subject = subject;
  }

  async carryOut({ actions }: Decision): Promise<Outcome> {
    const { settings, clock, hostname } = this.#deps;
    const { account, envelope, key, flags } = this.#subject;
    const chosen = await this.#detailed(actions ?? [KEEP]);
    const isSending = chosen.some(({ type }) => !['keep', 'fileinto', 'discard', 'pipe'].includes(type));
    return carryOut(
      chosen,
      ORIGINAL,
      {
        account,
        envelope,
        fields: isSending ? fieldsOf(Buffer.from((await this.#parted(ORIGINAL)).header, 'latin1')) : [],
        flags,
        now: clock.now(),
        hostname,
        id: key,
      },
      { settings, postmaster: `postmaster@${account.slice(account.lastIndexOf('@') + 1)}` },
      this.#ports(),
    );
  }

  /** What nothing else was decided of goes by its address's detail, where an admin wants that. */
  async #detailed(actions: readonly Action[]): Promise<readonly Action[]> {
    const { settings } = this.#deps;
    const { detail } = this.#subject;
    if (settings.detailMailbox === 'never' || detail === undefined || detail === '') return actions;
    const path = normalPath(detail);
    const isThere = (await this.#find(path)) !== undefined;
    if (!isThere && settings.detailMailbox === 'existing') return actions;
    return actions.map((action) =>
      action.type === 'keep' && action.implicit
        ? {
            type: 'fileinto',
            mailbox: path,
            flags: action.flags,
            message: action.message,
            create: true,
            specialUse: null,
            mailboxId: null,
          }
        : action,
    );
  }

  #ports(): Ports<Content> {
    const { sieve, directory, settings, log } = this.#deps;
    const { account, envelope, key, keep } = this.#subject;
    return {
      find: async (action) => placeFor(action, await this.#mailboxes()),
      create: async (path, specialUse) => {
        const store = await this.#deps.store.account(account);
        const use = SPECIAL_USES.find((known) => known === specialUse?.toLowerCase());
        try {
          await store.create(path, use);
          await store.subscribe(path, 'yes');
        } catch (error) {
          if (!(error instanceof StoreError && error.kind === 'exists')) throw error;
        }
      },
      store: async (path, message, flags) => {
        this.notes.push(await this.#subject.store(path, message, flags, this.#stores++));
      },
      ...(keep && { keep: (flags) => keep.call(this.#subject, flags) }),
      send: (mail) => this.#send(mail),
      content: (message) => this.#parted(message),
      run: async ({ program, args, message }) => {
        const known = Object.hasOwn(settings.programs, program) ? settings.programs[program] : undefined;
        if (!known) return false;
        const { header: head, body } = await this.#parted(message);
        const input = [Buffer.from(head, 'latin1')];
        for await (const chunk of body) input.push(Buffer.from(chunk));
        const result = await runProgram(
          known,
          args,
          Buffer.concat(input),
          programEnvironment({ account, envelope }),
        );
        return result.ok;
      },
      recall: (space, name) => sieve.recall(account, space, name),
      remember: (space, name, value, expires) => sieve.remember(account, space, name, value, expires),
      async isOwn(address) {
        const parsed = parseAddress(address);
        return parsed !== undefined && directory.maySendAs(account, parsed);
      },
      note: (text, problem) => {
        this.notes.push(text);
        if (problem) log.warn({ delivery: key, account }, text);
      },
    };
  }

  async #mailboxes(): Promise<Awaited<ReturnType<Awaited<ReturnType<MailStore['account']>>['mailboxes']>>> {
    return (await this.#deps.store.account(this.#subject.account)).mailboxes();
  }

  async #find(path: string): Promise<string | undefined> {
    return (await this.#mailboxes()).find((one) => one.path === path && one.selectable)?.path;
  }

  async #send({ from, to, content, notify, ret }: Outgoing): Promise<void> {
    const { directory, queue } = this.#deps;
    const conditions = notify?.toLowerCase().split(/\s*,\s*/) ?? [];
    const wanted = CONDITIONS.filter((condition) => conditions.includes(condition));
    const recipients = to.flatMap((text) => {
      const address = parseAddress(text);
      return address ? [{ address, ...(notify == null ? {} : { notify: wanted }) }] : [];
    });
    const { refused } = await submit(
      directory,
      queue,
      {
        from: from === '' ? null : (parseAddress(from) ?? null),
        to: recipients,
        source: 'sieve',
        smtputf8: [from, ...to].some(isUtf8Address),
        ...(ret == null ? {} : { ret: ret.toLowerCase() === 'full' ? ('full' as const) : ('hdrs' as const) }),
      },
      content,
    );
    for (const { recipient } of refused)
      this.notes.push(`nobody is at ${recipient.address.local}@${recipient.address.domain}`);
  }

  async #parted(message: Content): Promise<Parted> {
    const { raw } = this.#subject;
    if (message.is === 'other') return parted(message.bytes);
    const { header: original, bodyAt } = await readHeader(raw);
    return {
      header: (message.is === 'original' ? original : Buffer.from(message.header)).toString('latin1'),
      body: raw.read({ start: message.is === 'original' ? bodyAt : message.bodyAt, end: raw.size }),
    };
  }
}

const ORIGINAL: Content = { is: 'original' };
const KEEP: Action = { type: 'keep', implicit: true, flags: [], message: ORIGINAL };
/** RFC 3461 4.1; `never` is none of them. */
const CONDITIONS = ['success', 'failure', 'delay'] as const;
const SPECIAL_USES = ['archive', 'drafts', 'junk', 'sent', 'trash', 'flagged', 'all'] as const;
