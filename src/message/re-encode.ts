/**
 * Makes a message fit a host or a store that cannot take all octets: the bodies that need it are encoded, and only those, so that
 * every reader shows what it would have shown (RFC 6152 3). Header fields are passed as they are. Signatures over a
 * body that is changed do not survive; nothing that is 7-bit already is touched.
 */
import type { RawMessage } from '../mail/raw-message.ts';
import { fields } from './header.ts';
import { MAX_HEADER, MimeScanner } from './scan.ts';
import type { Part, Span } from './structure.ts';
import { base64, quotedPrintable } from './transfer-encode.ts';

/** What cannot be taken. */
export interface Unfit {
  /** Octets over 127: the peer has no 8BITMIME. */
  readonly eightBit: boolean;
  /** NUL, CR and LF alone, lines over 998 octets: it has no BINARYMIME (RFC 3030 3). */
  readonly binary: boolean;
  /** NUL, and CR and LF alone in parts labelled binary: a mail store has lines (RFC 3516 4.4). */
  readonly nul?: boolean;
}

/** RFC 5322 2.1.1. */
const MAX_LINE = 998;
const CR = 0x0d;
const LF = 0x0a;

interface Found {
  readonly eightBit: boolean;
  readonly binary: boolean;
  readonly nul: boolean;
  /** CR or LF alone. */
  readonly bare: boolean;
}

/** The tree of the message, and whether there is anything in it that `unfit` names. */
export async function examine(
  raw: RawMessage,
  unfit: Unfit,
): Promise<{ readonly root: Part; readonly fits: boolean }> {
  const scanner = new MimeScanner();
  const octets = new Octets();
  for await (const chunk of raw.read()) {
    scanner.write(chunk);
    octets.write(chunk);
  }
  const root = scanner.end();
  const { found } = octets;
  return { root, fits: !hits(found, unfit) && !(unfit.nul === true && found.bare && hasBinary(root)) };
}

/** The message as `unfit` allows it. */
export function convert(raw: RawMessage, root: Part, unfit: Unfit): AsyncIterable<Uint8Array> {
  return new Conversion(raw, unfit).part(root, 'root');
}

function hits(found: Found, unfit: Unfit): boolean {
  return (
    (unfit.eightBit && found.eightBit) || (unfit.binary && found.binary) || (unfit.nul === true && found.nul)
  );
}

/** Whether a part that is no multipart says that it is binary. */
function hasBinary(part: Part): boolean {
  if (part.message) return hasBinary(part.message);
  return part.children.length > 0 ? part.children.some(hasBinary) : part.encoding === 'binary';
}

class Conversion {
  readonly #raw: RawMessage;
  readonly #unfit: Unfit;

  constructor(raw: RawMessage, unfit: Unfit) {
    this.#raw = raw;
    this.#unfit = unfit;
  }

  async *part(part: Part, place: 'root' | 'within'): AsyncGenerator<Uint8Array> {
    if (isBare(part)) yield* this.#bare(part);
    else if (part.children.length > 0) yield* this.#multipart(part);
    else if (part.message) yield* this.#message(part, part.message);
    else yield* this.#leaf(part, place);
  }

