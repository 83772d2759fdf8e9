import { noArguments } from '../arguments.ts';
import type { Command } from '../command.ts';
import { Pop3Error } from '../errors.ts';

/** STLS (RFC 2595 4). */
export const stls: Command = {
  name: 'STLS',
  state: 'authorization',
  capability: (session) => (session.connection.tls ? undefined : 'STLS'),

  async run(session, args) {
    noArguments(args);
    const { connection } = session;
    if (connection.tls) throw new Pop3Error('the connection is encrypted already');
    await connection.write(`+OK ${session.say('begin TLS')}\r\n`);
    await connection.startTls();
    // What was learned in the clear could be an attacker's.
    session.user = null;
    session.language = 'en';
    return null;
  },
};
