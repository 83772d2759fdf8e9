/**
 * `From ` at the start of a line, so that it is not taken for the line before a message, and back. Whatever the chunks
 * are, the result is the same, and at most five octets wait for the next one.
 *
 * - `every`: lines of any number of `>` and then `From ` get one more, and lose one: nothing is lost (mboxrd, mboxcl).
 * - `bare`: only `From ` gets a `>`, and only `>From ` loses it: a line that was `>From ` before comes back as `From `
 *   (mboxo).
 */
export interface Quoting {
  readonly mode: 'quote' | 'unquote';
  readonly lines: 'every' | 'bare';
}

const FROM = Buffer.from('From ');
const LF = 0x0a;
const MARK = 0x3e;
const ONE_MARK = Buffer.from('>');

export function* quoteFrom(chunks: Iterable<Uint8Array>, quoting: Quoting): Generator<Uint8Array> {
  const lines = new FromLines(quoting);
  for (const chunk of chunks) yield* lines.next(chunk);
  yield* lines.end();
}

/** The same, fed by hand. */
export class FromLines {
  readonly #quoting: Quoting;
  /** Marks at the start of the line that the next chunk goes on with; null when the line has begun otherwise. */
  #marks: number | null = 0;
  #held: Buffer = Buffer.alloc(0);

  constructor(quoting: Quoting) {
    this.#quoting = quoting;
  }

  *next(chunk: Uint8Array): Generator<Uint8Array> {
    const fresh = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    const data = this.#held.length === 0 ? fresh : Buffer.concat([this.#held, fresh]);
    const kept = this.#keep(data);
    yield* this.#change(data.subarray(0, data.length - kept.held));
    this.#held = Buffer.from(data.subarray(data.length - kept.held));
    this.#marks = kept.marks;
  }

  *end(): Generator<Uint8Array> {
    yield* this.#change(this.#held);
    this.#held = Buffer.alloc(0);
  }

  *#change(data: Buffer): Generator<Uint8Array> {
    let from = 0;
    for (let at = data.indexOf(FROM); at >= 0; at = data.indexOf(FROM, at + FROM.length)) {
      let first = at;
      while (first > from && data[first - 1] === MARK) first--;
      const before = first === 0 ? this.#marks : data[first - 1] === LF ? 0 : null;
      if (before === null) continue;
      const marks = before + at - first;
      if (this.#quoting.mode === 'quote') {
        if (marks > 0 && this.#quoting.lines === 'bare') continue;
        yield data.subarray(from, at);
        yield ONE_MARK;
        from = at;
      } else {
        if (marks === 0 || (marks > 1 && this.#quoting.lines === 'bare')) continue;
        yield data.subarray(from, at - 1);
        from = at;
      }
    }
    if (from < data.length) yield data.subarray(from);
  }

  /** What of the last line cannot be decided yet: a mark and a part of `From `. */
  #keep(data: Buffer): { readonly held: number; readonly marks: number | null } {
    const lineStart = data.lastIndexOf(LF) + 1;
    if (lineStart === 0 && this.#marks === null) return { held: 0, marks: null };
    let at = lineStart;
    while (data[at] === MARK) at++;
    const marks = at - lineStart + (lineStart === 0 ? (this.#marks ?? 0) : 0);
    const word = data.length - at;
    if (word >= FROM.length || !data.subarray(at).equals(FROM.subarray(0, word)))
      return { held: 0, marks: null };
    const mark = at > lineStart ? 1 : 0;
    return { held: word + mark, marks: marks - mark };
  }
}
