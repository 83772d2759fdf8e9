import { decodeLenient } from '../message/charset.ts';
import { decodeWords } from '../message/encoded-word.ts';
import { byteString, type Field, fields, unfold } from '../message/header.ts';
import { scan } from '../message/scan.ts';
import type { Part } from '../message/structure.ts';

/**
 * The message as a script sees it. A version never changes: editing gives a new one, and an action keeps the version
 * of its moment (RFC 5293 3).
 */

export interface HeaderField {
  /** Lower case. */
  readonly name: string;
  /** The whole field with its line end, one char an octet. */
  readonly text: string;
  /** Unfolded, one char an octet. */
  readonly value: string;
}

/** Reads all octets of the original message; asked at most once, and only by scripts that look at bodies. */
export type ReadWhole = () => Promise<Uint8Array>;

export class MessageVersion {
  readonly fields: readonly HeaderField[];
  /** In octets, of the original; an edited message says its own. */
  readonly size: number;
  /** False: it is the original, octet by octet. */
  readonly isEdited: boolean;
  readonly #body: () => Promise<Uint8Array>;
  #whole: Promise<Uint8Array> | undefined;
  #root: Promise<Part> | undefined;
  #byName: ReadonlyMap<string, readonly HeaderField[]> | undefined;

  constructor(
    parts: Pick<MessageVersion, 'fields' | 'size' | 'isEdited'>,
    body: () => Promise<Uint8Array>,
    whole?: Promise<Uint8Array>,
  ) {
    this.fields = parts.fields;
    this.size = parts.size;
    this.isEdited = parts.isEdited;
    this.#body = body;
    this.#whole = whole;
  }

  /** @param header with or without what follows it */
  static original(header: Uint8Array, size: number, readWhole: ReadWhole): MessageVersion {
    let whole: Promise<Uint8Array> | undefined;
    const read = (): Promise<Uint8Array> => {
      whole ??= readWhole();
      return whole;
    };
    const version = new MessageVersion({ fields: fieldsOf(header), size, isEdited: false }, async () =>
      bodyOf(await read()),
    );
    version.#readOriginal = read;
    return version;
  }

  #readOriginal: (() => Promise<Uint8Array>) | undefined;

  /** Of one name, in lower case. */
  named(name: string): readonly HeaderField[] {
    this.#byName ??= Map.groupBy(this.fields, (field) => field.name);
    return this.#byName.get(name) ?? [];
  }

  /** Whether there is a blank line behind the header, be it the last. */
  async hasBody(): Promise<boolean> {
    return this.isEdited || hasBlankLine(await this.whole());
  }

  /** Whether only the header may differ. */
  hasBodyOf(other: MessageVersion): boolean {
    return this.#body === other.#body;
  }

  /** Without the blank line before it. */
  body(): Promise<Uint8Array> {
    return this.#body();
  }

  /** All octets. */
  whole(): Promise<Uint8Array> {
    this.#whole ??= this.#readOriginal ? this.#readOriginal() : this.#render();
    return this.#whole;
  }

  /** Its MIME tree; offsets are those of `whole`. */
  structure(): Promise<Part> {
    this.#root ??= this.whole().then((bytes) => scan(bytes));
    return this.#root;
  }

  /** Of one of its parts. */
  async partFields(part: Part): Promise<readonly HeaderField[]> {
    if (part.header.start === 0) return this.fields;
    const bytes = await this.whole();
    return fieldsOf(bytes.subarray(part.header.start, part.header.end));
  }

  /** The octets of a part's body, still encoded. */
  async partBody(part: Part): Promise<Uint8Array> {
    return (await this.whole()).subarray(part.body.start, part.body.end);
  }

  withFields(changed: readonly HeaderField[]): MessageVersion {
    const octets = (all: readonly HeaderField[]): number =>
      all.reduce((sum, { text }) => sum + text.length, 0);
    const size = this.size - octets(this.fields) + octets(changed);
    return new MessageVersion({ fields: changed, size, isEdited: true }, this.#body);
  }

  /** Another message in place of this one. */
  static of(bytes: Uint8Array): MessageVersion {
    return new MessageVersion(
      { fields: fieldsOf(bytes), size: bytes.length, isEdited: true },
      async () => bodyOf(bytes),
      Promise.resolve(bytes),
    );
  }

  async #render(): Promise<Uint8Array> {
    const header = this.fields.map(({ text }) => text).join('');
    return Buffer.concat([Buffer.from(`${header}\r\n`, 'latin1'), await this.#body()]);
  }
}

export function fieldsOf(header: Uint8Array): HeaderField[] {
  const text = byteString(header);
  return [...fields(text)].map((field) => headerField(text, field));
}

function headerField(text: string, { name, value, start, end }: Field): HeaderField {
  return { name, text: text.slice(start, end), value: unfold(value) };
}

/** As people read it: encoded words decoded, raw 8-bit text guessed at. */
export function readable(value: string): string {
  return value.includes('=?') ? decodeWords(value) : decodeLenient(value);
}

function hasBlankLine(message: Uint8Array): boolean {
  return /^\r?\n|\n\r?\n/.test(byteString(message));
}

function bodyOf(message: Uint8Array): Uint8Array {
  const text = byteString(message);
  const blank = /^\r?\n|\r?\n\r?\n/.exec(text);
  return blank ? message.subarray(blank.index + blank[0].length) : new Uint8Array(0);
}
