import type { SpecialUse } from '../../store/store.ts';
import { type Command, command } from '../command.ts';
import { ImapNo } from '../errors.ts';
import type { Parser } from '../parser.ts';

/** Uses a client can give; \All and \Flagged would be views of other mailboxes, which there are none of. */
export const USES: ReadonlyMap<string, SpecialUse> = new Map([
  ['\\archive', 'archive'],
  ['\\drafts', 'drafts'],
  ['\\junk', 'junk'],
  ['\\sent', 'sent'],
  ['\\trash', 'trash'],
]);

/** CREATE (RFC 9051 6.3.4), with USE (RFC 6154 3). */
export const create: Command = command({
  name: 'CREATE',
  states: ['authenticated', 'selected'],
  capability: ['SPECIAL-USE', 'CREATE-SPECIAL-USE'],

  parse(p) {
    const path = p.sp().mailbox();
    let uses: string[] = [];
    if (!p.atEnd) {
      p.sp().take('(').take('USE').sp();
      uses = p.list(useAttribute, 'empty');
      p.take(')');
    }
    return { path, uses };
  },

  async run({ store }, { path, uses }) {
    const [name] = uses;
    const use = name === undefined ? undefined : USES.get(name);
    // A mailbox has one use here (RFC 6154 3 leaves that to us).
    if (uses.length > 1 || (name !== undefined && !use))
      throw new ImapNo('A mailbox cannot be created for that use', 'USEATTR');
    // A trailing separator only announces children to come (RFC 9051 6.3.4).
    const mailbox = await store.create(path.replace(/\/$/, ''), use);
    return { code: `MAILBOXID (${mailbox.id})` };
  },
});

function useAttribute(p: Parser): string {
  return `\\${p.take('\\').atom().toLowerCase()}`;
}
