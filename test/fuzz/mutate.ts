/** Inputs made of others: seeded, so that what was found is found again. Strings of bytes ("latin1"). */

export type Dice = (below: number) => number;

/** Mulberry32. */
export function dice(seed: number): Dice {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

/** Longer inputs say nothing that shorter ones do not. */
const MAX_LENGTH = 20_000;
const NUMBERS = ['0', '1', '4294967295', '4294967296', '9223372036854775807', '99999999999999999999', '-1'];

/** One of `corpus`, changed a few times. */
export function mutate(corpus: readonly string[], tokens: readonly string[], roll: Dice): string {
  const pick = (from: readonly string[]): string => from[roll(from.length)] ?? '';
  let text = pick(corpus);
  for (let left = roll(6); left > 0; left--) {
    const at = roll(text.length + 1);
    const end = Math.min(text.length, at + 1 + roll(roll(4) === 0 ? 200 : 8));
    const head = text.slice(0, at);
    switch (roll(9)) {
      case 0:
        text = head + text.slice(end);
        break;
      case 1:
        text = head + text.slice(at, end).repeat(1 + roll(roll(20) === 0 ? 300 : 4)) + text.slice(end);
        break;
      case 2:
        text = head + pick(tokens) + text.slice(at);
        break;
      case 3:
        text = head + pick(tokens) + text.slice(end);
        break;
      case 4:
        text = head + String.fromCharCode(roll(256)) + text.slice(at + 1);
        break;
      case 5:
        text = head + pick(corpus).slice(roll(40));
        break;
      case 6:
        text = text.replace(/\d+/, pick(NUMBERS));
        break;
      case 7:
        text = head + pick(tokens).repeat(1 + roll(roll(20) === 0 ? 2000 : 10)) + text.slice(at);
        break;
      default:
        text = text.replaceAll(pick(tokens), pick(tokens));
    }
    if (text.length > MAX_LENGTH) text = text.slice(0, MAX_LENGTH);
  }
  return text;
}

/** The shortest input found that still fails as `fails` says. */
export async function minimise(
  text: string,
  fails: (text: string) => Promise<boolean> | boolean,
): Promise<string> {
  let best = text;
  for (let size = Math.ceil(best.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2))
    for (let at = 0; at < best.length; ) {
      const shorter = best.slice(0, at) + best.slice(at + size);
      if (await fails(shorter)) best = shorter;
      else at += size;
    }
  return best;
}
