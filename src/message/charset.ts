/**
 * Text from bytes in any charset that TextDecoder or iconv-lite knows, plus hz-gb-2312 and iso-2022-kr.
 * Never throws: an unknown name, or bytes that do not fit, are read as UTF-8 while they are UTF-8, then as windows-1252.
 */
import { TextDecoder } from 'node:util';
import iconv from 'iconv-lite';

/** Decodes in pieces; a character may be cut between two of them. */
export interface TextStream {
  write(bytes: Uint8Array): string;
  end(): string;
}

/** Names that mean "not known", or 7-bit, where the bytes are the better witness. */
const UNSAID = new Set([
  '',
  'us-ascii',
  'ascii',
  'ansi_x3.4-1968',
  'ansi_x3.4-1986',
  'iso646-us',
  '646',
  'unknown',
  'unknown-8bit',
  'x-unknown',
  'default',
  'default_charset',
  '7bit',
  '8bit',
  'binary',
  // Not charsets, though iconv-lite takes them for such.
  'base64',
  'hex',
]);

/** Names seen in mail that neither library has. */
const ALIASES: ReadonlyMap<string, string> = new Map([
  ['ansi', 'windows-1252'],
  ['cp-850', 'cp850'],
  ['x-cp936', 'gbk'],
  ['gb_2312', 'gbk'],
  ['gb-2312', 'gbk'],
  ['gb18030-2000', 'gb18030'],
  ['hz', 'hz-gb-2312'],
  ['iso-2022-jp-1', 'iso-2022-jp'],
  ['iso-2022-jp-2', 'iso-2022-jp'],
  ['iso-2022-jp-ms', 'iso-2022-jp'],
  ['cp50220', 'iso-2022-jp'],
  ['cp50221', 'iso-2022-jp'],
  ['csiso2022jp', 'iso-2022-jp'],
  ['unicode-1-1-utf-7', 'utf-7'],
  ['x-unicode-2-0-utf-7', 'utf-7'],
]);

/** All bytes of one text. */
export function decodeBytes(bytes: Uint8Array, charset: string): string {
  const stream = textStream(charset);
  return stream.write(bytes) + stream.end();
}

/** A string of bytes that nobody gave a charset: header values, raw 8-bit. */
export function decodeLenient(text: string): string {
  return isAscii(text) ? text : decodeBytes(Buffer.from(text, 'latin1'), '');
}

export function isAscii(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the question is whether all is ASCII.
  return !/[^\x00-\x7f]/.test(text);
}

/** Whether text in this charset can be read as such, and need not be guessed at: for SEARCH's BADCHARSET. */
export function isKnownCharset(charset: string): boolean {
  const name = canonical(charset);
  if (name === 'us-ascii' || name === 'ascii' || name === 'hz-gb-2312' || name === 'iso-2022-kr') return true;
  return !UNSAID.has(name) && (webStream(name) ?? iconvStream(name)) !== undefined;
}

/** A decoder for this charset, whatever its name is. */
export function textStream(charset: string): TextStream {
  const name = canonical(charset);
  if (UNSAID.has(name)) return lenientStream();
  if (name === 'hz-gb-2312') return shiftStream(hzBytes(), 'gbk');
  if (name === 'iso-2022-kr') return shiftStream(iso2022KrBytes(), 'euc-kr');
  return webStream(name) ?? iconvStream(name) ?? lenientStream();
}

