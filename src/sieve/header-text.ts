import { isAscii } from '../message/charset.ts';
import { encodeWords } from '../message/encoded-word.ts';
import type { HeaderField } from './message.ts';

/** Header fields that a script writes. */

/** RFC 5322 2.1.1. */
const LINE = 78;
const MAX_LINE = 998;

/**
 * Line ends in the value become folds; what is not ASCII becomes encoded words (RFC 2047), or stays UTF-8 where there can be
 * none: in addresses (RFC 6532).
 */
export function newField(name: string, value: string, kind: 'text' | 'addresses' = 'text'): HeaderField {
  const lines = value.split(/\r?\n[ \t]*|\r/).filter((line, i) => i === 0 || line.trim() !== '');
  const encoded = lines.map((line) =>
    isAscii(line) ? line : kind === 'text' ? encodeWords(line) : octets(line),
  );
  const [first = '', ...more] = encoded;
  const folded = [fold(first, name.length + 2), ...more.map((line) => fold(line, 1))].join('\r\n ');
  const text = `${name}: ${folded}\r\n`;
  return { name: name.toLowerCase(), text, value: folded.replace(/\r\n/g, '').trim() };
}

function octets(text: string): string {
  return Buffer.from(text).toString('latin1');
}

/** Breaks before blanks, so that unfolding gives back the same; a word that is too long for a line is cut. */
function fold(text: string, used: number): string {
  const lines: string[] = [];
  let line = '';
  let room = LINE - used;
  for (const word of text.match(/[ \t]*[^ \t\r\n]+|[ \t]+|\r\n/g) ?? []) {
    if (word === '\r\n') {
      lines.push(line);
      line = '';
      room = LINE;
      continue;
    }
    if (line !== '' && line.length + word.length > room && /^[ \t]/.test(word)) {
      lines.push(line);
      line = '';
      room = LINE;
    }
    line += word;
    while (line.length > MAX_LINE - 20) {
      lines.push(line.slice(0, MAX_LINE - 20));
      line = ` ${line.slice(MAX_LINE - 20)}`;
    }
  }
  lines.push(line);
  return lines.join('\r\n');
}
