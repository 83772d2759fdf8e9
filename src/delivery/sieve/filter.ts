import { createHash } from 'node:crypto';
import type { AccountId, Directory } from '../../directory/directory.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/logger.ts';
import { type Piece, pieceSize, readPieces } from '../../lib/pieces.ts';
import { parseAddress } from '../../mail/address.ts';
import { formatDate } from '../../message/date.ts';
import type { QueueStore } from '../../queue/queue.ts';
import type { Envelope } from '../../sieve/host.ts';
import { fieldsOf } from '../../sieve/message.ts';
import { textEntity } from '../../sieve/mime-edit.ts';
import type { SieveSettings } from '../../sieve/options.ts';
import { type MailStore, StoreError } from '../../store/store.ts';
import { submit } from '../submit.ts';
import type { SieveCalls } from './calls.ts';
import { carryOut, type Outcome, type Outgoing, type Ports } from './carry-out.ts';
import type { Action, Content, Decision, Problem } from './decision.ts';
import { DUPLICATE, normalPath, programEnvironment } from './host.ts';
import { header, isUtf8Address } from './outgoing.ts';
import type { Parted } from './parted.ts';
import { runProgram } from './program.ts';

/** Puts a message where its recipient's scripts want it. */

/** Of a header that is looked at; more of it is body. */
const MAX_HEADER = 1024 * 1024;
/** How long a script's owner is not told of the same mistake again, ms. */
const TOLD_FOR = 86_400_000;
const TOLD = 'told';

export interface FilterDeps {
  readonly sieve: SieveCalls;
  readonly store: MailStore;
  readonly directory: Directory;
  readonly queue: QueueStore;
  readonly clock: Clock;
  readonly log: Logger;
  readonly hostname: string;
  readonly settings: SieveSettings;
}

/** One message for one recipient. */
export interface Arrival {
  readonly account: AccountId;
  /** What stands behind the delimiter of the address (RFC 5233). */
  readonly detail: string | undefined;
  readonly envelope: Envelope;
  /** As it will be stored, trace fields on top. */
  readonly content: readonly Piece[];
  readonly internalDate: number;
  /** Names this delivery for ever; letters, digits, '-'. */
  readonly key: string;
}

export class Filter {
  readonly #deps: FilterDeps;

  constructor(deps: FilterDeps) {
    this.#deps = deps;
  }

  /** Resolves when the message is durable wherever it has to be. Throws StoreError and QueueFull: try again. */
  async deliver(arrival: Arrival): Promise<Outcome> {
    const { sieve, log } = this.#deps;
    const { account, envelope, content, key } = arrival;
    const size = content.reduce((sum, piece) => sum + pieceSize(piece), 0);
    const question = { account, envelope, content, size, environment: {}, mode: 'delivery' } as const;
    const decision = await sieve.decide(question);
    const delivery = new Delivery(this.#deps, arrival, size);
    const outcome = await delivery.carryOut(decision);
    for (const { key: seen, expires } of decision.seen)
      await sieve.remember(account, DUPLICATE, seen, '', expires);
    if (decision.problem) await this.#tell(arrival, decision.problem);
    if (decision.actions !== null || decision.problem)
      log.info(
        {
          delivery: key,
          account,
          sieve: [...delivery.notes, ...decision.notes],
          problem: decision.problem?.text,
        },
        'delivered by script',
      );
    return outcome;
  }

  /** A script that fails says so in its owner's inbox, once a day. */
  async #tell({ account, key }: Arrival, problem: Problem): Promise<void> {
    const { sieve, store, clock, hostname } = this.#deps;
    const digest = createHash('sha256').update(`${problem.script}\0${problem.text}`).digest('base64url');
    if ((await sieve.recall(account, TOLD, digest)) !== undefined) return;
    const now = clock.now().getTime();
    const head = header([
      ['Date', formatDate(now, 0)],
      ['From', `"Mail filter" <postmaster@${hostname}>`],
      ['To', `<${account}>`],
      ['Subject', 'Your mail filter has failed'],
      ['Message-ID', `<${key}.filter@${hostname}>`],
      ['Auto-Submitted', 'auto-generated'],
      ['MIME-Version', '1.0'],
    ]);
    const text =
      `The filter script ${JSON.stringify(problem.script)} could not be run to its end:\n\n${problem.text}\n\n` +
      'The message that it was run for, and all others for which it fails, are kept in the inbox.\n';
    await store.deliver({
      account,
      mailbox: 'INBOX',
      key: `${key}-told`,
      flags: [],
      internalDate: now,
      content: [Buffer.concat([Buffer.from(head, 'latin1'), textEntity(text)])],
      limits: 'ignored',
    });
    await sieve.remember(account, TOLD, digest, '', now + TOLD_FOR);
  }
}

