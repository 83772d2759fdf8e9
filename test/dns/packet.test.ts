import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeResponse, encodeQuery, PacketError } from '../../src/dns/packet.ts';
import { reverseName } from '../../src/dns/reverse-name.ts';

const HEADER = '1234 8180 0001 0001 0000 0000';
const QUESTION = '07 6578616d706c65 04 74657374 00 0001 0001';

function packet(...hex: string[]): Buffer {
  return Buffer.from(hex.join('').replace(/\s/g, ''), 'hex');
}

test('a query asks one recursive question with EDNS (RFC 1035 4.1, RFC 6891 6.1.2)', () => {
  const query = encodeQuery(0xabcd, { name: 'example.test', type: 'mx' }, 'edns');
  expect(query.toString('hex')).toBe(
    packet(
      'abcd 0120 0001 0000 0000 0001',
      '07 6578616d706c65 04 74657374 00 000f 0001',
      '00 0029 04d0 00000000 0000',
    ).toString('hex'),
  );
});

test.each([
  ['an empty label', 'a..test'],
  ['a label of 64 octets', `${'a'.repeat(64)}.test`],
  ['a name of 256 octets', Array<string>(64).fill('abc').join('.')],
  ['a space', 'a b.test'],
  ['a letter that is not ASCII', 'é.test'],
])('%s cannot be asked for (RFC 1035 2.3.4)', (_, name) => {
  expect(() => encodeQuery(1, { name, type: 'a' }, 'plain')).toThrow(PacketError);
});

test('names are decompressed and lower case (RFC 1035 4.1.4)', () => {
  const response = decodeResponse(
    packet(HEADER, QUESTION, 'c00c 000f 0001 0000003c 0009 000a 04 4d583031 c00c'),
  );
  expect(response).toMatchObject({ id: 0x1234, rcode: 0, question: { name: 'example.test', type: 1 } });
  expect(response.answers).toEqual([
    { name: 'example.test', ttl: 60, data: { type: 'mx', preference: 10, exchange: 'mx01.example.test' } },
  ]);
});

describe('IPv6 addresses are written as RFC 5952 wants', () => {
  test.each([
    ['20010db8000000000000000000000001', '2001:db8::1'],
    ['00000000000000000000000000000000', '::'],
    ['00000000000000000000000000000001', '::1'],
    ['20010db8000000010000000000000001', '2001:db8:0:1::1'],
    ['20010db8000100010001000100010001', '2001:db8:1:1:1:1:1:1'],
    ['20010db8000000010001000100010001', '2001:db8:0:1:1:1:1:1'],
    ['20010db8000100010001000100000000', '2001:db8:1:1:1:1::'],
    ['20010db8000000000001000000000001', '2001:db8::1:0:0:1'],
  ])('%s', (hex, text) => {
    const { answers } = decodeResponse(packet(HEADER, QUESTION, 'c00c 001c 0001 00000001 0010', hex));
    expect(answers[0]?.data).toEqual({ type: 'aaaa', address: text });
  });
});

test('a TTL with the top bit set is zero (RFC 2181 8)', () => {
  const { answers } = decodeResponse(packet(HEADER, QUESTION, 'c00c 0001 0001 80000001 0004 7f000001'));
  expect(answers[0]?.ttl).toBe(0);
});

test.each([
  ['a query', packet('1234 0100 0000 0000 0000 0000')],
  ['a pointer to itself', packet(HEADER, 'c00c 0001 0001')],
  ['a pointer ahead', packet(HEADER, 'c0ff 0001 0001')],
  ['pointers in a circle', packet(HEADER, '01 61 c00c 0001 0001')],
  [
    'a record that is longer than its data',
    packet(HEADER, QUESTION, 'c00c 000f 0001 0000003c 0005 000a c00c 00'),
  ],
  ['a record cut short', packet(HEADER, QUESTION, 'c00c 0001 0001 0000003c 0004 7f00')],
  ['a label of an unknown kind', packet(HEADER, '81 61 00 0001 0001')],
])('%s is refused', (_, bytes) => {
  expect(() => decodeResponse(bytes)).toThrow(PacketError);
});

test('any bytes are a response or a PacketError', () => {
  const tail = fc.uint8Array({ maxLength: 200 });
  fc.assert(
    fc.property(tail, fc.boolean(), (bytes, headed) => {
      const input = headed ? Buffer.concat([packet(HEADER, QUESTION), bytes]) : Buffer.from(bytes);
      try {
        decodeResponse(input);
      } catch (error) {
        expect(error).toBeInstanceOf(PacketError);
      }
    }),
    { numRuns: 3000 },
  );
});

test('any name is a query or a PacketError', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (name) => {
      try {
        encodeQuery(1, { name, type: 'txt' }, 'plain');
      } catch (error) {
        expect(error).toBeInstanceOf(PacketError);
      }
    }),
  );
});

test.each([
  ['192.0.2.1', '1.2.0.192.in-addr.arpa'],
  ['::ffff:192.0.2.1', '1.2.0.192.in-addr.arpa'],
  ['2001:db8::567:89ab', 'b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa'],
  ['::', '0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa'],
  ['64:ff9b::192.0.2.1', '1.0.2.0.0.0.0.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.b.9.f.f.4.6.0.0.ip6.arpa'],
  ['nonsense', undefined],
])('the reverse name of %s (RFC 1035 3.5, RFC 3596 2.5)', (ip, name) => {
  expect(reverseName(ip)).toBe(name);
});
