import { generateKeyPairSync } from 'node:crypto';
import forge from 'node-forge';

export interface Certificate {
  readonly key: string;
  readonly cert: string;
}

/** A certificate authority of our own, PEM; and what it signs. */
export class Authority {
  readonly cert: string;
  readonly #key: forge.pki.rsa.PrivateKey;
  readonly #name: forge.pki.CertificateField[];
  #serial = 1;

  constructor(name = 'Test Authority') {
    this.#name = [{ name: 'commonName', value: name }];
    const pair = keyPair();
    this.#key = pair.privateKey;
    this.cert = forge.pki.certificateToPem(
      this.#certificate(
        pair.publicKey,
        this.#name,
        [{ name: 'basicConstraints', cA: true, critical: true }],
        1,
      ),
    );
  }

  /** For these names; `days` until it ends, negative for one that has ended. */
  issue(names: readonly string[], days = 1): Certificate {
    const pair = keyPair();
    const altNames = names.map((value) => ({ type: 2, value }));
    const subject = [{ name: 'commonName', value: names[0] ?? 'nobody' }];
    const cert = this.#certificate(pair.publicKey, subject, [{ name: 'subjectAltName', altNames }], days);
    return { key: forge.pki.privateKeyToPem(pair.privateKey), cert: forge.pki.certificateToPem(cert) };
  }

  #certificate(
    publicKey: forge.pki.rsa.PublicKey,
    subject: forge.pki.CertificateField[],
    extensions: object[],
    days: number,
  ): forge.pki.Certificate {
    const cert = forge.pki.createCertificate();
    cert.publicKey = publicKey;
    cert.serialNumber = String(this.#serial++).padStart(2, '0');
    const day = 86_400_000;
    const now = Date.now();
    cert.validity.notBefore = new Date(now - 10 * day);
    cert.validity.notAfter = new Date(now + days * day);
    cert.setSubject(subject);
    cert.setIssuer(this.#name);
    cert.setExtensions(extensions);
    cert.sign(this.#key, forge.md.sha256.create());
    return cert;
  }
}

function keyPair(): { publicKey: forge.pki.rsa.PublicKey; privateKey: forge.pki.rsa.PrivateKey } {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
  });
  return {
    publicKey: forge.pki.publicKeyFromPem(publicKey) as forge.pki.rsa.PublicKey,
    privateKey: forge.pki.privateKeyFromPem(privateKey) as forge.pki.rsa.PrivateKey,
  };
}