  async *#multipart(part: Part): AsyncGenerator<Uint8Array> {
    yield* this.#header(part, this.#label(part), 'within');
    let at = part.body.start;
    for (const child of part.children) {
      yield* this.#between({ start: at, end: child.header.start });
      yield* this.part(child, 'within');
      at = child.body.end;
    }
    yield* this.#between({ start: at, end: part.body.end });
  }

  /** All it has is text, and its own header is the only place for a label: it becomes the text that it is. */
  async *#bare(part: Part): AsyncGenerator<Uint8Array> {
    const body = (): AsyncIterable<Uint8Array> => this.#raw.read(part.body);
    const found = await look(body());
    if (!hits(found, this.#unfit)) {
      yield* this.#header(part, this.#label(part), 'within');
      yield* body();
    } else if (isIdentity(part)) {
      yield* this.#header(part, 'quoted-printable', 'bare');
      yield* quotedPrintable(body());
    } else {
      yield* this.#header(part, undefined, 'within');
      yield* masked(body());
    }
  }

  async *#message(part: Part, inner: Part): AsyncGenerator<Uint8Array> {
    yield* this.#header(part, this.#label(part), 'within');
    yield* this.part(inner, 'root');
    yield* this.#between({ start: inner.body.end, end: part.body.end });
  }

  async *#leaf(part: Part, place: 'root' | 'within'): AsyncGenerator<Uint8Array> {
    const body = (): AsyncIterable<Uint8Array> => this.#raw.read(part.body);
    const found = await look(body());
    const unlike = this.#unfit.nul === true && part.encoding === 'binary' && found.bare;
    if (!hits(found, this.#unfit) && !unlike) {
      // A label that says more than is there is no business of a 7-bit host either (RFC 2045 6.2).
      const label = this.#unfit.eightBit && !found.eightBit ? this.#label(part) : undefined;
      yield* this.#header(part, label, 'within');
      yield* body();
    } else if (!isIdentity(part)) {
      // Encoded already, and broken: decoders pass over octets that cannot be there.
      yield* this.#header(part, undefined, 'within');
      yield* masked(body());
    } else if (part.type === 'text') {
      yield* this.#header(part, 'quoted-printable', place);
      yield* quotedPrintable(body());
    } else {
      yield* this.#header(part, 'base64', place);
      yield* base64(body());
    }
  }

  /** What is true of the part once its contents are: undefined where it says so already. */
  #label(part: Part): string | undefined {
    if (part.encoding === 'binary') return this.#unfit.eightBit ? '7bit' : '8bit';
    return part.encoding === '8bit' && this.#unfit.eightBit ? '7bit' : undefined;
  }

  /** Preamble, epilogue and the boundaries themselves: shown to nobody. */
  async *#between(span: Span): AsyncGenerator<Uint8Array> {
    if (span.start >= span.end) return;
    if (this.#unfit.eightBit) yield* masked(this.#raw.read(span));
    else yield* this.#raw.read(span);
  }

  /** With `encoding` as its Content-Transfer-Encoding; as it stands without one. */
  async *#header(
    part: Part,
    encoding: string | undefined,
    place: 'root' | 'within' | 'bare',
  ): AsyncGenerator<Uint8Array> {
    const { header } = part;
    if (encoding === undefined || header.end - header.start > MAX_HEADER) {
      yield* this.#raw.read(header);
      return;
    }
    const chunks: Uint8Array[] = [];
    for await (const chunk of this.#raw.read(header)) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString('latin1');
    yield Buffer.from(relabelled(text, encoding, place), 'latin1');
  }
}

/** A multipart without any boundary: its one part begins where its header ends. */
function isBare({ children: [only, ...others], body }: Part): boolean {
  return only !== undefined && others.length === 0 && only.header.end === body.start;
}

function isIdentity(part: Part): boolean {
  return part.encoding === '7bit' || part.encoding === '8bit' || part.encoding === 'binary';
}

function relabelled(header: string, encoding: string, place: 'root' | 'within' | 'bare'): string {
  let kept = '';
  const names = new Set<string>();
  let end = 0;
  for (const field of fields(header)) {
    names.add(field.name);
    end = field.end;
    const isReplaced =
      field.name === 'content-transfer-encoding' || (place === 'bare' && field.name === 'content-type');
    if (!isReplaced) kept += header.slice(field.start, field.end);
  }
  const added = [`Content-Transfer-Encoding: ${encoding}`];
  if (place === 'bare') added.unshift('Content-Type: text/plain; charset=unknown-8bit');
  if (place === 'root') {
    // A message from before MIME becomes one of today, or nobody would decode it (RFC 1428 3).
    if (!names.has('content-type')) added.unshift('Content-Type: text/plain; charset=unknown-8bit');
    if (!names.has('mime-version')) added.unshift('MIME-Version: 1.0');
  }
  return `${kept}${added.map((line) => `${line}\r\n`).join('')}${header.slice(end)}`;
}

async function look(content: AsyncIterable<Uint8Array>): Promise<Found> {
  const octets = new Octets();
  for await (const chunk of content) octets.write(chunk);
  return octets.found;
}

/** Looks at octets as they come by. */
class Octets {
  #eightBit = false;
  #binary = false;
  #nul = false;
  #bare = false;
  #length = 0;
  #last = 0;

  write(chunk: Uint8Array): void {
    for (const octet of chunk) {
      if (octet > 0x7f) this.#eightBit = true;
      const bare = (octet === LF) !== (this.#last === CR);
      if (octet === 0) this.#nul = true;
      if (bare) this.#bare = true;
      this.#length = octet === LF ? 0 : this.#length + 1;
      if (this.#length > MAX_LINE + 1) this.#binary = true;
      this.#last = octet;
    }
  }

  get found(): Found {
    const nul = this.#nul;
    const bare = this.#bare || this.#last === CR;
    return { eightBit: this.#eightBit, binary: this.#binary || nul || bare, nul, bare };
  }
}

async function* masked(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of content) yield chunk.map((octet) => (octet > 0x7f ? 0x3f : octet));
}
