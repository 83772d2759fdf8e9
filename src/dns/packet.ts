/**
 * DNS messages on the wire (RFC 1035 4): a query out, a response in. Reading is linear in the packet's size, and a
 * packet that is not well formed is a PacketError, whatever it contains.
 */

/** RFC 1035 3.2.2, RFC 3596 2.1. */
export const RECORD_TYPES = { a: 1, cname: 5, soa: 6, ptr: 12, mx: 15, txt: 16, aaaa: 28 } as const;
export type RecordType = keyof typeof RECORD_TYPES;

/** Response codes we tell apart (RFC 1035 4.1.1, RFC 6891 9). */
export const RCODES = { noError: 0, formatError: 1, nxDomain: 3, notImplemented: 4 } as const;

/** RFC 1035 2.3.4, in octets. */
const MAX_NAME = 255;
const MAX_LABEL = 63;
/** What fits one datagram on every path without fragments (DNS flag day 2020); RFC 1035's own minimum is 512. */
const UDP_SIZE = 1232;
const HEADER_SIZE = 12;
const CLASS_IN = 1;
const TYPE_OPT = 41;

export interface Question {
  /** Lower case, without the trailing dot. */
  readonly name: string;
  readonly type: RecordType;
}

export type RecordData =
  | { readonly type: 'a' | 'aaaa'; readonly address: string }
  | { readonly type: 'cname' | 'ptr'; readonly target: string }
  | { readonly type: 'mx'; readonly preference: number; readonly exchange: string }
  | { readonly type: 'txt'; readonly text: string }
  | { readonly type: 'soa'; readonly minimum: number };

export interface ResourceRecord {
  readonly name: string;
  readonly ttl: number;
  readonly data: RecordData;
}

export interface Response {
  readonly id: number;
  readonly truncated: boolean;
  readonly authoritative: boolean;
  readonly recursionAvailable: boolean;
  /** AD: the server says that it validated all of it (RFC 4035 3.2.3). */
  readonly authenticData: boolean;
  readonly rcode: number;
  readonly question: { readonly name: string; readonly type: number } | undefined;
  /** Only the records of types we know. */
  readonly answers: readonly ResourceRecord[];
  readonly authority: readonly ResourceRecord[];
  /** The authority section names servers: with no answer and no SOA this is a referral (RFC 1034 4.3.1). */
  readonly delegates: boolean;
}

/** The bytes are no DNS message, or the name cannot be one. */
export class PacketError extends Error {
  override readonly name = 'PacketError';
}

