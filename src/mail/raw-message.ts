import { type Piece, pieceSize, readPieces } from '../lib/pieces.ts';

/** The bytes of one RFC 5322 message, CRLF line ends, readable as often as needed: never a one-shot stream. */
export interface RawMessage {
  readonly size: number;
  /** Where the bytes are, so that another thread can read them itself. */
  readonly pieces: readonly Piece[];
  read(range?: { readonly start: number; readonly end: number }): AsyncIterable<Uint8Array>;
}

export function rawMessage(pieces: readonly Piece[]): RawMessage {
  const size = pieces.reduce((sum, piece) => sum + pieceSize(piece), 0);
  return { size, pieces, read: (range) => readPieces(pieces, range) };
}
