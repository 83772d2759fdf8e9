const ALPHABET = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** The way crypt(3) writes three bytes as `count` characters: `b0` is the lowest, low six bits first. */
export function to64(b2: number, b1: number, b0: number, count: number): string {
  let value = (b2 << 16) | (b1 << 8) | b0;
  let text = '';
  for (let i = 0; i < count; i++) {
    text += ALPHABET[value & 0x3f] ?? '';
    value >>>= 6;
  }
  return text;
}

/** Writes the bytes of `digest` at the listed positions, three at a time; a row names its bytes highest first. */
export function permuted(digest: Uint8Array, rows: readonly (readonly number[])[]): string {
  return rows
    .map((row) => {
      const [b2, b1, b0] = [...Array<number>(3 - row.length).fill(-1), ...row];
      const byte = (at: number | undefined): number => (at === undefined || at < 0 ? 0 : (digest[at] ?? 0));
      return to64(byte(b2), byte(b1), byte(b0), row.length + 1);
    })
    .join('');
}
