import { constants } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { createSecureContext, type SecureContext, type TlsOptions } from 'node:tls';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import { TlsError } from './errors.ts';
import { type CertificateFiles, type KeyPair, readKeyPair } from './key-pair.ts';
import { isDue, selfSignedFiles } from './self-signed.ts';

/**
 * The certificates that the servers show. All files are read and checked beforehand, so a handshake costs no file
 * access; a new set is complete before it replaces the old one, and a set that cannot be built changes nothing.
 */

export interface CertificatesOptions {
  readonly hostname: string;
  readonly dataDir: string;
  /** null: self-signed. */
  readonly main: CertificateFiles | null;
  /** For clients that name one of their hosts. */
  readonly others: readonly CertificateFiles[];
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
  readonly ciphers: string;
  /** Files in PEM form: who signs the certificates of clients, and their lists of withdrawn ones. Without: nobody. */
  readonly clients?: { readonly ca: readonly string[]; readonly crl: readonly string[] };
}

/** How often the files are looked at for a renewed certificate. */
const LOOK_EVERY_MS = 3_600_000;
/** So many looks are a day: how often the log repeats that a certificate is about to expire, from two weeks before. */
const LOOKS_A_DAY = 24;
const WARN_BEFORE_MS = 14 * 86_400_000;

interface CertificateSet {
  readonly options: CertificatesOptions;
  readonly tls: TlsOptions;
  /** The same for services where users log in: clients are asked for a certificate, where authorities are configured. */
  readonly forUsers: TlsOptions;
  readonly files: readonly CertificateFiles[];
  readonly pairs: readonly KeyPair[];
  /** Changes when a file does. */
  readonly stamp: string;
}

export class Certificates {
  readonly #clock: Clock;
  readonly #log: Logger;
  #set: CertificateSet;

  private constructor(set: CertificateSet, clock: Clock, log: Logger) {
    this.#set = set;
    this.#clock = clock;
    this.#log = log;
  }

  /**
   * Reads all certificates, making the self-signed one where none is given.
   * @throws TlsError
   */
  static async load(
    options: CertificatesOptions,
    { clock, log }: { readonly clock: Clock; readonly log: Logger },
  ): Promise<Certificates> {
    const set = await buildSet(options, clock, log);
    warnOfExpiry(set.pairs, clock.now(), log);
    return new Certificates(set, clock, log);
  }

  /** For `new TLSSocket(…, { isServer: true })` and `https.createServer`: the same object until the next reload. */
  options(): TlsOptions {
    return this.#set.tls;
  }

