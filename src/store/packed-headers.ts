import type { Uid } from './store.ts';

/** Header blocks on their way from the store's thread: all in one buffer, because each one that moves costs its own work. */
export interface PackedHeaders {
  readonly uids: Uint32Array<ArrayBuffer>;
  readonly lengths: Uint32Array<ArrayBuffer>;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

interface Header {
  readonly uid: Uid;
  readonly header: Uint8Array;
}

export function packHeaders(headers: readonly Header[]): PackedHeaders {
  const uids = Uint32Array.from(headers, ({ uid }) => uid);
  const lengths = Uint32Array.from(headers, ({ header }) => header.length);
  const bytes = new Uint8Array(lengths.reduce((sum, length) => sum + length, 0));
  let at = 0;
  for (const { header } of headers) {
    bytes.set(header, at);
    at += header.length;
  }
  return { uids, lengths, bytes };
}

export function unpackHeaders({ uids, lengths, bytes }: PackedHeaders): Header[] {
  let at = 0;
  return Array.from(uids, (uid, index) => {
    const from = at;
    at += lengths[index] ?? 0;
    return { uid: uid as Uid, header: bytes.subarray(from, at) };
  });
}
