/**
 * Names of mailboxes that a client with NOTIFY is to be told of (RFC 5465 5.4, 5.5), each once, and what it has done to
 * names itself, of which it is not told (section 5).
 */

/** Own changes whose echo has not come yet. */
const MAX_EXPECTED = 1000;

/** A name to be listed. */
export interface ToldName {
  readonly path: string;
  /** The name before, when it was renamed. */
  readonly was: string | null;
  /** To say it later after all: `putOff`. */
  readonly what: Waiting;
}

/** By path. `new`: the client has never heard that name; `changed`: it has, and something else is to be said of it. */
export type Waiting = 'new' | 'changed' | { readonly was: string };

interface Renamed {
  readonly from: string;
  readonly to: string;
}

export class NotifyNames {
  readonly #max: number;
  #waiting = new Map<string, Waiting>();
  /** What can be said only when more is heard. */
  readonly #putOff = new Map<string, Waiting>();
  /** The last mailbox that was renamed: what is below it goes with it, and is not told (RFC 5465 5.4). */
  #renamed: Renamed | null = null;
  readonly #expected = new Map<string, string[]>();

  constructor(max: number) {
    this.#max = max;
  }

  get hasPending(): boolean {
    return this.#waiting.size > 0;
  }

  get isTooMuch(): boolean {
    return this.#waiting.size > this.#max;
  }

  /** What there is to say of a name is found out when it is told. */
  changed(path: string, what: 'new' | 'changed' = 'changed'): void {
    this.#goOn();
    if (!this.#waiting.has(path)) this.#waiting.set(path, what);
  }

  /** @param how 'known': the client has done it itself, or does not want to hear of it */
  renamed(from: string, to: string, how: 'tell' | 'known'): void {
    this.#goOn();
    if (this.#renamed && isBelow({ from, to }, this.#renamed)) {
      this.#moved(from, to);
      return;
    }
    this.#renamed = { from, to };
    // Those below may have been heard of first.
    for (const [path, what] of this.#waiting)
      if (typeof what === 'object' && isBelow({ from: what.was, to: path }, this.#renamed))
        this.#waiting.delete(path);
    const before = this.#waiting.get(from);
    this.#waiting.delete(from);
    if (how === 'known') return;
    // A name that the client has not been told yet is not its old name.
    this.#waiting.set(to, before === undefined || before === 'changed' ? { was: from } : before);
  }

  /** What was still to be said of a name is said of what it has become, with what it is in. */
  #moved(from: string, to: string): void {
    const what = this.#waiting.get(from);
    this.#waiting.delete(from);
    if (what !== undefined) this.#waiting.set(to, what);
  }

  /** What became of it has not been heard yet: it is said after the next that is heard of a name. */
  putOff({ path, what }: ToldName): void {
    this.#putOff.set(path, what);
  }

  #goOn(): void {
    for (const [path, what] of this.#putOff) if (!this.#waiting.has(path)) this.#waiting.set(path, what);
    this.#putOff.clear();
  }

  /** From here on a rename that looks like part of the last one is another. */
  endRename(): void {
    this.#renamed = null;
  }

  take(): readonly ToldName[] {
    const taken = [...this.#waiting].map(([path, what]) => ({
      path,
      was: typeof what === 'object' ? what.was : null,
      what,
    }));
    this.#waiting = new Map();
    return taken;
  }

  expect(what: string, path: string): void {
    if (this.#expected.size >= MAX_EXPECTED) this.expectNothing();
    const expected = this.#expected.get(path) ?? [];
    expected.push(what);
    this.#expected.set(path, expected);
  }

  /** Whether that is the echo of what the client has done. */
  isExpected(what: string, path: string): boolean {
    const expected = this.#expected.get(path);
    if (!expected) return false;
    const at = expected.indexOf(what);
    // Something else has come between: from here on the client knows less than it thinks.
    const rest = at < 0 ? [] : expected.slice(at + 1);
    if (rest.length > 0) this.#expected.set(path, rest);
    else this.#expected.delete(path);
    return at >= 0;
  }

  expectNothing(): void {
    this.#expected.clear();
  }

  clear(): void {
    this.#waiting.clear();
    this.#putOff.clear();
    this.#renamed = null;
    this.expectNothing();
  }
}

function isBelow(inner: Renamed, outer: Renamed): boolean {
  return (
    inner.from.startsWith(`${outer.from}/`) && inner.to === outer.to + inner.from.slice(outer.from.length)
  );
}