  /** As `options()`, for services where users log in. */
  readonly forUsers: { options(): TlsOptions } = { options: () => this.#set.forUsers };

  /** What is in use, for people: the main certificate first. */
  get pairs(): readonly KeyPair[] {
    return this.#set.pairs;
  }

  /**
   * Reads everything again, with other settings where given.
   * @throws TlsError, and then everything stays as it was.
   */
  async reload(options: CertificatesOptions = this.#set.options): Promise<void> {
    this.#set = await buildSet(options, this.#clock, this.#log);
    warnOfExpiry(this.#set.pairs, this.#clock.now(), this.#log);
  }

  /** Takes up renewed certificate files by itself, and renews our own; until the signal is aborted. */
  async maintain(signal: AbortSignal): Promise<void> {
    for (let looks = 1; !signal.aborted; looks++) {
      // The sleep rejects only when it is time to stop.
      await this.#clock.sleep(LOOK_EVERY_MS, signal).catch(() => {});
      if (signal.aborted) return;
      await this.#look();
      if (looks % LOOKS_A_DAY === 0) warnOfExpiry(this.#set.pairs, this.#clock.now(), this.#log);
    }
  }

  async #look(): Promise<void> {
    const { options, files, pairs, stamp } = this.#set;
    const [main] = pairs;
    const due = options.main === null && main !== undefined && isDue(main.notAfter, this.#clock.now());
    try {
      if (!due && (await stampOf(files, options.clients)) === stamp) return;
      await this.reload();
      this.#log.info({ certificates: this.#set.pairs.length }, 'certificates reloaded');
    } catch (error) {
      // Perhaps half a renewal: the old ones serve until the next look.
      const reason = error instanceof Error ? error.message : String(error);
      this.#log.error({ reason }, 'certificates not reloaded, the old ones stay');
    }
  }
}

async function buildSet(options: CertificatesOptions, clock: Clock, log: Logger): Promise<CertificateSet> {
  const main = options.main ?? (await ownFiles(options, clock, log));
  const files = [main, ...options.others];
  // The stamp first: a file that changes while we read is seen at the next look.
  const stamp = await stampOf(files, options.clients);
  const pairs = await Promise.all(files.map(readKeyPair));
  for (const pair of pairs)
    if (pair.keyIsPublic)
      log.warn({ certificate: pair.certFile }, 'everybody on this machine can read the key of a certificate');
  const clients = await readAuthorities(options.clients);
  const tls = tlsOptionsFor(pairs, options, clients);
  const forUsers = clients ? { ...tls, requestCert: true } : tls;
  return { options, files, pairs, stamp, tls, forUsers };
}

async function ownFiles(options: CertificatesOptions, clock: Clock, log: Logger): Promise<CertificateFiles> {
  try {
    const files = await selfSignedFiles(options.dataDir, options.hostname, clock.now());
    if (files.isNew) log.info({ certificate: files.cert }, 'self-signed certificate made');
    return files;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new TlsError('unreadable', `the self-signed certificate cannot be kept: ${reason}`, error);
  }
}

/** Says whether any of the files was replaced. A file that is missing now is a change too. */
async function stampOf(
  files: readonly CertificateFiles[],
  clients: CertificatesOptions['clients'],
): Promise<string> {
  const paths = [
    ...files.flatMap(({ cert, key }) => [cert, key]),
    ...(clients?.ca ?? []),
    ...(clients?.crl ?? []),
  ];
  const stamps = paths.map(async (path) => {
    const found = await stat(path).catch(() => null);
    return found ? `${found.ino}:${found.mtimeMs}:${found.size}` : 'missing';
  });
  return (await Promise.all(stamps)).join();
}

/** What the certificates of clients are checked by; it changes nothing for those that are not asked. */
type Authorities = Pick<TlsOptions, 'ca' | 'crl' | 'sessionIdContext'>;

async function readAuthorities(clients: CertificatesOptions['clients']): Promise<Authorities | null> {
  if (!clients || clients.ca.length === 0) return null;
  const ca = await Promise.all(clients.ca.map((path) => readPem(path, 'CERTIFICATE')));
  const crl = await Promise.all(clients.crl.map((path) => readPem(path, 'X509 CRL')));
  // Without a context OpenSSL takes up no session of a client with a certificate, and ends the handshake.
  return { ca, ...(crl.length > 0 && { crl }), sessionIdContext: 'facteur' };
}

async function readPem(path: string, kind: 'CERTIFICATE' | 'X509 CRL'): Promise<string> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new TlsError('unreadable', `${path} (auth.clientCertificates) cannot be read: ${reason}`, error);
  }
  // Node takes any text, and then nobody's certificate is good.
  if (!text.includes(`-----BEGIN ${kind}-----`))
    throw new TlsError('bad-settings', `${path} (auth.clientCertificates) has no ${kind} in PEM form`);
  return text;
}

function tlsOptionsFor(
  pairs: readonly KeyPair[],
  options: CertificatesOptions,
  clients: Authorities | null,
): TlsOptions {
  const contexts = new Map<string, SecureContext>();
  const contextFor = (chosen: readonly KeyPair[]): SecureContext => {
    const id = chosen.map((pair) => pairs.indexOf(pair)).join();
    const context = contexts.get(id) ?? secureContext(chosen, options, clients);
    contexts.set(id, context);
    return context;
  };
  const byName = new Map<string, SecureContext>();
  for (const name of new Set(pairs.flatMap((pair) => pair.names)))
    byName.set(name, contextFor(onePerKeyType(pairs.filter((pair) => pair.names.includes(name)))));
  const main = pairs.slice(0, 1);
  const mainNames = new Set(main.flatMap((pair) => pair.names));
  // A certificate with the same names and another kind of key stands beside the main one for clients without SNI too.
  const twins = pairs.slice(1).filter((pair) => pair.names.some((name) => mainNames.has(name)));
  const chosen = onePerKeyType([...main, ...twins]);
  return {
    ...contextOptions(chosen, options, clients),
    secureContext: contextFor(chosen),
    SNICallback(servername, callback) {
      // Without a certificate of that name the main one is shown: the client decides what it thinks of it (RFC 6066 3).
      const name = servername.toLowerCase();
      callback(null, byName.get(name) ?? byName.get(name.replace(/^[^.]+/, '*')));
    },
  };
}

/** OpenSSL shows the one that the client can verify. */
function onePerKeyType(pairs: readonly KeyPair[]): readonly KeyPair[] {
  return pairs.filter((pair, i) => pairs.findIndex((other) => other.keyType === pair.keyType) === i);
}

function secureContext(
  pairs: readonly KeyPair[],
  options: CertificatesOptions,
  clients: Authorities | null,
): SecureContext {
  try {
    return createSecureContext(contextOptions(pairs, options, clients));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const files = pairs.map((pair) => pair.certFile).join(', ');
    throw new TlsError('bad-settings', `TLS cannot be set up with ${files}: ${reason}`, error);
  }
}

function contextOptions(
  pairs: readonly KeyPair[],
  options: CertificatesOptions,
  clients: Authorities | null,
): TlsOptions {
  return {
    ...clients,
    cert: pairs.map((pair) => pair.cert),
    key: pairs.map((pair) => pair.key),
    minVersion: options.minVersion,
    ciphers: options.ciphers,
    // For the DHE suites of TLS 1.2: a group as strong as the key (RFC 7919).
    dhparam: 'auto',
    // Renegotiation has no use in mail and was a way to make a server compute (CVE-2011-1473).
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  };
}

function warnOfExpiry(pairs: readonly KeyPair[], now: Date, log: Logger): void {
  for (const pair of pairs) {
    const fields = { certificate: pair.certFile, names: pair.names, notAfter: pair.notAfter };
    if (pair.notAfter <= now) log.warn(fields, 'a certificate has expired');
    else if (pair.notAfter.getTime() - now.getTime() < WARN_BEFORE_MS)
      log.warn(fields, 'a certificate is about to expire');
    if (pair.notBefore > now)
      log.warn({ ...fields, notBefore: pair.notBefore }, 'a certificate is not valid yet');
  }
}
