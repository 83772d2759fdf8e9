import type { Flag } from '../store/store.ts';

/**
 * `(\Seen \Flagged)`, made once for each list of flags: the store shares the lists between messages, so 100,000
 * messages have a handful of texts.
 */
export class FlagText {
  readonly #texts = new WeakMap<readonly Flag[], string>();
  readonly #recentTexts = new WeakMap<readonly Flag[], string>();

  of(flags: readonly Flag[], recent: boolean): string {
    const texts = recent ? this.#recentTexts : this.#texts;
    const known = texts.get(flags);
    if (known !== undefined) return known;
    const text = `(${(recent ? [...flags, '\\Recent'] : flags).join(' ')})`;
    texts.set(flags, text);
    return text;
  }
}
