import { generateKeyPairSync } from 'node:crypto';
import forge from 'node-forge';

/** An authority that signs the certificates of users, as one in a company would. */
export interface Authority {
  readonly pem: string;
  issue(wish: ClientWish): ClientPair;
}

export interface ClientWish {
  readonly commonName?: string;
  /** `emailAddress` of the subject. */
  readonly subjectEmail?: string;
  readonly emails?: readonly string[];
  readonly dnsNames?: readonly string[];
  readonly notAfter?: Date;
  /** Only for servers, then. */
  readonly usage?: 'clientAuth' | 'serverAuth';
}

export interface ClientPair {
  readonly cert: string;
  readonly key: string;
}

type Keys = forge.pki.rsa.KeyPair;

/** One for all clients: making them is what takes time. */
const clientKeys = makeKeys();
let serial = 1;

/** By OpenSSL: node-forge takes seconds. */
function makeKeys(): Keys {
  const { privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const own = forge.pki.privateKeyFromPem(privateKey);
  return { privateKey: own, publicKey: forge.pki.setRsaPublicKey(own.n, own.e) };
}

export function authority(name: string): Authority {
  const subject = [{ name: 'commonName', value: name }];
  const keys = makeKeys();
  const certificate = blank(new Date(Date.now() + 86_400_000), keys);
  certificate.setSubject(subject);
  certificate.setIssuer(subject);
  certificate.setExtensions([
    { name: 'basicConstraints', cA: true, critical: true },
    { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
  ]);
  certificate.sign(keys.privateKey, forge.md.sha256.create());
  return {
    pem: forge.pki.certificateToPem(certificate),
    issue: (wish) => issue(wish, subject, keys),
  };
}

function issue(wish: ClientWish, issuer: forge.pki.CertificateField[], keys: Keys): ClientPair {
  const { commonName, subjectEmail, emails = [], dnsNames = [], usage = 'clientAuth' } = wish;
  const certificate = blank(wish.notAfter ?? new Date(Date.now() + 3_600_000), clientKeys);
  certificate.setSubject([
    { name: 'organizationName', value: 'Example' },
    ...(commonName === undefined ? [] : [{ name: 'commonName', value: commonName }]),
    ...(subjectEmail === undefined ? [] : [{ name: 'emailAddress', value: subjectEmail }]),
  ]);
  certificate.setIssuer(issuer);
  // rfc822Name is 1, dNSName 2 (RFC 5280 4.2.1.6).
  const altNames = [
    ...dnsNames.map((value) => ({ type: 2, value })),
    ...emails.map((value) => ({ type: 1, value })),
  ];
  certificate.setExtensions([
    { name: 'basicConstraints', cA: false },
    { name: 'extKeyUsage', [usage]: true },
    ...(altNames.length > 0 ? [{ name: 'subjectAltName', altNames }] : []),
  ]);
  certificate.sign(keys.privateKey, forge.md.sha256.create());
  return {
    cert: forge.pki.certificateToPem(certificate),
    key: forge.pki.privateKeyToPem(clientKeys.privateKey),
  };
}

function blank(notAfter: Date, keys: Keys): forge.pki.Certificate {
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = keys.publicKey;
  certificate.serialNumber = `01${(serial++).toString(16).padStart(6, '0')}`;
  certificate.validity.notBefore = new Date(Math.min(Date.now(), notAfter.getTime()) - 3_600_000);
  certificate.validity.notAfter = notAfter;
  return certificate;
}
