import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { TlsError } from './errors.ts';

/** A certificate (with its chain) and its key, read from files and known to fit together. */
export interface KeyPair {
  /** PEM: the certificate, then its chain. */
  readonly cert: string;
  readonly key: string;
  /** `rsa`, `ec`: a server may have one of each for the same names. */
  readonly keyType: string;
  /** Lower case, from the certificate unless given; `*.example.org` stands for one label. */
  readonly names: readonly string[];
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** Of the certificate, as `openssl x509 -fingerprint -sha256` prints it. */
  readonly fingerprint: string;
  readonly subject: string;
  readonly selfSigned: boolean;
  readonly certFile: string;
  /** Anybody on the machine may read the key. */
  readonly keyIsPublic: boolean;
}

export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
  /** Instead of the names in the certificate. */
  readonly names?: readonly string[] | null;
}

/**
 * Reads and checks a certificate and its key. Whether it is valid now is not looked at: an expired certificate still
 * encrypts, and is no reason for the mail to stop.
 * @throws TlsError
 */
export async function readKeyPair(files: CertificateFiles): Promise<KeyPair> {
  // One after the other: of two problems the same one is always told.
  const cert = await readText(files.cert, 'certificate');
  const key = await readText(files.key, 'key');
  const certificate = parseCertificate(cert, files.cert);
  const privateKey = parseKey(key, files.key);
  if (!certificate.checkPrivateKey(privateKey))
    throw new TlsError(
      'mismatch',
      `the key ${files.key} does not belong to the certificate ${files.cert}` +
        ' (the server’s own certificate must come first in the file, its chain after it)',
    );
  return {
    cert,
    key,
    keyType: privateKey.asymmetricKeyType ?? 'unknown',
    names: (files.names ?? certificateNames(certificate)).map((name) => name.toLowerCase()),
    notBefore: new Date(certificate.validFrom),
    notAfter: new Date(certificate.validTo),
    fingerprint: certificate.fingerprint256,
    subject: certificate.subject,
    selfSigned: certificate.subject === certificate.issuer,
    certFile: files.cert,
    keyIsPublic: ((await stat(files.key)).mode & 0o004) !== 0,
  };
}

/** The DNS names of a certificate; its common name only where it has none (RFC 9525 2). */
export function certificateNames(certificate: X509Certificate): string[] {
  // Node quotes an entry that contains a comma, so that none can pass for several; such are no host names.
  const entries = (certificate.subjectAltName ?? '').split(', ');
  const names = entries.flatMap((entry) => (entry.startsWith('DNS:') ? [entry.slice(4)] : []));
  if (names.length > 0) return names;
  const common = /^CN=(.+)$/m.exec(certificate.subject)?.[1];
  return common === undefined ? [] : [common];
}

async function readText(path: string, what: string): Promise<string> {
  try {
    return await readFile(path, 'latin1');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT')
      throw new TlsError('missing-file', `the ${what} file ${path} does not exist`, error);
    if (code === 'EACCES')
      throw new TlsError(
        'unreadable',
        `no permission to read the ${what} file ${path}: let the user who runs facteur read it`,
        error,
      );
    const reason = error instanceof Error ? error.message : String(error);
    throw new TlsError('unreadable', `the ${what} file ${path} cannot be read: ${reason}`, error);
  }
}

function parseCertificate(pem: string, path: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (error) {
    throw new TlsError('bad-certificate', `${path} holds no certificate in PEM form`, error);
  }
}

function parseKey(pem: string, path: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (error) {
    const encrypted = /-----BEGIN ENCRYPTED|^Proc-Type: 4,ENCRYPTED/m.test(pem);
    throw new TlsError(
      'bad-key',
      encrypted
        ? `the key ${path} is protected by a passphrase: remove it (openssl pkey -in ${path} -out …)`
        : `${path} holds no private key in PEM form`,
      error,
    );
  }
}