/** What is done for one message. */
class Delivery {
  /** What was done, in words. */
  readonly notes: string[] = [];
  readonly #deps: FilterDeps;
  readonly #arrival: Arrival;
  readonly #size: number;
  #stores = 0;

  constructor(deps: FilterDeps, arrival: Arrival, size: number) {
    this.#deps = deps;
    this.#arrival = arrival;
    this.#size = size;
  }

  async carryOut({ actions }: Decision): Promise<Outcome> {
    const { settings, clock, hostname } = this.#deps;
    const { account, envelope, key } = this.#arrival;
    const chosen = await this.#detailed(actions ?? [KEEP]);
    const isSending = chosen.some(({ type }) => !['keep', 'fileinto', 'discard', 'pipe'].includes(type));
    return carryOut(
      chosen,
      ORIGINAL,
      {
        account,
        envelope,
        fields: isSending ? fieldsOf(Buffer.from((await this.#parted(ORIGINAL)).header, 'latin1')) : [],
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
    const { detail } = this.#arrival;
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
    const { account, envelope, key } = this.#arrival;
    return {
      find: async ({ mailbox, mailboxId, specialUse }) => {
        const path = normalPath(mailbox);
        const all = await this.#mailboxes();
        // RFC 9042 4, RFC 8579 4: the id before the use, the use before the name.
        const found =
          (mailboxId === null ? undefined : all.find(({ id }) => id === mailboxId)) ??
          (specialUse === null
            ? undefined
            : all.find((one) => one.specialUse === specialUse.toLowerCase())) ??
          all.find((one) => one.path === path);
        return { path: found?.path ?? path, isThere: found?.selectable === true };
      },
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
      store: (path, message, flags) => this.#store(path, message, flags),
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
    return (await this.#deps.store.account(this.#arrival.account)).mailboxes();
  }

  async #find(path: string): Promise<string | undefined> {
    return (await this.#mailboxes()).find((one) => one.path === path && one.selectable)?.path;
  }

  async #store(path: string, message: Content | Buffer, flags: readonly string[]): Promise<void> {
    const { store } = this.#deps;
    const { account, key, internalDate, content } = this.#arrival;
    const n = this.#stores++;
    const pieces = message instanceof Uint8Array ? [message] : piecesOf(message, content);
    const delivery = {
      account,
      key: n === 0 ? key : `${key}-${n}`,
      flags: [...flags],
      internalDate,
      content: pieces,
    };
    try {
      await store.deliver({ ...delivery, mailbox: path });
    } catch (error) {
      if (!(error instanceof StoreError && error.kind === 'not-found') || path === 'INBOX') throw error;
      this.notes.push(`mailbox '${path}' has gone, kept in INBOX`);
      await store.deliver({ ...delivery, mailbox: 'INBOX' });
      return;
    }
    this.notes.push(`stored in '${path}'`);
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
    const pieces = piecesOf(message, this.#arrival.content);
    let head = Buffer.alloc(0);
    for await (const chunk of readPieces(pieces, { start: 0, end: MAX_HEADER })) {
      const from = Math.max(0, head.length - 3);
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf('\r\n\r\n', from);
      if (end < 0) continue;
      const at = end + 2;
      return {
        header: head.toString('latin1', 0, at),
        body: readPieces(pieces, { start: at, end: Number.POSITIVE_INFINITY }),
      };
    }
    const rest = readPieces(pieces, { start: head.length, end: Math.max(head.length, this.#size) });
    return { header: head.toString('latin1'), body: rest };
  }
}

const ORIGINAL: Content = { is: 'original' };
const KEEP: Action = { type: 'keep', implicit: true, flags: [], message: ORIGINAL };
/** RFC 3461 4.1; `never` is none of them. */
const CONDITIONS = ['success', 'failure', 'delay'] as const;
const SPECIAL_USES = ['archive', 'drafts', 'junk', 'sent', 'trash', 'flagged', 'all'] as const;

function piecesOf(message: Content, original: readonly Piece[]): readonly Piece[] {
  switch (message.is) {
    case 'original':
      return original;
    case 'edited':
      return [message.header, ...piecesFrom(original, message.bodyAt)];
    case 'other':
      return [message.bytes];
  }
}

function piecesFrom(pieces: readonly Piece[], start: number): Piece[] {
  const rest: Piece[] = [];
  let at = 0;
  for (const piece of pieces) {
    const size = pieceSize(piece);
    const skip = Math.max(0, start - at);
    at += size;
    if (skip >= size) continue;
    if (skip === 0) rest.push(piece);
    else if (piece instanceof Uint8Array) rest.push(piece.subarray(skip));
    else rest.push({ ...piece, start: piece.start + skip });
  }
  return rest;
}
