import type { Bound } from '../bound.ts';
import type { Command, Extension } from '../extension.ts';
import { flagsIn, flagVariable, setFlagVariable } from '../flags.ts';
import { isVariableName } from '../text.ts';

/** RFC 5232. */
export const imap4flags: Extension = {
  name: 'imap4flags',
  source: 'RFC 5232',
  commands: {
    setflag: changing((_, named) => named),
    addflag: changing((before, named) => flagsIn([...before, ...named])),
    removeflag: changing((before, named) => {
      const gone = new Set(named.map((flag) => flag.toLowerCase()));
      return before.filter((flag) => !gone.has(flag.toLowerCase()));
    }),
  },
  tests: {
    hasflag: {
      takes: ['match'],
      arguments: ['strings', 'strings'],
      optional: 1,
      compile: checkNames,
      check(bound, run) {
        const names = bound.args[0] === undefined ? [undefined] : run.texts(bound.args[0]);
        const values = names.flatMap((name) => flagVariable(run, name?.toLowerCase()));
        // RFC 5232 4: each word of a key is a key, unless parts of words are looked for.
        const keys = run
          .texts(bound.args[1])
          .flatMap((text) => text.split(/\s+/).filter((key) => key !== ''));
        return run.match(bound, values, keys.length > 0 ? keys : ['']);
      },
    },
  },
  tags: { keep: { flags: { value: 'strings' } }, fileinto: { flags: { value: 'strings' } } },
};

function changing(change: (before: readonly string[], named: string[]) => readonly string[]): Command {
  return {
    arguments: ['string', 'strings'],
    optional: 1,
    compile: checkNames,
    run(bound, run) {
      const name = bound.args[0] === undefined ? undefined : run.text(bound.args[0]).toLowerCase();
      setFlagVariable(run, name, change(flagVariable(run, name), flagsIn(run.texts(bound.args[1]))));
    },
  };
}

/** RFC 5232 2: variables can be named only where there are any. */
function checkNames(
  bound: Bound,
  compiler: { error(at: number, message: string): void; isActive(name: string): boolean },
): void {
  const [names] = bound.args;
  if (names === undefined) return;
  if (!compiler.isActive('variables')) {
    compiler.error(bound.at, `to name a variable, ${bound.name} needs require "variables"`);
    return;
  }
  const texts = typeof names === 'object' && 'texts' in names ? names.texts : [names];
  for (const name of texts)
    if (typeof name === 'string' && !isVariableName(name))
      compiler.error(bound.at, `${JSON.stringify(name)} is no name of a variable`);
}
