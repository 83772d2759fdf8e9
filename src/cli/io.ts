/** What a subcommand may touch of the outside. Tests give it buffers. */
export interface CliIo {
  /** To standard output, as it stands: the command writes its own line ends. */
  out(text: string): void;
  err(text: string): void;
  readonly stdin: NodeJS.ReadableStream;
  /** Somebody sits at standard input and can be asked. */
  readonly isTTY: boolean;
  /** Standard error is a terminal, where a line can be written over. */
  readonly isErrTTY?: boolean;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** The command line was not understood: exit code 2, with the command's usage. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Exit codes of every subcommand. */
export const EXIT = { ok: 0, failed: 1, usage: 2 } as const;

/** Columns padded to their widest cell, two spaces between, headings in the first row. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows)
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  return rows
    .map(
      (row) =>
        `${row
          .map((cell, i) => cell.padEnd(widths[i] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}
