import type { Flag, SpecialUse } from '../store/store.ts';
import type { TransferAccount } from './account.ts';
import type { LedgerFolder } from './ledger.ts';

/** Where mail comes from: an mbox, a Maildir, files, another server. */
export interface Source {
  readonly kind: 'mbox' | 'maildir' | 'eml' | 'imap';
  /** The same for the same mail: its place. A second run of the same name brings only what is new. */
  readonly name: string;
  folders(): Promise<readonly SourceFolder[]>;
  close(): Promise<void>;
}

export interface SourceFolder {
  /** Within the source, for people and for the ledger. */
  readonly name: string;
  /** Its levels; none: the source is one folder without a name. */
  readonly path: readonly string[];
  readonly specialUse: SpecialUse | null;
  readonly subscribed: 'yes' | 'no' | 'unknown';
  /** Shows messages that lie in other folders too (Gmail's "All Mail"): what came from there does not come again. */
  readonly view: boolean;
  /** What is known beforehand, for how far it is: octets of a file, or messages. */
  readonly total: { readonly octets: number } | { readonly messages: number };
  /** False for a name that only has children. */
  readonly selectable: boolean;
  /** Anything worth saying, once it has been read. */
  notes(): readonly string[];
  /** In the folder's order. What the ledger knows by name need not be read. */
  messages(ledger: LedgerFolder): AsyncIterable<SourceItem> | Iterable<SourceItem>;
  /** Flags that changed in the source since its messages came. Resolves to how many messages got others. */
  syncFlags?(ledger: LedgerFolder, account: TransferAccount): Promise<number>;
}

/** A message, or one that need not be looked at; `done` counts towards the folder's total. */
export type SourceItem = (
  | SourceMessage
  | { readonly is: 'known' | 'passed' }
  | { readonly is: 'broken'; readonly label: string; readonly reason: string }
) & { readonly done: number };

export interface SourceMessage {
  readonly is: 'message';
  /** For people: where it is. */
  readonly label: string;
  /** One that stays, and then is the message's for ever; `content` also looks at what is in it. */
  readonly identity:
    | { readonly by: 'name'; readonly name: string }
    | { readonly by: 'content'; readonly name: string | null };
  readonly flags: readonly Flag[];
  /** Milliseconds since the epoch; `header`: from its Received or Date field, else this. */
  readonly date: { readonly from: 'source' | 'header'; readonly ms: number };
  /** CRLF line ends; read once. */
  readonly chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
}
