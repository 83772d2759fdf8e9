import { addressPart } from '../address-part.ts';
import type { Bound } from '../bound.ts';
import { SieveRuntimeError } from '../errors.ts';
import type { Extension } from '../extension.ts';
import type { Envelope } from '../host.ts';
import type { Run } from '../run.ts';

const ADDRESSES = new Set(['from', 'to', 'auth', 'orig_to']);
/** RFC 6009 2. */
const DSN = new Set(['notify', 'orcpt', 'ret', 'envid']);

/** RFC 5228 5.4; `auth` and `orig_to` as Pigeonhole has them. */
export const envelope: Extension = {
  name: 'envelope',
  source: 'RFC 5228 5.4',
  tests: {
    envelope: {
      takes: ['match', 'address'],
      arguments: ['strings', 'strings'],
      compile(bound, compiler) {
        const [parts] = bound.args;
        for (const part of typeof parts === 'object' && 'texts' in parts ? parts.texts : []) {
          if (typeof part !== 'string') continue;
          const name = part.toLowerCase();
          if (DSN.has(name) && !compiler.isActive('envelope-dsn'))
            compiler.error(bound.at, `the envelope part ${name} needs require "envelope-dsn"`);
          else if (!DSN.has(name) && !ADDRESSES.has(name))
            compiler.error(bound.at, `there is no envelope part ${JSON.stringify(part)}`);
        }
      },
      check(bound, run) {
        const values = run.texts(bound.args[0]).flatMap((part) => valuesOf(part.toLowerCase(), bound, run));
        return run.match(bound, values, run.texts(bound.args[1]));
      },
    },
  },
};

export const envelopeDsn: Extension = { name: 'envelope-dsn', source: 'RFC 6009 2', implies: ['envelope'] };

function valuesOf(part: string, bound: Bound, run: Run): string[] {
  if (run.envelope === null) throw new SieveRuntimeError('a message in a mailbox has no envelope');
  const value = envelopePart(run.envelope, part);
  if (value === undefined) return [];
  // RFC 6009 2: of notify each condition; of orcpt the address behind the type, where parts of it are asked for.
  if (part === 'notify') return value.split(',').map((condition) => condition.trim());
  if (DSN.has(part) && part !== 'orcpt') return [value];
  // RFC 5228 5.4: the null reverse-path is empty, whatever part of it is asked for.
  if (value === '') return [''];
  const address = part === 'orcpt' ? value.replace(/^[^;]*;/, '') : value;
  const parsed = ADDRESS.exec(address);
  if (!parsed) return [];
  const [, quoted, local = quoted?.replace(/\\(.)/g, '$1') ?? null, domain = null] = parsed;
  // A local part alone, as hosts have them for their own.
  if (domain === null) return bound.tags.has('domain') || local === null ? [] : [local];
  return addressPart(
    { is: 'mailbox', name: null, route: null, local: octets(local), domain: octets(domain) },
    bound,
    run,
  );
}

/** What SMTP has let through; some of it is older than the syntax of RFC 5321 4.1.2. */
const ADDRESS = /^(?:"((?:[^"\\]|\\.)*)"|([^\s<>@"(),:;\\]+))(?:@([^\s<>@"(),;\\]+))?$/s;

/** Header fields come as octets, and their addresses are taken apart in the same place. */
function octets(text: string | null): string | null {
  return text === null ? null : Buffer.from(text).toString('latin1');
}

function envelopePart(envelope: Envelope, part: string): string | undefined {
  const { from, to, origTo, auth, notify, orcpt, ret, envid } = envelope;
  const parts: Readonly<Record<string, string | undefined>> = {
    from,
    to,
    orig_to: origTo ?? to,
    auth: auth === '' ? undefined : auth,
    notify,
    orcpt,
    ret,
    envid,
  };
  return parts[part];
}
