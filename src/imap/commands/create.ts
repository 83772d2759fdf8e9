import type { SpecialUse } from '../../store/store.ts';
import { type Command, command, type ImapSession } from '../command.ts';
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

  async run(session, { path, uses }) {
    const [name] = uses;
    const use = name === undefined ? undefined : USES.get(name);
    // A mailbox has one use here (RFC 6154 3 leaves that to us).
    if (uses.length > 1 || (name !== undefined && !use))
      throw new ImapNo('A mailbox cannot be created for that use', 'USEATTR');
    // A trailing separator only announces children to come (RFC 9051 6.3.4).
    const to = path.replace(/\/$/, '');
    expectCreated(session, to);
    const mailbox = await session.store.create(to, use);
    return { code: `MAILBOXID (${mailbox.id})` };
  },
});

/** Parents that are missing are made with it. */
export function expectCreated({ notify }: ImapSession, path: string): void {
  if (!notify) return;
  for (let at = path.indexOf('/'); at > 0; at = path.indexOf('/', at + 1))
    notify.expect('created', path.slice(0, at));
  notify.expect('created', path);
}

function useAttribute(p: Parser): string {
  return `\\${p.take('\\').atom().toLowerCase()}`;
}
