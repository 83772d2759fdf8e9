/**
 * One pass over a message that records where its parts are (RFC 2046), by byte offsets. Never throws, linear in the
 * message's size, and in memory bounded by the constants below, whatever the bytes are.
 *
 * Lines end in LF, with or without CR before it. The chunks may be cut anywhere: the result is the same.
 */
import { type Content, contentOf } from './content.ts';
import { byteString } from './header.ts';
import type { Part } from './structure.ts';

/** Multiparts and messages inside each other; what lies deeper is opaque. Real mail has fewer than 20. */
export const MAX_DEPTH: number = 100;
/** Parts of one message; boundaries after that are body text of the last one. */
export const MAX_PARTS: number = 10_000;
/** Octets of one part's header that are looked at; RFC 5322 has no limit, real ones have some 10 KB. */
export const MAX_HEADER: number = 1024 * 1024;
/** RFC 2046 5.1.1 allows 70; longer ones than this cannot stand in a line (RFC 5322 2.1.1). */
const MAX_BOUNDARY = 990;
/** How much of a line is looked at to know it as a boundary. */
const MAX_LINE_HEAD = MAX_BOUNDARY + 8;
/** Bytes become a string in pieces of this size: it stays in the processor's cache. */
const SLICE = 64 * 1024;

const LF = 0x0a;
const CR = 0x0d;
const DASH = 0x2d;

/** Told of each message's header, the root's and those of attached messages, when it is complete. */
export type HeaderListener = (header: string, start: number) => void;

/** Scans a message that is in memory. */
export function scan(bytes: Uint8Array, onHeader?: HeaderListener): Part {
  const scanner = new MimeScanner(onHeader);
  scanner.write(bytes);
  return scanner.end();
}

/** A part while it is read. */
class Open {
  readonly headerStart: number;
  /** The root, or a message in a message/rfc822: a header of its own inside its parent's body. */
  readonly isMessage: boolean;
  readonly assumed: 'text/plain' | 'message/rfc822';
  /** Known when the header has ended. */
  content: Content | undefined;
  bodyStart = 0;
  /** Line ends seen before the body. */
  linesBefore = 0;
  /** With its two dashes; null when it is no multipart, or its last boundary was seen. */
  boundary: string | null = null;
  readonly children: Part[] = [];
  message: Part | null = null;

  constructor(headerStart: number, kind: 'message' | 'part', assumed: 'text/plain' | 'message/rfc822') {
    this.headerStart = headerStart;
    this.isMessage = kind === 'message';
    this.assumed = assumed;
  }
}

interface BoundaryLine {
  /** Index in the stack of the multipart it belongs to. */
  readonly depth: number;
  readonly last: boolean;
}

export class MimeScanner {
  readonly #onHeader: HeaderListener | undefined;
  /** From the root down to the part that is being read. */
  readonly #stack: Open[];
  /** 'next-part' and 'epilogue': in the rest of a boundary line, which belongs to nobody. */
  #state: 'header' | 'body' | 'next-part' | 'epilogue' = 'header';
  /** Parts begun. */
  #parts = 1;
  /** Stack members that have a boundary. */
  #boundaries = 0;

  /** Offset in the message of the first octet of the text in work. */
  #base = 0;
  /** Line ends so far. */
  #lines = 0;
  /** Octets of the last line end. */
  #lineEnd = 0;
  /** The octet before the text in work. */
  #before = 0;
  /** Whether what is left of the present line cannot matter. */
  #inLine = false;
  /** The begin of a line, held until more of it is there; at most MAX_LINE_HEAD. */
  #held = '';
  /** The header being read, as far as earlier texts had it; at most MAX_HEADER. */
  #header = '';
  /** Index in the text in work where the header goes on. */
  #headerFrom = 0;

  constructor(onHeader?: HeaderListener) {
    this.#onHeader = onHeader;
    this.#stack = [new Open(0, 'message', 'text/plain')];
  }

