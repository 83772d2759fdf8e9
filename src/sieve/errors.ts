/** Where something stands in a script. */
export interface Place {
  /** Both from 1; columns count characters. */
  readonly line: number;
  readonly column: number;
}

export interface Complaint extends Place {
  readonly message: string;
}

/** What is wrong with a script: all that was found, in the order of the script, at least one. */
export class SieveError extends Error {
  override readonly name = 'SieveError';
  readonly complaints: readonly Complaint[];

  constructor(complaints: readonly Complaint[]) {
    super(
      complaints.map(({ line, column, message }) => `line ${line}, column ${column}: ${message}`).join('\n'),
    );
    this.complaints = complaints;
  }
}

/** A script that compiled could not go on. The message is kept then (RFC 5228 2.10.6). */
export class SieveRuntimeError extends Error {
  override readonly name = 'SieveRuntimeError';
  /** Offset in the source; -1 while it is not known. */
  readonly at: number;
  /** In the script that was running, which may be an included one; null while it is not known. */
  readonly place: Place | null;

  constructor(message: string, at = -1, place: Place | null = null) {
    super(message);
    this.at = at;
    this.place = place;
  }

  /** The same with its place, once: the innermost command knows best. */
  within({ source }: { readonly source: string }, at: number): SieveRuntimeError {
    if (this.place !== null) return this;
    const known = this.at < 0 ? at : this.at;
    return new SieveRuntimeError(this.message, known, placeOf(source, known));
  }

  /** `line 3, column 1: what is wrong`. */
  get text(): string {
    return this.place
      ? `line ${this.place.line}, column ${this.place.column}: ${this.message}`
      : this.message;
  }
}

export function placeOf(source: string, at: number): Place {
  let line = 1;
  let start = 0;
  for (let lf = source.indexOf('\n'); lf >= 0 && lf < at; lf = source.indexOf('\n', lf + 1)) {
    line++;
    start = lf + 1;
  }
  return { line, column: at - start + 1 };
}
