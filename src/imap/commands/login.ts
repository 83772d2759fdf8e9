import { type Command, command } from '../command.ts';
import { ImapNo } from '../errors.ts';

/** LOGIN (RFC 9051 6.2.3): the password itself, so only where that is safe (LOGINDISABLED). */
export const login: Command = command({
  name: 'LOGIN',
  states: ['not-authenticated'],

  parse(p) {
    const user = p.sp().astringText();
    const password = p.sp().astringText();
    return { user, password };
  },

  async run(session, { user, password }) {
    if (!session.plaintextAllowed)
      throw new ImapNo('Passwords are taken over TLS only; use STARTTLS', 'PRIVACYREQUIRED');
    const step = await session.world.sasl.login(user, password, session.saslContext());
    await session.authenticated(step);
    return { code: `CAPABILITY ${session.capabilities()}`, text: 'Logged in' };
  },
});
