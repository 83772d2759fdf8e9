/** Strings of a script: as they stand, or with references to variables (RFC 5229 3) in them. */

export interface Reference {
  /** Lower case; `ns.name` for a variable of a namespace. */
  readonly name: string;
}

export type Text = string | readonly (string | Reference | number)[];

/** RFC 5229 3: identifiers with namespaces, or a number; all else that looks like one is text. */
const REFERENCE = /\$\{((?:[A-Za-z_][A-Za-z0-9_]*\.)*[A-Za-z_][A-Za-z0-9_]*|\d+)\}/g;

/** A number stands for a match value. */
export function withReferences(text: string): Text {
  if (!text.includes('${')) return text;
  const parts: (string | Reference | number)[] = [];
  let at = 0;
  for (const match of text.matchAll(REFERENCE)) {
    if (match.index > at) parts.push(text.slice(at, match.index));
    const name = match[1] ?? '';
    parts.push(/^\d/.test(name) ? Number(name) : { name: name.toLowerCase() });
    at = match.index + match[0].length;
  }
  if (parts.length === 0) return text;
  if (at < text.length) parts.push(text.slice(at));
  return parts;
}

/** RFC 5229 3. */
export function isVariableName(text: string): boolean {
  return /^(?:[A-Za-z_][A-Za-z0-9_]*\.)*[A-Za-z_][A-Za-z0-9_]*$/.test(text);
}
