import { encodeModifiedUtf7 } from '../mail/modified-utf7.ts';
import type { LineConnection } from '../net/connection.ts';

/**
 * What we say. Everything is a string of bytes ("latin1"), gathered to chunks and written with back-pressure: a peer
 * that does not read stops the command, not the memory.
 */

/** So much is gathered before it is written: 32 KB strings go out several times faster than lines. */
const CHUNK = 32 * 1024;
/** A command that prints for so long (ms) lets others have their turn. */
const TURN = 5;
/** Literals from here on are written as buffers of their own, not copied into a string. */
const LARGE = 16 * 1024;

export class Output {
  readonly #connection: LineConnection;
  #pending = '';
  #bytes = 0;
  /** Since when nobody else had a turn. */
  #since = 0;
  /** Puts the texts of status responses into the client's language; null is ours. */
  translate: ((response: string) => string) | null = null;

  constructor(connection: LineConnection) {
    this.#connection = connection;
  }

  /** Bytes written so far. */
  get bytes(): number {
    return this.#bytes + this.#pending.length;
  }

  /** True when `flush()` should be awaited before more is added. */
  get full(): boolean {
    return this.#pending.length >= CHUNK;
  }

  /** Adds bytes; nothing is sent before `flush()`. */
  add(text: string): void {
    this.#pending += text;
  }

  /** Adds one untagged response. */
  untagged(text: string): void {
    this.#pending += `* ${this.translate === null ? text : this.translate(text)}\r\n`;
  }

  /** Adds a command continuation request. */
  goOn(text: string): void {
    const line = `+ ${text}`;
    this.#pending += `${this.translate === null ? line : this.translate(line)}\r\n`;
  }

  /** Adds a chunk of a literal. Resolves when there is room for more. */
  async chunk(bytes: Uint8Array): Promise<void> {
    if (bytes.length < LARGE) {
      this.#pending += Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
      if (this.full) await this.flush();
      return;
    }
    await this.flush();
    this.#bytes += bytes.length;
    await this.#connection.write(bytes);
  }

  /** Sends what was added; resolves when the peer takes more. */
  async flush(): Promise<void> {
    if (this.#pending === '') return;
    const text = this.#pending;
    this.#pending = '';
    this.#bytes += text.length;
    await this.#connection.write(text);
    if (text.length < CHUNK || performance.now() - this.#since < TURN) return;
    // A peer that reads as fast as we write would keep everybody else waiting.
    await new Promise((resolve) => setImmediate(resolve));
    this.#since = performance.now();
  }
}

/** RFC 9051 9, astring, from a string of bytes: an atom where it can be, else quoted, else a literal. */
export function astring(bytes: string): string {
  return /^[A-Za-z0-9_.\-/+=@:,#$&'~!?<>;|^`[]+$/.test(bytes) && !/^nil$/i.test(bytes)
    ? bytes
    : string(bytes);
}

/** A quoted string, or a literal when it holds what quotes cannot. */
export function string(bytes: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those that a quoted string cannot hold.
  if (/[\x00\r\n\x80-\xff]/.test(bytes) || bytes.length > 1000) return `{${bytes.length}}\r\n${bytes}`;
  return `"${bytes.replace(/["\\]/g, '\\$&')}"`;
}

/** A mailbox name on the wire: modified UTF-7, or quoted UTF-8 once the client enabled it (RFC 6855 3, RFC 9051 5.1). */
export function mailboxName(path: string, names: 'utf7' | 'utf8'): string {
  if (names === 'utf7') return astring(encodeModifiedUtf7(path));
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the question is whether all is ASCII.
  if (/^[\x00-\x7f]*$/.test(path)) return astring(path);
  return `"${utf8Bytes(path).replace(/["\\]/g, '\\$&')}"`;
}

/** UTF-8 as a string of bytes. */
export function utf8Bytes(text: string): string {
  return Buffer.from(text).toString('latin1');
}
