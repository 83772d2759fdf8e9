/**
 * LIST's wildcards (RFC 9051 6.3.9): `*` is anything, `%` anything within one level. Cost is bounded by pattern times
 * name, whatever the pattern.
 */

export const SEPARATOR = '/';

export type Matcher = (name: string) => boolean;

/** INBOX is INBOX in any case (RFC 9051 5.1), also where a pattern spells it. */
export function listPattern(pattern: string): Matcher {
  const parts = [...pattern.replace(/[*%]*\*[*%]*/g, '*').replace(/%+/g, '%')];
  const folded = parts.map((char) => char.toUpperCase());
  return (name) => matches(parts, name) || (name === 'INBOX' && matches(folded, name));
}

function matches(pattern: readonly string[], name: string): boolean {
  // The positions in the pattern that the name so far can have led to.
  let positions = reach(pattern, new Set([0]));
  for (const char of name) {
    const next = new Set<number>();
    for (const position of positions) {
      const part = pattern[position];
      if (part === '*' || (part === '%' && char !== SEPARATOR)) next.add(position);
      else if (part === char) next.add(position + 1);
    }
    if (next.size === 0) return false;
    positions = reach(pattern, next);
  }
  return positions.has(pattern.length);
}

/** Wildcards may stand for nothing. */
function reach(pattern: readonly string[], positions: Set<number>): Set<number> {
  for (const position of positions)
    if (pattern[position] === '*' || pattern[position] === '%') positions.add(position + 1);
  return positions;
}
