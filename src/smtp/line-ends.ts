/**
 * Lone CR and LF in message content. Hosts disagree about what they mean, and that is all SMTP smuggling needs:
 * so none ever goes in (RFC 5321 2.3.8 forbids them). Linear, and right however the input is cut into chunks.
 */

const CR = 0x0d;
const LF = 0x0a;
const BARE = /\r(?!\n)|(?<!\r)\n/;
const ALL_BARE = new RegExp(BARE, 'g');

/** What becomes of them: `binary` content (RFC 3030) may have them. */
export type BareNewline = 'refuse' | 'normalise' | 'binary';

export class LineEnds {
  readonly #policy: BareNewline;
  #afterCr = false;
  #atLineStart = true;

  constructor(policy: BareNewline) {
    this.#policy = policy;
  }

  /** Whether the content so far ends with CRLF, or there is none. */
  get atLineStart(): boolean {
    return this.#atLineStart;
  }

  /**
   * The content to keep of the next chunk.
   * @returns `bare` when the policy is to refuse and there is one: nothing after it counts any more.
   */
  take(chunk: Buffer): Buffer | 'bare' {
    const last = chunk[chunk.length - 1];
    if (last === undefined) return chunk;
    const previous = chunk.length > 1 ? chunk[chunk.length - 2] === CR : this.#afterCr;
    const afterCr = this.#afterCr;
    this.#afterCr = last === CR;
    this.#atLineStart = last === LF && (previous || this.#policy === 'normalise');
    if (this.#policy === 'binary') return chunk;

    // latin1 maps each octet to one character; V8 scans that faster than we could octet by octet.
    const text = (afterCr ? '\r' : '') + chunk.toString('latin1');
    // A CR at the very end is judged with the next chunk.
    const whole = last === CR ? text.slice(0, -1) : text;
    if (!BARE.test(whole)) return chunk;
    if (this.#policy === 'refuse') return 'bare';
    const normal = whole.replace(ALL_BARE, '\r\n') + (last === CR ? '\r' : '');
    // The CR of the chunk before has gone out already.
    return Buffer.from(afterCr ? normal.slice(1) : normal, 'latin1');
  }

  /** At the end of the content: what still has to be added so that it ends with CRLF, or that a CR stayed alone. */
  end(): Buffer | 'bare' {
    if (this.#policy === 'binary' || this.#atLineStart) return Buffer.alloc(0);
    if (!this.#afterCr) return Buffer.from('\r\n');
    return this.#policy === 'refuse' ? 'bare' : Buffer.from('\n');
  }
}
