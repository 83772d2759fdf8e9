import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkAccount } from '../../src/store/maildir/check.ts';
import { type Known, type Mark, maildirAt, storeAt, World, whatIsKnown } from './power-cut.ts';
import { judge } from './power-cut-judge.ts';
import { RecordedDisk, type Step } from './recorded-disk.ts';
import { type Fate, SimulatedDisk } from './simulated-disk.ts';
import { alice, openAccount, temporaryDirectory } from './surroundings.ts';

/** Runs of random work, each cut at many of its steps: what was acknowledged, shown or promised holds at every cut. */

export interface PowerCuts {
  readonly runs: number;
  /** Of work, in a run. */
  readonly rounds: number;
  /** Tried in a run, spread over all its steps. */
  readonly cuts: number;
  readonly seed: number;
  progress?(text: string): void;
}

const FATES: readonly Fate[] = ['all lost', 'by chance', 'by chance', 'all kept'];
/** Which of the databases that may be left. */
const INDEXES = ['latest', 'oldest', 'any', 'none'] as const;

export async function powerCuts({
  runs,
  rounds,
  cuts,
  seed,
  progress,
}: PowerCuts): Promise<{ readonly cuts: number; readonly broken: string[] }> {
  const broken: string[] = [];
  let count = 0;
  for (let run = 0; run < runs; run++) {
    const random = dice(seed + run);
    const { path, remove } = temporaryDirectory();
    const disk = new RecordedDisk<Mark>(path);
    try {
      const world = new World(
        maildirAt(path, random() < 0.3 ? 'link' : 'rename', random() < 0.5 ? 0 : 5),
        random,
        (mark) => disk.mark(mark),
      );
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
      const where = `run ${seed + run}, step ${at} (${step.is})`;
      count++;
      broken.push(...(await tryCut(simulated, whatIsKnown(marks), tokens, random, where)));
    }
    progress?.(
      `run ${run + 1}: ${disk.steps.length} steps, ${count} cuts so far, ${broken.length} broken promises`,
    );
  }
  return { cuts: count, broken };
}

/** One cut in five is followed by another one, while the account recovers from the first. */
async function tryCut(
  disk: SimulatedDisk,
  known: Known,
  tokens: ReadonlyMap<string, string>,
  random: () => number,
  where: string,
  earlier: 'kept' | 'lost' = 'kept',
): Promise<string[]> {
  const fate = FATES[Math.floor(random() * FATES.length)] ?? 'all lost';
  const choice = INDEXES[Math.floor(random() * INDEXES.length)] ?? 'latest';
  const target = temporaryDirectory();
  try {
    disk.cut(target.path, fate, random);
    const bytes = databaseOf(disk.databases, choice, random);
    const account = join(target.path, 'mail/example.org/alice');
    if (bytes && existsSync(account)) writeFileSync(join(account, 'index.sqlite'), bytes);
    const index = bytes ? earlier : 'lost';
    const how = `${where}, ${fate}, index ${choice}`;
    if (random() < 0.2) {
      const second = new SimulatedDisk();
      second.load(target.path, bytes);
      const steps = await recovery(target.path);
      const length = Math.floor(random() * (steps.length + 1));
      for (const step of steps.slice(0, length)) second.do(step);
      return await tryCut(second, known, tokens, random, `${how}; recovery ${length}/${steps.length}`, index);
    }
    return (await recovered(target.path, known, tokens, index)).map((problem) => `${how}: ${problem}`);
  } finally {
    target.remove();
  }
}

/** The steps of an account that is opened and closed again. */
async function recovery(directory: string): Promise<readonly Step<Mark>[]> {
  const disk = new RecordedDisk<Mark>(directory);
  try {
    const store = storeAt(directory);
    await (await store.account(alice)).mailboxes();
    await store.close();
  } finally {
    disk.stop();
  }
  return disk.steps;
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
