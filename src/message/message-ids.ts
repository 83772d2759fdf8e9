/**
 * Message IDs in Message-ID, References and In-Reply-To (RFC 5322 3.6.4, RFC 5256 3): lenient, linear, never throws.
 * Normalised, so that `<"a"@b>` is `<a@b>`; what other programs make without an `@` counts too, as replies repeat it.
 */

/** More ancestors than this say nothing new: the first, which names the thread, and the last ones stay. */
export const MAX_REFERENCES: number = 100;
/** RFC 5322 2.1.1: no longer one fits in a line. */
const MAX_ID = 998;

/** All in order, without their angle brackets, each once; at most MAX_REFERENCES. */
export function messageIds(value: string): string[] {
  const found = new Set<string>();
  for (let at = value.indexOf('<'); at >= 0; ) {
    const end = value.indexOf('>', at);
    if (end < 0) break;
    // What was opened twice was not closed the first time.
    const start = value.lastIndexOf('<', end) + 1;
    const id = normalised(value.slice(start, Math.min(end, start + MAX_ID + 1)));
    if (id !== undefined) found.add(id);
    at = value.indexOf('<', end);
  }
  const ids = [...found];
  return ids.length <= MAX_REFERENCES ? ids : [...ids.slice(0, 1), ...ids.slice(1 - MAX_REFERENCES)];
}

/** The messages before this one, oldest first (RFC 5256 3, REFERENCES); values are unfolded. */
export function ancestors(references: readonly string[], inReplyTo: readonly string[]): string[] {
  const all = messageIds(references.join(' '));
  return all.length > 0 ? all : messageIds(inReplyTo.join(' ')).slice(0, 1);
}

function normalised(text: string): string | undefined {
  // Blanks that folding left inside mean nothing; `<Mon, 1 Jan>` in an old In-Reply-To is no ID.
  const id = text.trim();
  if (id === '' || id.length > MAX_ID || /[\s,]/.test(id)) return undefined;
  return id.includes('"')
    ? id.replace(/"((?:[^"\\]|\\.)*)"/g, (_, quoted: string) => quoted.replace(/\\(.)/g, '$1'))
    : id;
}
