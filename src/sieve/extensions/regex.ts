import { RE2JS } from 're2js';
import { SieveRuntimeError } from '../errors.ts';
import type { Extension } from '../extension.ts';
import type { SieveLimits } from '../limits.ts';
import { octet } from '../match/comparators.ts';
import type { MatchType } from '../match/matcher.ts';
import type { Run } from '../run.ts';

import { quoted } from './variables.ts';

/**
 * draft-ietf-sieve-regex: POSIX extended regular expressions, on an engine whose time is linear in the text. Back-references
 * are therefore not possible; nobody's filters have them.
 */

/** What a character costs at most: the engine keeps all states of its program at once. */
const COST = { least: 15, perInstruction: 4 };
/** And one of the expression, when it is compiled. */
const COMPILING = 200;
/** Instructions that an expression may come to when its repetitions are written out. */
const MAX_PROGRAM = 20_000;

const type: MatchType = {
  matches(values, keys, comparator, run) {
    for (const key of keys) {
      const expression = compiled(run, key, comparator !== octet);
      if (!expression) continue;
      for (const value of values) {
        run.charge(1, (value.length + 1) * (COST.least + COST.perInstruction * expression.programSize()));
        const matcher = expression.matcher(value);
        if (!matcher.find()) continue;
        const groups = Math.min(matcher.groupCount(), 99);
        run.setMatchValues(Array.from({ length: groups + 1 }, (_, n) => matcher.group(n) ?? ''));
        return true;
      }
    }
    return false;
  },
};

export const regex: Extension = {
  name: 'regex',
  source: 'draft-ietf-sieve-regex-01',
  families: { match: { regex: { group: 'match' } } },
  matchTypes: { regex: { of: () => type, substrings: true, keyProblem } },
  tags: { set: { quoteregex: { group: '20' } } },
  modifiers: { quoteregex: { precedence: 20, apply: quoted(/[\\^$.|?*+()[\]{}]/) } },
};

/** It is none, or one that the engine does not know. */
class BadRegex extends Error {}

/** A key that no variable changes is looked at when the script is compiled. */
function keyProblem(key: string, { regex: longest }: SieveLimits): string | undefined {
  try {
    compile(key, longest, true);
    return undefined;
  } catch (error) {
    if (!(error instanceof SieveRuntimeError || error instanceof BadRegex)) throw error;
    return error.message;
  }
}

/** Of all scripts of this thread; the one used longest ago goes. */
const compiledBefore = new Map<string, RE2JS | BadRegex>();
const MAX_COMPILED = 1000;

/** undefined: it is none, which variables can make of it; then nothing matches. */
function compiled(run: Run, key: string, ignoreCase: boolean): RE2JS | undefined {
  const name = `${ignoreCase ? 'i' : 'o'}${key}`;
  const before = compiledBefore.get(name);
  compiledBefore.delete(name);
  // To build the machine costs as much as to run it over a text of some length.
  if (!before) run.charge(1, key.length * COMPILING);
  const found = before ?? compiledOr(key, run.limits.regex, ignoreCase);
  compiledBefore.set(name, found);
  const [oldest] = compiledBefore.keys();
  if (compiledBefore.size > MAX_COMPILED && oldest !== undefined) compiledBefore.delete(oldest);
  if (found instanceof RE2JS) return found;
  run.warnings.push(found.message);
  return undefined;
}

function compiledOr(key: string, longest: number, ignoreCase: boolean): RE2JS | BadRegex {
  try {
    return compile(key, longest, ignoreCase);
  } catch (error) {
    if (error instanceof BadRegex) return error;
    throw error;
  }
}

function compile(key: string, longest: number, ignoreCase: boolean): RE2JS {
  if (key.length > longest)
    throw new SieveRuntimeError(`the regular expression is longer than ${longest} characters`);
  const shown = JSON.stringify(key.slice(0, 100));
  let expression: RE2JS;
  try {
    const flags = RE2JS.DOTALL | RE2JS.LONGEST_MATCH;
    expression = RE2JS.compile(posix(key), ignoreCase ? flags | RE2JS.CASE_INSENSITIVE : flags);
  } catch (error) {
    throw new BadRegex(
      `invalid regular expression ${shown}: ${error instanceof Error ? error.message : error}`,
    );
  }
  if (expression.programSize() > MAX_PROGRAM)
    throw new SieveRuntimeError(`the repetitions of the regular expression ${shown} make it too big`);
  return expression;
}

/** POSIX 9.3.5: in brackets a backslash is a plain character, and `]` is one in the first place. */
function posix(key: string): string {
  return key.replace(
    /\\[\s\S]|\[(\^?)(\]?(?:\[[:.=][^\]]*\]|[^\]])*)\]/g,
    (whole, not?: string, set?: string) => {
      if (set === undefined || not === undefined) return whole;
      const escaped = set.replace(/^\]/, '\\]').replace(/\\(?!\])|(?<!^)\[(?!:)/g, '\\$&');
      return `[${not}${escaped}]`;
    },
  );
}
