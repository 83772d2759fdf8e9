import { createSocket, type Socket } from 'node:dgram';
import { createServer, type Server, type Socket as TcpSocket } from 'node:net';

/**
 * An authoritative DNS server on loopback, UDP and TCP on one free port, whose zone is a literal:
 *
 * ```ts
 * const dns = await DnsServer.start({
 *   'example.test MX': ['10 mx.example.test', '20 mx2.example.test'],
 *   'mx.example.test A': ['127.0.0.2'],
 *   'mx.example.test AAAA': { ttl: 5, data: ['::1'] },
 *   'alias.test CNAME': ['example.test'],
 *   'null.test MX': ['0 .'],
 *   'example.test TXT': ['v=spf1 -all'],
 *   '2.0.0.127.in-addr.arpa PTR': ['mx.example.test'],
 *   'broken.test *': 'SERVFAIL',
 *   'silent.test MX': 'TIMEOUT',
 * });
 * ```
 *
 * A name that is neither there nor above one that is there is NXDOMAIN; a name without the type is NODATA, both with
 * an SOA whose minimum is `negativeTtl`. Answers that do not fit 512 octets (or the EDNS size) are truncated over UDP.
 */
export type Zone = Readonly<Record<string, ZoneEntry>>;
export type ZoneEntry =
  | readonly string[]
  | { readonly ttl: number; readonly data: readonly string[] }
  | Failure;
export type Failure = 'SERVFAIL' | 'REFUSED' | 'FORMERR' | 'TIMEOUT' | 'GARBAGE' | 'NXDOMAIN';

const TYPES: Readonly<Record<string, number>> = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
};
const RCODES: Readonly<Record<string, number>> = { FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, REFUSED: 5 };
const DEFAULT_TTL = 60;

export interface DnsServerOptions {
  /** Where to listen; 127.0.0.1 by default. */
  readonly host?: string;
  readonly negativeTtl?: number;
  /** Sets AD in every answer. */
  readonly authentic?: boolean;
  /** Answers FORMERR to questions with EDNS. */
  readonly noEdns?: boolean;
  /** Leaves the target of a CNAME to the asker. */
  readonly bareAliases?: boolean;
}

interface Query {
  readonly id: number;
  readonly name: string;
  readonly type: string;
  readonly question: Buffer;
  /** What a datagram may hold. */
  readonly room: number;
  readonly edns: boolean;
}

export class DnsServer {
  readonly host: string;
  readonly port: number;
  /** Every question, as `MX example.test`. */
  readonly queries: string[] = [];
  #zone: Zone;
  readonly #options: DnsServerOptions;
  readonly #udp: Socket;
  readonly #tcp: Server;
  readonly #connections = new Set<TcpSocket>();

  static async start(zone: Zone = {}, options: DnsServerOptions = {}): Promise<DnsServer> {
    const host = options.host ?? '127.0.0.1';
    for (let attempt = 0; ; attempt++) {
      const tcp = createServer();
      await new Promise<void>((resolve) => tcp.listen(0, host, resolve));
      const { port } = tcp.address() as { port: number };
      const udp = createSocket(host.includes(':') ? 'udp6' : 'udp4');
      try {
        await new Promise<void>((resolve, reject) => {
          udp.once('error', reject);
          udp.bind(port, host, resolve);
        });
        return new DnsServer(zone, options, udp, tcp, host, port);
      } catch (error) {
        // Somebody has the UDP port of the same number.
        await new Promise((resolve) => tcp.close(resolve));
        if (attempt > 20) throw error;
      }
    }
  }

