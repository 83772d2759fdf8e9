/** One thing wrong in the configuration file, with its place: line and column count from 1. */
export interface Problem {
  readonly line: number;
  readonly column: number;
  /** Dotted path of the setting; empty for the file as a whole. */
  readonly setting: string;
  readonly message: string;
}

/** All that is wrong with a configuration file, at once. `message` is ready for an admin to read. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly file: string;
  readonly problems: readonly Problem[];

  constructor(file: string, problems: readonly Problem[]) {
    super(formatProblems(file, problems));
    this.file = file;
    this.problems = problems;
  }
}

/** `file:line:column  setting  message`, one problem a line, settings aligned. */
function formatProblems(file: string, problems: readonly Problem[]): string {
  const places = problems.map(({ line, column }) => `${file}:${line}:${column}`);
  const width = Math.max(...places.map((place) => place.length));
  const names = Math.max(...problems.map(({ setting }) => setting.length));
  return problems
    .map(({ setting, message }, i) =>
      `${(places[i] ?? '').padEnd(width)}  ${setting.padEnd(names)}  ${message}`.trimEnd(),
    )
    .join('\n');
}

/** The candidate closest to `word`, when it is close enough to be a slip of the finger. */
export function suggestion(word: string, candidates: readonly string[]): string | undefined {
  const limit = Math.max(1, Math.floor(word.length / 3));
  const ranked = candidates
    .map((candidate) => ({ candidate, distance: likeness(word.toLowerCase(), candidate.toLowerCase()) }))
    .filter((entry) => entry.distance <= limit)
    .sort((a, b) => a.distance - b.distance);
  return ranked[0]?.candidate;
}

/** As few edits as possible; a name cut short or drawn out counts as one. */
function likeness(a: string, b: string): number {
  return a.startsWith(b) || b.startsWith(a) ? 1 : distance(a, b);
}

/** Edits (with swapped neighbours as one) between two short words. */
function distance(a: string, b: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let best = Math.min((previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1, (previous[j - 1] ?? 0) + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        best = Math.min(best, (before[j - 2] ?? 0) + 1);
      current.push(best);
    }
    before = previous;
    previous = current;
  }
  return previous[b.length] ?? 0;
}
