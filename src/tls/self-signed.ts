import { createPrivateKey, generateKeyPair, randomBytes, X509Certificate } from 'node:crypto';
import { mkdir, open, readFile, rename, unlink } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { domainToASCII } from 'node:url';
import { promisify } from 'node:util';
import forge from 'node-forge';
import { type CertificateFiles, certificateNames } from './key-pair.ts';

/**
 * The certificate of a server that was given none: made at first start, kept in the data directory so that people who
 * have accepted it once are not asked again, made anew when it is about to expire or the host has another name.
 */

/** Apple's systems trust no server certificate that is valid for longer. */
const VALID_DAYS = 825;
const RENEW_DAYS = 30;
const DAY_MS = 86_400_000;
/** Clocks of clients may be slow. */
const BACKDATE_MS = DAY_MS;

const generate = promisify(generateKeyPair);

/** When a certificate that we made must be made again. */
export function isDue(notAfter: Date, now: Date): boolean {
  return notAfter.getTime() - now.getTime() < RENEW_DAYS * DAY_MS;
}

/** The files of a self-signed certificate for `hostname` in `<dataDir>/tls/`, made where they are missing or no use. */
export async function selfSignedFiles(
  dataDir: string,
  hostname: string,
  now: Date,
): Promise<CertificateFiles & { readonly isNew: boolean }> {
  const dir = join(dataDir, 'tls');
  const files = { cert: join(dir, 'self-signed.crt'), key: join(dir, 'self-signed.key') };
  const name = asciiHost(hostname);
  if (await isUsable(files, name, now)) return { ...files, isNew: false };
  const made = await makeSelfSigned(name, now);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  // A crash between the two leaves a pair that does not match, which the next start finds and makes anew.
  await writeDurably(files.key, made.key, 0o600);
  await writeDurably(files.cert, made.cert, 0o644);
  await syncDirectory(dir);
  return { ...files, isNew: true };
}

/** A host name as certificates have it: A-labels (RFC 5280 7.2). */
function asciiHost(hostname: string): string {
  if (isIP(hostname)) return hostname;
  return (domainToASCII(hostname) || hostname).toLowerCase();
}

async function isUsable(files: CertificateFiles, name: string, now: Date): Promise<boolean> {
  try {
    const certificate = new X509Certificate(await readFile(files.cert));
    return (
      certificate.checkPrivateKey(createPrivateKey(await readFile(files.key))) &&
      !isDue(new Date(certificate.validTo), now) &&
      (isIP(name) ? certificate.checkIP(name) !== undefined : certificateNames(certificate)[0] === name)
    );
  } catch {
    // Missing, damaged or of another name: it is ours, so it can simply be made again.
    return false;
  }
}

/** A certificate in PEM for `name`, and for this machine under its own names. */
export async function makeSelfSigned(name: string, now: Date): Promise<{ cert: string; key: string }> {
  const { publicKey, privateKey } = await generate('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = forge.pki.publicKeyFromPem(publicKey);
  certificate.serialNumber = serialNumber();
  certificate.validity.notBefore = new Date(now.getTime() - BACKDATE_MS);
  certificate.validity.notAfter = new Date(now.getTime() - BACKDATE_MS + VALID_DAYS * DAY_MS);
  // A common name has at most 64 characters (RFC 5280 A.1); nobody reads it where there are alternative names.
  const subject = [{ name: 'commonName', value: name.length <= 64 ? name : 'Facteur' }];
  certificate.setSubject(subject);
  certificate.setIssuer(subject);
  certificate.setExtensions([
    { name: 'basicConstraints', cA: false, critical: true },
    { name: 'keyUsage', digitalSignature: true, keyEncipherment: true, critical: true },
    { name: 'extKeyUsage', serverAuth: true },
    { name: 'subjectKeyIdentifier' },
    { name: 'subjectAltName', altNames: alternativeNames(name) },
  ]);
  certificate.sign(forge.pki.privateKeyFromPem(privateKey), forge.md.sha256.create());
  return { cert: forge.pki.certificateToPem(certificate), key: privateKey };
}

/** Positive and at most 20 octets (RFC 5280 4.1.2.2). */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('hex');
}

type AlternativeName =
  | { readonly type: 2; readonly value: string }
  | { readonly type: 7; readonly ip: string };

function alternativeNames(name: string): AlternativeName[] {
  const own: AlternativeName = isIP(name) ? { type: 7, ip: name } : { type: 2, value: name };
  const local: AlternativeName[] = [
    { type: 2, value: 'localhost' },
    { type: 7, ip: '127.0.0.1' },
    { type: 7, ip: '::1' },
  ];
  return [own, ...local.filter((other) => !('value' in other && other.value === name))];
}

/** Written beside, synced, renamed: never half a file, and never a key that others could read for a moment. */
async function writeDurably(path: string, text: string, mode: number): Promise<void> {
  const temporary = `${path}.new`;
  await unlink(temporary).catch(() => {});
  const file = await open(temporary, 'wx', mode);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
