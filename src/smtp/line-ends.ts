/**
 * Lone CR and LF in message content. Hosts disagree about what they mean, and that is all SMTP smuggling needs:
 * so none ever goes in (RFC 5321 2.3.8 forbids them). Linear, and right however the input is cut into chunks.
 */

const CR = 0x0d;
const LF = 0x0a;
const BARE = /\r(?!\n)|(?<!\r)\n/;
const ALL_BARE = new RegExp(BARE, 'g');
const LONE_CR = /\r(?!\n)/;
const ALL_LONE_CR = new RegExp(LONE_CR, 'g');
const LONE_LF = /(?<!\r)\n/;

/**
 * What becomes of them: `binary` content (RFC 3030) may have them. `refuse-lf` is for users' mail programs, some of
 * which turn the CRLF of an attached text into CR CRLF: a lone CR becomes a space, so that none goes out to confuse
 * others, and a lone LF is refused all the same.
 */
export type BareNewline = 'refuse' | 'refuse-lf' | 'normalise' | 'binary';

export class LineEnds {
  readonly #policy: BareNewline;
  #afterCr = false;
  #atLineStart = true;
  /** A CR at the end of the last chunk that was not given out yet (`refuse-lf`). */
  #held = false;

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
    if (this.#policy === 'refuse-lf') return this.#spaceForCr(chunk);

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
    if (this.#policy === 'refuse-lf') return Buffer.from(this.#held ? ' \r\n' : '\r\n');
    if (!this.#afterCr) return Buffer.from('\r\n');
    return this.#policy === 'refuse' ? 'bare' : Buffer.from('\n');
  }

  #spaceForCr(chunk: Buffer): Buffer | 'bare' {
    const text = (this.#held ? '\r' : '') + chunk.toString('latin1');
    const held = this.#held;
    this.#held = text.endsWith('\r');
    const whole = this.#held ? text.slice(0, -1) : text;
    if (LONE_LF.test(whole)) return 'bare';
    if (!held && !this.#held && !LONE_CR.test(whole)) return chunk;
    return Buffer.from(whole.replace(ALL_LONE_CR, ' '), 'latin1');
  }
}
