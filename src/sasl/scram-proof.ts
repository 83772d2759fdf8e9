import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

/** What SCRAM is made with: SHA-1 (RFC 5802) or SHA-256 (RFC 7677). */
export type ScramHash = 'sha1' | 'sha256';

/**
 * The arithmetic of RFC 5802 3 on the server's side: ClientKey := ClientProof XOR HMAC(StoredKey, AuthMessage), and its
 * hash must be StoredKey.
 * @returns ServerSignature when the proof is right.
 */
export function checkProof(
  hash: ScramHash,
  keys: { readonly storedKey: Uint8Array; readonly serverKey: Uint8Array },
  authMessage: string,
  proof: Uint8Array,
): Buffer | undefined {
  const signature = hmac(hash, keys.storedKey, authMessage);
  const clientKey = Uint8Array.from(signature, (byte, i) => byte ^ (proof[i] ?? 0));
  const stored = createHash(hash).update(clientKey).digest();
  // Computed in any case: the time is the same for right and wrong.
  const serverSignature = hmac(hash, keys.serverKey, authMessage);
  return stored.length === proof.length && timingSafeEqual(stored, keys.storedKey)
    ? serverSignature
    : undefined;
}

function hmac(hash: ScramHash, key: Uint8Array, text: string): Buffer {
  return createHmac(hash, key).update(text).digest();
}
