import { CORE } from '../compile.ts';
import type { Extension } from '../extension.ts';
import { asciiCasemap, octet, unicodeCasemap } from '../match/comparators.ts';
import { contains, is, matches } from '../match/matcher.ts';
import { actions } from './actions.ts';
import { controls } from './control.ts';
import { tests } from './tests.ts';

/** What every script may say without require (RFC 5228). */
export const core: Extension = {
  name: CORE,
  source: 'RFC 5228',
  commands: { ...controls, ...actions },
  tests,
  families: {
    match: {
      is: { group: 'match' },
      contains: { group: 'match' },
      matches: { group: 'match' },
      comparator: { value: 'string' },
    },
    address: {
      all: { group: 'address part' },
      localpart: { group: 'address part' },
      domain: { group: 'address part' },
    },
  },
  matchTypes: {
    is: { of: () => is },
    contains: { of: () => contains, substrings: true },
    matches: { of: () => matches, substrings: true },
  },
  // RFC 5228 2.7.3: the first two need no require; the third does no harm without.
  comparators: { 'i;ascii-casemap': asciiCasemap, 'i;octet': octet, 'i;unicode-casemap': unicodeCasemap },
};
