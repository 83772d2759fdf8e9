import { noArguments } from '../arguments.ts';
import type { Command } from '../command.ts';
import { Pop3Error, Pop3SyntaxError } from '../errors.ts';

/** STLS (RFC 2595 4). */
export const stls: Command = {
  name: 'STLS',
  state: 'authorization',
  capability: (session) => (session.connection.tls ? undefined : 'STLS'),

  async run(session, args) {
    noArguments(args);
    const { connection } = session;
    // RFC 6856 2.1: not after UTF8, which could be an attacker's word.
    if (session.mode === 'utf8') throw new Pop3SyntaxError('STLS comes before UTF8');
    if (connection.tls) throw new Pop3Error('the connection is encrypted already');
    await connection.write(`+OK ${session.say('begin TLS')}\r\n`);
    await connection.startTls();
    // What was learned in the clear could be an attacker's.
    session.user = null;
    session.language = 'en';
    return null;
  },
};
