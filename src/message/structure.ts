/** Byte offsets into the message: `start` inclusive, `end` exclusive. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/**
 * One node of a message's MIME tree, by offsets (RFC 2045, RFC 2046). The root's header is the message's header.
 * Plain data: it can be cloned to another thread and kept as JSON.
 */
export interface Part {
  /** With the blank line that ends it. */
  readonly header: Span;
  readonly body: Span;
  /** Line ends in the body (BODYSTRUCTURE's body-fld-lines). */
  readonly lines: number;
  /** Lower case; `text`/`plain` where nothing usable is said (RFC 2045 5.2). */
  readonly type: string;
  readonly subtype: string;
  /** Names lower case, RFC 2231 joined and decoded to UTF-8. */
  readonly parameters: Readonly<Record<string, string>>;
  /** Lower case; `7bit` where nothing is said. */
  readonly encoding: string;
  readonly id: string | null;
  readonly description: string | null;
  readonly md5: string | null;
  readonly disposition: {
    readonly type: string;
    readonly parameters: Readonly<Record<string, string>>;
  } | null;
  readonly language: readonly string[];
  readonly location: string | null;
  /** The parts of a multipart, in order; empty for all else. */
  readonly children: readonly Part[];
  /** The message in a message/rfc822 or message/global. */
  readonly message: Part | null;
}
