/**
 * Content transfer encodings undone (RFC 2045 6), in pieces cut anywhere. Lenient: what is not in the alphabet is
 * skipped, a `=` that encodes nothing stays. Never throws, linear.
 */

export interface ByteStream {
  write(bytes: Uint8Array): Uint8Array;
  end(): Uint8Array;
}

const NOTHING = new Uint8Array(0);

/** @param encoding as in Part, lower case; one that is not known leaves the bytes as they are. */
export function transferDecoder(encoding: string): ByteStream {
  if (encoding === 'base64') return base64();
  if (encoding === 'quoted-printable') return quotedPrintable();
  return { write: (bytes) => bytes, end: () => NOTHING };
}

function base64(): ByteStream {
  /** Characters of a quantum not yet complete. */
  let held = '';
  return {
    write(bytes) {
      const text = held + latin1(bytes).replace(/[^A-Za-z0-9+/]+/g, '');
      const whole = text.length - (text.length % 4);
      held = text.slice(whole);
      return Buffer.from(text.slice(0, whole), 'base64');
    },
    end: () => Buffer.from(held, 'base64'),
  };
}

function quotedPrintable(): ByteStream {
  /** The begin of an escape, or of the blanks at a line's end. */
  let held = '';
  return {
    write(bytes) {
      const text = held + latin1(bytes);
      const cut = undecided(text);
      held = text.slice(cut);
      return unquote(text.slice(0, cut));
    },
    end: () => unquote(held),
  };
}

/** Blanks held back at most, to see whether a line ends after them: RFC 2045 6.7 lines have 76 characters. */
const MAX_BLANKS = 100;

/** Where the text begins that the next piece may change the meaning of. */
function undecided(text: string): number {
  const tail = text.slice(-MAX_BLANKS);
  const length = /(?:=[ \t]*|=[0-9a-f]|[ \t]+)\r?$|\r$/i.exec(tail)?.[0].length ?? 0;
  return text.length - length;
}

/** Line by line: blanks at a line's end were added on the way (rule 3), a `=` there joins the lines (rule 5). */
function unquote(text: string): Uint8Array {
  let decoded = '';
  for (let at = 0; at < text.length; ) {
    const lineFeed = text.indexOf('\n', at);
    if (lineFeed < 0) {
      decoded += unhex(text.slice(at));
      break;
    }
    const carriageReturn = text.charAt(lineFeed - 1) === '\r' && lineFeed > at ? 1 : 0;
    let end = lineFeed - carriageReturn;
    while (end > at && (text.charAt(end - 1) === ' ' || text.charAt(end - 1) === '\t')) end--;
    const soft = end > at && text.charAt(end - 1) === '=';
    decoded += unhex(text.slice(at, soft ? end - 1 : end));
    if (!soft) decoded += carriageReturn === 1 ? '\r\n' : '\n';
    at = lineFeed + 1;
  }
  return Buffer.from(decoded, 'latin1');
}

function unhex(line: string): string {
  if (!line.includes('=')) return line;
  return line.replace(/=([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}