  /** The next bytes of the message. */
  write(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; at += SLICE) {
      this.#read(this.#held + byteString(chunk.subarray(at, at + SLICE)));
    }
  }

  /** The root, with all that is still open ended here. Nothing may be written after it. */
  end(): Part {
    const found = this.#held === '' ? undefined : this.#boundaryOf(this.#held);
    if (found) this.#atBoundary(found, this.#base, '');
    else if (this.#state === 'header') this.#keepHeader(this.#held);
    // A boundary without a line end begins no part: a last one that was cut.
    const end = this.#base + this.#held.length;
    this.#endHeaders('', end);
    let part = this.#close(end, this.#lines);
    while (this.#stack.length > 0) part = this.#close(end, this.#lines);
    return part;
  }

  #read(text: string): void {
    this.#headerFrom = 0;
    let at = 0;
    while (at < text.length) {
      if (this.#inLine) {
        at = this.#nextLine(text, at);
        continue;
      }
      const first = text.charCodeAt(at);
      if (first === DASH && this.#boundaries > 0) {
        const lineFeed = text.indexOf('\n', at);
        const line = text.slice(at, Math.min(lineFeed < 0 ? text.length : lineFeed, at + MAX_LINE_HEAD));
        if (lineFeed < 0 && line.length < MAX_LINE_HEAD && this.#isUndecided(line)) break;
        const found = this.#boundaryOf(line);
        if (found) this.#atBoundary(found, this.#base + at, text.slice(this.#headerFrom, at));
      } else if (this.#state === 'header' && (first === LF || first === CR)) {
        if (first === CR && at + 1 === text.length) break;
        if (first === LF || text.charCodeAt(at + 1) === LF) {
          this.#lineEnd = first === LF ? 1 : 2;
          this.#lines++;
          at += this.#lineEnd;
          this.#endHeader(text.slice(this.#headerFrom, at), this.#base + at);
          this.#headerFrom = at;
          continue;
        }
      }
      this.#inLine = true;
    }
    if (this.#state === 'header') this.#keepHeader(text.slice(this.#headerFrom, at));
    if (at > 0) this.#before = text.charCodeAt(at - 1);
    this.#held = text.slice(at);
    this.#base += at;
  }

  /** Goes to the next line that may matter, or to the end of the text. */
  #nextLine(text: string, from: number): number {
    let at = from;
    for (;;) {
      const lineFeed = text.indexOf('\n', at);
      if (lineFeed < 0) return text.length;
      this.#lines++;
      at = lineFeed + 1;
      if (this.#state === 'body') {
        if (this.#boundaries === 0) continue;
        if (at < text.length && text.charCodeAt(at) !== DASH) continue;
      }
      const last = lineFeed > 0 ? text.charCodeAt(lineFeed - 1) : this.#before;
      this.#lineEnd = last === CR ? 2 : 1;
      this.#inLine = false;
      if (this.#state === 'next-part') {
        this.#beginPart(this.#base + at);
        this.#headerFrom = at;
      } else if (this.#state === 'epilogue') this.#state = 'body';
      return at;
    }
  }

  #keepHeader(text: string): void {
    this.#header += text.slice(0, MAX_HEADER - this.#header.length);
  }

  #beginPart(start: number): void {
    const digest = this.#stack.at(-1)?.content?.subtype === 'digest';
    this.#stack.push(new Open(start, 'part', digest ? 'message/rfc822' : 'text/plain'));
    this.#parts++;
    this.#state = 'header';
  }

  #endHeaders(text: string, end: number): void {
    let rest = text;
    // A header that ends with its part may be that of a message/rfc822, with an empty message in it.
    while (this.#state === 'header') {
      this.#endHeader(rest, end);
      rest = '';
    }
  }

  /** `text` is what this text in work has of the header; the body begins at `end`. */
  #endHeader(text: string, end: number): void {
    this.#keepHeader(text);
    const header = this.#header;
    this.#header = '';
    this.#state = 'body';
    const open = this.#stack.at(-1);
    if (open === undefined) return;
    open.bodyStart = end;
    open.linesBefore = this.#lines;
    if (open.isMessage) this.#onHeader?.(header, open.headerStart);
    const content = contentOf(header, open.assumed);
    open.content = content;
    if (content.type === 'multipart') this.#beginMultipart(open, content);
    else if (hasMessage(content)) this.#beginMessage(open, content, end);
  }

  #beginMultipart(open: Open, content: Content): void {
    // A boundary cannot end in blanks (RFC 2046 5.1.1).
    const boundary = (content.boundary ?? '').trimEnd();
    if (boundary === '' || boundary.length > MAX_BOUNDARY) {
      // Without its required parameter the field is not understood: plain text, so that it can be read (RFC 2045 5.2).
      open.content = { ...content, type: 'text', subtype: 'plain', parameters: {} };
    } else if (this.#stack.length >= MAX_DEPTH) open.content = opaque(content);
    else {
      open.boundary = `--${boundary}`;
      this.#boundaries++;
    }
  }

  #beginMessage(open: Open, content: Content, start: number): void {
    if (this.#stack.length >= MAX_DEPTH || this.#parts >= MAX_PARTS) {
      open.content = opaque(content);
      return;
    }
    this.#parts++;
    this.#stack.push(new Open(start, 'message', 'text/plain'));
    this.#state = 'header';
  }

  /** `start` is the offset of the boundary line, `header` what comes before it of a header not yet ended. */
  #atBoundary({ depth, last }: BoundaryLine, start: number, header: string): void {
    this.#endHeaders(header, start);
    while (this.#stack.length > depth + 1) this.#close(start - this.#lineEnd, this.#lines - 1);
    const multipart = this.#stack.at(-1);
    if (last && multipart) {
      multipart.boundary = null;
      this.#boundaries--;
    }
    this.#state = last ? 'epilogue' : 'next-part';
  }

  /** Takes the innermost part off the stack. `lines` counts the line ends before `end`. */
  #close(end: number, lines: number): Part {
    const open = this.#stack.pop() ?? new Open(0, 'message', 'text/plain');
    if (open.boundary !== null) this.#boundaries--;
    const content = open.content ?? contentOf('', open.assumed);
    const inner = open.message ?? open.children.at(-1);
    // A boundary right after a header takes no line end from it, nor from the parts around it.
    const bodyEnd = Math.max(open.bodyStart, end, inner?.body.end ?? 0);
    const counted = bodyEnd > end ? this.#lines : lines;
    const body = { start: open.bodyStart, end: bodyEnd };
    const counts = { body, lines: counted - open.linesBefore };
    const isBare = content.type === 'multipart' && open.children.length === 0;
    const part: Part = {
      header: { start: open.headerStart, end: open.bodyStart },
      ...counts,
      type: content.type,
      subtype: content.subtype,
      parameters: content.parameters,
      encoding: content.encoding,
      id: content.id,
      description: content.description,
      md5: content.md5,
      disposition: content.disposition,
      language: content.language,
      location: content.location,
      children: isBare ? [onlyText(counts, content.encoding)] : open.children,
      message: open.message,
    };
    const parent = this.#stack.at(-1);
    if (parent && open.isMessage) parent.message = part;
    else parent?.children.push(part);
    return part;
  }

  /**
   * It is enough that a line begins with a boundary (RFC 2046 5.1.1). Where several fit, a whole line wins over a
   * begin, then the longer over the shorter, then the inner over the outer.
   */
  #boundaryOf(line: string): BoundaryLine | undefined {
    let best: BoundaryLine | undefined;
    let length = 0;
    for (let depth = this.#stack.length - 1; depth >= 0; depth--) {
      const boundary = this.#stack[depth]?.boundary;
      if (!boundary || boundary.length <= length || !line.startsWith(boundary)) continue;
      const last = line.startsWith('--', boundary.length);
      if (!last && this.#parts >= MAX_PARTS) continue;
      best = { depth, last };
      length = boundary.length;
      if (/^(?:--)?[ \t]*\r?$/.test(line.slice(boundary.length))) break;
    }
    return best;
  }

  /** Whether the line, of which this is the begin, may be a boundary, or one of two. */
  #isUndecided(line: string): boolean {
    return this.#stack.some(
      ({ boundary }) => boundary !== null && (boundary.startsWith(line) || line.startsWith(boundary)),
    );
  }
}

/**
 * A multipart without any boundary, as broken writers make: all it has is text, which people must be able to read and
 * find. The grammar of BODYSTRUCTURE wants a part there anyway.
 */
function onlyText(counts: Pick<Part, 'body' | 'lines'>, encoding: string): Part {
  return {
    header: { start: counts.body.start, end: counts.body.start },
    ...counts,
    type: 'text',
    subtype: 'plain',
    parameters: {},
    encoding,
    id: null,
    description: null,
    md5: null,
    disposition: null,
    language: [],
    location: null,
    children: [],
    message: null,
  };
}

/** An encoded message is against the rules (RFC 2046 5.2.1) and cannot be described by offsets: it is not looked into. */
function hasMessage({ type, subtype, encoding }: Content): boolean {
  return (
    type === 'message' &&
    (subtype === 'rfc822' || subtype === 'global') &&
    encoding !== 'base64' &&
    encoding !== 'quoted-printable'
  );
}

/** Too deep, or too many: bytes that nobody looks into. */
function opaque(content: Content): Content {
  return { ...content, type: 'application', subtype: 'octet-stream' };
}