function canonical(charset: string): string {
  const name = charset
    .slice(0, 64)
    .toLowerCase()
    .replace(/^[\s"']+|[\s"']+$/g, '')
    // A language may follow (RFC 2231 5).
    .replace(/\*.*$/s, '')
    .replace(/^iso(\d{4,5})/, 'iso-$1')
    .replace(/^(?:iso-?)?8859[-_]?(\d)/, 'iso-8859-$1')
    .replace(/^(?:x-)?(?:win|windows|cp|ms|microsoft-cp)[-_]?(125\d)$/, 'windows-$1');
  return ALIASES.get(name) ?? name;
}

function webStream(name: string): TextStream | undefined {
  try {
    return decoderStream(name);
  } catch {
    return undefined;
  }
}

/** @throws RangeError when the platform does not know the charset. */
function decoderStream(name: string): TextStream {
  let decoder = new TextDecoder(name);
  return {
    write(bytes) {
      try {
        return decoder.decode(bytes, { stream: true });
      } catch {
        // ICU throws for some broken gbk, gb18030 and euc-jp cut in two, fatal or not; in one piece it never does.
        decoder = new TextDecoder(name);
        return `\ufffd${new TextDecoder(name).decode(bytes)}`;
      }
    },
    end() {
      try {
        return decoder.decode();
      } catch {
        return '\ufffd';
      }
    },
  };
}

function iconvStream(name: string): TextStream | undefined {
  if (!iconv.encodingExists(name)) return undefined;
  const decoder = iconv.getDecoder(name);
  return {
    write: (bytes) => decoder.write(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)),
    end: () => decoder.end() ?? '',
  };
}

/** UTF-8 until it is not; then windows-1252, which gives every byte a character. */
function lenientStream(): TextStream {
  let utf8: TextDecoder | undefined = new TextDecoder('utf-8', { fatal: true });
  let held: Uint8Array = new Uint8Array(0);
  const western = new TextDecoder('windows-1252');
  return {
    write(bytes) {
      if (!utf8) return western.decode(bytes);
      const before = held;
      try {
        const text = utf8.decode(bytes, { stream: true });
        held = unfinished(before, bytes);
        return text;
      } catch {
        utf8 = undefined;
        return western.decode(before) + western.decode(bytes);
      }
    },
    end: () => (utf8 ? western.decode(held) : ''),
  };
}

/** The bytes at the end of a valid UTF-8 run that begin a character not yet complete: at most three. */
function unfinished(held: Uint8Array, bytes: Uint8Array): Uint8Array {
  const tail = bytes.length >= 3 ? bytes.subarray(-3) : new Uint8Array([...held, ...bytes]).subarray(-3);
  for (let i = tail.length - 1; i >= 0; i--) {
    const byte = tail[i] ?? 0;
    if (byte < 0x80) break;
    if (byte < 0xc0) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
    return tail.length - i < length ? tail.slice(i) : new Uint8Array(0);
  }
  return new Uint8Array(0);
}

/** Turns a 7-bit code with shifts into the 8-bit code of the same characters, byte by byte. */
type Unshift = (byte: number, put: (byte: number) => void) => void;

function shiftStream(unshift: Unshift, charset: string): TextStream {
  const decoder = decoderStream(charset);
  return {
    write(bytes) {
      const out: number[] = [];
      for (const byte of bytes) unshift(byte, (put) => out.push(put));
      return decoder.write(Uint8Array.from(out));
    },
    end: () => decoder.end(),
  };
}

/** RFC 1843: `~{` to `~}` is GB 2312 in seven bits, `~~` a tilde, `~` with a line end nothing. */
function hzBytes(): Unshift {
  let chinese = false;
  let tilde = false;
  return (byte, put) => {
    if (tilde) {
      tilde = false;
      if (byte === 0x7b) chinese = true;
      else if (byte === 0x7d) chinese = false;
      else if (byte === 0x7e) put(byte);
      return;
    }
    if (byte === 0x7e) tilde = true;
    else if (byte === 0x0a) {
      // Chinese never runs over a line end.
      chinese = false;
      put(byte);
    } else put(chinese && byte > 0x20 ? byte | 0x80 : byte);
  };
}

/** RFC 1557: ESC $ ) C at the start, then SO to SI is KS C 5601 in seven bits. */
function iso2022KrBytes(): Unshift {
  let korean = false;
  let skip = 0;
  return (byte, put) => {
    if (skip > 0) skip--;
    else if (byte === 0x1b) skip = 3;
    else if (byte === 0x0e) korean = true;
    else if (byte === 0x0f) korean = false;
    else {
      if (byte === 0x0a) korean = false;
      put(korean && byte > 0x20 ? byte | 0x80 : byte);
    }
  };
}
