import type { Mailbox } from '../../message/address-list.ts';
import { addressPart } from '../address-part.ts';
import type { Bound } from '../bound.ts';
import type { Test } from '../extension.ts';
import { addressesOf, checkFieldNames, chosenFields, fieldTexts } from '../fields.ts';
import type { Run } from '../run.ts';
import { NEVER, neverTrue } from './control.ts';

/** Nearly all tests answer at once; to wait for each would be most of the work. */
function then<T, U>(value: T | Promise<T>, use: (value: T) => U | Promise<U>): U | Promise<U> {
  return value instanceof Promise ? value.then(use) : use(value);
}

/** Whether one of the tests comes out so, from the left on, or else none. */
function upTo(wanted: boolean, tests: readonly Bound[], run: Run, from: number): boolean | Promise<boolean> {
  for (let at = from; at < tests.length; at++) {
    const outcome = run.check(tests[at] as Bound);
    if (outcome instanceof Promise)
      return outcome.then((late) => (late === wanted ? wanted : upTo(wanted, tests, run, at + 1)));
    if (outcome === wanted) return wanted;
  }
  return !wanted;
}

const NO_ADDRESS: Mailbox = { is: 'mailbox', name: null, route: null, local: null, domain: null };

/** The tests of RFC 5228 5, without envelope, which is an extension. */
export const tests: Readonly<Record<string, Test>> = {
  true: { check: () => true },
  false: { check: () => false },
  not: {
    tests: 'one',
    check: ({ tests: [test] }, run) => (test ? then(run.check(test), (outcome) => !outcome) : false),
  },
  allof: {
    tests: 'some',
    compile(bound) {
      if (bound.tests.some(neverTrue)) bound.notes.set(NEVER, true);
    },
    check: (bound, run) => upTo(false, bound.tests, run, 0),
  },
  anyof: {
    tests: 'some',
    compile(bound) {
      if (bound.tests.length > 0 && bound.tests.every(neverTrue)) bound.notes.set(NEVER, true);
    },
    check: (bound, run) => upTo(true, bound.tests, run, 0),
  },
  address: {
    takes: ['match', 'address', 'index', 'mime'],
    arguments: ['strings', 'strings'],
    compile: (bound, compiler) => checkFieldNames(bound, compiler, 'addresses'),
    check: (bound, run) =>
      then(chosenFields(bound, run, run.texts(bound.args[0])), (fields) => {
        const values: string[] = [];
        for (const field of fields) {
          // An empty field is one address that is none (RFC 5228 2.7.4).
          const all = field.value.trim() === '' ? [NO_ADDRESS] : addressesOf(field);
          for (const one of all) values.push(...addressPart(one, bound, run));
        }
        return run.match(bound, values, run.texts(bound.args[1]));
      }),
  },
  exists: {
    takes: ['mime'],
    arguments: ['strings'],
    compile: (bound, compiler) => checkFieldNames(bound, compiler, 'any'),
    async check(bound, run) {
      for (const name of run.texts(bound.args[0]))
        if ((await chosenFields(bound, run, [name])).length === 0) return false;
      return true;
    },
  },
  header: {
    takes: ['match', 'index', 'mime'],
    arguments: ['strings', 'strings'],
    compile: (bound, compiler) => checkFieldNames(bound, compiler, 'any'),
    check: (bound, run) =>
      then(chosenFields(bound, run, run.texts(bound.args[0])), (fields) => {
        const values: string[] = [];
        for (const field of fields) values.push(...fieldTexts(bound, run, field));
        return run.match(bound, values, run.texts(bound.args[1]));
      }),
  },
  size: {
    tags: { over: { group: 'how' }, under: { group: 'how' } },
    arguments: ['number'],
    compile(bound, compiler) {
      if (!bound.tags.has('over') && !bound.tags.has('under'))
        compiler.error(bound.at, 'size needs :over or :under');
    },
    check(bound, run) {
      const limit = run.number(bound.args[0]);
      return bound.tags.has('over') ? run.message.size > limit : run.message.size < limit;
    },
  },
};
