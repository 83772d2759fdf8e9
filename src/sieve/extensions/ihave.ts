import { NEVER } from '../core/control.ts';
import { SieveRuntimeError } from '../errors.ts';
import type { Extension } from '../extension.ts';

/** RFC 5463. What `ihave` names is there as if it had been required, from there on. */
/** RFC 5463 4: they change how the script is read, which has happened by then. */
const NOT_HERE = new Set(['variables', 'encoded-character']);

export const ihave: Extension = {
  name: 'ihave',
  source: 'RFC 5463',
  tests: {
    ihave: {
      arguments: ['strings'],
      compile(bound, compiler) {
        const [names] = bound.args;
        for (const name of typeof names === 'object' && 'texts' in names ? names.texts : []) {
          if (typeof name !== 'string') compiler.error(bound.at, 'ihave needs names as they are');
          else if (!compiler.isKnown(name) || NOT_HERE.has(name)) bound.notes.set(NEVER, true);
        }
        if (bound.notes.get(NEVER) !== true && typeof names === 'object' && 'texts' in names)
          for (const name of names.texts) if (typeof name === 'string') compiler.activate(name);
      },
      check: (bound) => bound.notes.get(NEVER) !== true,
    },
  },
  commands: {
    error: {
      arguments: ['string'],
      run(bound, run) {
        throw new SieveRuntimeError(run.text(bound.args[0]), bound.at);
      },
    },
  },
};
