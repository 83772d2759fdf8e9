import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type ProxyHeader, ProxyProtocolError, parseProxyHeader } from '../../src/net/proxy-protocol.ts';

const text = (line: string): Buffer => Buffer.from(line, 'latin1');
const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');

function v2(command: number, family: number, body: Buffer): Buffer {
  const head = Buffer.from([0x20 | command, family, body.length >> 8, body.length & 0xff]);
  return Buffer.concat([SIGNATURE, head, body]);
}

const IPV4_BODY = Buffer.from([192, 0, 2, 1, 198, 51, 100, 2, 0xdd, 0xd5, 0, 25]);

test('version 1, TCP4 (section 2.1)', () => {
  expect(parseProxyHeader(text('PROXY TCP4 192.0.2.1 198.51.100.2 56789 25\r\nEHLO x\r\n'))).toEqual({
    is: 'header',
    addresses: { ip: '192.0.2.1', port: 56_789, localIp: '198.51.100.2', localPort: 25 },
    length: 44,
  });
});

test('version 1, TCP6 at its longest: 104 octets', () => {
  const ip = 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff';
  const header = text(`PROXY TCP6 ${ip} ${ip} 65535 65535\r\n`);
  expect(parseProxyHeader(header)).toMatchObject({ addresses: { ip, port: 65_535 }, length: 104 });
});

test('version 1, UNKNOWN with whatever follows: the addresses of the socket count', () => {
  for (const line of ['PROXY UNKNOWN\r\n', 'PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n'])
    expect(parseProxyHeader(text(line))).toEqual({ is: 'header', addresses: null, length: line.length });
});

test.each([
  'EHLO client.example\r\n',
  'PROXY TCP4 192.0.2.1 198.51.100.2 56789\r\n',
  'PROXY TCP4 192.0.2.1 198.51.100.2 56789 25 x\r\n',
  'PROXY TCP4 192.0.2.1  198.51.100.2 56789 25\r\n',
  'PROXY TCP4 ::1 ::1 1 2\r\n',
  'PROXY TCP6 192.0.2.1 192.0.2.1 1 2\r\n',
  'PROXY TCP4 192.0.2.1 198.51.100.2 65536 25\r\n',
  'PROXY TCP4 192.0.2.1 198.51.100.2 025 25\r\n',
  'PROXY UDP4 192.0.2.1 198.51.100.2 1 2\r\n',
  'proxy TCP4 192.0.2.1 198.51.100.2 1 2\r\n',
  `PROXY UNKNOWN ${'x'.repeat(100)}\r\n`,
])('%j is refused', (line) => expect(() => parseProxyHeader(text(line))).toThrow(ProxyProtocolError));

test('version 2, TCP over IPv4, with TLVs that are skipped (section 2.2)', () => {
  const header = v2(1, 0x11, Buffer.concat([IPV4_BODY, Buffer.from([0x04, 0, 1, 0xff])]));
  expect(parseProxyHeader(Buffer.concat([header, text('EHLO x\r\n')]))).toEqual({
    is: 'header',
    addresses: { ip: '192.0.2.1', port: 0xddd5, localIp: '198.51.100.2', localPort: 25 },
    length: 32,
  });
});

test.each([
  ['20010db8000000000000000000000001', '2001:db8::1'],
  ['00000000000000000000000000000000', '::'],
  ['00000000000000000000ffffc0000201', '192.0.2.1'],
  ['20010db8000000010001000100010001', '2001:db8:0:1:1:1:1:1'],
  ['20010db8000000000001000000000000', '2001:db8:0:0:1::'],
  ['fe800000000000000000000000000000', 'fe80::'],
])('version 2, TCP over IPv6: %s is %s', (hex, ip) => {
  const body = Buffer.concat([Buffer.from(hex, 'hex'), Buffer.alloc(15), Buffer.from([1, 0, 1, 0, 143])]);
  expect(parseProxyHeader(v2(1, 0x21, body))).toMatchObject({
    addresses: { ip, port: 1, localIp: '::1', localPort: 143 },
  });
});

test('version 2, LOCAL, UNSPEC and Unix sockets: the addresses of the socket count', () => {
  for (const header of [
    v2(0, 0, Buffer.alloc(0)),
    v2(0, 0x11, IPV4_BODY),
    v2(1, 0, Buffer.alloc(0)),
    v2(1, 0x31, Buffer.alloc(216)),
  ])
    expect(parseProxyHeader(header)).toEqual({ is: 'header', addresses: null, length: header.length });
});

test('version 2: other versions, other commands, missing addresses and too much are refused', () => {
  const bad = [
    Buffer.concat([SIGNATURE, Buffer.from([0x11, 0x11, 0, 0])]),
    v2(2, 0x11, IPV4_BODY),
    v2(1, 0x11, IPV4_BODY.subarray(0, 11)),
    v2(1, 0x21, IPV4_BODY),
    Buffer.concat([SIGNATURE, Buffer.from([0x21, 0x11, 0xff, 0xff])]),
  ];
  for (const header of bad) expect(() => parseProxyHeader(header)).toThrow(ProxyProtocolError);
});

test('any prefix of a header is incomplete, and what follows changes nothing', () => {
  const headers = [
    text('PROXY TCP4 192.0.2.1 198.51.100.2 56789 25\r\n'),
    text('PROXY UNKNOWN\r\n'),
    v2(1, 0x11, Buffer.concat([IPV4_BODY, Buffer.alloc(40)])),
  ];
  for (const header of headers) {
    for (let length = 0; length < header.length; length++)
      expect(parseProxyHeader(header.subarray(0, length))).toEqual({ is: 'incomplete' });
    const whole = parseProxyHeader(header);
    expect(parseProxyHeader(Buffer.concat([header, text('\r\nPROXY x')]))).toEqual(whole);
  }
});

test('whatever arrives, it is a header, incomplete or a ProxyProtocolError, and never unbounded', () => {
  const anything = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.string({ maxLength: 200 }).map((s) => text(`PROXY ${s}`)),
    fc
      .tuple(fc.nat(255), fc.nat(255), fc.uint8Array({ maxLength: 300 }))
      .map(([a, b, rest]) => Buffer.concat([SIGNATURE, Buffer.from([a, b]), rest])),
  );
  fc.assert(
    fc.property(anything, (bytes) => {
      let header: ProxyHeader;
      try {
        header = parseProxyHeader(Buffer.from(bytes));
      } catch (error) {
        expect(error).toBeInstanceOf(ProxyProtocolError);
        return;
      }
      if (header.is === 'header') expect(header.length).toBeLessThanOrEqual(bytes.length);
      else expect(bytes.length).toBeLessThan(4096 + 16);
    }),
  );
});
