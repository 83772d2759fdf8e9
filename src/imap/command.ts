import type { MailboxEvents } from '../delivery/mailbox-events.ts';
import type { CapabilityMask } from '../lib/capability-mask.ts';
import type { Clock } from '../lib/clock.ts';
import type { Language } from '../lib/language.ts';
import type { Logger } from '../lib/logger.ts';
import type { LineConnection } from '../net/connection.ts';
import type { AccountSessions } from '../net/limits.ts';
import type { Sasl, SaslContext, SaslStep } from '../sasl/sasl.ts';
import type { MailboxId, MailStore, Message, Uid } from '../store/store.ts';
import type { AccountQuotas } from './account-quotas.ts';
import type { FlagText } from './flag-text.ts';
import type { HeldOctets } from './held-octets.ts';
import type { MailboxScripts } from './mailbox-scripts.ts';
import type { Notify } from './notify.ts';
import type { ImapOptions } from './options.ts';
import type { Parser } from './parser.ts';
import type { Output } from './response.ts';
import type { Selected } from './selected.ts';
import type { SharedAccounts } from './shared/accounts.ts';
import type { UserView } from './shared/view.ts';
import type { Spool } from './spool.ts';

/**
 * A command is a value in a file of its own. It is parsed to its end before any of it runs; the dispatcher in
 * session.ts does everything that commands have in common.
 */

export type State = 'not-authenticated' | 'authenticated' | 'selected';

/** What a client can switch on with ENABLE (RFC 5161), or by using it (CONDSTORE, RFC 7162 3.1). */
export type Feature =
  | 'CONDSTORE'
  | 'QRESYNC'
  | 'IMAP4rev2'
  | 'METADATA'
  | 'METADATA-SERVER'
  | 'UIDONLY'
  | 'UTF8=ACCEPT';

/** `i-default` is English too, and what all begin with (RFC 5255 3.1). */
export type Tongue = Language | 'i-default';

/** What all sessions of one server share. */
export interface ImapWorld {
  readonly hostname: string;
  readonly version: string;
  readonly store: MailStore;
  readonly shared: SharedAccounts;
  readonly sasl: Sasl;
  readonly clock: Clock;
  readonly log: Logger;
  readonly settings: ImapOptions;
  readonly flagText: FlagText;
  /** What FETCH has in memory. */
  readonly held: HeldOctets;
  readonly accountSessions: AccountSessions;
  /** Runs scripts for what sessions do, and where they are edited (RFC 6785 2.1); without it none run. */
  readonly scripts?: { readonly events: MailboxEvents; readonly url: string | null };
  /** For admins; without it nobody sets quotas. */
  readonly quotas?: AccountQuotas;
  /** Whether a password may come without TLS from this address. */
  allowPlaintext(ip: string): boolean;
  /** Names of all capabilities of the loaded commands, items and keys. */
  readonly capabilities: readonly string[];
  readonly mask: CapabilityMask;
}

/** What a client is told of besides the selected mailbox, once it has asked for it. */
export interface News {
  readonly hasPending: boolean;
  /** Adds all that is pending to the output, as untagged responses. */
  tell(): void | Promise<void>;
  /** Set while somebody waits for it: IDLE. */
  onPending: (() => void) | null;
  stop(): void;
}

/** What a command may do. */
export interface ImapSession {
  readonly world: ImapWorld;
  readonly connection: LineConnection;
  readonly log: Logger;
  readonly out: Output;
  readonly spool: Spool;
  readonly state: State;
  /** The tag of the running command. */
  readonly tag: string;
  readonly enabled: ReadonlySet<Feature>;
  /** The account's mail, and what others share with it. A command that is not allowed before login may rely on it. */
  readonly store: UserView;
  /** Those that run for what this session does; null where none can. */
  readonly scripts: MailboxScripts | null;
  /** The selected mailbox. A command that is only allowed in the selected state may rely on it. */
  readonly selected: Selected;
  readonly hasSelected: boolean;
  /** How mailbox names are written to this client. */
  readonly names: 'utf7' | 'utf8';

