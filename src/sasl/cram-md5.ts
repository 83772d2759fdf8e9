import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { Directory } from '../directory/directory.ts';
import type { Clock } from '../lib/clock.ts';
import { type AttemptLog, attempt, broken } from './attempt.ts';
import type { Sasl, SaslMechanism } from './sasl.ts';
import { utf8 } from './text.ts';

const NONCE_BYTES = 16;

/** CRAM-MD5 (RFC 2195): needs the password itself on our side, so it is only offered where that was asked for. */
export function cramMd5(
  directory: Directory,
  log: AttemptLog,
  clock: Clock,
  hostname: string,
): SaslMechanism {
  return {
    name: 'CRAM-MD5',
    // Whoever hears challenge and digest can try a dictionary at a thousand million passwords a second.
    plaintext: true,
    start: (context) => {
      let challenge: string | undefined;
      return {
        async respond(response) {
          if (challenge === undefined) {
            // The client has nothing to say before the challenge; an initial response is against the mechanism.
            if (response !== null && response.length > 0) return broken(log, context, 'CRAM-MD5');
            const nonce = Buffer.from(context.random(NONCE_BYTES)).toString('hex');
            challenge = `<${nonce}.${Math.floor(clock.now().getTime() / 1000)}@${hostname}>`;
            return { is: 'challenge', data: Buffer.from(challenge) };
          }
          const text = response === null ? undefined : utf8(response);
          const match = /^(.+) ([0-9a-f]{32})$/is.exec(text ?? '');
          const [, login = '', digest = ''] = match ?? [];
          if (!match) return broken(log, context, 'CRAM-MD5');
          const asked = challenge;
          return attempt(log, context, 'CRAM-MD5', login, async () => {
            const known = await directory.sharedSecret(login);
            const expected = createHmac('md5', known?.secret ?? '')
              .update(asked)
              .digest();
            return same(expected, digest) && known ? { account: known.account } : undefined;
          });
        },
      };
    },
  };
}

/** APOP (RFC 1939 7): MD5 of the greeting's timestamp and the password. */
export function apop(directory: Directory, log: AttemptLog): NonNullable<Sasl['apop']> {
  return (login, digest, banner, context) =>
    attempt(log, context, 'APOP', login, async () => {
      const known = await directory.sharedSecret(login);
      const expected = createHash('md5')
        .update(banner + (known?.secret ?? ''))
        .digest();
      return same(expected, digest) && known ? { account: known.account } : undefined;
    });
}

/** Compares with the digest as sent, in hexadecimal; some clients write capitals. */
function same(expected: Buffer, hex: string): boolean {
  return /^[0-9a-f]{32}$/i.test(hex) && timingSafeEqual(expected, Buffer.from(hex, 'hex'));
}