  private constructor(
    zone: Zone,
    options: DnsServerOptions,
    udp: Socket,
    tcp: Server,
    host: string,
    port: number,
  ) {
    this.#zone = normalise(zone);
    this.#options = options;
    this.#udp = udp;
    this.#tcp = tcp;
    this.host = host;
    this.port = port;
    udp.on('error', () => {});
    udp.on('message', (bytes, peer) => {
      const reply = this.#answer(bytes, 'udp');
      if (reply) udp.send(reply, peer.port, peer.address);
    });
    tcp.on('connection', (socket) => this.#serve(socket));
  }

  /** For `dns: { servers: [...] }`. */
  get address(): string {
    return this.host.includes(':') ? `[${this.host}]:${this.port}` : `${this.host}:${this.port}`;
  }

  /** Replaces the whole zone. */
  set(zone: Zone): void {
    this.#zone = normalise(zone);
  }

  /** Adds to the zone, or replaces entries. */
  add(zone: Zone): void {
    this.#zone = { ...this.#zone, ...normalise(zone) };
  }

  async close(): Promise<void> {
    for (const socket of this.#connections) socket.destroy();
    await Promise.all([
      new Promise<void>((resolve) => this.#udp.close(resolve)),
      new Promise((resolve) => this.#tcp.close(resolve)),
    ]);
  }

  #serve(socket: TcpSocket): void {
    this.#connections.add(socket);
    let bytes = Buffer.alloc(0);
    socket.on('error', () => {});
    socket.on('close', () => this.#connections.delete(socket));
    socket.on('data', (chunk) => {
      bytes = Buffer.concat([bytes, chunk]);
      while (bytes.length >= 2 && bytes.length >= bytes.readUInt16BE(0) + 2) {
        const end = bytes.readUInt16BE(0) + 2;
        const reply = this.#answer(bytes.subarray(2, end), 'tcp');
        bytes = bytes.subarray(end);
        if (reply) socket.write(Buffer.concat([uint16(reply.length), reply]));
      }
    });
  }

  #answer(bytes: Buffer, transport: 'udp' | 'tcp'): Buffer | undefined {
    const query = parseQuery(bytes);
    this.queries.push(`${query.type} ${query.name}${transport === 'tcp' ? ' (tcp)' : ''}`);
    if (this.#options.noEdns && query.edns) return message(query, { rcode: RCODES['FORMERR'] ?? 0 });
    const found = this.#find(query);
    if (found === 'TIMEOUT') return undefined;
    if (found === 'GARBAGE') return Buffer.concat([bytes.subarray(0, 2), Buffer.from('not a DNS message')]);
    if (typeof found === 'string') return message(query, { rcode: RCODES[found] ?? 2 });
    const reply = message(query, { ...found, authentic: this.#options.authentic ?? false });
    if (transport === 'tcp' || reply.length <= query.room) return reply;
    return message(query, { rcode: 0, truncated: true });
  }

  #find(query: Query): Failure | { rcode: number; answers?: Buffer[]; authority?: Buffer[] } {
    const answers: Buffer[] = [];
    let name = query.name;
    for (let hops = 0; hops < 20; hops++) {
      const entry = this.#zone[`${name} ${query.type}`] ?? this.#zone[`${name} *`];
      if (typeof entry === 'string') return entry;
      if (entry) {
        answers.push(...records(name, query.type, entry));
        return { rcode: 0, answers };
      }
      const alias = this.#zone[`${name} CNAME`];
      if (alias === undefined || typeof alias === 'string') break;
      answers.push(...records(name, 'CNAME', alias));
      if (this.#options.bareAliases) return { rcode: 0, answers };
      name = (('data' in alias ? alias.data[0] : alias[0]) ?? '').toLowerCase();
    }
    const names = Object.keys(this.#zone).map((key) => key.split(' ')[0] ?? '');
    const exists = names.some((other) => other === name || other.endsWith(`.${name}`));
    return { rcode: exists ? 0 : 3, answers, authority: [soa(this.#options.negativeTtl ?? 5)] };
  }
}

function normalise(zone: Zone): Zone {
  return Object.fromEntries(
    Object.entries(zone).map(([key, entry]) => {
      const [name = '', type = ''] = key.split(' ');
      return [`${name.toLowerCase()} ${type.toUpperCase()}`, entry];
    }),
  );
}

function parseQuery(bytes: Buffer): Query {
  const labels: string[] = [];
  let at = 12;
  for (let size = bytes[at] ?? 0; size > 0; size = bytes[at] ?? 0) {
    labels.push(bytes.toString('latin1', at + 1, at + 1 + size));
    at += size + 1;
  }
  const type = bytes.readUInt16BE(at + 1);
  const end = at + 5;
  const edns = bytes.readUInt16BE(10) > 0;
  return {
    id: bytes.readUInt16BE(0),
    name: labels.join('.').toLowerCase(),
    type: Object.keys(TYPES).find((name) => TYPES[name] === type) ?? String(type),
    question: bytes.subarray(12, end),
    room: edns ? bytes.readUInt16BE(end + 3) : 512,
    edns,
  };
}

function message(
  query: Query,
  reply: {
    rcode: number;
    answers?: readonly Buffer[];
    authority?: readonly Buffer[];
    truncated?: boolean;
    authentic?: boolean;
  },
): Buffer {
  const answers = reply.answers ?? [];
  const authority = reply.authority ?? [];
  const flags =
    0x8400 | (reply.truncated ? 0x0200 : 0) | 0x0180 | (reply.authentic ? 0x0020 : 0) | reply.rcode;
  const counts = [query.id, flags, 1, answers.length, authority.length, 0].map(uint16);
  return Buffer.concat([...counts, query.question, ...answers, ...authority]);
}

function records(name: string, type: string, entry: Exclude<ZoneEntry, Failure>): Buffer[] {
  const { ttl, data } = 'data' in entry ? entry : { ttl: DEFAULT_TTL, data: entry };
  return data.map((text) => record(name, TYPES[type] ?? 0, ttl, rdata(type, text)));
}

function record(name: string, type: number, ttl: number, data: Buffer): Buffer {
  return Buffer.concat([encodeName(name), uint16(type), uint16(1), uint32(ttl), uint16(data.length), data]);
}

function rdata(type: string, text: string): Buffer {
  switch (type) {
    case 'A':
      return Buffer.from(text.split('.').map(Number));
    case 'AAAA':
      return ipv6(text);
    case 'MX': {
      const [preference, exchange = ''] = text.split(' ');
      return Buffer.concat([uint16(Number(preference)), encodeName(exchange)]);
    }
    case 'TXT': {
      const bytes = Buffer.from(text);
      const strings: Buffer[] = [];
      for (let at = 0; at === 0 || at < bytes.length; at += 255) {
        const part = bytes.subarray(at, at + 255);
        strings.push(Buffer.from([part.length]), part);
      }
      return Buffer.concat(strings);
    }
    default:
      return encodeName(text);
  }
}

function soa(minimum: number): Buffer {
  const data = [
    encodeName('ns.test'),
    encodeName('hostmaster.test'),
    ...[1, 3600, 600, 86400, minimum].map(uint32),
  ];
  return record('test', TYPES['SOA'] ?? 6, 3600, Buffer.concat(data));
}

function ipv6(text: string): Buffer {
  const [head = '', tail] = text.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const gap = Array<string>(8 - left.length - right.length).fill('0');
  const groups = tail === undefined ? left : [...left, ...gap, ...right];
  return Buffer.concat(groups.map((group) => uint16(Number.parseInt(group, 16))));
}

function encodeName(name: string): Buffer {
  const labels = name.replace(/\.$/, '').split('.').filter(Boolean);
  const parts = labels.flatMap((label) => [Buffer.from([label.length]), Buffer.from(label, 'latin1')]);
  return Buffer.concat([...parts, Buffer.from([0])]);
}

function uint16(value: number): Buffer {
  return Buffer.from([(value >> 8) & 0xff, value & 0xff]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