  /** What CAPABILITY says now. */
  capabilities(): string;
  /** Whether this capability is among them, as far as masks go (`imap.mask`). */
  offers(capability: string): boolean;
  /** What ID has said of the client: vendor, name and version. */
  client: string | null;
  /** Of the texts for people (RFC 5255 3). */
  readonly language: Tongue;
  /** From now on. */
  speak(tongue: Tongue): void;
  enable(feature: Feature): void;
  /** Told after each command and while it idles; all are stopped when the session ends. */
  readonly news: Set<News>;
  /** What the client wants to hear without asking (RFC 5465); null until it has said so. */
  readonly notify: Notify | null;
  /** In place of what it wanted before. */
  setNotify(notify: Notify): void;
  /** What is wanted of the selected mailbox may be another. */
  notifyChanged(): void;
  /** A CONDSTORE enabling command: tells HIGHESTMODSEQ if it was the first (RFC 7162 3.1). */
  enableCondstore(): void;
  saslContext(): SaslContext;
  /** Whether the password itself may be sent: TLS, or an address that is trusted. */
  readonly plaintextAllowed: boolean;
  /** The end of a SASL exchange or LOGIN: logs in, or throws the refusal. */
  authenticated(step: SaslStep): Promise<void>;
  /** Reads a line that is not a command: SASL responses, DONE. Null when the peer is gone. */
  readLine(maxBytes: number, timeoutMs: number): Promise<Buffer | null>;
  /** Enters the selected state; `unwatch` is called when it is left. */
  select(selected: Selected, unwatch: () => void): void;
  deselect(): void;
  /** Tells the client what has changed in the selected mailbox. */
  tell(expunges: 'now' | 'later'): Promise<void>;
  /** `(\Seen …)` as this client sees it; announces keywords that it has not heard of. */
  flagList(message: Message): string;
  /** `FETCH` response text for flags that changed: FLAGS, with UID and MODSEQ where the client wants them. */
  flagsOf(message: Message, also: { readonly uid: boolean }): string;
  /** How a FETCH response to this client begins; with UIDONLY it is UIDFETCH (RFC 9586 3.3). */
  fetchHead(sequence: number, uid: number): string;
  /** This session itself has put messages into a mailbox: of those in the selected one the client is told. */
  addedHere(mailbox: MailboxId, uids: readonly Uid[]): Promise<void>;
  /** Back to where nobody has logged in: of the connection only TLS and what ID said stay (RFC 8437 3). */
  unauthenticate(): void;
  /** The command wants the connection closed after its answer. */
  logout(): void;
}

/** Written as `tag OK [code] text`. */
export interface Ok {
  readonly code?: string;
  readonly text?: string;
  /** The answer is about sequence numbers, which must not shift before the client has it. */
  readonly expunges?: 'later';
  /** Runs when the answer has been sent: STARTTLS. */
  readonly afterwards?: () => Promise<void>;
}

/** Facts the dispatcher needs before it runs a command. */
interface Facts {
  readonly name: string;
  readonly states: readonly State[];
  /** Also understood with UID before it, or only so. */
  readonly uid?: 'also' | 'only';
  /** Announced by CAPABILITY because this command is loaded. */
  readonly capability?: string | readonly string[];
  /**
   * `held`: the client may hear of no EXPUNGE while this command runs, since its sequence numbers would shift
   * (RFC 9051 7.5.1). With UID before it that does not apply.
   */
  readonly expunges?: 'held';
  /** Messages come as literals, not into memory: what stands before a literal is looked at when it is announced. */
  readonly literals?: LiteralPolicy;
}

/** `{size}` or `{size+}`. */
export interface Announced {
  readonly size: number;
  /** It comes without being asked for (RFC 7888). */
  readonly plus: boolean;
}

/** Says what to do with a literal that the bytes so far announce. Throws ImapNo or ImapBad to refuse it unread. */
export type LiteralPolicy = (session: ImapSession, p: Parser, announced: Announced) => Promise<LiteralKind>;

/** `octets`: part of a message, or one whose line ends cannot be told yet. */
export type LiteralKind = 'argument' | 'message' | 'octets';

export interface Command extends Facts {
  prepare(p: Parser): (session: ImapSession) => Promise<Ok | undefined>;
}

/** A command is parsed to its end before any of it runs; `run` gets the type `parse` returns. */
export function command<Args>(
  definition: Facts & {
    parse(p: Parser): Args;
    run(session: ImapSession, args: Args): Promise<Ok | undefined>;
  },
): Command {
  const { parse, run, ...facts } = definition;
  return {
    ...facts,
    prepare(p) {
      const args = parse(p);
      p.end();
      return (session) => run(session, args);
    },
  };
}

/** For commands without arguments. */
export function nothing(): void {}
