import type { Directory, ScramCredentials } from '../directory/directory.ts';
import { type AttemptLog, attempt, broken } from './attempt.ts';
import type { SaslContext, SaslExchange, SaslMechanism, SaslStep } from './sasl.ts';
import { checkProof } from './scram-proof.ts';
import { mayActAs, utf8 } from './text.ts';

const NAME = 'SCRAM-SHA-256';
/** Octets of our part of the nonce: 24 characters. */
const NONCE_BYTES = 18;
/** Printable ASCII but the comma (RFC 5802 5.1). */
const NONCE = /^[\x21-\x2b\x2d-\x7e]+$/;

/**
 * SCRAM-SHA-256 (RFC 5802, RFC 7677), without channel binding. A client that says `p=` asks for what was not offered
 * and is refused; `y` says that it could bind channels and saw no -PLUS, which is true as long as we offer none
 * (RFC 5802 6).
 */
export function scramSha256(directory: Directory, log: AttemptLog): SaslMechanism {
  return {
    name: NAME,
    plaintext: false,
    start: (context) => exchange(directory, log, context),
  };
}

interface ClientFirst {
  /** With its commas: what comes back in `c=`. */
  readonly gs2Header: string;
  readonly authzid: string;
  readonly login: string;
  readonly nonce: string;
  /** client-first-message-bare. */
  readonly bare: string;
}

function exchange(directory: Directory, log: AttemptLog, context: SaslContext): SaslExchange {
  let first: ClientFirst | undefined;
  let serverFirst = '';
  let nonce = '';
  let credentials: ScramCredentials | undefined;
  let over = false;

  async function begin(text: string): Promise<SaslStep> {
    const parsed = parseClientFirst(text);
    if (!parsed) return broken(log, context, NAME);
    try {
      credentials = await directory.scramCredentials(parsed.login);
    } catch (error) {
      const { sid, ip, service } = context;
      log.log.error({ sid, ip, service, mechanism: NAME, err: error }, 'authentication not possible');
      over = true;
      return { is: 'failed', reason: 'temporary' };
    }
    first = parsed;
    nonce = parsed.nonce + Buffer.from(context.random(NONCE_BYTES)).toString('base64');
    const salt = Buffer.from(credentials.salt).toString('base64');
    serverFirst = `r=${nonce},s=${salt},i=${credentials.iterations}`;
    return { is: 'challenge', data: Buffer.from(serverFirst) };
  }

  async function conclude(start: ClientFirst, keys: ScramCredentials, text: string): Promise<SaslStep> {
    const final = parseClientFinal(text);
    const binding = Buffer.from(start.gs2Header).toString('base64');
    over = true;
    if (!final || final.binding !== binding || final.nonce !== nonce) return broken(log, context, NAME);
    return attempt(log, context, NAME, start.login, async () => {
      const authMessage = `${start.bare},${serverFirst},${final.withoutProof}`;
      const signature = checkProof(keys, authMessage, final.proof);
      const { account } = keys;
      if (!signature || !account || !mayActAs(start.authzid, start.login, account)) return undefined;
      return { account, data: Buffer.from(`v=${signature.toString('base64')}`) };
    });
  }

  return {
    async respond(response) {
      if (over) return broken(log, context, NAME);
      if (response === null && !first) return { is: 'challenge', data: new Uint8Array() };
      const text = response === null ? undefined : utf8(response);
      if (text === undefined) return broken(log, context, NAME);
      return first && credentials ? conclude(first, credentials, text) : begin(text);
    },
  };
}

/** RFC 5802 7: gs2-header, then `n=` and `r=` in this order; `m=` before them is an extension that must be known. */
function parseClientFirst(text: string): ClientFirst | undefined {
  const match = /^((?:n|y),(?:a=([^,]*))?,)(n=([^,]*),r=([^,]*)(?:,[a-zA-Z]=[^,]*)*)$/su.exec(text);
  if (!match) return undefined;
  const [, gs2Header = '', quotedAuthzid = '', bare = '', quotedLogin = '', nonce = ''] = match;
  const login = unquote(quotedLogin);
  const authzid = unquote(quotedAuthzid);
  if (!login || authzid === undefined || text.includes('\0') || !NONCE.test(nonce)) return undefined;
  return { gs2Header, authzid, login, nonce, bare };
}

interface ClientFinal {
  readonly binding: string;
  readonly nonce: string;
  readonly proof: Buffer;
  readonly withoutProof: string;
}

function parseClientFinal(text: string): ClientFinal | undefined {
  const match = /^(c=([A-Za-z0-9+/=]+),r=([^,]+)(?:,[a-zA-Z]=[^,]*)*),p=([A-Za-z0-9+/]{43}=)$/su.exec(text);
  if (!match) return undefined;
  const [, withoutProof = '', binding = '', nonce = '', proof = ''] = match;
  return { binding, nonce, withoutProof, proof: Buffer.from(proof, 'base64') };
}

/** `=2C` is a comma and `=3D` an equals sign; any other `=` is an error (RFC 5802 5.1). */
function unquote(name: string): string | undefined {
  if (/=(?!2C|3D)/.test(name)) return undefined;
  return name.replaceAll('=2C', ',').replaceAll('=3D', '=');
}
