import { ConnectionLost } from '../../net/errors.ts';
import { type Command, command, type ImapSession } from '../command.ts';
import { ImapBad, ImapNo } from '../errors.ts';

/** RFC 4422 sets no limit; OAuth tokens are the longest that come, some kilobytes. */
const MAX_RESPONSE = 16 * 1024;
/** No mechanism needs as many. */
const MAX_STEPS = 10;

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** AUTHENTICATE (RFC 9051 6.2.2) with an initial response (SASL-IR, RFC 4959). */
export const authenticate: Command = command({
  name: 'AUTHENTICATE',
  states: ['not-authenticated'],
  capability: 'SASL-IR',

  parse(p) {
    const name = p.sp().atom().toUpperCase();
    if (p.atEnd) return { name, initial: null };
    const at = p.sp().at;
    // `=` is an empty response (RFC 4959 3).
    if (p.tryTake('=')) return { name, initial: Buffer.alloc(0) };
    const initial = p.astring().toString('latin1');
    return { name, initial: decode(initial) ?? p.fail('The initial response is not base64', at) };
  },

  async run(session, { name, initial }) {
    const { sasl } = session.world;
    const mechanism = sasl.find(name, session.plaintextAllowed, session.connection.tls);
    if (!mechanism) {
      if (sasl.find(name, true, session.connection.tls))
        throw new ImapNo('This mechanism is for TLS only; use STARTTLS', 'PRIVACYREQUIRED');
      throw new ImapNo('No such mechanism', 'CANNOT');
    }
    const exchange = mechanism.start(session.saslContext());
    let step = await exchange.respond(initial);
    for (let steps = 0; step.is === 'challenge'; steps++) {
      if (steps === MAX_STEPS) throw new ImapBad('The exchange has no end');
      step = await exchange.respond(await challenge(session, step.data));
    }
    // SCRAM's last word needs an answer of its own here: IMAP has no data with success (RFC 9051 6.2.2).
    if (step.is === 'done' && step.data !== undefined) await challenge(session, step.data);
    await session.authenticated(step);
    return { code: `CAPABILITY ${session.capabilities()}`, text: 'Logged in' };
  },
});

/** Sends a challenge, reads the response. */
async function challenge(session: ImapSession, data: Uint8Array): Promise<Buffer> {
  session.out.add(`+ ${Buffer.from(data).toString('base64')}\r\n`);
  const line = await session.readLine(MAX_RESPONSE, session.world.settings.literalTimeout);
  if (line === null) throw new ConnectionLost();
  const text = line.toString('latin1');
  if (text === '*') throw new ImapBad('Authentication cancelled');
  const response = decode(text);
  if (!response) throw new ImapBad('The response is not base64');
  return response;
}

function decode(text: string): Buffer | undefined {
  return BASE64.test(text) ? Buffer.from(text, 'base64') : undefined;
}
