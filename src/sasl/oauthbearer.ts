import { type BearerParts, type BearerRequest, bearer, tokenIn } from './bearer.ts';
import type { SaslMechanism } from './sasl.ts';

/** gs2-header without channel binding, of which bearer tokens have none (RFC 5801 4). */
const GS2 = /^[ny],(?:a=([^,]*))?,$/su;
/** RFC 7628 3.1: `value = *(VCHAR / SP / HTAB / CR / LF)`. */
const PAIR = /^([A-Za-z]+)=([\s\x20-\x7e]*)$/;

/** OAUTHBEARER (RFC 7628): a GS2 header, and what HTTP would say, in pairs. */
export function oauthBearer(parts: BearerParts): SaslMechanism {
  return bearer(
    {
      name: 'OAUTHBEARER',
      parse,
      error: (status, { scope, discoveryUrl }) => ({
        status,
        ...(scope !== null && { scope }),
        ...(discoveryUrl !== null && { 'openid-configuration': discoveryUrl }),
      }),
    },
    parts,
  );
}

/** @param host the name that the client gave in TLS */
function parse(message: string, host: string | null): BearerRequest | undefined {
  const [header = '', ...rest] = message.split('\x01');
  const gs2 = GS2.exec(header);
  // Each pair ends with a separator, and so does the whole.
  if (!gs2 || rest.pop() !== '' || rest.pop() !== '') return undefined;
  const authzid = unquote(gs2[1] ?? '');
  const pairs = new Map<string, string>();
  for (const text of rest) {
    const [, key, value] = PAIR.exec(text) ?? [];
    if (key === undefined || value === undefined || pairs.has(key.toLowerCase())) return undefined;
    // Those that are not known must be ignored (RFC 7628 3.1).
    pairs.set(key.toLowerCase(), value);
  }
  const token = tokenIn(pairs.get('auth') ?? '-');
  // Must match what else is known of them (RFC 7628 3.2). The port is not: between us and the client it may change.
  const named = pairs.get('host');
  if (named !== undefined && host !== null && named.toLowerCase() !== host.toLowerCase()) return undefined;
  if (!/^(?:[1-9]\d{0,4})?$/.test(pairs.get('port') ?? '')) return undefined;
  return token === undefined || authzid === undefined ? undefined : { authzid, token };
}

/** `saslname` of RFC 5801 4: `=2C` is a comma, `=3D` an equals sign. */
function unquote(name: string): string | undefined {
  if (/=(?!2C|3D)/.test(name) || name.includes('\0')) return undefined;
  return name.replaceAll('=2C', ',').replaceAll('=3D', '=');
}
