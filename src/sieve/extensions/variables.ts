import type { Bound } from '../bound.ts';
import type { Compiler } from '../compile.ts';
import type { Extension, Modifier, Tags } from '../extension.ts';
import type { Run } from '../run.ts';
import { isVariableName } from '../text.ts';

/** RFC 5229 4.1: of those with the same precedence there can be one. */
export const MODIFIERS: Tags = {
  lower: { group: '40' },
  upper: { group: '40' },
  lowerfirst: { group: '30' },
  upperfirst: { group: '30' },
  quotewildcard: { group: '20' },
  length: { group: '10' },
};

/** RFC 5229. References in strings are text.ts. */
export const variables: Extension = {
  name: 'variables',
  source: 'RFC 5229',
  commands: {
    set: {
      arguments: ['string', 'string'],
      compile: checkVariable,
      run(bound, run) {
        assign(run, nameOf(bound), modified(bound, run, run.text(bound.args[1])));
      },
    },
  },
  tests: {
    string: {
      takes: ['match'],
      arguments: ['strings', 'strings'],
      check(bound, run) {
        let values = run.texts(bound.args[0]);
        // RFC 5229 5: `:count` counts what is not empty.
        if (bound.tags.has('count')) values = values.filter((value) => value !== '');
        return run.match(bound, values, run.texts(bound.args[1]));
      },
    },
  },
  tags: {
    set: MODIFIERS,
  },
  modifiers: {
    lower: { precedence: 40, apply: asciiLower },
    upper: { precedence: 40, apply: asciiUpper },
    lowerfirst: { precedence: 30, apply: (text) => asciiLower(text.slice(0, 1)) + text.slice(1) },
    upperfirst: { precedence: 30, apply: (text) => asciiUpper(text.slice(0, 1)) + text.slice(1) },
    quotewildcard: { precedence: 20, apply: quoted(/[*?\\]/) },
    length: { precedence: 10, apply: (text) => String([...text].length) },
  },
};

/** A backslash before each of these, as long as there is room for both. */
export function quoted(special: RegExp): Modifier['apply'] {
  return (text, most) => {
    const out: string[] = [];
    let size = 0;
    for (const char of text) {
      const one = special.test(char) ? `\\${char}` : char;
      size += Buffer.byteLength(one);
      if (size > most) break;
      out.push(one);
    }
    return out.join('');
  };
}

/** RFC 5229 4.1: letters of ASCII only. */
function asciiLower(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

function asciiUpper(text: string): string {
  return text.replace(/[a-z]+/g, (letters) => letters.toUpperCase());
}

/** For `compile` of words whose first argument names the variable that they set. */
export function checkVariable(bound: Bound, compiler: Compiler): void {
  const [name] = bound.args;
  if (typeof name !== 'string')
    compiler.error(bound.at, `${bound.name} needs the name of a variable as it is`);
  else if (!isVariableName(name))
    compiler.error(bound.at, `${JSON.stringify(name)} is no name of a variable`);
  else if (!isSettable(name))
    compiler.error(bound.at, `variables of ${name.slice(0, name.lastIndexOf('.'))} cannot be set`);
  else if (name.includes('.') && !compiler.hasNamespace('global'))
    compiler.error(bound.at, 'variables of global need require "include"');
  else if (!compiler.seen.has(`global ${name.toLowerCase()}`)) compiler.seen.add(`set ${name.toLowerCase()}`);
}

/** A name that `set` could set, for tags that name one. */
export function isSettable(name: string): boolean {
  return isVariableName(name) && (!name.includes('.') || /^global\.[^.]+$/i.test(name));
}

export function nameOf(bound: Bound): string {
  const [name] = bound.args;
  return typeof name === 'string' ? name.toLowerCase() : '';
}

/** What the modifiers among the tags make of a text, in their order (RFC 5229 4.1). */
export function modified(bound: Bound, run: Run, text: string): string {
  const chosen = [...run.script.modifiers].filter(([name]) => bound.tags.has(name));
  chosen.sort(([, one], [, other]) => other.precedence - one.precedence);
  let value = text;
  for (const [, { apply }] of chosen) {
    run.charge(1, value.length);
    value = apply(value, run.limits.variable);
  }
  return value;
}

export function assign(run: Run, name: string, value: string): void {
  if (name.startsWith('global.')) run.setGlobal(name.slice('global.'.length), value);
  else run.setVariable(name, value);
}
