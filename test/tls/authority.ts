import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CertificateFiles } from '../../src/tls/key-pair.ts';
import { makeSelfSigned } from '../../src/tls/self-signed.ts';

/** Writes a certificate for `name` and its key into `dir`. */
export async function writeCertificate(
  dir: string,
  name: string,
  now: Date = new Date(),
): Promise<CertificateFiles> {
  const made = await makeSelfSigned(name, now);
  const files = { cert: join(dir, `${name}.crt`), key: join(dir, `${name}.key`) };
  writeFileSync(files.cert, made.cert);
  writeFileSync(files.key, made.key, { mode: 0o600 });
  return files;
}

export function anyKey(): string {
  return generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  }).privateKey;
}

/** P-256 for ec.example, self-signed, until 2126: made once, as nothing here signs with elliptic curves. */
export const EC_PAIR: { readonly cert: string; readonly key: string } = {
  cert: `-----BEGIN CERTIFICATE-----
MIIBpTCCAUygAwIBAgIUH6HM2lf2QgzCv8M4vfhBI/uybuswCgYIKoZIzj0EAwIw
FTETMBEGA1UEAwwKZWMuZXhhbXBsZTAgFw0yNjExMjIxMzUzNTBaGA8yMTI2MTAy
OTEzNTM1MFowFTETMBEGA1UEAwwKZWMuZXhhbXBsZTBZMBMGByqGSM49AgEGCCqG
SM49AwEHA0IABAE0LCV7bgmaIsNSCAdNYhlsywFegVt9DMOopj2UKgkA24xpq0c2
xAUOYpkP/aaXWrC3RChwr4L1Vssg9154tTijeDB2MB0GA1UdDgQWBBQIeotIDLVO
wxbZODebKH3V2s9e3TAfBgNVHSMEGDAWgBQIeotIDLVOwxbZODebKH3V2s9e3TAP
BgNVHRMBAf8EBTADAQH/MCMGA1UdEQQcMBqCCmVjLmV4YW1wbGWCDG1haW4uZXhh
bXBsZTAKBggqhkjOPQQDAgNHADBEAiAoJCQK316EthPOEPAMX3IanozgF5rNwtP8
e2fIswmeOwIgCtUpRXWawtREJWSjeRD6qep5EDcIE9NWom3Xopmql+o=
-----END CERTIFICATE-----
`,
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQggpVTmZj2hJgaeVf1
+t4CJ5PxVvxgS3jB8qbPIMWhi52hRANCAAQBNCwle24JmiLDUggHTWIZbMsBXoFb
fQzDqKY9lCoJANuMaatHNsQFDmKZD/2ml1qwt0QocK+C9VbLIPdeeLU4
-----END PRIVATE KEY-----
`,
};
