/**
 * LIST's wildcards (RFC 9051 6.3.9): `*` is anything, `%` anything within one level. Cost is bounded by pattern times
 * name, whatever the pattern.
 */

export const SEPARATOR = '/';

export type Matcher = (name: string) => boolean;

/** INBOX is INBOX in any case (RFC 9051 5.1), also where a pattern spells it. */
export function listPattern(pattern: string): Matcher {
  const simple = pattern.replace(/[*%]*\*[*%]*/g, '*').replace(/%+/g, '%');
  const matches = matcher(simple);
  const matchesInbox = matcher(simple.toUpperCase())('INBOX');
  return (name) => matches(name) || (matchesInbox && name === 'INBOX');
}

/** Whether a pattern may match anything that begins with `prefix`, or the name above it. */
export function mayReach(pattern: string, prefix: string): boolean {
  const [literal = ''] = pattern.split(/[*%]/, 1);
  return literal.startsWith(prefix) || prefix.startsWith(literal);
}

/** Most patterns have at most one wildcard, at their end: thousands of names are soon compared with those. */
function matcher(pattern: string): Matcher {
  const at = pattern.search(/[*%]/);
  if (at < 0) return (name) => name === pattern;
  const prefix = pattern.slice(0, at);
  if (at < pattern.length - 1) {
    const parts = [...pattern];
    return (name) => name.startsWith(prefix) && matches(parts, name);
  }
  if (pattern.endsWith('*')) return (name) => name.startsWith(prefix);
  return (name) => name.startsWith(prefix) && !name.includes(SEPARATOR, at);
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
