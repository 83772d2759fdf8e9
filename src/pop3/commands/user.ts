import { utf8 } from '../arguments.ts';
import type { Command, Pop3Session } from '../command.ts';
import { Pop3Error, Pop3SyntaxError } from '../errors.ts';

/** USER (RFC 1939 7): every name is welcome, or the answer would tell who has an account here. */
export const user: Command = {
  name: 'USER',
  state: 'authorization',
  capability: (session) => (session.plaintextAllowed ? 'USER' : undefined),

  run(session, args) {
    requirePlaintext(session);
    if (args.trim() === '') throw new Pop3SyntaxError('a name is missing');
    // A name may hold blanks: "félix le [chat]"@example.org.
    session.user = utf8(args.trim());
    return 'send the password';
  },
};

/** A password that crossed the wire in the clear is lost, whatever we answer; at least nobody gets used to it. */
export function requirePlaintext(session: Pop3Session): void {
  if (!session.plaintextAllowed) throw new Pop3Error('not without encryption: use STLS first', 'AUTH');
}