/** Throws PacketError when `name` cannot stand in a query. */
export function encodeQuery(
  id: number,
  question: Question,
  extension: 'edns' | 'plain',
): Buffer<ArrayBufferLike> {
  const header = Buffer.alloc(HEADER_SIZE);
  header.writeUInt16BE(id, 0);
  // RD: please recurse. AD: we understand the AD bit (RFC 6840 5.7).
  header.writeUInt16BE(0x0120, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(extension === 'edns' ? 1 : 0, 10);
  const tail = Buffer.alloc(4);
  tail.writeUInt16BE(RECORD_TYPES[question.type], 0);
  tail.writeUInt16BE(CLASS_IN, 2);
  const parts = [header, encodeName(question.name), tail];
  if (extension === 'edns') parts.push(optRecord());
  return Buffer.concat(parts);
}

/** EDNS version 0 with our datagram size (RFC 6891 6.1.2). */
function optRecord(): Buffer {
  const opt = Buffer.alloc(11);
  opt.writeUInt16BE(TYPE_OPT, 1);
  opt.writeUInt16BE(UDP_SIZE, 3);
  return opt;
}

function encodeName(name: string): Buffer {
  const labels = name === '' ? [] : name.split('.');
  const bytes: Buffer[] = [];
  for (const label of labels) {
    const text = Buffer.from(label, 'ascii');
    if (!/^[\x21-\x7e]+$/.test(label) || text.length > MAX_LABEL)
      throw new PacketError('not a name that DNS can hold');
    bytes.push(Buffer.from([text.length]), text);
  }
  bytes.push(Buffer.from([0]));
  const encoded = Buffer.concat(bytes);
  if (encoded.length > MAX_NAME) throw new PacketError('the name is longer than 255 octets');
  return encoded;
}

/** Throws PacketError on anything that is not a complete response. */
export function decodeResponse(bytes: Buffer): Response {
  const reader = new Reader(bytes);
  const id = reader.uint16();
  const flags = reader.uint16();
  if ((flags & 0x8000) === 0) throw new PacketError('a query where a response was due');
  const [questions, answers, authority] = [reader.uint16(), reader.uint16(), reader.uint16()];
  reader.uint16();
  const truncated = (flags & 0x0200) !== 0;
  let question: Response['question'];
  for (let i = 0; i < questions; i++) {
    const name = reader.name();
    const type = reader.uint16();
    reader.uint16();
    question ??= { name, type };
  }
  const common = {
    id,
    truncated,
    authoritative: (flags & 0x0400) !== 0,
    recursionAvailable: (flags & 0x0080) !== 0,
    authenticData: (flags & 0x0020) !== 0,
    rcode: flags & 0x000f,
    question,
  };
  // What a truncated datagram holds is not looked at: it is asked again over TCP.
  if (truncated) return { ...common, answers: [], authority: [], delegates: false };
  const first = reader.section(answers);
  const second = reader.section(authority);
  return { ...common, answers: first.records, authority: second.records, delegates: second.servers };
}

const TYPE_NS = 2;
const NAMES_OF_TYPES: ReadonlyMap<number, RecordType> = new Map(
  (Object.keys(RECORD_TYPES) as RecordType[]).map((type) => [RECORD_TYPES[type], type]),
);

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  uint16(): number {
    return this.#bytes.readUInt16BE(this.#advance(2));
  }

  #uint32(): number {
    return this.#bytes.readUInt32BE(this.#advance(4));
  }

  #advance(size: number): number {
    const at = this.#at;
    if (at + size > this.#bytes.length) throw new PacketError('the packet ends too early');
    this.#at += size;
    return at;
  }

  /**
   * A name with RFC 1035 4.1.4 compression. Every pointer must lead further back than the one before, so the walk
   * ends; lower case, octets outside of printable ASCII and dots within labels as \ddd (RFC 4343 2.1).
   */
  name(): string {
    const labels: string[] = [];
    let length = 1;
    let at = this.#at;
    let limit = at;
    let end: number | undefined;
    for (;;) {
      const size = this.#bytes[at];
      if (size === undefined) throw new PacketError('a name runs out of the packet');
      if (size === 0) break;
      if ((size & 0xc0) === 0xc0) {
        const low = this.#bytes[at + 1];
        if (low === undefined) throw new PacketError('a name runs out of the packet');
        end ??= at + 2;
        at = ((size & 0x3f) << 8) | low;
        if (at >= limit) throw new PacketError('a compression pointer does not lead back');
        limit = at;
        continue;
      }
      if (size > MAX_LABEL) throw new PacketError('an unknown kind of label');
      length += size + 1;
      if (length > MAX_NAME) throw new PacketError('a name is longer than 255 octets');
      if (at + 1 + size > this.#bytes.length) throw new PacketError('a name runs out of the packet');
      labels.push(printable(this.#bytes.subarray(at + 1, at + 1 + size)));
      at += size + 1;
    }
    this.#at = end ?? at + 1;
    return labels.join('.');
  }

  section(count: number): { readonly records: readonly ResourceRecord[]; readonly servers: boolean } {
    const records: ResourceRecord[] = [];
    let servers = false;
    for (let i = 0; i < count; i++) {
      const name = this.name();
      const type = this.uint16();
      const klass = this.uint16();
      // RFC 2181 8: a TTL with the top bit set is to be read as zero.
      const ttl = this.#uint32();
      const size = this.uint16();
      const end = this.#advance(size) + size;
      const known = NAMES_OF_TYPES.get(type);
      if (klass === CLASS_IN && type === TYPE_NS) servers = true;
      if (klass !== CLASS_IN || known === undefined) continue;
      this.#at = end - size;
      records.push({ name, ttl: ttl > 0x7fffffff ? 0 : ttl, data: this.#data(known, end) });
      if (this.#at !== end) throw new PacketError('a record does not fill its length');
    }
    return { records, servers };
  }

  #data(type: RecordType, end: number): RecordData {
    switch (type) {
      case 'a':
        return { type, address: [...this.#take(4)].join('.') };
      case 'aaaa':
        return { type, address: formatIpv6(this.#take(16)) };
      case 'cname':
      case 'ptr':
        return { type, target: this.name() };
      case 'mx':
        return { type, preference: this.uint16(), exchange: this.name() };
      case 'txt':
        return { type, text: this.#strings(end) };
      case 'soa': {
        this.name();
        this.name();
        this.#advance(16);
        return { type, minimum: this.#uint32() };
      }
    }
  }

  #take(size: number): Buffer {
    const at = this.#advance(size);
    return this.#bytes.subarray(at, at + size);
  }

  /** The character-strings of a TXT record, joined without a space as SPF and DKIM want it (RFC 7208 3.3). */
  #strings(end: number): string {
    const parts: Buffer[] = [];
    while (this.#at < end) parts.push(this.#take(this.#take(1)[0] ?? 0));
    return Buffer.concat(parts).toString('utf8');
  }
}

function printable(label: Buffer): string {
  const text = label.toString('latin1');
  if (/^[a-z0-9_-]+$/.test(text)) return text;
  return text
    .replace(/[^\x21-\x7e]|[.\\]/g, (char) => `\\${String(char.charCodeAt(0)).padStart(3, '0')}`)
    .toLowerCase();
}

/** RFC 5952: lower case, the longest run of zeros (of at least two groups) as `::`. */
function formatIpv6(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(i * 2).toString(16));
  const runs = groups.join(':').match(/(?:^|:)0(?::0)+(?=:|$)/g) ?? [];
  const longest = runs.reduce((best, run) => (zeros(run) > zeros(best) ? run : best), '');
  if (longest === '') return groups.join(':');
  const text = groups.join(':');
  const at = text.indexOf(longest);
  const left = text.slice(0, at);
  const right = text.slice(at + longest.length);
  return `${left}::${right.replace(/^:/, '')}`;
}

function zeros(run: string): number {
  return run.split(':').filter((group) => group === '0').length;
}
