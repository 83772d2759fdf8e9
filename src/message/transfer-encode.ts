/** The two encodings that make 7-bit lines of anything (RFC 2045 6.7, 6.8), as streams: linear, nothing kept. */

/** RFC 2045 6.7 (5) and 6.8: octets of an encoded line. */
const MAX_LINE = 76;
/** Input octets of a base64 line. */
const BASE64_LINE = 57;

const CR = 0x0d;
const LF = 0x0a;

/** CRLF stays a line end; every other CR or LF is data. */
export async function* quotedPrintable(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let column = 0;
  /** An octet whose form depends on the next: a blank (at a line's end it is encoded) or CR. */
  let held = -1;
  for await (const chunk of content) {
    let text = '';
    const put = (token: string): void => {
      if (column + token.length >= MAX_LINE) {
        text += '=\r\n';
        column = 0;
      }
      text += token;
      column += token.length;
    };
    for (const octet of chunk) {
      if (held === CR && octet === LF) {
        text += '\r\n';
        column = 0;
        held = -1;
        continue;
      }
      if (held >= 0) put(octet === CR || held === CR ? escaped(held) : String.fromCharCode(held));
      held = octet === CR || isBlank(octet) ? octet : -1;
      if (held < 0) put(isLiteral(octet) ? String.fromCharCode(octet) : escaped(octet));
    }
    yield Buffer.from(text, 'latin1');
  }
  if (held >= 0) yield Buffer.from(`${column + 3 >= MAX_LINE ? '=\r\n' : ''}${escaped(held)}`, 'latin1');
}

function escaped(octet: number): string {
  return `=${octet.toString(16).toUpperCase().padStart(2, '0')}`;
}

function isBlank(octet: number): boolean {
  return octet === 0x20 || octet === 0x09;
}

function isLiteral(octet: number): boolean {
  return octet >= 0x21 && octet <= 0x7e && octet !== 0x3d;
}

/** Lines of 76, each with its CRLF but for the last. */
export async function* base64(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let rest = Buffer.alloc(0);
  let first = true;
  const line = (bytes: Buffer): string => {
    const text = `${first ? '' : '\r\n'}${bytes.toString('base64')}`;
    first = false;
    return text;
  };
  for await (const chunk of content) {
    const bytes = Buffer.concat([rest, chunk]);
    let at = 0;
    let text = '';
    for (; at + BASE64_LINE <= bytes.length; at += BASE64_LINE)
      text += line(bytes.subarray(at, at + BASE64_LINE));
    rest = bytes.subarray(at);
    yield Buffer.from(text, 'latin1');
  }
  if (rest.length > 0) yield Buffer.from(line(rest), 'latin1');
}
