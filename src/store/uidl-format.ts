import { hash } from 'node:crypto';
import { StoreError } from './store.ts';

/**
 * Forms of POP3's unique ids, in the language of Dovecot's `pop3_uidl_format`: `%` [`0`][width][modifiers] variable, with
 * the variables u (UID), v (UIDVALIDITY), f (file name), g (guid), long names in braces, and version 2.4's filters
 * (`%{uid | hex(8)}`). Modifiers: X hexadecimal, L and U lower and upper case, M the MD5 in hexadecimal, R backwards.
 * Without the 0 the width cuts off, with it it fills up. The MD5 of header fields (`%m`) is not possible: Dovecot knows
 * it for mbox files only.
 */

/** As the setting is longer than that, somebody is playing. */
const MAX_FORMAT = 200;

export interface UidlVariables {
  readonly uid: number;
  readonly uidValidity: number;
  /** Up to its ':'. */
  readonly fileName?: string;
  readonly guid?: string;
}

export interface UidlFormat {
  /** As it was written, without the spaces that braces may hold. */
  readonly text: string;
  /** Needs more than UID and UIDVALIDITY. */
  readonly needs: 'numbers' | 'names';
  expand(variables: UidlVariables): string;
}

type Step = (text: string) => string;
type Piece = string | { readonly variable: Variable; readonly steps: readonly Step[] };
type Variable = 'u' | 'v' | 'f' | 'g';

const LONG: Readonly<Record<string, Variable>> = {
  uid: 'u',
  uidvalidity: 'v',
  filename: 'f',
  guid: 'g',
  u: 'u',
  v: 'v',
  f: 'f',
  g: 'g',
};

/** Throws StoreError 'invalid-name' with what is wrong with it. */
export function parseUidlFormat(text: string): UidlFormat {
  if (text.length > MAX_FORMAT) throw refused(text.slice(0, 20), 'it is too long');
  const pieces: Piece[] = [];
  for (let at = 0; at < text.length; ) {
    if (text[at] !== '%') {
      const next = text.indexOf('%', at);
      const literal = text.slice(at, next < 0 ? text.length : next);
      if (!/^[\x21-\x7e]+$/.test(literal)) throw refused(text, 'a unique id has no spaces (RFC 1939 7)');
      pieces.push(literal);
      at += literal.length;
      continue;
    }
    if (text[at + 1] === '%') {
      pieces.push('%');
      at += 2;
      continue;
    }
    const [whole, zero = '', width = '', modifiers = '', short, long] =
      /^%(0?)(\d{0,3})([LUXMR]{0,10})(?:([uvfg])|\{([^{}]*)\})/.exec(text.slice(at)) ?? [];
    if (whole === undefined) throw refused(text, `"${text.slice(at, at + 8)}" is not known here`);
    const steps = [...modifiers].map(modifier);
    if (width !== '' && Number(width) > 0) steps.push(sized(zero, Number(width)));
    if (short !== undefined) pieces.push({ variable: short as Variable, steps });
    else {
      const [name = '', ...filters] = (long ?? '').split('|').map((word) => word.trim());
      const variable = LONG[name.toLowerCase()];
      if (!variable) throw refused(text, `"${name}" is not known here`);
      pieces.push({ variable, steps: [...filters.map((filter) => filterOf(filter, text)), ...steps] });
    }
    at += whole.length;
  }
  const variables = pieces.flatMap((piece) => (typeof piece === 'string' ? [] : [piece.variable]));
  if (!variables.some((variable) => variable !== 'v'))
    throw refused(text, 'all messages would have the same unique id');
  return {
    text: text.replaceAll(/\s/g, ''),
    needs: variables.some((variable) => variable === 'f' || variable === 'g') ? 'names' : 'numbers',
    expand(values) {
      // Ten thousand of them for one UIDL: no arrays on the way.
      let text = '';
      for (const piece of pieces) {
        if (typeof piece === 'string') text += piece;
        else {
          let value = variableOf(piece.variable, values);
          for (const step of piece.steps) value = step(value);
          text += value;
        }
      }
      return text;
    },
  };
}

function variableOf(variable: Variable, { uid, uidValidity, fileName = '', guid }: UidlVariables): string {
  switch (variable) {
    case 'u':
      return String(uid);
    case 'v':
      return String(uidValidity);
    case 'f':
      return fileName;
    case 'g':
      return guid ?? fileName;
  }
}

function modifier(letter: string): Step {
  switch (letter) {
    case 'L':
      return (text) => text.toLowerCase();
    case 'U':
      return (text) => text.toUpperCase();
    case 'M':
      return (text) => hash('md5', text);
    case 'R':
      return (text) => [...text].reverse().join('');
    default:
      return hex;
  }
}

function filterOf(filter: string, format: string): Step {
  const [, width] = /^hex(?:\((\d{1,3})\))?$/.exec(filter) ?? [];
  if (width !== undefined) return (text) => hex(text).padStart(Number(width), '0');
  switch (filter) {
    case 'hex':
      return hex;
    case 'lower':
      return modifier('L');
    case 'upper':
      return modifier('U');
    default:
      throw refused(format, `"${filter}" is not known here`);
  }
}

function hex(text: string): string {
  return /^\d+$/.test(text) ? Number(text).toString(16) : text;
}

function sized(zero: string, width: number): Step {
  return zero === '' ? (text) => text.slice(0, width) : (text) => text.padStart(width, '0');
}

function refused(format: string, why: string): StoreError {
  return new StoreError('invalid-name', `"${format}" cannot be the form of POP3's unique ids: ${why}`);
}
