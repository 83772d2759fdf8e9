import type { SaslStep } from '../../sasl/sasl.ts';
import { words } from '../arguments.ts';
import type { Command, Pop3Session } from '../command.ts';
import { Pop3Error, Pop3SyntaxError } from '../errors.ts';

/**
 * A response of the client, encoded. RFC 5034 4 sets no bound but the mechanisms' own; RFC 4954 4 says 12288 for
 * the same exchange in SMTP.
 */
const MAX_RESPONSE = 12_288;
/** SCRAM has three; a mechanism that goes on for ever is a bug. */
const MAX_STEPS = 16;

/** AUTH (RFC 5034): SASL. */
export const auth: Command = {
  name: 'AUTH',
  state: 'authorization',
  // It stays announced after login, when nobody can use it any more (RFC 5034 3).
  capability(session) {
    const names = mechanisms(session);
    return names.length > 0 ? `SASL ${names.join(' ')}` : undefined;
  },

  async run(session, args) {
    // Without an argument old clients ask for the list (draft-myers-sasl-pop3, which RFC 5034 replaced by CAPA).
    if (args.trim() === '')
      return `mechanisms follow\r\n${mechanisms(session)
        .map((name) => `${name}\r\n`)
        .join('')}.`;
    const [name = '', initial] = words(args, 1, 2);
    const mechanism = session.sasl.find(name, session.plaintextAllowed, session.connection.tls);
    if (!mechanism) {
      const encrypted = session.sasl.find(name, true, session.connection.tls);
      throw encrypted
        ? new Pop3Error('not without encryption: use STLS first', 'AUTH')
        : new Pop3Error('no such mechanism', 'AUTH');
    }
    const exchange = mechanism.start(session.saslContext());
    let step = await exchange.respond(initial === undefined ? null : decode(initial));
    for (let steps = 0; step.is === 'challenge'; steps++) {
      if (steps === MAX_STEPS) throw new Pop3Error('the exchange does not end');
      step = await exchange.respond(await ask(session, step.data));
    }
    return session.authenticated(await confirm(session, step));
  },
};

function mechanisms(session: Pop3Session): readonly string[] {
  return session.sasl
    .mechanisms(session.plaintextAllowed, session.connection.tls, 'pop')
    .map((mechanism) => mechanism.name);
}

/** POP3 has no place for data beside success, so it goes as a challenge that is answered with nothing (RFC 5034 4). */
async function confirm(
  session: Pop3Session,
  step: Exclude<SaslStep, { is: 'challenge' }>,
): Promise<SaslStep> {
  if (step.is !== 'done' || step.data === undefined) return step;
  const response = await ask(session, step.data);
  if (response.length > 0) throw new Pop3Error('an empty response was expected', 'AUTH');
  return step;
}

async function ask(session: Pop3Session, challenge: Uint8Array): Promise<Uint8Array> {
  await session.connection.write(`+ ${Buffer.from(challenge).toString('base64')}\r\n`);
  const line = await session.readLine(MAX_RESPONSE);
  if (line === null) throw new Pop3Error('the client is gone');
  const text = line.toString('latin1');
  if (text === '*') throw new Pop3Error('authentication cancelled');
  return text === '' ? new Uint8Array() : decode(text);
}

/** "=" is an empty initial response; anything else than strict base64 is refused (RFC 5034 4). */
function decode(text: string): Uint8Array {
  if (text === '=') return new Uint8Array();
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text))
    throw new Pop3SyntaxError('this is not base64');
  return Buffer.from(text, 'base64');
}
