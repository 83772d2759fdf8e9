import type { AccountId } from '../../directory/directory.ts';
import type { Logger } from '../../lib/logger.ts';
import type { RawMessage } from '../../mail/raw-message.ts';
import type { SieveAction } from '../../sieve/action.ts';
import { execute } from '../../sieve/execute.ts';
import { addressesIn } from '../../sieve/fields.ts';
import type { Envelope } from '../../sieve/host.ts';
import type { MessageVersion } from '../../sieve/message.ts';
import type { SieveSettings } from '../../sieve/options.ts';
import type { TraceEvent } from '../../sieve/run.ts';
import type { KeyValue } from '../../store/key-value.ts';
import { carryOut, type Ports } from './carry-out.ts';
import { DUPLICATE, type HostMail, normalPath, placeFor, sieveHost, type Traces } from './host.ts';
import { originalOf } from './original.ts';
import { parted } from './parted.ts';
import type { NamedScript, Scripts } from './scripts.ts';

/**
 * What scripts would do with mail, without doing it: the same engine and the same rules for answers, loops and mailboxes,
 * but nothing is stored, sent, run or remembered beyond this rehearsal.
 */

export interface RehearsalWorld {
  readonly account: AccountId;
  readonly hostname: string;
  readonly delimiters: string;
  readonly settings: SieveSettings;
  readonly scripts: Scripts;
  /** Mailboxes and their annotations; `null`: nobody knows, any mailbox may be there. */
  readonly mail: HostMail | null;
  isOwn(address: string): Promise<boolean>;
  readonly log: Logger;
}

export interface Rehearsed {
  /** Where the message would be stored, each mailbox once. */
  readonly places: readonly Stored[];
  readonly refused: boolean;
  /** What would be sent and run, in words, and why something would not be. */
  readonly notes: readonly string[];
  /** Why the script could not go on: then the message is kept. */
  readonly problem: string | null;
}

export interface Stored {
  readonly path: string;
  readonly flags: readonly string[];
  /** Nothing else was decided (RFC 5228 2.10.2). */
  readonly implicit: boolean;
  /** The mailbox would be made. */
  readonly made: boolean;
}

/** A message as it would have come. */
export interface Rehearsable {
  readonly raw: RawMessage;
  /** When it came: what scripts take for now. */
  readonly date: Date;
  /** Missing parts are taken from its trace fields. */
  readonly envelope?: Partial<Envelope>;
}

export class Rehearsal {
  readonly #world: RehearsalWorld;
  readonly #scripts: readonly NamedScript[];
  /** What `duplicate` has seen, whom `vacation` has answered. */
  readonly #facts = new Map<string, number>();
  /** Mailboxes that it would have made by now. */
  readonly #made = new Set<string>();
  #count = 0;

  /** @param scripts in the order in which they run; none: all is kept */
  constructor(world: RehearsalWorld, scripts: readonly NamedScript[]) {
    this.#world = world;
    this.#scripts = scripts;
  }

  /** In the order in which the mail came. Throws what reading the message throws. */
  async message(
    { raw, date, envelope: given = {} }: Rehearsable,
    trace?: (event: TraceEvent) => void,
  ): Promise<Rehearsed> {
    const { account, settings, hostname, scripts } = this.#world;
    const { message } = await originalOf(raw);
    const envelope = { ...this.#traced(message), ...given };
    const traces: Traces = { seen: [], notes: [] };
    const question = {
      account,
      envelope,
      content: [],
      size: raw.size,
      environment: {},
      mode: 'rehearsal',
    } as const;
    const clock = { now: () => date, sleep: async () => {} };
    const memory = this.#memory(date.getTime());
    const mail = this.#world.mail ?? NO_MAIL;
    const host = sieveHost(question, async () => mail, { ...this.#world, memory, clock }, traces);
    const result = await execute(
      this.#scripts.map(({ script }) => script),
      { message, envelope, host, limits: scripts.limits, ...(trace && { trace }) },
    );
    for (const { key, expires } of traces.seen) memory.set(account, DUPLICATE, key, '', expires);
    const stored = new Map<string, Stored>();
    const notes: string[] = [];
    const outcome = await carryOut(
      result.actions,
      message,
      {
        account,
        envelope,
        fields: message.fields,
        now: date,
        hostname,
        id: `rehearsal-${this.#count++}`,
      },
      { settings, postmaster: `postmaster@${account.slice(account.lastIndexOf('@') + 1)}` },
      this.#ports(result.actions, stored, notes, memory),
    );
    return {
      places: [...stored.values()],
      refused: outcome.refused !== null,
      notes: [
        ...(outcome.refused?.extended ? ['refused, the sender is told'] : []),
        ...notes,
        ...traces.notes,
      ],
      problem: result.error?.text ?? null,
    };
  }

  /** Return-Path, and the address that our Received field names where there was but one recipient. */
  #traced(message: MessageVersion): Envelope {
    const { account, delimiters } = this.#world;
    const [path] = message.named('return-path');
    const [sender] = path ? addressesIn(path.value) : [];
    const from = sender?.local == null || sender.domain === null ? '' : `${sender.local}@${sender.domain}`;
    const written = / for <([^<>\s]+)>/.exec(message.named('received')[0]?.value ?? '')?.[1] ?? account;
    const at = written.lastIndexOf('@');
    const user = [...written.slice(0, at)].findIndex((char) => delimiters.includes(char));
    const bare = user < 0 ? written : `${written.slice(0, user)}${written.slice(at)}`;
    return { from, to: bare.toLowerCase() === account.toLowerCase() ? written : account, origTo: written };
  }

  #memory(now: number): KeyValue {
    const facts = this.#facts;
    return {
      get: (_account, space, key) => ((facts.get(`${space}\0${key}`) ?? 0) > now ? '' : undefined),
      set: (_account, space, key, _value, expires) => void facts.set(`${space}\0${key}`, expires),
    };
  }

  #ports(
    actions: readonly SieveAction[],
    stored: Map<string, Stored>,
    notes: string[],
    memory: KeyValue,
  ): Ports<MessageVersion> {
    const { account, mail, isOwn } = this.#world;
    const implicit = actions.some((action) => action.type === 'keep' && action.implicit);
    return {
      find: async (action) => {
        if (!mail) return { path: normalPath(action.mailbox), isThere: true };
        const { path, isThere } = placeFor(action, await mail.mailboxes());
        return { path, isThere: isThere || this.#made.has(path) };
      },
      create: async (path) => void this.#made.add(path),
      store: async (path, message, flags) => {
        // A copy of what is sent (RFC 8580) is another message.
        if (message instanceof Uint8Array) notes.push(`a copy of it in '${path}'`);
        else if (!stored.has(path))
          stored.set(path, {
            path,
            flags,
            implicit: implicit && path === 'INBOX',
            made: this.#made.has(path),
          });
      },
      // Said in the notes, by who would send it.
      send: async () => {},
      content: async (message) => parted(await message.whole()),
      run: async () => true,
      recall: async (space, key) => memory.get(account, space, key),
      remember: async (space, key, value, expires) => memory.set(account, space, key, value, expires),
      isOwn,
      note: (text) => void notes.push(text),
    };
  }
}

const NO_MAIL: HostMail = { mailboxes: async () => [], annotations: async () => new Map() };
