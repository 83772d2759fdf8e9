import { type Address, parseAddress, type ReversePath } from '../mail/address.ts';
import { SmtpError } from '../mail/reply.ts';

/**
 * The arguments of MAIL and RCPT: a path and parameters (RFC 5321 4.1.2). Linear; throws SmtpError only.
 * Tolerated, as everyone does: a space after the colon. Not tolerated: an address without angle brackets.
 */
export interface PathAndParameters {
  /** Between the brackets. */
  readonly path: string;
  readonly parameters: readonly string[];
}

const SYNTAX = { FROM: 'Syntax: MAIL FROM:<address>', TO: 'Syntax: RCPT TO:<address>' } as const;

export function splitArguments(text: string, keyword: 'FROM' | 'TO'): PathAndParameters {
  const syntax = (): SmtpError => new SmtpError(501, '5.5.4', SYNTAX[keyword]);
  const colon = text.indexOf(':');
  if (colon < 0 || text.slice(0, colon).trim().toUpperCase() !== keyword) throw syntax();
  const rest = text.slice(colon + 1).trim();
  if (!rest.startsWith('<')) throw syntax();
  const end = closingBracket(rest);
  const tail = rest.slice(end + 1);
  if (end < 0 || !/^(?:$|[ \t])/.test(tail)) throw syntax();
  return { path: rest.slice(1, end), parameters: tail.split(/[ \t]+/).filter((item) => item !== '') };
}

/** A bracket within a quoted local part closes nothing. */
function closingBracket(text: string): number {
  let quoted = false;
  for (let i = 1; i < text.length; i++) {
    const char = text[i];
    if (char === '"') quoted = !quoted;
    else if (char === '\\' && quoted) i++;
    else if (char === '>' && !quoted) return i;
  }
  return -1;
}

/** Whose addresses may be written with other than ASCII (RFC 6531 3.4). */
export type Alphabet = 'ascii' | 'utf-8';

export function parseReversePath(path: string, alphabet: Alphabet): ReversePath {
  if (path === '') return null;
  checkAlphabet(path, alphabet);
  const address = parseAddress(withoutRoute(path));
  if (!address) throw new SmtpError(501, '5.1.7', 'Bad sender address syntax');
  return address;
}

export function parseForwardPath(path: string, alphabet: Alphabet): Address | 'postmaster' {
  // The one mailbox that every host has, domain or not (RFC 5321 4.1.1.3).
  if (path.toLowerCase() === 'postmaster') return 'postmaster';
  checkAlphabet(path, alphabet);
  const address = parseAddress(withoutRoute(path));
  if (!address) throw new SmtpError(501, '5.1.3', 'Bad recipient address syntax');
  return address;
}

/** `@a,@b:user@c` is read as user@c: the route is ignored, as RFC 5321 4.1.1.3 and Appendix C ask. */
function withoutRoute(path: string): string {
  if (!path.startsWith('@')) return path;
  const colon = path.indexOf(':');
  return colon < 0 ? path : path.slice(colon + 1);
}

function checkAlphabet(path: string, alphabet: Alphabet): void {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the question is whether all is ASCII.
  if (alphabet === 'utf-8' || /^[\x00-\x7f]*$/.test(path)) return;
  throw new SmtpError(553, '5.6.7', 'Address with other than ASCII characters needs SMTPUTF8');
}
