import type { Mailbox } from '../../message/address-list.ts';
import { addressPart } from '../address-part.ts';
import type { Test } from '../extension.ts';
import { addressesIn, checkFieldNames, chosenFields, fieldTexts } from '../fields.ts';
import { NEVER, neverTrue } from './control.ts';

const NO_ADDRESS: Mailbox = { is: 'mailbox', name: null, route: null, local: null, domain: null };

/** The tests of RFC 5228 5, without envelope, which is an extension. */
export const tests: Readonly<Record<string, Test>> = {
  true: { check: () => true },
  false: { check: () => false },
  not: {
    tests: 'one',
    async check({ tests: [test] }, run) {
      return test ? !(await run.check(test)) : false;
    },
  },
  allof: {
    tests: 'some',
    compile(bound) {
      if (bound.tests.some(neverTrue)) bound.notes.set(NEVER, true);
    },
    async check(bound, run) {
      for (const test of bound.tests) if (!(await run.check(test))) return false;
      return true;
    },
  },
  anyof: {
    tests: 'some',
    compile(bound) {
      if (bound.tests.length > 0 && bound.tests.every(neverTrue)) bound.notes.set(NEVER, true);
    },
    async check(bound, run) {
      for (const test of bound.tests) if (await run.check(test)) return true;
      return false;
    },
  },
  address: {
    takes: ['match', 'address', 'index', 'mime'],
    arguments: ['strings', 'strings'],
    compile: (bound, compiler) => checkFieldNames(bound, compiler, 'addresses'),
    async check(bound, run) {
      const fields = await chosenFields(bound, run, run.texts(bound.args[0]));
      const values = fields
        // An empty field is one address that is none (RFC 5228 2.7.4).
        .flatMap(({ value }) => (value.trim() === '' ? [NO_ADDRESS] : addressesIn(value)))
        .flatMap((one) => addressPart(one, bound, run));
      return run.match(bound, values, run.texts(bound.args[1]));
    },
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
    async check(bound, run) {
      const fields = await chosenFields(bound, run, run.texts(bound.args[0]));
      const values = fields.flatMap((field) => fieldTexts(bound, run, field));
      return run.match(bound, values, run.texts(bound.args[1]));
    },
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
