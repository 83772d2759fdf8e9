/**
 * Where message content ends in what a client sends. After DATA only CRLF "." CRLF is the end (RFC 5321 4.1.1.4),
 * never a variant with lone CR or LF; a dot that begins any other line is taken away (4.5.2). After BDAT the
 * count is the end (RFC 3030). Content goes out as it comes, one piece for each piece of input.
 */
export interface Framing {
  /** Takes content from `input`, beginning at `start`. May move octets within `input`. */
  take(input: Buffer, start: number): Framed;
  /** True when the end needs no more input. */
  readonly complete: boolean;
}

export interface Framed {
  readonly content: Buffer;
  /** The first octet of `input` that was not taken. */
  readonly next: number;
  readonly ended: boolean;
}

const CR = 0x0d;
const LF = 0x0a;
const DOT = 0x2e;
const LF_DOT = Buffer.from('\n.');
const NOTHING = Buffer.alloc(0);
const LONE_CR = Buffer.from('\r');

/** What the input before the next octet was. The dot of `dot` and `dot-cr` is not content; their CR may be. */
type Before = 'crlf' | 'cr' | 'dot' | 'dot-cr' | 'text';

export class DotFraming implements Framing {
  readonly complete = false;
  #before: Before = 'crlf';

  take(input: Buffer, start: number): Framed {
    if (start >= input.length) return { content: NOTHING, next: start, ended: false };
    let at = start;
    let prefix = NOTHING;
    switch (this.#before) {
      case 'dot-cr':
        if (input[at] === LF) return this.#end(NOTHING, at + 1);
        prefix = LONE_CR;
        break;
      case 'dot':
        if (input[at] !== CR) break;
        if (at + 1 === input.length) return this.#hold('dot-cr', NOTHING, at + 1);
        if (input[at + 1] === LF) return this.#end(NOTHING, at + 2);
        break;
      case 'cr':
        if (input[at] === LF) at++;
        break;
      case 'crlf':
      case 'text':
    }
    const lineStart = this.#before === 'crlf' || (this.#before === 'cr' && at > start);
    const dropped: number[] = [];
    let dot = lineStart && input[at] === DOT ? at : this.#nextDot(input, start, at);
    for (; dot >= 0; dot = this.#nextDot(input, start, dot + 1)) {
      const content = (): Buffer => join(prefix, without(input, start, dot, dropped));
      if (dot + 1 === input.length) return this.#hold('dot', content(), input.length);
      if (input[dot + 1] === CR) {
        if (dot + 2 === input.length) return this.#hold('dot-cr', content(), input.length);
        if (input[dot + 2] === LF) return this.#end(content(), dot + 3);
      }
      dropped.push(dot);
    }
    this.#before = before(input, start, this.#before);
    return {
      content: join(prefix, without(input, start, input.length, dropped)),
      next: input.length,
      ended: false,
    };
  }

  /** The next dot that follows CRLF, both within what is being taken. */
  #nextDot(input: Buffer, start: number, from: number): number {
    for (let lf = input.indexOf(LF_DOT, from); lf >= 0; lf = input.indexOf(LF_DOT, lf + 1))
      if (lf > start && input[lf - 1] === CR) return lf + 1;
    return -1;
  }

  #hold(before: Before, content: Buffer, next: number): Framed {
    this.#before = before;
    return { content, next, ended: false };
  }

  #end(content: Buffer, next: number): Framed {
    return { content, next, ended: true };
  }
}

function before(input: Buffer, start: number, earlier: Before): Before {
  const last = input[input.length - 1];
  if (last === CR) return 'cr';
  if (last !== LF) return 'text';
  const cr = input.length - 1 > start ? input[input.length - 2] === CR : earlier === 'cr';
  return cr ? 'crlf' : 'text';
}

/** `input` from `start` to `end` without the octets at `dropped`: moved together in place. */
function without(input: Buffer, start: number, end: number, dropped: readonly number[]): Buffer {
  const [first] = dropped;
  if (first === undefined) return input.subarray(start, end);
  let to = first;
  dropped.forEach((dot, i) => {
    const until = dropped[i + 1] ?? end;
    input.copyWithin(to, dot + 1, until);
    to += until - dot - 1;
  });
  return input.subarray(start, to);
}

function join(prefix: Buffer, content: Buffer): Buffer {
  return prefix.length === 0 ? content : Buffer.concat([prefix, content]);
}

export class CountFraming implements Framing {
  #left: number;

  constructor(octets: number) {
    this.#left = octets;
  }

  get complete(): boolean {
    return this.#left === 0;
  }

  take(input: Buffer, start: number): Framed {
    const next = Math.min(input.length, start + this.#left);
    this.#left -= next - start;
    return { content: input.subarray(start, next), next, ended: this.#left === 0 };
  }
}
