import type { Bound } from './bound.ts';
import type { Run } from './run.ts';

/** Flags of imap4flags (RFC 5232): a list is a set, in the order in which they were named. */

/** The variable that is meant when none is named; no script can name it. */
const INTERNAL = ' flags';
/** RFC 9051 9: atom characters; a system flag has a backslash before them. */
const FLAG = /^\\?[!#$&'+-[^-z|}~]+$/;
const SYSTEM = new Set(['\\answered', '\\flagged', '\\deleted', '\\seen', '\\draft']);

/** One flag a word; what is none is left out, and \Recent, which is not ours to set. */
export function flagsIn(texts: readonly string[]): string[] {
  const flags = new Map<string, string>();
  for (const flag of texts.flatMap((text) => text.split(/\s+/))) {
    const key = flag.toLowerCase();
    if (isFlag(flag) && !flags.has(key)) flags.set(key, flag);
  }
  return [...flags.values()];
}

export function isFlag(flag: string): boolean {
  return FLAG.test(flag) && (!flag.startsWith('\\') || SYSTEM.has(flag.toLowerCase()));
}

/** Of the named variable, or of the internal one. */
export function flagVariable(run: Run, name: string | undefined): string[] {
  return flagsIn([name === undefined ? String(run.notes.get(INTERNAL) ?? '') : run.variable(name)]);
}

export function setFlagVariable(run: Run, name: string | undefined, flags: readonly string[]): void {
  const text = flags.join(' ');
  if (name === undefined) run.notes.set(INTERNAL, text);
  else run.setVariable(name, text);
}

/** What `keep` and `fileinto` set: what `:flags` says, else what the internal variable holds (RFC 5232 5). */
export function flagsFor(bound: Bound, run: Run): string[] {
  return bound.tags.has('flags') ? flagsIn(run.texts(bound.tags.get('flags'))) : flagVariable(run, undefined);
}
