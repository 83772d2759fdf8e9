import type { Extension } from '../extension.ts';

/** RFC 5183; an item that is not known here fails every test. */
export const environment: Extension = {
  name: 'environment',
  source: 'RFC 5183',
  tests: {
    environment: {
      takes: ['match'],
      arguments: ['string', 'strings'],
      check(bound, run) {
        const value = run.host.environment(run.text(bound.args[0]).toLowerCase());
        return value === undefined ? false : run.match(bound, [value], run.texts(bound.args[1]));
      },
    },
  },
};

/** Its items as variables, `${env.name}`, with `.` where the item has a hyphen or a dot. */
export const dovecotEnvironment: Extension = {
  name: 'vnd.dovecot.environment',
  source: 'Pigeonhole: vnd.dovecot.environment',
  implies: ['environment'],
  namespaces: {
    // Identifiers have no hyphens: `env.vnd.dovecot.default_mailbox`.
    env: (name, run) => run.host.environment(name) ?? run.host.environment(name.replaceAll('_', '-')) ?? '',
  },
};

/** RFC 6785: names the items of the environment that IMAP sets; the script runs because of an IMAP command. */
export const imapsieve: Extension = { name: 'imapsieve', source: 'RFC 6785', implies: ['environment'] };
