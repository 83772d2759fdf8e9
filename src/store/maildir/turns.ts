import { syncDirectories, syncDirectory } from './disk.ts';

/**
 * Work on one account that may take long is a generator: between two of its steps the other accounts of the thread can
 * have their turn. Whoever has nobody to wait for runs it to its end. A step that names directories goes on when their
 * names are on the disk; what the disk says against it is thrown there.
 */
export type Steps<T> = Generator<readonly string[] | null, T>;

/** After so long (ms) at one account others have their turn. */
export const TURN = 5;

export function finish<T>(steps: Steps<T>): T {
  for (let step = steps.next(); ; step = next(steps, step.value)) if (step.done) return step.value;
}

/** The step after one that gave `value`; the thread waits for the disk. */
export function next<T>(
  steps: Steps<T>,
  value: readonly string[] | null,
): IteratorResult<readonly string[] | null, T> {
  try {
    for (const directory of value ?? []) syncDirectory(directory);
  } catch (error) {
    return steps.throw(error);
  }
  return steps.next();
}

/** The same, while others have their turn. */
export async function nextSynced<T>(
  steps: Steps<T>,
  directories: readonly string[],
): Promise<IteratorResult<readonly string[] | null, T>> {
  try {
    await syncDirectories(directories);
  } catch (error) {
    return steps.throw(error);
  }
  return steps.next();
}

/** Runs it to its end when that takes no longer than `patience` (ms). Throws Unfinished. */
export function carryOut(steps: Steps<unknown>, now: () => number, patience: number): void {
  const since = now();
  for (let step = steps.next(); !step.done; step = next(steps, step.value))
    if (now() - since >= patience) throw new Unfinished(steps);
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
