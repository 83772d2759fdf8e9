/**
 * The header section of a message on its way in: held back until it is complete, to be looked at as a whole; the
 * body streams on behind it.
 */

/** How much is held back. Gigabytes of header fields are no message; RFC 5322 sets no limit, Postfix's is 100 KB. */
export const MAX_HEADER: number = 1024 * 1024;

const END = Buffer.from('\r\n\r\n');
const CR = 0x0d;
const LF = 0x0a;

/** What a chunk has brought: nothing yet, the whole section and what follows it, or more than is held back. */
export type HeaderPart =
  | { readonly is: 'open' }
  /** `header` with its last CRLF, without the blank line; `rest` begins with the blank line, if there is one. */
  | { readonly is: 'complete' | 'too-long'; readonly header: Buffer; readonly rest: Buffer };

export class HeaderSection {
  #held: Buffer = Buffer.alloc(0);
  #size = 0;

  take(chunk: Buffer): HeaderPart {
    // Most messages bring their whole header at once: nothing is copied then.
    if (this.#size === 0) {
      const end = endOfHeader(chunk, 0);
      if (end >= 0) return { is: 'complete', header: chunk.subarray(0, end), rest: chunk.subarray(end) };
    }
    const before = this.#size;
    this.#append(chunk);
    const held = this.#held.subarray(0, this.#size);
    // The end may lie across two chunks.
    const end = endOfHeader(held, Math.max(0, before - 3));
    if (end >= 0) return { is: 'complete', header: held.subarray(0, end), rest: held.subarray(end) };
    if (this.#size > MAX_HEADER) return { is: 'too-long', header: held, rest: held.subarray(this.#size) };
    return { is: 'open' };
  }

  /** The content is over, and so is the section. */
  end(): Buffer {
    return this.#held.subarray(0, this.#size);
  }

  #append(chunk: Buffer): void {
    const needed = this.#size + chunk.length;
    if (needed > this.#held.length) {
      const grown = Buffer.allocUnsafe(Math.max(needed, 2 * this.#held.length));
      this.#held.copy(grown, 0, 0, this.#size);
      this.#held = grown;
    }
    chunk.copy(this.#held, this.#size);
    this.#size = needed;
  }
}

/** Where the blank line begins; -1 when it has not come. */
function endOfHeader(bytes: Buffer, from: number): number {
  if (bytes[0] === CR && bytes[1] === LF) return 0;
  const found = bytes.indexOf(END, from);
  return found < 0 ? -1 : found + 2;
}

const RECEIVED = /^received[ \t]*:/gim;
const DELIVERED_TO = /^delivered-to[ \t]*:[ \t]*([^\r\n]*)/gim;

/** How many hosts have had the message (RFC 5321 6.3). */
export function countReceived(header: string): number {
  return header.match(RECEIVED)?.length ?? 0;
}

/** The mailboxes that have had it, in lower case. */
export function deliveredTo(header: string): readonly string[] {
  if (header.search(DELIVERED_TO) < 0) return [];
  return [...header.matchAll(DELIVERED_TO)].map((match) =>
    Buffer.from(match[1] ?? '', 'latin1')
      .toString()
      .trim()
      .toLowerCase(),
  );
}
