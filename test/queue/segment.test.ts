import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  FORMAT_VERSION,
  HEADER_SIZE,
  NewerFormat,
  RECORD_HEAD,
  readHeader,
  type SegmentHeader,
  type SegmentRecord,
  scanRecords,
  sealRecord,
  writeHeader,
} from '../../src/queue/segment.ts';

const HEADER: SegmentHeader = { number: 7, epoch: 0x5eed_1234, previousEnd: 4242 };
const payloads = fc.array(fc.uint8Array({ maxLength: 200 }), { minLength: 1, maxLength: 8 });

function build(bodies: readonly Uint8Array[], header: SegmentHeader = HEADER, room = 0): Buffer {
  const size = bodies.reduce((sum, body) => sum + RECORD_HEAD + body.length, HEADER_SIZE);
  const buffer = Buffer.alloc(size + room);
  writeHeader(buffer, header);
  let at = HEADER_SIZE;
  for (const body of bodies) {
    buffer.set(body, at + RECORD_HEAD);
    sealRecord(buffer, at, 1, body.length, header);
    at += RECORD_HEAD + body.length;
  }
  return buffer;
}

function scan(buffer: Buffer, header: SegmentHeader = HEADER): { records: SegmentRecord[]; damage: number } {
  let damage = 0;
  const records = [...scanRecords(buffer, HEADER_SIZE, header, () => damage++)];
  return { records, damage };
}

const same = (record: SegmentRecord, body: Uint8Array): boolean => record.payload.equals(body);

test('what is written is read', () => {
  fc.assert(
    fc.property(payloads, (bodies) => {
      const buffer = build(bodies, HEADER, 500);
      expect(readHeader(buffer)).toEqual(HEADER);
      const { records, damage } = scan(buffer);
      expect(damage).toBe(0);
      expect(records.map(({ payload }) => [...payload])).toEqual(bodies.map((body) => [...body]));
    }),
  );
});

test('torn at every byte, exactly the whole records before the tear are read', () => {
  const bodies = [Buffer.from('first'), Buffer.alloc(70, 'b'), Buffer.alloc(0), Buffer.from('last')];
  const whole = build(bodies);
  for (let cut = HEADER_SIZE; cut <= whole.length; cut++) {
    const torn = Buffer.concat([whole.subarray(0, cut), Buffer.alloc(whole.length - cut)]);
    const { records } = scan(torn);
    // A byte that was zero anyway is no loss.
    const expected = scan(whole).records.filter((record) =>
      torn.subarray(0, record.end).equals(whole.subarray(0, record.end)),
    );
    expect(records.length).toBe(expected.length);
    for (const [index, record] of records.entries())
      expect(same(record, bodies[index] ?? Buffer.alloc(0))).toBe(true);
  }
});

test('a flipped bit never makes a wrong record, and the records around it are still read', () => {
  fc.assert(
    fc.property(payloads, fc.nat(), fc.integer({ min: 0, max: 7 }), (bodies, where, bit) => {
      const buffer = build(bodies);
      const at = HEADER_SIZE + (where % (buffer.length - HEADER_SIZE));
      buffer[at] = (buffer[at] ?? 0) ^ (1 << bit);
      const { records } = scan(buffer);
      expect(records.length).toBeGreaterThanOrEqual(bodies.length - 1);
      for (const record of records) expect(bodies.some((body) => same(record, body))).toBe(true);
      expect(records.length).toBeLessThan(bodies.length);
    }),
  );
});

test('records of an earlier life of the file do not count', () => {
  const old = build([Buffer.alloc(30, 'o'), Buffer.alloc(30, 'o'), Buffer.alloc(30, 'o')], {
    ...HEADER,
    number: 3,
    epoch: 99,
  });
  const fresh = build([Buffer.from('new')]);
  fresh.copy(old);
  expect(scan(old).records.map(({ payload }) => payload.toString())).toEqual(['new']);
});

test('even with the same epoch, a record of another segment number does not count', () => {
  const buffer = build([Buffer.from('x')]);
  expect(scan(buffer, { ...HEADER, number: 8 }).records).toEqual([]);
});

test('a message that carries the bytes of a record of ours does not smuggle it in', () => {
  const inner = build([Buffer.from('smuggled')], { ...HEADER, number: 6 }).subarray(HEADER_SIZE);
  const { records } = scan(build([inner]));
  expect(records).toHaveLength(1);
});

test('a damaged stretch is told of once, with records behind it', () => {
  const bodies = [Buffer.from('one'), Buffer.from('two'), Buffer.from('three')];
  const buffer = build(bodies);
  buffer.fill(0xff, HEADER_SIZE + RECORD_HEAD + 3, HEADER_SIZE + 2 * RECORD_HEAD + 5);
  const { records, damage } = scan(buffer);
  expect(records.map(({ payload }) => payload.toString())).toEqual(['one', 'three']);
  expect(damage).toBe(1);
});

test('any bytes at all are no header, or one, but never an error', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void readHeader(Buffer.from(bytes))));
});

test('a header of a newer format is refused with both numbers', () => {
  const buffer = build([]);
  buffer.writeUInt32LE(FORMAT_VERSION + 1, 8);
  // The CRC's place is the same in every version.
  writeCrc(buffer);
  expect(() => readHeader(buffer)).toThrow(NewerFormat);
  expect(() => readHeader(buffer)).toThrow(/format 2.*newer version of Facteur.*up to 1/);
});

function writeCrc(buffer: Buffer): void {
  const fresh = Buffer.alloc(HEADER_SIZE);
  writeHeader(fresh, HEADER);
  const { crc32 } = process.getBuiltinModule('node:zlib');
  buffer.writeUInt32LE(crc32(buffer.subarray(0, 32)), 32);
}
