import { utf8 } from '../arguments.ts';
import type { Command } from '../command.ts';
import { Pop3Error, Pop3SyntaxError } from '../errors.ts';

/** APOP (RFC 1939 7): the timestamp in the greeting announces it, not CAPA (RFC 2449 6). */
export const apop: Command = {
  name: 'APOP',
  state: 'authorization',

  async run(session, args) {
    const { timestamp, sasl } = session;
    if (timestamp === null || !sasl.apop) throw new Pop3Error('APOP is not offered here', 'AUTH');
    // The digest has no blanks, a name may.
    const match = /^ *(.+?) +([0-9a-f]{32}) *$/i.exec(args);
    const [, name = '', digest = ''] = match ?? [];
    if (!match) throw new Pop3SyntaxError('a name and a digest are expected');
    return session.authenticated(
      await sasl.apop(utf8(name), digest.toLowerCase(), timestamp, session.saslContext()),
    );
  },
};
