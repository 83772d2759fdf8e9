/** Encoded words in header text (RFC 2047, with the languages of RFC 2231 5): lenient to read, strict to write. Linear. */
import { decodeBytes, decodeLenient, isAscii } from './charset.ts';

interface Word {
  readonly charset: string;
  readonly encoding: 'b' | 'q';
  readonly text: string;
}

/** Names in the IANA registry have at most 40 characters; some room for a language. */
const WORD_START = /=\?([^?\s]{1,80})\?([bq])\?/iy;
/** RFC 2047 2. */
const MAX_WORD = 75;

/**
 * Unfolded header text, one char an octet, as people read it. Blanks between two encoded words are dropped (6.2);
 * adjacent words of one charset are decoded together, as some writers cut characters in two.
 */
export function decodeWords(value: string): string {
  if (!value.includes('=?')) return decodeLenient(value);
  let out = '';
  let run: Word[] = [];
  let plain = 0;
  let at = value.indexOf('=?');
  let close = -1;
  while (at >= 0) {
    WORD_START.lastIndex = at;
    const match = WORD_START.exec(value);
    const start = WORD_START.lastIndex;
    if (match === null) {
      at = value.indexOf('=?', at + 2);
      continue;
    }
    if (close < start) close = value.indexOf('?=', start);
    // No word can be complete from here on.
    if (close < 0) break;
    const between = value.slice(plain, at);
    if (run.length === 0 || between.trim() !== '') {
      out += decodeRun(run) + decodeLenient(between);
      run = [];
    }
    run.push({
      charset: match[1] ?? '',
      encoding: match[2] === 'b' || match[2] === 'B' ? 'b' : 'q',
      text: value.slice(start, close),
    });
    plain = close + 2;
    at = value.indexOf('=?', plain);
  }
  return out + decodeRun(run) + decodeLenient(value.slice(plain));
}

function decodeRun(words: readonly Word[]): string {
  let out = '';
  for (let i = 0; i < words.length; ) {
    const word = words[i];
    if (word === undefined) break;
    const bytes: Buffer[] = [];
    for (; words[i]?.charset.toLowerCase() === word.charset.toLowerCase(); i++) {
      let text = words[i]?.text ?? '';
      if (words[i]?.encoding === 'b') {
        // Base64 cut at any place: goes on in the next word.
        while (text.length % 4 !== 0 && !text.endsWith('=') && continues(words[i + 1], word)) {
          text += words[++i]?.text ?? '';
        }
        bytes.push(Buffer.from(text, 'base64'));
      } else bytes.push(qBytes(text));
    }
    out += decodeBytes(Buffer.concat(bytes), word.charset);
  }
  return out;
}

function continues(next: Word | undefined, word: Word): boolean {
  return next?.encoding === 'b' && next.charset.toLowerCase() === word.charset.toLowerCase();
}

/** RFC 2047 4.2. */
function qBytes(text: string): Buffer {
  const bytes = text
    .replaceAll('_', ' ')
    .replace(/=([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, 'latin1');
}

/**
 * Text for an unstructured header field: as it is when it is plain ASCII, else encoded words of UTF-8 in base64,
 * each at most 75 long, one a line (RFC 2047 2). Line ends in the text become blanks.
 */
export function encodeWords(text: string): string {
  const line = text.replace(/[\r\n]+/g, ' ');
  if (isAscii(line) && !line.includes('=?')) return line;
  const words: string[] = [];
  const room = Math.floor((MAX_WORD - '=?utf-8?B??='.length) / 4) * 3;
  let piece = '';
  let size = 0;
  for (const char of line.toWellFormed()) {
    const length = Buffer.byteLength(char);
    if (size + length > room) {
      words.push(piece);
      piece = '';
      size = 0;
    }
    piece += char;
    size += length;
  }
  words.push(piece);
  return words.map((word) => `=?utf-8?B?${Buffer.from(word).toString('base64')}?=`).join('\r\n ');
}
