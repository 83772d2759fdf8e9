import { type Command, command, nothing } from '../command.ts';
import { ImapBad } from '../errors.ts';

/** STARTTLS (RFC 9051 6.2.1). What the client sent before the handshake is thrown away by the connection. */
export const starttls: Command = command({
  name: 'STARTTLS',
  states: ['not-authenticated'],
  parse: nothing,
  async run(session) {
    const { connection } = session;
    if (connection.tls) throw new ImapBad('TLS is active already');
    const afterwards = async (): Promise<void> => {
      await connection.startTls();
      // What was said in the clear may be somebody else's words (RFC 5255 3.1, 7).
      session.speak('i-default');
      session.client = null;
    };
    return { text: 'Begin TLS now', afterwards };
  },
});
