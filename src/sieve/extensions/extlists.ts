import { SieveRuntimeError } from '../errors.ts';
import type { Extension } from '../extension.ts';
import type { MatchType } from '../match/matcher.ts';

/** RFC 6134. Which lists there are, and what is in them, the host knows. */

const type: MatchType = {
  async matches(values, keys, _comparator, run) {
    for (const list of keys) {
      const found = await run.host.inList(list, values);
      if (found === undefined) throw new SieveRuntimeError(`there is no list ${JSON.stringify(list)}`);
      if (found === null) continue;
      run.setMatchValues([found]);
      return true;
    }
    return false;
  },
};

export const extlists: Extension = {
  name: 'extlists',
  source: 'RFC 6134',
  tests: {
    valid_ext_list: {
      arguments: ['strings'],
      async check(bound, run) {
        for (const list of run.texts(bound.args[0])) if (!(await run.host.isList(list))) return false;
        return true;
      },
    },
  },
  tags: { redirect: { list: {} } },
  families: { match: { list: { group: 'match' } } },
  matchTypes: { list: { of: () => type, comparesItself: true } },
};
