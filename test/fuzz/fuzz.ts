/**
 * `npm run fuzz -- [--seconds 60] [--seed N] [--only imap,mime]`: millions of mutated inputs through each target of
 * targets.ts. Stops at the first that fails and prints it, made as short as it goes, with the seed that makes it again;
 * also at one that does not come to its end, as it is.
 */
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { fuzz, inputOf, type Report } from './run.ts';
import { type Target, targets } from './targets.ts';

/** What runs longer (ms) than this will run for ever. */
const HANGS = 10_000;

interface Work {
  readonly name: string;
  readonly seed: number;
  readonly ms: number;
  /** The seed of the input that runs now, and how many have begun. */
  readonly now: Float64Array;
}

/** In a thread of its own, which can be ended in the middle of an input. */
function watched(target: Target, seed: number, ms: number): Promise<Report> {
  const now = new Float64Array(new SharedArrayBuffer(16));
  const worker = new Worker(new URL(import.meta.url), {
    workerData: { name: target.name, seed, ms, now } satisfies Work,
  });
  return new Promise((resolve, reject) => {
    let last = 0;
    let since = performance.now();
    const watch = setInterval(() => {
      const [present = 0, begun = 0] = now;
      // Before the first, the thread is still loading.
      if (begun !== last || begun === 0) since = performance.now();
      last = begun;
      if (performance.now() - since < HANGS) return;
      const error = `it takes longer than ${HANGS} ms`;
      const found = { error, input: inputOf(target, present), seed: present };
      done(() => resolve({ inputs: present - seed, found }));
    }, 500);
    const done = (tell: () => void): void => {
      clearInterval(watch);
      worker.removeAllListeners();
      void worker.terminate().then(tell);
    };
    worker.on('message', (report: Report) => done(() => resolve(report)));
    worker.on('error', (error) => done(() => reject(error)));
    worker.on('exit', (code) => done(() => reject(new Error(`the thread ended with code ${code}`))));
  });
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '60' },
      seed: { type: 'string', default: '1' },
      only: { type: 'string' },
    },
  });
  const only = values.only?.split(',');
  for (const target of targets.filter(({ name }) => only?.includes(name) !== false)) {
    const since = performance.now();
    const { inputs, found } = await watched(target, Number(values.seed), Number(values.seconds) * 1000);
    const seconds = (performance.now() - since) / 1000;
    console.log(`${target.name}: ${inputs} inputs, ${Math.round(inputs / seconds)} a second`);
    if (!found) continue;
    console.log(`${found.error}\nseed ${found.seed}, input ${JSON.stringify(found.input)}`);
    process.exitCode = 1;
    break;
  }
}

if (isMainThread) await main();
else {
  const { name, seed, ms, now } = workerData as Work;
  const target = targets.find((one) => one.name === name);
  const onRun = (present: number): void => {
    now[0] = present;
    now[1] = (now[1] ?? 0) + 1;
  };
  if (target) parentPort?.postMessage(await fuzz(target, { seed, ms, onRun }));
}
