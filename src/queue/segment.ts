import { crc32 } from 'node:zlib';

/**
 * The bytes of a journal segment: a header, then records one after the other. Pure.
 *
 * A record counts only when its epoch is the header's and its CRC, seeded with the segment's number, is right: what a
 * recycled file still holds of an earlier life is never taken for a record. A damaged stretch is passed over, what
 * stands behind it is still found.
 *
 * header: magic(8) version(4) epoch(4) number(8) previousEnd(8) crc(4), padded with zeros
 * record: epoch(4) length(4) type(4) crc(4) payload(length)     all little-endian
 */
export interface SegmentHeader {
  /** Segments are numbered from 1, never twice. */
  readonly number: number;
  /** Random, never 0: marks this life of the file. */
  readonly epoch: number;
  /** Where the segment before this one ended: what stands behind was never acknowledged. */
  readonly previousEnd: number;
}

export interface SegmentRecord {
  readonly type: number;
  readonly payload: Buffer;
  /** Offset of the record in its segment. */
  readonly start: number;
  readonly end: number;
}

export const HEADER_SIZE = 64;
export const RECORD_HEAD = 16;
export const FORMAT_VERSION = 1;

const MAGIC = Buffer.from('FACTEURQ', 'latin1');
const CRC_AT = 32;

/** The queue was written by a later version of this program: nothing is touched. */
export class NewerFormat extends Error {
  override readonly name = 'NewerFormat';

  constructor(what: string, found: number, known: number) {
    super(
      `the ${what} has format ${found}, written by a newer version of Facteur; this one knows formats up to ${known}`,
    );
  }
}

/** Fills the first HEADER_SIZE bytes of `buffer`. */
export function writeHeader(buffer: Buffer, header: SegmentHeader): void {
  buffer.fill(0, 0, HEADER_SIZE);
  MAGIC.copy(buffer);
  buffer.writeUInt32LE(FORMAT_VERSION, 8);
  buffer.writeUInt32LE(header.epoch, 12);
  buffer.writeBigUInt64LE(BigInt(header.number), 16);
  buffer.writeBigUInt64LE(BigInt(header.previousEnd), 24);
  buffer.writeUInt32LE(crc32(buffer.subarray(0, CRC_AT)), CRC_AT);
}

/**
 * @returns undefined when there is none: a prepared file that was never used, or one whose first write was cut.
 * @throws NewerFormat
 */
export function readHeader(buffer: Buffer): SegmentHeader | undefined {
  if (buffer.length < HEADER_SIZE || !buffer.subarray(0, MAGIC.length).equals(MAGIC)) return undefined;
  if (crc32(buffer.subarray(0, CRC_AT)) !== buffer.readUInt32LE(CRC_AT)) return undefined;
  const version = buffer.readUInt32LE(8);
  if (version > FORMAT_VERSION) throw new NewerFormat('queue journal', version, FORMAT_VERSION);
  return {
    epoch: buffer.readUInt32LE(12),
    number: Number(buffer.readBigUInt64LE(16)),
    previousEnd: Number(buffer.readBigUInt64LE(24)),
  };
}

/** Completes a record whose payload already stands in `buffer` behind the RECORD_HEAD bytes at `start`. */
export function sealRecord(
  buffer: Buffer,
  start: number,
  type: number,
  length: number,
  segment: SegmentHeader,
): void {
  buffer.writeUInt32LE(segment.epoch, start);
  buffer.writeUInt32LE(length, start + 4);
  buffer.writeUInt32LE(type, start + 8);
  buffer.writeUInt32LE(checksum(buffer, start, length, segment), start + 12);
}

/** The record at `start`, or undefined when no whole, undamaged record of this segment's life begins there. */
export function readRecord(buffer: Buffer, start: number, segment: SegmentHeader): SegmentRecord | undefined {
  if (start + RECORD_HEAD > buffer.length || buffer.readUInt32LE(start) !== segment.epoch) return undefined;
  const length = buffer.readUInt32LE(start + 4);
  const end = start + RECORD_HEAD + length;
  if (end > buffer.length || checksum(buffer, start, length, segment) !== buffer.readUInt32LE(start + 12))
    return undefined;
  return {
    type: buffer.readUInt32LE(start + 8),
    payload: buffer.subarray(start + RECORD_HEAD, end),
    start,
    end,
  };
}

/**
 * All records of a segment's bytes from `start` on, in order. Behind bytes that are no record the search goes on at
 * the next occurrence of the epoch: nobody outside knows it, so a message cannot carry records into our journal.
 * @param damaged told of each stretch that was passed over between two records
 */
export function* scanRecords(
  buffer: Buffer,
  start: number,
  segment: SegmentHeader,
  damaged: (start: number, end: number) => void,
): Generator<SegmentRecord> {
  const epoch = Buffer.alloc(4);
  epoch.writeUInt32LE(segment.epoch);
  let at = start;
  let good = start;
  while (at >= 0) {
    const record = readRecord(buffer, at, segment);
    if (!record) {
      at = buffer.indexOf(epoch, at + 1);
      continue;
    }
    if (record.start > good) damaged(good, record.start);
    yield record;
    at = good = record.end;
  }
}

function checksum(buffer: Buffer, start: number, length: number, segment: SegmentHeader): number {
  const head = crc32(buffer.subarray(start, start + 12), segment.number % 0x1_0000_0000);
  return crc32(buffer.subarray(start + RECORD_HEAD, start + RECORD_HEAD + length), head);
}
