import type { Extension } from '../extension.ts';

/** RFC 5228 2.4.2.4; what looks like one and is none stays as it is. */
const ENCODED = /\$\{(hex|unicode):([ \t\r\n]*[0-9a-f]+(?:[ \t\r\n]+[0-9a-f]+)*[ \t\r\n]*)\}/gi;

export const encodedCharacter: Extension = {
  name: 'encoded-character',
  source: 'RFC 5228 2.4.2.4',
  string(text, complain) {
    if (!text.includes('${')) return text;
    let hasOctets = false;
    const decoded = text.replace(ENCODED, (whole, kind: string, numbers: string) => {
      const codes = numbers.trim().split(/[ \t\r\n]+/);
      if (kind.toLowerCase() === 'hex') {
        if (codes.some((code) => code.length > 2)) return whole;
        hasOctets = true;
        // Octets stand in a range of their own until all are put together: they may make one character.
        return codes.map((code) => String.fromCharCode(OCTETS + Number.parseInt(code, 16))).join('');
      }
      const points = codes.map((code) => (code.length > 16 ? Number.NaN : Number.parseInt(code, 16)));
      if (points.every((point) => isCharacter(point))) return String.fromCodePoint(...points);
      complain(`${whole} is no Unicode character`);
      return whole;
    });
    return hasOctets ? joined(decoded) : decoded;
  },
};

/** Unpaired surrogates, which no script can hold. */
const OCTETS = 0xdc00;

function isCharacter(point: number): boolean {
  return point <= 0xd7ff || (point >= 0xe000 && point <= 0x10ffff);
}

function joined(text: string): string {
  return text.replace(/(?<![\ud800-\udbff])[\udc00-\udcff]+/g, (octets) => {
    const bytes = Buffer.from([...octets].map((char) => char.charCodeAt(0) - OCTETS));
    return bytes.toString('utf8');
  });
}
