import type { RawMessage } from '../mail/raw-message.ts';
import type { FieldSelection } from '../message/field-selector.ts';
import { byteString, selectFields } from '../message/header.ts';
import { PREVIEW_OCTETS, PreviewText, previewParts } from '../message/preview.ts';
import type { Part, Span } from '../message/structure.ts';
import { transferDecoder } from '../message/transfer.ts';
import {
  type AccountStore,
  type MailboxId,
  type Message,
  StoreError,
  type Summary,
  type ThreadId,
} from '../store/store.ts';

/** One message as FETCH prints it: what its items need of it is loaded when the first of them asks, and kept. */

/** Messages up to this size are read whole: one read serves all sections. */
const WHOLE = 256 * 1024;
/** Another session may rename the message's file between asking where it is and opening it. */
const ATTEMPTS = 5;

export interface Octets {
  readonly size: number;
  readonly chunks: AsyncIterable<Uint8Array>;
}

/** Where the messages of one FETCH are. */
export interface Mailbox {
  readonly store: AccountStore;
  readonly id: MailboxId;
}

/** What was loaded for a message, many at once. */
export interface Loaded {
  readonly summary?: Summary | undefined;
  readonly header?: Uint8Array | undefined;
  /** The fields of the header that are asked for, in place of all of it. */
  readonly fields?: string | undefined;
  readonly threadId?: ThreadId | undefined;
  /** All of the message, when it is small. */
  readonly content?: Uint8Array | undefined;
}

export class FetchedMessage {
  readonly message: Message;
  /** `(\Seen …)` */
  readonly flags: string;
  readonly #mailbox: Mailbox;
  readonly #loaded: Loaded;
  #structure: Promise<Part> | null = null;
  #whole: Promise<Uint8Array> | null = null;
  #preview: Promise<string> | null = null;

  constructor(mailbox: Mailbox, message: Message, flags: string, loaded: Loaded) {
    this.#mailbox = mailbox;
    this.message = message;
    this.flags = flags;
    this.#loaded = loaded;
  }

  get threadId(): ThreadId | undefined {
    return this.#loaded.threadId;
  }

  get summary(): Summary {
    return this.#loaded.summary ?? this.#gone();
  }

  /** The header block with its blank line. */
  get header(): Uint8Array {
    return this.#loaded.header ?? this.#gone();
  }

  /** Fields of the header, as a string of bytes. */
  fields(selection: FieldSelection): string {
    return this.#loaded.fields ?? byteString(selectFields(this.header, selection.names, selection.mode));
  }

  /**
   * All octets, when they are in memory. Not when they are not as many as was said just now, because another program
   * wrote into the file: reading says so.
   */
  get content(): Uint8Array | undefined {
    const { content } = this.#loaded;
    return content?.length === this.message.size ? content : undefined;
  }

  structure(): Promise<Part> {
    const { store, id } = this.#mailbox;
    this.#structure ??= store.structure(id, this.message.uid);
    return this.#structure;
  }

  /** These octets of the message; its first ones are read when this resolves. */
  async octets(span: Span): Promise<Octets> {
    const size = Math.max(span.end - span.start, 0);
    if (size === 0) return { size: 0, chunks: each() };
    const { content } = this;
    if (content) return { size, chunks: each(content.subarray(span.start, span.end)) };
    if (this.message.size <= WHOLE) {
      this.#whole ??= this.#read();
      const whole = await this.#whole;
      return { size, chunks: each(whole.subarray(span.start, span.end)) };
    }
    return { size, chunks: await this.#open(span) };
  }

  /** The octets of a part's body, its transfer encoding undone. */
  async *decoded(part: Part): AsyncGenerator<Uint8Array> {
    const decoder = transferDecoder(part.encoding);
    for await (const chunk of (await this.octets(part.body)).chunks) yield decoder.write(chunk);
    yield decoder.end();
  }

  /** The first words of its text, empty when there are none. */
  preview(): Promise<string> {
    this.#preview ??= this.#makePreview();
    return this.#preview;
  }

  async #makePreview(): Promise<string> {
    for (const part of previewParts(await this.structure())) {
      const { start, end } = part.body;
      const text = new PreviewText(part);
      const { chunks } = await this.octets({ start, end: Math.min(end, start + PREVIEW_OCTETS) });
      for await (const chunk of chunks) if (text.write(chunk) === 'enough') break;
      const made = text.end();
      if (made !== '') return made;
      // A part without a word may have taken some milliseconds.
      await new Promise((resolve) => setImmediate(resolve));
    }
    return '';
  }

  async #read(): Promise<Buffer> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of await this.#open({ start: 0, end: this.message.size })) chunks.push(chunk);
    return Buffer.concat(chunks);
  }

  async #open(span: Span): Promise<AsyncIterable<Uint8Array>> {
    const { store, id } = this.#mailbox;
    for (let attempt = 1; ; attempt++) {
      try {
        const raw: RawMessage = await store.raw(id, this.message.uid);
        // Another program wrote into its file: what was said of it just now is not true of these bytes.
        if (raw.size !== this.message.size) throw new StoreError('expunged', 'the message was changed');
        return await begun(raw.read(span));
      } catch (error) {
        if (error instanceof StoreError || attempt === ATTEMPTS) throw error;
      }
    }
  }

  #gone(): never {
    throw new StoreError('expunged', 'the message is gone');
  }
}

async function* each(...chunks: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

/** Reads the first chunk, so that what can fail has failed before a literal is announced. */
async function begun(chunks: AsyncIterable<Uint8Array>): Promise<AsyncIterable<Uint8Array>> {
  const iterator = chunks[Symbol.asyncIterator]();
  const first = await iterator.next();
  return {
    async *[Symbol.asyncIterator]() {
      try {
        for (let next = first; !next.done; next = await iterator.next()) yield next.value;
      } finally {
        await iterator.return?.();
      }
    },
  };
}
