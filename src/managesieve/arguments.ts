import { TextDecoder } from 'node:util';
import { scriptNameProblem } from '../sieve/script-name.ts';
import type { Arguments } from './command.ts';
import { SieveNo, SieveSyntaxError } from './errors.ts';

/** What commands take. Each throws SieveSyntaxError, or SieveNo for what cannot be a name or a script. */

export function count(args: Arguments, least: number, most: number = least): void {
  if (args.length < least) throw new SieveSyntaxError('an argument is missing');
  if (args.length > most)
    throw new SieveSyntaxError(most === 0 ? 'this command has no arguments' : 'too many arguments');
}

export function octetsOf(args: Arguments, at: number): Buffer {
  const argument = args[at];
  if (argument?.is !== 'string') throw new SieveSyntaxError('a string is expected');
  return argument.octets;
}

export function textOf(args: Arguments, at: number): string {
  return utf8(octetsOf(args, at));
}

export function numberOf(args: Arguments, at: number): number {
  const argument = args[at];
  // RFC 5804 4: 32 bits.
  if (argument?.is !== 'number' || argument.value > 0xffffffff)
    throw new SieveSyntaxError('a number is expected');
  return argument.value;
}

/** RFC 5804 1.6. */
export function nameOf(args: Arguments, at: number): string {
  const name = textOf(args, at);
  if (scriptNameProblem(name) !== undefined) throw new SieveNo('that cannot be the name of a script');
  return name;
}

export function utf8(octets: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(octets);
  } catch {
    throw new SieveNo('this is not UTF-8');
  }
}
