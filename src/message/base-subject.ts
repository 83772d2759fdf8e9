/**
 * The base subject (RFC 5256 2.1): a subject without what replying, forwarding and mailing lists put around it.
 * Linear, never throws.
 */

export interface BaseSubject {
  /** As it reads; compare it folded. */
  readonly text: string;
  /** A mark of replying or forwarding was taken off. */
  readonly kind: 'original' | 'reply';
}

/** What is longer is no subject that anybody replied to; the rest of it is not looked at. */
const MAX_SUBJECT = 2000;

/** `refwd` with its blob and colon; other languages' marks are not in the RFC, and their letters are words in others. */
const REFWD = /(?:re|fwd?)[ \t]*(?:\[[^[\]]*\])?[ \t]*:/iy;
const BLOB = /\[[^[\]]*\][ \t]*/y;

/** @param subject decoded and unfolded */
export function baseSubject(subject: string): BaseSubject {
  let text = subject.slice(0, MAX_SUBJECT).replace(/[ \t\r\n]+/g, ' ');
  let kind: BaseSubject['kind'] = 'original';
  for (;;) {
    const trailer = withoutTrailers(text);
    if (trailer.length < text.trimEnd().length) kind = 'reply';
    const leader = withoutLeaders(trailer);
    if (leader.kind === 'reply') kind = 'reply';
    text = leader.text;
    const inner = /^\[fwd:(.*)\]$/is.exec(text);
    if (!inner) return { text, kind };
    text = inner[1] ?? '';
    kind = 'reply';
  }
}

/** Step 2: `(fwd)` and blanks at the end. */
function withoutTrailers(text: string): string {
  let end = text.length;
  for (;;) {
    while (end > 0 && text.charCodeAt(end - 1) === 0x20) end--;
    if (end < 5 || text.slice(end - 5, end).toLowerCase() !== '(fwd)') return text.slice(0, end);
    end -= 5;
  }
}

/** Steps 3 to 5: `Re:`, `Fwd[2]:` and blobs at the begin; a blob only if something is left after it. */
function withoutLeaders(text: string): { readonly text: string; readonly kind: BaseSubject['kind'] } {
  let at = 0;
  let kind: BaseSubject['kind'] = 'original';
  for (;;) {
    while (text.charCodeAt(at) === 0x20) at++;
    const blobs = skipBlobs(text, at);
    REFWD.lastIndex = blobs.end;
    if (REFWD.test(text)) {
      at = REFWD.lastIndex;
      kind = 'reply';
      continue;
    }
    return { text: text.slice(blobs.end < text.length ? blobs.end : blobs.last), kind };
  }
}

/** Where blobs that follow each other end, and where the last of them begins. */
function skipBlobs(text: string, from: number): { readonly end: number; readonly last: number } {
  let end = from;
  let last = from;
  for (;;) {
    BLOB.lastIndex = end;
    if (!BLOB.test(text)) return { end, last };
    last = end;
    end = BLOB.lastIndex;
  }
}
