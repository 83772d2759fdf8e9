import { type Address, parseAddress } from '../mail/address.ts';

/**
 * The addresses in From fields, for the question whether the user may write as them. One pass. Every address that
 * any reader could take for the author is in the result, and in doubt the message is refused: the opposite of
 * message/address-list.ts, which makes the best of what it gets.
 */

/** @param values field values, one char an octet. @returns undefined when one of them cannot be read. */
export function authors(values: readonly string[]): readonly Address[] | undefined {
  const result: Address[] = [];
  for (const value of values)
    for (const written of mailboxes(Buffer.from(value, 'latin1').toString()) ?? [undefined]) {
      const address = written === undefined ? undefined : parseAddress(written);
      if (!address) return undefined;
      result.push(address);
    }
  return result;
}

/**
 * The addr-specs of a mailbox list, as written: what is in angle brackets, or else the whole item. Undefined when a
 * comment or a quoted string is never closed: other readers take what follows for addresses.
 */
function mailboxes(text: string): string[] | undefined {
  const found: string[] = [];
  let item = '';
  let inAngle = false;
  let bracketed = false;
  const close = (): void => {
    const bare = item.trim();
    // Without an at-sign it is a name, `Smith` of an unquoted `Smith, John <…>`.
    if (!bracketed && bare.includes('@')) found.push(bare);
    item = '';
    bracketed = false;
  };
  for (let i = 0; i < text.length; i++) {
    const char = text[i] ?? '';
    if (char === '(') {
      i = endOfComment(text, i);
      if (i >= text.length) return undefined;
    } else if (char === '"') {
      const end = endOfQuoted(text, i);
      if (end >= text.length) return undefined;
      item += text.slice(i, end + 1);
      i = end;
    } else if (inAngle && char === '>') {
      // A source route is not part of the address (RFC 5322 4.4).
      found.push(item.replace(/^\s*@[^:]*:/, '').replace(/\s+/g, ''));
      item = '';
      inAngle = false;
      bracketed = true;
    } else if (inAngle) item += char;
    else if (char === '<') {
      item = '';
      inAngle = true;
    } else if (char === ',' || char === ';') close();
    // The name of a group (RFC 5322 3.4), or for a lenient reader an author before a wrong separator.
    else if (char === ':') close();
    else item += char;
  }
  if (inAngle) found.push(item);
  else close();
  return found;
}

function endOfQuoted(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i++) {
    if (text[i] === '\\') i++;
    else if (text[i] === '"') return i;
  }
  return text.length;
}

/** Comments nest (RFC 5322 3.2.2). */
function endOfComment(text: string, start: number): number {
  let depth = 0;
  for (let i = start; i < text.length; i++) {
    if (text[i] === '\\') i++;
    else if (text[i] === '(') depth++;
    else if (text[i] === ')' && --depth === 0) return i;
  }
  return text.length;
}
