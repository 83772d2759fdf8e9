import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { constants, createDeflateRaw, createInflateRaw, type DeflateRaw, type InflateRaw } from 'node:zlib';

/**
 * A socket whose octets are DEFLATE blocks in both directions (RFC 4978 3, RFC 1951). What is written leaves at once,
 * with a partial flush; what is read is inflated only as fast as it is asked for, so a few octets that unfold to
 * gigabytes fill the buffers named here and no more.
 */

/** A quarter of the memory of the usual 15 and 8, for a sixth more octets of text, and no more of FETCH responses. */
const DEFLATE_WINDOW_BITS = 11;
const DEFLATE_MEMORY_LEVEL = 4;
/** The peer may look back as far as the format allows, and nobody tells us how far it does. */
const INFLATE_WINDOW_BITS = 15;
/** What one step of either produces; each keeps one buffer of this size. */
const CHUNK = 4 * 1024;
const STEP = { chunkSize: CHUNK, highWaterMark: CHUNK };
/** What may lie inflated, and unread. */
const MAX_INFLATED = 16 * 1024;
/** What may wait to be deflated before the writer hears of it. */
const MAX_WAITING = 32 * 1024;

export class DeflatedSocket extends Duplex {
  readonly #socket: Socket;
  readonly #inflate: InflateRaw;
  readonly #deflate: DeflateRaw;

  /** Takes over the socket; nobody else may listen to what it reads. */
  constructor(socket: Socket) {
    super({ readableHighWaterMark: MAX_INFLATED, writableHighWaterMark: MAX_WAITING, allowHalfOpen: true });
    this.#socket = socket;
    this.#inflate = createInflateRaw({
      windowBits: INFLATE_WINDOW_BITS,
      ...STEP,
      // The stream has no end of its own (RFC 4978 3): a peer may close after any block.
      finishFlush: constants.Z_SYNC_FLUSH,
    });
    this.#deflate = createDeflateRaw({
      windowBits: DEFLATE_WINDOW_BITS,
      memLevel: DEFLATE_MEMORY_LEVEL,
      ...STEP,
    });
    const fail = (error: Error): void => void this.destroy(error);
    this.#inflate.on('error', fail);
    this.#deflate.on('error', fail);
    socket.on('error', fail);
    socket.on('close', () => this.destroy());
    this.#inflate.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) this.#inflate.pause();
    });
    this.#inflate.on('end', () => this.push(null));
    socket.pipe(this.#inflate);
    this.#deflate.pipe(socket, { end: false });
  }

  override _read(): void {
    this.#inflate.resume();
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#send(chunk, done);
  }

  /** All that was written in one turn is one block. */
  override _writev(
    chunks: readonly { readonly chunk: Buffer }[],
    done: (error?: Error | null) => void,
  ): void {
    this.#send(Buffer.concat(chunks.map(({ chunk }) => chunk)), done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#deflate.once('end', () => this.#socket.end(() => done()));
    this.#deflate.end();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket.destroy();
    this.#inflate.destroy();
    this.#deflate.destroy();
    done(error);
  }

  #send(bytes: Buffer, done: (error?: Error | null) => void): void {
    this.#deflate.write(bytes);
    // Without it the peer would wait for an answer that lies in our window (RFC 4978 4).
    this.#deflate.flush(constants.Z_SYNC_FLUSH, () => done());
  }
}
