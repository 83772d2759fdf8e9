/**
 * What FETCH has in memory of messages until the client takes it, of all sessions together. Who reads as fast as we write
 * is read ahead for; when many do not read, each has but a few messages in memory, and those that do read get theirs in
 * smaller pieces.
 */

/** Octets from which on nobody is read ahead for. */
const PLENTY = 32 * 1024 * 1024;

export class HeldOctets {
  #held = 0;

  /** Whether only little should be loaded at a time. */
  get isMuch(): boolean {
    return this.#held >= PLENTY;
  }

  /** Notes octets that are about to be loaded. */
  hold(expected: number): Held {
    return new Held((octets) => {
      this.#held += octets;
    }, expected);
  }
}

/** Some octets that are held, until they are released. */
export class Held {
  readonly #add: (octets: number) => void;
  #octets = 0;
  #released = false;

  constructor(add: (octets: number) => void, octets: number) {
    this.#add = add;
    this.are(octets);
  }

  /** That many they turned out to be. */
  are(octets: number): void {
    // They may arrive when nobody waits for them any more.
    if (this.#released) return;
    this.#add(octets - this.#octets);
    this.#octets = octets;
  }

  release(): void {
    this.are(0);
    this.#released = true;
  }
}
