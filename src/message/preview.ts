/**
 * The first words of a message, as lists of messages show them below the subject: 200 characters of the first part that
 * has text to read, decoded, without markup, quoted lines left out when there is something else. Never throws, linear,
 * and reads no more than is needed.
 */
import { textStream } from './charset.ts';
import { htmlText } from './html-text.ts';
import type { Part } from './structure.ts';
import { transferDecoder } from './transfer.ts';

/** RFC 8970 3.3: 200 characters, never more than 256. */
const LENGTH = 200;
/** Octets of a part that are looked at: style sheets may stand before the first word. Four times as many tags take 47 ms. */
export const PREVIEW_OCTETS: number = 64 * 1024;
/** Parts that are looked at: those before may be empty. */
const MAX_PARTS = 4;
/** Parts that are walked past to find them. */
const MAX_WALKED = 1000;
/** Octets before the text is looked at first; then twice as many, and so on, so that the work stays linear. */
const FIRST_LOOK = 4096;

/** Parts that may have the text, in the order in which they should be tried. */
export function previewParts(root: Part): readonly Part[] {
  const found: Part[] = [];
  let walked = 0;
  for (const part of readableParts(root)) {
    if (part !== null) found.push(part);
    if (found.length === MAX_PARTS || ++walked === MAX_WALKED) break;
  }
  return found;
}

/** null for each part that has nothing to read. */
function* readableParts(part: Part): Generator<Part | null> {
  yield isReadable(part) ? part : null;
  // Of what is encrypted only the technical parts could be read (RFC 1847 2.2).
  if (part.subtype === 'encrypted' || isAttachment(part)) return;
  for (const child of part.children) yield* readableParts(child);
  if (part.message) yield* readableParts(part.message);
}

function isReadable(part: Part): boolean {
  return part.type === 'text' && (part.subtype === 'plain' || isHtml(part)) && !isAttachment(part);
}

function isAttachment({ disposition }: Part): boolean {
  return disposition?.type === 'attachment';
}

function isHtml({ subtype }: Part): boolean {
  return subtype === 'html' || subtype === 'xhtml' || subtype === 'xhtml+xml';
}

/** Takes the octets of a part's body until it has enough. */
export class PreviewText {
  readonly #bytes: ReturnType<typeof transferDecoder>;
  readonly #text: ReturnType<typeof textStream>;
  readonly #html: ReturnType<typeof htmlText> | undefined;
  #decoded = '';
  #taken = 0;
  #look = FIRST_LOOK;
  #enough: string | undefined;

  constructor(part: Part) {
    this.#bytes = transferDecoder(part.encoding);
    this.#text = textStream(part.parameters['charset'] ?? '');
    this.#html = isHtml(part) ? htmlText() : undefined;
  }

  /** The same octets make the same preview, in whatever pieces they come. */
  write(octets: Uint8Array): 'more' | 'enough' {
    for (let at = 0; at < octets.length && this.#enough === undefined; ) {
      const piece = octets.subarray(at, at + Math.min(this.#look, PREVIEW_OCTETS) - this.#taken);
      at += piece.length;
      this.#taken += piece.length;
      const text = this.#text.write(this.#bytes.write(piece));
      this.#decoded += this.#html ? this.#html.write(text) : text;
      if (this.#taken < this.#look) continue;
      this.#look *= 2;
      const shown = this.#shown();
      if (shown.isFull || this.#taken >= PREVIEW_OCTETS) this.#enough = shown.text;
    }
    return this.#enough === undefined ? 'more' : 'enough';
  }

  /** The preview; empty when there is nothing to read. */
  end(): string {
    if (this.#enough !== undefined) return this.#enough;
    const rest = this.#text.write(this.#bytes.end()) + this.#text.end();
    this.#decoded += this.#html ? this.#html.write(rest) + this.#html.end() : rest;
    return this.#shown().text;
  }

  #shown(): { readonly text: string; readonly isFull: boolean } {
    if (/^\s*-----BEGIN PGP MESSAGE-----/.test(this.#decoded)) return { text: '', isFull: true };
    const own = this.#html ? this.#decoded : this.#decoded.replace(/^>.*$/gm, '');
    const clean = readable(own);
    if (clean !== '') return { text: cut(clean), isFull: clean.length > 2 * LENGTH };
    // What is quoted is better than nothing, when nothing else came.
    return { text: this.#html ? '' : cut(readable(this.#decoded.replace(/^[> ]+/gm, ''))), isFull: false };
  }
}

/** On one line, without what cannot be seen or would turn the direction of what a client shows behind it. */
function readable(text: string): string {
  return text
    .replace(/\u034f|[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]/g, '')
    .replace(/\u200c(?=[\s\u200c]|$)/g, '')
    .replace(/[\s\p{Cc}]+/gu, ' ')
    .trim()
    .toWellFormed();
}

function cut(text: string): string {
  // A character is at most two units: no more has to be looked at.
  return [...text.slice(0, 2 * LENGTH)].slice(0, LENGTH).join('').trimEnd().toWellFormed();
}
