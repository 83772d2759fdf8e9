import { dice, minimise, mutate } from './mutate.ts';
import { corpusOf, type Target } from './targets.ts';

/** An input that takes longer (ms) is as bad as one that fails: nothing that is parsed has so much work in it. */
const MAX_MS = 1000;

export interface Report {
  readonly inputs: number;
  /** What failed, and the shortest input that fails so. */
  readonly found: { readonly error: string; readonly input: string; readonly seed: number } | null;
}

export interface FuzzOptions {
  readonly seed: number;
  readonly ms: number;
  /** Is told the seed of each input before it runs, also of those that a find is made shorter with. */
  readonly onRun?: (seed: number) => void;
}

/** The input of that seed. */
export function inputOf(target: Target, seed: number): string {
  return mutate(corpusOf(target.name), target.tokens, dice(seed));
}

/** Runs inputs for so long (ms), or until one fails. Each has a seed of its own, `seed` and those that follow it. */
export async function fuzz(target: Target, options: FuzzOptions): Promise<Report> {
  const corpus = corpusOf(target.name);
  const until = performance.now() + options.ms;
  for (let inputs = 0; ; inputs++) {
    if (inputs % 64 === 0 && performance.now() >= until) return { inputs, found: null };
    const seed = options.seed + inputs;
    const run = (text: string): Promise<string | null> | string | null => {
      options.onRun?.(seed);
      return failure(target, text, seed);
    };
    const outcome = run(mutate(corpus, target.tokens, dice(seed)));
    const error = outcome instanceof Promise ? await outcome : outcome;
    if (error === null) continue;
    const kind = kindOf(error);
    const same = async (text: string): Promise<boolean> => kindOf((await run(text)) ?? '') === kind;
    const input = await minimise(inputOf(target, seed), same);
    return { inputs, found: { error, input, seed } };
  }
}

function failure(target: Target, input: string, seed: number): Promise<string | null> | string | null {
  const since = performance.now();
  const told = (error: unknown): string =>
    error instanceof Error ? (error.stack ?? error.message) : String(error);
  const slow = (): string | null => {
    const took = performance.now() - since;
    return took > MAX_MS ? `it took ${Math.round(took)} ms` : null;
  };
  try {
    const running = target.run(input, dice(seed));
    return running instanceof Promise ? running.then(slow, told) : slow();
  } catch (error) {
    return told(error);
  }
}

/** Without numbers, which change with the input. */
function kindOf(error: string): string {
  return error.split('\n', 2).join('\n').replace(/\d+/g, '#');
}
