/**
 * What searches keep in memory between each other, of all accounts of a thread together: keys of folders, vocabularies.
 * All of it can be read again from the indexes; what was not used for longest goes first.
 */

/** The keys of a million messages, or the vocabularies of a dozen busy accounts. */
const MAX_BYTES = 64 * 1024 * 1024;

export interface Remembered {
  readonly bytes: number;
}

export class SearchMemory {
  readonly #kept = new Map<object, { readonly account: object; readonly value: Remembered }>();

  /** @param owner what it is about: a folder, a full text */
  get<T extends Remembered>(owner: object, kind: abstract new (...values: never) => T): T | undefined {
    const kept = this.#kept.get(owner);
    if (!(kept?.value instanceof kind)) return undefined;
    this.#kept.delete(owner);
    this.#kept.set(owner, kept);
    return kept.value;
  }

  /** The newest always stays, whatever its size. */
  keep(account: object, owner: object, value: Remembered): void {
    this.#kept.delete(owner);
    this.#kept.set(owner, { account, value });
    let bytes = 0;
    for (const { value: each } of this.#kept.values()) bytes += each.bytes;
    for (const [other, { value: each }] of this.#kept) {
      if (bytes <= MAX_BYTES || other === owner) return;
      this.#kept.delete(other);
      bytes -= each.bytes;
    }
  }

  /** The account is closed, or its index was made anew. */
  forget(account: object): void {
    for (const [owner, kept] of this.#kept) if (kept.account === account) this.#kept.delete(owner);
  }
}
