import type { Bound } from '../bound.ts';
import { SieveRuntimeError } from '../errors.ts';
import type { Extension } from '../extension.ts';
import { flagsFor } from '../flags.ts';
import type { Run } from '../run.ts';

/** Control characters, and what is left of octets that are no UTF-8. */
const INVALID = /[\p{Cc}\u2028\u2029\ufffd]/u;

/** RFC 5228 4.1. Its tags are lent by copy, mailbox, imap4flags, special-use and mailboxid. */
export const fileinto: Extension = {
  name: 'fileinto',
  source: 'RFC 5228 4.1',
  commands: {
    fileinto: {
      arguments: ['string'],
      compile(bound, compiler) {
        const [mailbox] = bound.args;
        if (typeof mailbox === 'string' && !isMailboxName(mailbox))
          compiler.error(bound.at, `invalid folder name: ${JSON.stringify(mailbox)}`);
      },
      run(bound, run) {
        const mailbox = run.text(bound.args[0]);
        if (!isMailboxName(mailbox))
          throw new SieveRuntimeError(`invalid folder name: ${JSON.stringify(mailbox)}`, bound.at);
        run.act({ type: 'fileinto', mailbox, ...destination(bound, run), message: run.message });
        if (!bound.tags.has('copy')) run.implicitKeep = false;
      },
    },
  },
};

export function isMailboxName(name: string): boolean {
  return name !== '' && !INVALID.test(name);
}

/** What tags say of the mailbox; of `:fcc`, too (RFC 8580 3.1). */
export function destination(
  bound: Bound,
  run: Run,
): { flags: readonly string[]; create: boolean; specialUse: string | null; mailboxId: string | null } {
  const { tags } = bound;
  const specialUse = tags.has('specialuse') ? run.text(tags.get('specialuse')) : null;
  return {
    flags: flagsFor(bound, run),
    create: tags.has('create'),
    specialUse: specialUse?.replace(/^\\/, '') ?? null,
    mailboxId: tags.has('mailboxid') ? run.text(tags.get('mailboxid')) : null,
  };
}
