import { type Command, command, nothing } from '../command.ts';
import { ImapBad } from '../errors.ts';

/** STARTTLS (RFC 9051 6.2.1). What the client sent before the handshake is thrown away by the connection. */
export const starttls: Command = command({
  name: 'STARTTLS',
  states: ['not-authenticated'],
  parse: nothing,
  async run({ connection }) {
    if (connection.tls) throw new ImapBad('TLS is active already');
    return { text: 'Begin TLS now', afterwards: () => connection.startTls() };
  },
});
