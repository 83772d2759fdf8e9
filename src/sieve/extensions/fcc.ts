import type { Fcc } from '../action.ts';
import type { Bound } from '../bound.ts';
import { SieveRuntimeError } from '../errors.ts';
import type { Extension, Tags } from '../extension.ts';
import type { Run } from '../run.ts';
import { destination, isMailboxName } from './fileinto.ts';

/** RFC 8580: a copy of what `vacation` and `notify` send. Its other tags are those of `fileinto`. */

const tags: Tags = {
  fcc: { value: 'string' },
  create: {},
  flags: { value: 'strings' },
  specialuse: { value: 'string' },
  mailboxid: { value: 'string' },
};

export const fcc: Extension = {
  name: 'fcc',
  source: 'RFC 8580',
  tags: { vacation: tags, notify: tags },
};

/** For `compile` of words that `:fcc` is lent to: the others mean nothing without it, and need their own require. */
export function checkFcc(
  { at, tags: given }: Bound,
  compiler: { error(at: number, message: string): void; isActive(name: string): boolean },
): void {
  const owners = {
    create: 'mailbox',
    flags: 'imap4flags',
    specialuse: 'special-use',
    mailboxid: 'mailboxid',
  };
  for (const [tag, owner] of Object.entries(owners)) {
    if (!given.has(tag)) continue;
    if (!given.has('fcc')) compiler.error(at, `:${tag} needs :fcc`);
    else if (!compiler.isActive(owner)) compiler.error(at, `:${tag} needs require "${owner}"`);
  }
}

export function fccOf(bound: Bound, run: Run): Fcc | null {
  if (!bound.tags.has('fcc')) return null;
  const mailbox = run.text(bound.tags.get('fcc'));
  if (!isMailboxName(mailbox))
    throw new SieveRuntimeError(`invalid folder name: ${JSON.stringify(mailbox)}`, bound.at);
  return {
    mailbox,
    ...destination(bound, run),
    flags: bound.tags.has('flags') ? destination(bound, run).flags : [],
  };
}
