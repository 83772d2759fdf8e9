import type { FieldSelection } from '../../message/field-selector.ts';
import type { SummaryPart } from '../../store/store.ts';
import type { FetchedMessage } from '../fetched-message.ts';
import type { Parser } from '../parser.ts';

/** A FETCH item is a value in a file of its own; `parse` has taken its name and reads what follows it. */
export interface FetchItem {
  /** Upper case. With a `[` at its end, the item is only meant where a section follows. */
  readonly name: string;
  readonly capability?: string;
  /** Asking for it is a CONDSTORE enabling command (RFC 7162 3.1). */
  readonly condstore?: true;
  parse(p: Parser): FetchAttribute;
}

/** One item as one command wants it. */
export interface FetchAttribute {
  /** What must be loaded from the index for it, for many messages at once. */
  readonly needs?: SummaryPart | 'header' | 'thread';
  /** Of the header it needs only these fields: when nothing else is asked of headers, they alone are loaded. */
  readonly fields?: FieldSelection;
  /** It prints octets of the message itself: small messages are loaded for it, many at once. */
  readonly reads?: true;
  /** Sets \Seen (RFC 9051 6.4.5). */
  readonly seen?: true;
  /** `NAME value`, as a string of bytes or, when it is long, a literal. */
  print(message: FetchedMessage): string | Promise<string | Literal>;
}

/** Octets that are ready to be streamed: reading them has begun, so the message is there. */
export interface Literal {
  /** What stands before `{size}`. */
  readonly head: string;
  readonly size: number;
  readonly chunks: AsyncIterable<Uint8Array>;
  /** There may be NUL among them (RFC 3516 4.3). */
  readonly literal8?: boolean;
}
