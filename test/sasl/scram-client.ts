import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';

/** A client of SCRAM, written from RFC 5802 alone. */
export function scramClient(of: {
  readonly hash: 'sha1' | 'sha256';
  readonly login: string;
  readonly password: string;
  /** `n,,`, `p=tls-exporter,,`. */
  readonly gs2: string;
  readonly binding?: Uint8Array;
}): { readonly first: string; final(serverFirst: string): { text: string; signature: string } } {
  const bare = `n=${of.login},r=${randomBytes(18).toString('base64')}`;
  const hmac = (key: Uint8Array, text: string): Buffer => createHmac(of.hash, key).update(text).digest();
  return {
    first: of.gs2 + bare,
    final(serverFirst) {
      const [, nonce = '', salt = '', iterations = ''] =
        /^r=([^,]+),s=([^,]+),i=(\d+)$/.exec(serverFirst) ?? [];
      const size = of.hash === 'sha1' ? 20 : 32;
      const salted = pbkdf2Sync(of.password, Buffer.from(salt, 'base64'), Number(iterations), size, of.hash);
      const clientKey = hmac(salted, 'Client Key');
      const channel = Buffer.concat([Buffer.from(of.gs2), of.binding ?? Buffer.alloc(0)]);
      const withoutProof = `c=${channel.toString('base64')},r=${nonce}`;
      const authMessage = `${bare},${serverFirst},${withoutProof}`;
      const signature = hmac(createHash(of.hash).update(clientKey).digest(), authMessage);
      const proof = Buffer.from(clientKey.map((byte, i) => byte ^ (signature[i] ?? 0)));
      return {
        text: `${withoutProof},p=${proof.toString('base64')}`,
        signature: `v=${hmac(hmac(salted, 'Server Key'), authMessage).toString('base64')}`,
      };
    },
  };
}
