/**
 * Work on one account that may take long is a generator: between two of its steps the other accounts of the thread can
 * have their turn. Whoever has nobody to wait for runs it to its end.
 */
export type Steps<T> = Generator<null, T>;

/** After so long (ms) at one account others have their turn. */
export const TURN = 5;

export function finish<T>(steps: Steps<T>): T {
  for (let step = steps.next(); ; step = steps.next()) if (step.done) return step.value;
}

/** Runs it to its end when that takes no longer than `patience` (ms). Throws Unfinished. */
export function carryOut(steps: Steps<unknown>, now: () => number, patience: number): void {
  const since = now();
  while (!steps.next().done) if (now() - since >= patience) throw new Unfinished(steps);
}

/** Thrown where work was begun that takes long: nobody may use the account before `steps` has come to its end. */
export class Unfinished extends Error {
  override readonly name = 'Unfinished';
  readonly steps: Steps<unknown>;

  constructor(steps: Steps<unknown>) {
    super('the account is being read from disk');
    this.steps = steps;
  }
}

/** Thrown to who came before the account can be used. `ready` rejects with what went wrong with it. */
export class NotNow extends Error {
  override readonly name = 'NotNow';
  readonly ready: Promise<unknown>;

  constructor(ready: Promise<unknown>) {
    super('the account is being read from disk');
    this.ready = ready;
  }
}

/** Everything that waits in this thread. */
export function others(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
