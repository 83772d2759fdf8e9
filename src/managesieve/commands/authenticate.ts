import type { SaslStep } from '../../sasl/sasl.ts';
import { count, octetsOf } from '../arguments.ts';
import type { Command, ManageSieveSession } from '../command.ts';
import { SieveNo, SieveSyntaxError } from '../errors.ts';
import { string } from '../strings.ts';

/** SCRAM has three; a mechanism that goes on for ever is a bug. */
const MAX_STEPS = 16;

/** AUTHENTICATE (RFC 5804 2.1). */
export const authenticate: Command = {
  name: 'AUTHENTICATE',
  state: 'not-authenticated',

  async run(session, args) {
    count(args, 1, 2);
    const name = octetsOf(args, 0).toString('latin1');
    const mechanism = session.sasl.find(name, session.plaintextAllowed, session.connection.tls);
    if (!mechanism) {
      if (session.sasl.find(name, true, session.connection.tls))
        throw new SieveNo('not without encryption: use STARTTLS first', 'ENCRYPT-NEEDED');
      throw new SieveNo('no such mechanism');
    }
    const exchange = mechanism.start(session.saslContext());
    let step = await exchange.respond(args.length > 1 ? decode(octetsOf(args, 1)) : null);
    for (let steps = 0; step.is === 'challenge'; steps++) {
      if (steps === MAX_STEPS) throw new SieveNo('the exchange does not end');
      step = await exchange.respond(await ask(session, step.data));
    }
    return confirm(session, step);
  },
};

/** RFC 5804 2.1: what the mechanism has to say beside success goes with it. */
function confirm(
  session: ManageSieveSession,
  step: Exclude<SaslStep, { is: 'challenge' }>,
): { code?: string } {
  session.authenticated(step);
  if (step.is !== 'done' || step.data === undefined) return {};
  return { code: `SASL ${string(Buffer.from(step.data).toString('base64'))}` };
}

async function ask(session: ManageSieveSession, challenge: Uint8Array): Promise<Uint8Array> {
  await session.connection.write(`${string(Buffer.from(challenge).toString('base64'))}\r\n`);
  const octets = await session.readResponse();
  // RFC 5804 2.1: the client breaks it off.
  if (octets.length === 1 && octets[0] === 0x2a) throw new SieveNo('authentication cancelled');
  return decode(octets);
}

function decode(octets: Buffer): Uint8Array {
  const text = octets.toString('latin1');
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text))
    throw new SieveSyntaxError('this is not base64');
  return Buffer.from(text, 'base64');
}
