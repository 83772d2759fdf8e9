import { type BearerParts, bearer, tokenIn } from './bearer.ts';
import type { SaslMechanism } from './sasl.ts';

/**
 * XOAUTH2, as Google described it before RFC 7628: `user=`, `auth=Bearer `, two separators. Clients that know no other
 * expect the status of HTTP in the error.
 */
export function xoauth2(parts: BearerParts): SaslMechanism {
  return bearer(
    {
      name: 'XOAUTH2',
      parse(message) {
        const [user = '', auth = '', ...end] = message.split('\x01');
        if (!user.startsWith('user=') || !auth.startsWith('auth=') || end.join() !== ',') return undefined;
        const authzid = user.slice('user='.length);
        const token = tokenIn(auth.slice('auth='.length));
        return token === undefined ? undefined : { authzid, token };
      },
      error: (status, { scope }) => ({
        status: status === 'invalid_request' ? '400' : '401',
        schemes: 'bearer',
        ...(scope !== null && { scope }),
      }),
    },
    parts,
  );
}
