import type { Directory, ScramCredentials } from '../directory/directory.ts';
import type { TlsState } from '../net/connection.ts';
import { type AttemptLog, attempt, broken } from './attempt.ts';
import type { SaslContext, SaslExchange, SaslMechanism, SaslStep } from './sasl.ts';
import { checkProof, type ScramHash } from './scram-proof.ts';
import { mayActAs, utf8 } from './text.ts';

/** Octets of our part of the nonce: 24 characters. */
const NONCE_BYTES = 18;
/** Printable ASCII but the comma (RFC 5802 5.1). */
const NONCE = /^[\x21-\x2b\x2d-\x7e]+$/;

/** The only channel binding we know (RFC 9266). */
const BINDING = 'tls-exporter';

/** One SCRAM: the hash in its name, and where its keys come from. */
export interface ScramFamily {
  readonly name: 'SCRAM-SHA-256' | 'SCRAM-SHA-1';
  readonly hash: ScramHash;
  credentials(directory: Directory, login: string): Promise<ScramCredentials>;
  /** Whether -PLUS is in the list that clients on such a connection get. */
  announcesPlus(tls: TlsState | null, service: string): boolean;
}

interface Variant extends ScramFamily {
  readonly mechanism: string;
  /** -PLUS: the proof also covers the TLS connection it comes through, so nobody sits between (RFC 5802 6). */
  readonly bound: boolean;
}

/** SCRAM-SHA-256 (RFC 7677) or SCRAM-SHA-1 (RFC 5802), with and without channel binding, strongest first. */
export function scram(family: ScramFamily, directory: Directory, log: AttemptLog): readonly SaslMechanism[] {
  const mechanism = (bound: boolean): SaslMechanism => {
    const name = bound ? `${family.name}-PLUS` : family.name;
    return {
      name,
      plaintext: false,
      fits: (tls) => !bound || tls?.exporter !== undefined,
      start: (context) => exchange({ ...family, mechanism: name, bound }, directory, log, context),
    };
  };
  return [mechanism(true), mechanism(false)];
}

interface ClientFirst {
  /** `n`, `y` or `p=` with the name of a channel binding. */
  readonly flag: string;
  /** With its commas: what comes back in `c=`. */
  readonly gs2Header: string;
  readonly authzid: string;
  readonly login: string;
  readonly nonce: string;
  /** client-first-message-bare. */
  readonly bare: string;
}

function exchange(
  variant: Variant,
  directory: Directory,
  log: AttemptLog,
  context: SaslContext,
): SaslExchange {
  const NAME = variant.mechanism;
  let first: ClientFirst | undefined;
  let serverFirst = '';
  let nonce = '';
  let credentials: ScramCredentials | undefined;
  let over = false;

  async function begin(text: string): Promise<SaslStep> {
    const parsed = parseClientFirst(text);
    if (!parsed || !flagFits(parsed.flag, variant, context)) return broken(log, context, NAME);
    try {
      credentials = await variant.credentials(directory, parsed.login);
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
    const channel = variant.bound ? context.tls?.exporter?.() : undefined;
    const binding = Buffer.concat([Buffer.from(start.gs2Header), channel ?? Buffer.alloc(0)]).toString(
      'base64',
    );
    over = true;
    if (!final || final.binding !== binding || final.nonce !== nonce) return broken(log, context, NAME);
    return attempt(log, context, NAME, start.login, async () => {
      const authMessage = `${start.bare},${serverFirst},${final.withoutProof}`;
      const signature = checkProof(variant.hash, keys, authMessage, final.proof);
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

/**
 * RFC 5802 6: -PLUS needs the binding, and the other form none. `y` says that the client could bind channels and saw no
 * -PLUS: where we do announce it, somebody took it out of the list.
 */
function flagFits(flag: string, variant: Variant, { tls, service }: SaslContext): boolean {
  if (variant.bound) return flag === `p=${BINDING}`;
  return flag === 'n' || (flag === 'y' && !variant.announcesPlus(tls, service));
}

/** RFC 5802 7: gs2-header, then `n=` and `r=` in this order; `m=` before them is an extension that must be known. */
function parseClientFirst(text: string): ClientFirst | undefined {
  const match =
    /^((n|y|p=[A-Za-z0-9.-]{1,100}),(?:a=([^,]*))?,)(n=([^,]*),r=([^,]*)(?:,[a-zA-Z]=[^,]*)*)$/su.exec(text);
  if (!match) return undefined;
  const [, gs2Header = '', flag = '', quotedAuthzid = '', bare = '', quotedLogin = '', nonce = ''] = match;
  const login = unquote(quotedLogin);
  const authzid = unquote(quotedAuthzid);
  if (!login || authzid === undefined || text.includes('\0') || !NONCE.test(nonce)) return undefined;
  return { flag, gs2Header, authzid, login, nonce, bare };
}

interface ClientFinal {
  readonly binding: string;
  readonly nonce: string;
  readonly proof: Buffer;
  readonly withoutProof: string;
}

function parseClientFinal(text: string): ClientFinal | undefined {
  const match =
    /^(c=([A-Za-z0-9+/=]+),r=([^,]+)(?:,[a-zA-Z]=[^,]*)*),p=([A-Za-z0-9+/]{43}=|[A-Za-z0-9+/]{27}=)$/su.exec(
      text,
    );
  if (!match) return undefined;
  const [, withoutProof = '', binding = '', nonce = '', proof = ''] = match;
  return { binding, nonce, withoutProof, proof: Buffer.from(proof, 'base64') };
}

/** `=2C` is a comma and `=3D` an equals sign; any other `=` is an error (RFC 5802 5.1). */
function unquote(name: string): string | undefined {
  if (/=(?!2C|3D)/.test(name)) return undefined;
  return name.replaceAll('=2C', ',').replaceAll('=3D', '=');
}
