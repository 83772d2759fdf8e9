import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkAccount } from '../../src/store/maildir/check.ts';
import { type Known, type Mark, storeAt, World, whatIsKnown } from './power-cut.ts';
import { judge } from './power-cut-judge.ts';
import { RecordedDisk } from './recorded-disk.ts';
import { type Fate, SimulatedDisk } from './simulated-disk.ts';
import { openAccount, temporaryDirectory } from './surroundings.ts';

/** Runs of random work, each cut at many of its steps: what was acknowledged, shown or promised holds at every cut. */

export interface PowerCuts {
  readonly runs: number;
  /** Of work, in a run. */
  readonly rounds: number;
  /** Tried in a run, spread over all its steps. */
  readonly cuts: number;
  readonly seed: number;
}

const FATES: readonly Fate[] = ['all lost', 'by chance', 'by chance', 'all kept'];
/** Which of the databases that may be left. */
const INDEXES = ['latest', 'oldest', 'any', 'none'] as const;

export async function powerCuts({
  runs,
  rounds,
  cuts,
  seed,
}: PowerCuts): Promise<{ readonly cuts: number; readonly broken: string[] }> {
  const broken: string[] = [];
  let count = 0;
  for (let run = 0; run < runs; run++) {
    const random = dice(seed + run);
    const { path, remove } = temporaryDirectory();
    const disk = new RecordedDisk<Mark>(path);
    try {
      const world = new World(path, random, (mark) => disk.mark(mark));
      await world.open();
      await world.work(rounds);
      await world.close();
    } finally {
      disk.stop();
      remove();
    }
    const marks: Mark[] = [];
    const tokens = tokensOf(disk.steps.flatMap((step) => (step.is === 'mark' ? [step.mark] : [])));
    const simulated = new SimulatedDisk();
    const share = cuts / disk.steps.length;
    for (const [at, step] of disk.steps.entries()) {
      simulated.do(step);
      if (step.is === 'mark') marks.push(step.mark);
      if (random() >= share) continue;
      const fate = FATES[Math.floor(random() * FATES.length)] ?? 'all lost';
      const choice = INDEXES[Math.floor(random() * INDEXES.length)] ?? 'latest';
      const target = temporaryDirectory();
      try {
        simulated.cut(target.path, fate, random);
        const bytes = databaseOf(simulated.databases, choice, random);
        const account = join(target.path, 'mail/example.org/alice');
        if (bytes && existsSync(account)) writeFileSync(join(account, 'index.sqlite'), bytes);
        const where = `run ${seed + run}, step ${at} (${step.is}), ${fate}, index ${choice}`;
        const known = whatIsKnown(marks);
        count++;
        for (const problem of await recovered(target.path, known, tokens, bytes ? 'kept' : 'lost'))
          broken.push(`${where}: ${problem}`);
      } finally {
        target.remove();
      }
    }
  }
  return { cuts: count, broken };
}

async function recovered(
  directory: string,
  known: Known,
  tokens: ReadonlyMap<string, string>,
  index: 'kept' | 'lost',
): Promise<string[]> {
  // Nobody waits for this disk.
  const disk = new RecordedDisk(directory);
  try {
    const store = storeAt(directory);
    const problems = await judge(store, known, { tokens, index });
    await store.close();
    const account = openAccount(join(directory, 'mail/example.org/alice'));
    problems.push(...checkAccount(account).map(({ mailbox, problem }) => `check: ${mailbox}: ${problem}`));
    account.close('clean');
    return problems;
  } catch (error) {
    return [`failed: ${error instanceof Error ? error.stack : error}`];
  } finally {
    disk.stop();
  }
}

function databaseOf(
  databases: readonly Buffer[],
  choice: (typeof INDEXES)[number],
  random: () => number,
): Buffer | undefined {
  switch (choice) {
    case 'latest':
      return databases.at(-1);
    case 'oldest':
      return databases[0];
    case 'any':
      return databases[Math.floor(random() * databases.length)];
    case 'none':
      return undefined;
  }
}

/** What each UID of the run stands for. */
function tokensOf(marks: readonly Mark[]): Map<string, string> {
  const tokens = new Map<string, string>();
  for (let end = 1; end <= marks.length; end++) {
    if (marks[end - 1]?.is !== 'done') continue;
    const { boxes, instances } = whatIsKnown(marks.slice(0, end));
    for (const { box, uid, token } of instances.values())
      tokens.set(`${boxes.get(box)?.uidValidity}.${uid}`, token);
  }
  return tokens;
}

/** The same numbers for the same seed (mulberry32). */
export function dice(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
