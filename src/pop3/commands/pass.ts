import { utf8 } from '../arguments.ts';
import type { Command } from '../command.ts';
import { Pop3SyntaxError } from '../errors.ts';
import { requirePlaintext } from './user.ts';

/** PASS (RFC 1939 7): directly after USER. Blanks are part of the password. */
export const pass: Command = {
  name: 'PASS',
  state: 'authorization',

  async run(session, args) {
    requirePlaintext(session);
    const login = session.user;
    session.user = null;
    if (login === null) throw new Pop3SyntaxError('USER comes first');
    if (args === '') throw new Pop3SyntaxError('a password is missing');
    return session.authenticated(await session.sasl.login(login, utf8(args), session.saslContext()));
  },
};
