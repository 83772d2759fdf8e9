import { byteString } from '../../message/header.ts';
import type { ByteFile } from '../file.ts';
import { hasLength, type MboxFormat } from './format.ts';
import { fromLineDate, MAX_FROM_LINE } from './from-line.ts';

/**
 * Where each message of an mbox lies. A line is the one before a message when it begins with `From `, has a date, and
 * an empty line (or nothing) before it or a header field after it; without a date it needs both. So neither `From here
 * on` in a text nor `From ` without a date in some Thunderbird files misleads. Each octet is looked at once; a header is
 * looked at twice where there may be a Content-Length, which is believed only when it leads to the next such line.
 */
export interface Extent {
  /** Where its `From ` line is, and the next one; the file's size after the last. */
  readonly at: number;
  readonly next: number;
  /** The whole `From ` line, without its line end. */
  readonly fromLine: string;
  /** The message, as it stands in the file, without the empty line after it. */
  readonly start: number;
  readonly end: number;
  /** Where its body begins; null unless its Content-Length was believed. */
  readonly measured: number | null;
}

const LF = 0x0a;
const CR = 0x0d;
const BREAK = Buffer.from('\nFrom ');
const WORD = 'From ';
/** A header that goes on longer has no Content-Length for us. */
const MAX_HEADER = 256 * 1024;
/** Enough for the name of a header field. */
const MAX_NAME = 100;

/** Octets before the first message are no mail. The file's size: it has no message. */
export function firstMessage(file: ByteFile): number {
  return isSeparator(file, 0) ? 0 : nextSeparator(file, 0);
}

/** @param first where a message begins */
export function* extents(file: ByteFile, format: MboxFormat, first: number): Generator<Extent> {
  let at = first;
  while (at < file.size) {
    const line = fromLineAt(file, at);
    const start = Math.min(at + line.length + 1, file.size);
    const measured = hasLength(format) ? measure(file, start) : null;
    if (measured) {
      const { body, end, next } = measured;
      yield { at, next, fromLine: line.text, start, end, measured: body };
      at = next;
      continue;
    }
    const next = nextSeparator(file, start - 1);
    const end = withoutEmptyLine(file, start, next);
    yield { at, next, fromLine: line.text, start, end, measured: null };
    at = next;
  }
}

/** The `From ` line after the line end at `at` or later; the file's size when there is none. */
function nextSeparator(file: ByteFile, start: number): number {
  let at = start;
  while (at < file.size) {
    const window = file.from(at);
    if (window.length === 0) break;
    const found = window.indexOf(BREAK);
    if (found >= 0) {
      if (isSeparator(file, at + found + 1)) return at + found + 1;
      at += found + 1;
    } else if (at + window.length >= file.size) break;
    else at += Math.max(window.length - BREAK.length + 1, 1);
  }
  return file.size;
}

function isSeparator(file: ByteFile, at: number): boolean {
  if (file.bytes(at, at + WORD.length).toString('latin1') !== WORD) return false;
  const line = fromLineAt(file, at);
  if (line.length > MAX_FROM_LINE) return false;
  const dated = fromLineDate(line.text) !== null;
  const afterEmpty = at === 0 || emptyLineBefore(file, at);
  if (dated && afterEmpty) return true;
  const name = byteString(file.bytes(at + line.length + 1, at + line.length + 1 + MAX_NAME));
  return (dated || afterEmpty) && /^[!-9;-~]+[ \t]*:/.test(name);
}

/** Its length is without the LF; longer than MAX_FROM_LINE when it is none. */
function fromLineAt(file: ByteFile, at: number): { readonly text: string; readonly length: number } {
  const bytes = file.bytes(at, at + MAX_FROM_LINE + 1);
  const lf = bytes.indexOf(LF);
  if (lf < 0 && at + bytes.length < file.size) return { text: '', length: MAX_FROM_LINE + 1 };
  const length = lf < 0 ? bytes.length : lf;
  return { text: byteString(bytes.subarray(0, length)).replace(/\r$/, ''), length };
}

function emptyLineBefore(file: ByteFile, at: number): boolean {
  const bytes = file.bytes(Math.max(at - 3, 0), at);
  const last = bytes.length - 1;
  if (bytes[last] !== LF) return false;
  if (last === 0) return true;
  return bytes[last - 1] === LF || (bytes[last - 1] === CR && (last < 2 || bytes[last - 2] === LF));
}

/** The empty line before the next message is not the message's. */
function withoutEmptyLine(file: ByteFile, start: number, next: number): number {
  if (next <= start || !emptyLineBefore(file, next)) return next;
  const ends = file.bytes(next - 2, next);
  return Math.max(ends[0] === CR ? next - 2 : next - 1, start);
}

/** What the first Content-Length of the header at `start` says, when what follows agrees. */
function measure(
  file: ByteFile,
  start: number,
): { readonly body: number; readonly end: number; readonly next: number } | null {
  const body = bodyAfter(file, start);
  if (body === null) return null;
  const header = byteString(file.bytes(start, Math.min(body, start + MAX_HEADER)));
  const length = contentLength(header);
  if (length === null || length > file.size - body) return null;
  const end = body + length;
  const tail = byteString(file.bytes(end, end + 4));
  const emptyLines = /^(?:\r?\n)*/.exec(tail)?.[0].length ?? 0;
  if (end + emptyLines === file.size || isFromLine(file, end + emptyLines))
    return { body, end, next: end + emptyLines };
  return null;
}

/** What we have written ourselves comes first. */
export function contentLength(header: string): number | null {
  const match = /^Content-Length:[ \t]*(\d{1,15})[ \t]*\r?$/im.exec(header);
  return match ? Number(match[1]) : null;
}

function isFromLine(file: ByteFile, at: number): boolean {
  if (file.bytes(at, at + WORD.length).toString('latin1') !== WORD) return false;
  return fromLineDate(fromLineAt(file, at).text) !== null;
}

/** Past the empty line after the header; null when it goes on too long. */
function bodyAfter(file: ByteFile, start: number): number | null {
  for (const window of [file.from(start), file.bytes(start, start + MAX_HEADER)]) {
    const empty = emptyLine(window);
    if (empty) {
      const after = start + empty.end;
      // One empty line and then the next message: it stands between them, and this one is only a header.
      const only = contentLength(byteString(window.subarray(0, empty.start))) === 0;
      return only && (after === file.size || isFromLine(file, after)) ? start + empty.start : after;
    }
    if (start + window.length === file.size) return file.size;
  }
  return null;
}

/** The first empty line; of a message that begins with one, that. */
export function emptyLine(bytes: Buffer): { readonly start: number; readonly end: number } | null {
  for (let at = 0; at < bytes.length; ) {
    if (bytes[at] === LF) return { start: at, end: at + 1 };
    if (bytes[at] === CR && bytes[at + 1] === LF) return { start: at, end: at + 2 };
    const lf = bytes.indexOf(LF, at);
    if (lf < 0) return null;
    at = lf + 1;
  }
  return null;
}
