import { isIPv4, isIPv6 } from 'node:net';
import { normaliseIp } from '../lib/ip.ts';

/**
 * The header a TCP proxy puts before the client's bytes (PROXY protocol 1 and 2, as published by HAProxy).
 * Parsing is incremental, linear and bounded; anything but a complete, well-formed header is refused, because
 * believing half a header would let a client choose its own address.
 */

/** Version 1: "PROXY " up to and with CRLF takes at most 107 octets (section 2.1). */
const MAX_V1 = 107;
/** Version 2: what follows the 16 fixed octets; 216 for Unix addresses, the rest is for TLVs (section 2.2). */
const MAX_V2_BODY = 4096;

const V1_PREFIX: Buffer = Buffer.from('PROXY ', 'latin1');
const V2_SIGNATURE: Buffer = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
const V2_FIXED = 16;

export interface ProxiedAddresses {
  readonly ip: string;
  readonly port: number;
  readonly localIp: string;
  readonly localPort: number;
}

export type ProxyHeader =
  | { readonly is: 'incomplete' }
  | {
      readonly is: 'header';
      /** null: the proxy speaks for itself (LOCAL, as in its health checks) or does not know (UNKNOWN). */
      readonly addresses: ProxiedAddresses | null;
      /** Octets the header takes; what follows is the client's. */
      readonly length: number;
    };

export class ProxyProtocolError extends Error {
  override readonly name = 'ProxyProtocolError';
}

const INCOMPLETE: ProxyHeader = { is: 'incomplete' };

/**
 * Looks at all bytes received so far.
 * @throws ProxyProtocolError as soon as they cannot become a header any more.
 */
export function parseProxyHeader(bytes: Buffer): ProxyHeader {
  if (startsLike(bytes, V2_SIGNATURE)) return parseV2(bytes);
  if (startsLike(bytes, V1_PREFIX)) return parseV1(bytes);
  throw new ProxyProtocolError('no PROXY header');
}

/** Agrees with `prefix` as far as both go. */
function startsLike(bytes: Buffer, prefix: Buffer): boolean {
  const length = Math.min(bytes.length, prefix.length);
  return bytes.compare(prefix, 0, length, 0, length) === 0;
}

function parseV1(bytes: Buffer): ProxyHeader {
  const end = bytes.subarray(0, MAX_V1).indexOf('\r\n');
  if (end < 0) {
    if (bytes.length >= MAX_V1) throw new ProxyProtocolError('PROXY header longer than 107 octets');
    return INCOMPLETE;
  }
  const length = end + 2;
  const words = bytes.toString('latin1', V1_PREFIX.length, end).split(' ');
  // After UNKNOWN anything may stand, and nothing of it counts (section 2.1).
  if (words[0] === 'UNKNOWN') return { is: 'header', addresses: null, length };
  const [family, source = '', destination = '', sourcePort = '', destinationPort = '', ...rest] = words;
  const isAddress = family === 'TCP4' ? isIPv4 : family === 'TCP6' ? isIPv6 : undefined;
  if (!isAddress || rest.length > 0) throw new ProxyProtocolError('malformed PROXY header');
  if (!isAddress(source) || !isAddress(destination))
    throw new ProxyProtocolError('PROXY header without addresses of its family');
  return {
    is: 'header',
    addresses: {
      ip: normaliseIp(source),
      port: parsePort(sourcePort),
      localIp: normaliseIp(destination),
      localPort: parsePort(destinationPort),
    },
    length,
  };
}

function parsePort(text: string): number {
  const port = /^(?:0|[1-9]\d{0,4})$/.test(text) ? Number(text) : -1;
  if (port < 0 || port > 65_535) throw new ProxyProtocolError('PROXY header with a bad port');
  return port;
}

function parseV2(bytes: Buffer): ProxyHeader {
  if (bytes.length < V2_FIXED) return INCOMPLETE;
  const versionAndCommand = bytes.readUInt8(12);
  if (versionAndCommand >> 4 !== 2) throw new ProxyProtocolError('unknown PROXY protocol version');
  const command = versionAndCommand & 0x0f;
  if (command > 1) throw new ProxyProtocolError('unknown PROXY command');
  const body = bytes.readUInt16BE(14);
  if (body > MAX_V2_BODY) throw new ProxyProtocolError('PROXY header too long');
  const length = V2_FIXED + body;
  if (bytes.length < length) return INCOMPLETE;
  // LOCAL: the family is to be ignored, the proxy connects on its own behalf (section 2.2).
  const addresses = command === 0 ? null : v2Addresses(bytes.readUInt8(13), bytes.subarray(V2_FIXED, length));
  return { is: 'header', addresses, length };
}

/** The addresses; TLVs that follow them are of no interest and are skipped with the header. */
function v2Addresses(familyAndProtocol: number, body: Buffer): ProxiedAddresses | null {
  switch (familyAndProtocol) {
    case 0x11:
      return sliceAddresses(body, 4, v4Text);
    case 0x21:
      return sliceAddresses(body, 16, v6Text);
    default:
      // UNSPEC and Unix sockets are valid and say nothing that we could use; so are datagrams, which we do not accept.
      return null;
  }
}

function sliceAddresses(body: Buffer, size: number, text: (bytes: Buffer) => string): ProxiedAddresses {
  if (body.length < 2 * size + 4) throw new ProxyProtocolError('PROXY header shorter than its addresses');
  return {
    ip: normaliseIp(text(body.subarray(0, size))),
    port: body.readUInt16BE(2 * size),
    localIp: normaliseIp(text(body.subarray(size, 2 * size))),
    localPort: body.readUInt16BE(2 * size + 2),
  };
}

function v4Text(bytes: Buffer): string {
  return bytes.join('.');
}

/** The text form as Node and RFC 5952 write it: lower case, the longest run of zero groups as `::`. */
function v6Text(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i));
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff)
    return `::ffff:${v4Text(bytes.subarray(12))}`;
  let best = { start: 0, length: 0 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
    if (length > 0) start += length;
  }
  const hex = groups.map((group) => group.toString(16));
  // One zero group is not shortened (RFC 5952 4.2.2).
  if (best.length < 2) return hex.join(':');
  return `${hex.slice(0, best.start).join(':')}::${hex.slice(best.start + best.length).join(':')}`;
}
