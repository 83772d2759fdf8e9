import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

/**
 * The arithmetic of RFC 5802 3 on the server's side: ClientKey := ClientProof XOR HMAC(StoredKey, AuthMessage), and its
 * hash must be StoredKey.
 * @returns ServerSignature when the proof is right.
 */
export function checkProof(
  keys: { readonly storedKey: Uint8Array; readonly serverKey: Uint8Array },
  authMessage: string,
  proof: Uint8Array,
): Buffer | undefined {
  const signature = hmac(keys.storedKey, authMessage);
  const clientKey = Uint8Array.from(signature, (byte, i) => byte ^ (proof[i] ?? 0));
  const stored = createHash('sha256').update(clientKey).digest();
  // Computed in any case: the time is the same for right and wrong.
  const serverSignature = hmac(keys.serverKey, authMessage);
  return timingSafeEqual(stored, keys.storedKey) ? serverSignature : undefined;
}

function hmac(key: Uint8Array, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
