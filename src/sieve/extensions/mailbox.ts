import type { Bound } from '../bound.ts';
import type { Extension } from '../extension.ts';
import type { Run } from '../run.ts';
import { isMailboxName } from './fileinto.ts';

/** RFC 5490: mailboxes and their annotations; RFC 9042: by id; RFC 8579: by use. */

export const mailbox: Extension = {
  name: 'mailbox',
  source: 'RFC 5490 3',
  tests: {
    mailboxexists: {
      arguments: ['strings'],
      compile(bound, compiler) {
        const [names] = bound.args;
        for (const name of typeof names === 'object' && 'texts' in names ? names.texts : [])
          if (typeof name === 'string' && !isMailboxName(name))
            compiler.warn(bound.at, `there can be no mailbox ${JSON.stringify(name)}`);
      },
      check: (bound, run) => all(run.texts(bound.args[0]), (name) => run.host.mailboxExists(name)),
    },
  },
  tags: { fileinto: { create: {} } },
};

export const mailboxid: Extension = {
  name: 'mailboxid',
  source: 'RFC 9042',
  tests: {
    mailboxidexists: {
      arguments: ['strings'],
      check: (bound, run) => all(run.texts(bound.args[0]), (id) => run.host.mailboxIdExists(id)),
    },
  },
  tags: { fileinto: { mailboxid: { value: 'string' } } },
};

export const specialUse: Extension = {
  name: 'special-use',
  source: 'RFC 8579',
  tests: {
    specialuse_exists: {
      arguments: ['string', 'strings'],
      optional: 1,
      check(bound, run) {
        const name = bound.args[0] === undefined ? null : run.text(bound.args[0]);
        return all(run.texts(bound.args[1]), (use) =>
          run.host.specialUseExists(name, use.replace(/^\\/, '')),
        );
      },
    },
  },
  tags: { fileinto: { specialuse: { value: 'string' } } },
};

export const mboxmetadata: Extension = {
  name: 'mboxmetadata',
  source: 'RFC 5490 4',
  tests: {
    metadata: {
      takes: ['match'],
      arguments: ['string', 'string', 'strings'],
      check: (bound, run) =>
        compared(bound, run, run.text(bound.args[0]), run.text(bound.args[1]), bound.args[2]),
    },
    metadataexists: {
      arguments: ['string', 'strings'],
      check(bound, run) {
        const name = run.text(bound.args[0]);
        return all(run.texts(bound.args[1]), (entry) => annotated(run, name, entry));
      },
    },
  },
};

export const servermetadata: Extension = {
  name: 'servermetadata',
  source: 'RFC 5490 5',
  tests: {
    servermetadata: {
      takes: ['match'],
      arguments: ['string', 'strings'],
      check: (bound, run) => compared(bound, run, null, run.text(bound.args[0]), bound.args[1]),
    },
    servermetadataexists: {
      arguments: ['strings'],
      check: (bound, run) => all(run.texts(bound.args[0]), (entry) => annotated(run, null, entry)),
    },
  },
};

async function all(items: readonly string[], holds: (item: string) => Promise<boolean>): Promise<boolean> {
  for (const item of items) if (!(await holds(item))) return false;
  return true;
}

async function annotated(run: Run, name: string | null, entry: string): Promise<boolean> {
  return (await run.host.metadata(name, entry)) !== undefined;
}

async function compared(
  bound: Bound,
  run: Run,
  name: string | null,
  entry: string,
  keys: Bound['args'][number],
): Promise<boolean> {
  const value = await run.host.metadata(name, entry);
  return value === undefined ? false : run.match(bound, [value], run.texts(keys));
}
