import type { Script } from './compile.ts';

/** What SMTP said of the message, for the one recipient whose script runs. */
export interface Envelope {
  /** Empty: the null reverse-path. */
  readonly from: string;
  /** The recipient, with its detail. */
  readonly to: string;
  /** As the sending side wrote it, before aliases. */
  readonly origTo?: string;
  /** Who submitted it; missing when nobody logged in. */
  readonly auth?: string;
  /** RFC 3461; missing where the sending side said nothing. */
  readonly notify?: string;
  readonly ret?: string;
  readonly envid?: string;
  readonly orcpt?: string;
}

/** The questions a script may ask while it runs, and what it may know of where it runs. */
export interface SieveHost {
  readonly now: Date;
  /** The local time zone at that moment, in minutes east of UTC. */
  zoneMinutesAt(moment: Date): number;
  /** Whose script it is, as an address. */
  readonly account: string;
  /** `now` as a Date field has it, and a boundary that is in no message (RFC 2046 5.1.1). */
  dateText(): string;
  boundary(): string;
  /** Whether an admin keeps scripts from adding or deleting this field (lower case), beyond what RFC 5293 6 asks for. */
  isProtected(field: string, change: 'add' | 'delete'): boolean;
  /** What stands between user and detail (RFC 5233); each is one character. */
  readonly delimiters: string;
  /** RFC 5183; undefined: no such item. */
  environment(item: string): string | undefined;
  /** RFC 5490. */
  mailboxExists(path: string): Promise<boolean>;
  /** RFC 9042. */
  mailboxIdExists(id: string): Promise<boolean>;
  /** RFC 8579: whether a mailbox (null: any of the account) has this use, an attribute without backslash. */
  specialUseExists(mailbox: string | null, use: string): Promise<boolean>;
  /** RFC 5490 4, 5: the value of an entry; null mailbox: of the server. */
  metadata(mailbox: string | null, entry: string): Promise<string | undefined>;
  /** RFC 7352: whether the id was seen within so many seconds; remembers it, when the message was delivered. */
  isDuplicate(handle: string, id: string, seconds: number, last: boolean): Promise<boolean>;
  /** RFC 6609, compiled; undefined: there is none. Throws SieveError. */
  included(name: string, where: 'personal' | 'global'): Promise<Script | undefined>;
  /** RFC 6134: the first of the values that is in the list; null: none is; undefined: no such list. */
  inList(list: string, values: readonly string[]): Promise<string | null | undefined>;
  isList(list: string): Promise<boolean>;
  /** All members, for `redirect :list`; undefined: no such list, or it is too long. */
  listed(list: string): Promise<readonly string[] | undefined>;
  /** RFC 5235: the header field that says it, and how; undefined: nothing does. */
  readonly spamtest: StatusOptions | undefined;
  readonly virustest: StatusOptions | undefined;
  /** Programs that an admin has listed (vnd.dovecot.execute, filter); undefined: there is none of that name. */
  execute(
    program: string,
    args: readonly string[],
    input: Uint8Array,
  ): Promise<{ readonly ok: boolean; readonly output: Uint8Array } | undefined>;
  /** vnd.dovecot.debug. */
  debug(text: string): void;
}

export interface StatusOptions {
  readonly header: string;
  /** Finds the value in the field: its first group, or all of it; empty: the whole field. */
  readonly pattern: string;
  readonly type: 'score' | 'strlen' | 'text';
  readonly maxValue: number;
  /** Where the header says what the most is. */
  readonly maxHeader?: string;
  readonly maxPattern?: string;
  readonly texts: readonly string[];
}
