import { count, textOf } from '../arguments.ts';
import type { Command } from '../command.ts';
import { SieveNo } from '../errors.ts';
import { string } from '../strings.ts';

/** Commands about the session itself. */

/** STARTTLS (RFC 5804 2.2): the capabilities come again, for those heard before could be an attacker's. */
export const starttls: Command = {
  name: 'STARTTLS',
  state: 'not-authenticated',

  async run(session, args) {
    count(args, 0);
    const { connection } = session;
    if (connection.tls) throw new SieveNo('the connection is encrypted already');
    await connection.write(`OK ${string(session.say('begin TLS'))}\r\n`);
    await connection.startTls();
    await connection.write(`${session.capabilities()}OK ${string(session.say('done'))}\r\n`);
    return null;
  },
};

/** LOGOUT (RFC 5804 2.3). */
export const logout: Command = {
  name: 'LOGOUT',
  state: 'any',

  run(session, args) {
    count(args, 0);
    session.close();
    return { text: 'bye' };
  },
};

/** CAPABILITY (RFC 5804 2.4). */
export const capability: Command = {
  name: 'CAPABILITY',
  state: 'any',

  async run(session, args) {
    count(args, 0);
    await session.connection.write(session.capabilities());
    return {};
  },
};

/** NOOP (RFC 5804 2.13): what it is given comes back. */
export const noop: Command = {
  name: 'NOOP',
  state: 'any',

  run(_session, args) {
    count(args, 0, 1);
    return args.length === 0 ? { text: 'done' } : { code: `TAG ${string(textOf(args, 0))}`, text: 'done' };
  },
};

/** UNAUTHENTICATE (RFC 5804 2.14). */
export const unauthenticate: Command = {
  name: 'UNAUTHENTICATE',
  state: 'authenticated',

  run(session, args) {
    count(args, 0);
    session.unauthenticate();
    return {};
  },
};
