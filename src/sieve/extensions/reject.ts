import type { Command, Extension } from '../extension.ts';

/** RFC 5429. */
export const reject: Extension = {
  name: 'reject',
  source: 'RFC 5429 2.2',
  commands: { reject: refusing('reject') },
};

export const ereject: Extension = {
  name: 'ereject',
  source: 'RFC 5429 2.1',
  commands: { ereject: refusing('ereject') },
};

function refusing(name: 'reject' | 'ereject'): Command {
  return {
    arguments: ['string'],
    run(bound, run) {
      run.act({ type: 'reject', reason: run.text(bound.args[0]), extended: name === 'ereject' });
      run.implicitKeep = false;
    },
  };
}
