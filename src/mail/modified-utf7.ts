/**
 * Modified UTF-7: mailbox names in IMAP4rev1 (RFC 3501 5.1.3) and in Maildir++ folder names. Decoding
 * refuses what is not well-formed (stray octets, half characters, ASCII hidden in base64) with `undefined`.
 */

/** Printable ASCII stands for itself, `&` is written `&-`, all else is UTF-16 in base64 between `&` and `-`. */
export function encodeModifiedUtf7(text: string): string {
  return text.replace(/&|[^\x20-\x7e]+/g, (run) => (run === '&' ? '&-' : shifted(run)));
}

/** One run of UTF-16 code units as `&…-`; also used for a printable character that must not stand in a file name. */
export function shifted(run: string): string {
  const bytes = Buffer.from(run, 'utf16le').swap16();
  return `&${bytes.toString('base64').replaceAll('=', '').replaceAll('/', ',')}-`;
}

/**
 * @param allowed printable characters that may be written in base64 although the RFC lets them stand for themselves
 * @returns undefined when `text` is not modified UTF-7
 */
export function decodeModifiedUtf7(text: string, allowed = ''): string | undefined {
  if (!/^[\x20-\x7e]*$/.test(text)) return undefined;
  let result = '';
  let at = 0;
  while (at < text.length) {
    const start = text.indexOf('&', at);
    if (start < 0) return result + text.slice(at);
    const end = text.indexOf('-', start);
    if (end < 0) return undefined;
    result += text.slice(at, start);
    const run = end === start + 1 ? '&' : unshifted(text.slice(start + 1, end), allowed);
    if (run === undefined) return undefined;
    result += run;
    at = end + 1;
  }
  return result;
}

function unshifted(base64: string, allowed: string): string | undefined {
  if (!/^[A-Za-z0-9+,]+$/.test(base64)) return undefined;
  const bytes = Buffer.from(base64.replaceAll(',', '/'), 'base64');
  if (bytes.length === 0 || bytes.length % 2 !== 0) return undefined;
  const run = Buffer.from(bytes).swap16().toString('utf16le');
  for (const unit of run) if (/[\x20-\x7e]/.test(unit) && !allowed.includes(unit)) return undefined;
  if (!run.isWellFormed()) return undefined;
  // Padding bits that are not zero would be another spelling of the same name.
  return shifted(run) === `&${base64}-` ? run : undefined;
}
