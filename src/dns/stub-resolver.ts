import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect, isIPv4, isIPv6 } from 'node:net';
import {
  decodeResponse,
  encodeQuery,
  PacketError,
  type Question,
  RCODES,
  RECORD_TYPES,
  type RecordData,
  type Response,
} from './packet.ts';
import { type Answer, DnsTemporaryError, type Mx, type Resolver } from './resolver.ts';
import { reverseName } from './reverse-name.ts';
import { type DnsServer, isLoopback } from './servers.ts';

export interface StubOptions {
  /** At least one; asked in this order. */
  readonly servers: readonly DnsServer[];
  /** For one answer from one server, ms. */
  readonly timeout: number;
  /** How often all of them are asked. */
  readonly tries: number;
}

/** CNAMEs followed from one name, within one answer and over several (RFC 1034 3.6.2 wants loops found). */
const MAX_ALIASES = 16;
/** A TCP answer says its length in 16 bits (RFC 1035 4.2.2). */
const MAX_TCP_ANSWER = 65_535;

/**
 * Asks recursive resolvers: UDP with EDNS, TCP when the answer was cut, the next server when one is silent or fails.
 * "No such name" and "no such record" are believed only from an answer that says so; all else is a DnsTemporaryError.
 * Every datagram goes out from a fresh port with a random id, and only the server asked can answer (RFC 5452).
 */
export class StubResolver implements Resolver {
  readonly #options: StubOptions;
  /** The server that answered last: a dead first one costs its time-out once, not for each name. */
  #preferred = 0;

  constructor(options: StubOptions) {
    this.#options = options;
  }

  mx(name: string, signal?: AbortSignal): Promise<Answer<Mx>> {
    return this.#lookUp({ name, type: 'mx' }, signal, (data) =>
      data.type === 'mx' ? { preference: data.preference, exchange: data.exchange } : undefined,
    );
  }

  a(name: string, signal?: AbortSignal): Promise<Answer<string>> {
    return this.#lookUp({ name, type: 'a' }, signal, (data) =>
      data.type === 'a' ? data.address : undefined,
    );
  }

  aaaa(name: string, signal?: AbortSignal): Promise<Answer<string>> {
    return this.#lookUp({ name, type: 'aaaa' }, signal, (data) =>
      data.type === 'aaaa' ? data.address : undefined,
    );
  }

  txt(name: string, signal?: AbortSignal): Promise<Answer<string>> {
    return this.#lookUp({ name, type: 'txt' }, signal, (data) =>
      data.type === 'txt' ? data.text : undefined,
    );
  }

  ptr(ip: string, signal?: AbortSignal): Promise<Answer<string>> {
    const name = reverseName(ip);
    if (name === undefined) return Promise.resolve({ status: 'nxdomain', secure: false });
    return this.#lookUp({ name, type: 'ptr' }, signal, (data) =>
      data.type === 'ptr' ? data.target : undefined,
    );
  }

  async #lookUp<T>(
    question: Question,
    signal: AbortSignal | undefined,
    pick: (data: RecordData) => T | undefined,
  ): Promise<Answer<T>> {
    let name = question.name.toLowerCase().replace(/\.$/, '');
    let secure = true;
    let ttl = Number.POSITIVE_INFINITY;
    for (let aliases = 0; aliases < MAX_ALIASES; aliases++) {
      const asked: Question = { name, type: question.type };
      if (!isQueryable(asked)) return { status: 'nxdomain', secure: false };
      const { response, server } = await this.#ask(asked, signal);
      // The AD bit is worth what the way to the server is worth: only our own machine's resolver is believed.
      secure &&= response.authenticData && isLoopback(server);
      const step = follow(response, asked, pick);
      ttl = Math.min(ttl, step.ttl ?? Number.POSITIVE_INFINITY);
      switch (step.is) {
        case 'found':
          return { status: 'found', records: step.records, secure, ttl };
        case 'alias':
          name = step.target;
          continue;
        case 'nodata':
        case 'nxdomain':
          return { status: step.is, secure, ...(step.ttl === undefined ? {} : { ttl }) };
      }
    }
    throw new DnsTemporaryError(`${question.name}: more than ${MAX_ALIASES} aliases`);
  }

  /** Resolves to the first usable answer of any server. */
  async #ask(
    question: Question,
    signal: AbortSignal | undefined,
  ): Promise<{ readonly response: Response; readonly server: DnsServer }> {
    const { servers, tries } = this.#options;
    let last = 'no server to ask';
    for (let attempt = 0; attempt < tries * servers.length; attempt++) {
      const index = (this.#preferred + attempt) % servers.length;
      const server = servers[index];
      if (!server) break;
      try {
        const response = await this.#exchange(server, question, signal);
        const refusal = whyUnusable(response);
        if (refusal === undefined) {
          this.#preferred = index;
          return { response, server };
        }
        last = refusal;
      } catch (error) {
        signal?.throwIfAborted();
        last = error instanceof Error ? error.message : String(error);
      }
    }
    throw new DnsTemporaryError(`${question.type} ${question.name}: ${last}`);
  }

  async #exchange(server: DnsServer, question: Question, signal: AbortSignal | undefined): Promise<Response> {
    const { timeout } = this.#options;
    const deadline = AbortSignal.timeout(timeout);
    const stop = signal ? AbortSignal.any([signal, deadline]) : deadline;
    const first = await overUdp(server, question, 'edns', stop);
    // Servers from before RFC 2671 answer FORMERR to a question with OPT (RFC 6891 7).
    const old = first.rcode === RCODES.formatError || first.rcode === RCODES.notImplemented;
    const response = old ? await overUdp(server, question, 'plain', stop) : first;
    return response.truncated ? await overTcp(server, question, stop) : response;
  }
}

function isQueryable(question: Question): boolean {
  try {
    encodeQuery(0, question, 'plain');
    return question.name !== '';
  } catch (error) {
    // A name that cannot be written in DNS exists nowhere: that is an answer, not a failure.
    if (error instanceof PacketError) return false;
    throw error;
  }
}

/** SERVFAIL, REFUSED and the like, and referrals: the server cannot or will not say. */
function whyUnusable(response: Response): string | undefined {
  if (response.rcode !== RCODES.noError && response.rcode !== RCODES.nxDomain)
    return `the server answered with code ${response.rcode}`;
  const empty = response.rcode === RCODES.noError && response.answers.length === 0;
  const referral = response.delegates && !response.authoritative && !response.recursionAvailable;
  if (empty && referral) return 'the server does not recurse';
  return undefined;
}

type Step<T> =
  | { readonly is: 'found'; readonly records: readonly T[]; readonly ttl: number }
  | { readonly is: 'alias'; readonly target: string; readonly ttl: number }
  | { readonly is: 'nodata' | 'nxdomain'; readonly ttl?: number };

/** What one answer says, its CNAMEs followed as far as it holds them. */
function follow<T>(
  response: Response,
  question: Question,
  pick: (data: RecordData) => T | undefined,
): Step<T> {
  let owner = question.name;
  let ttl = Number.POSITIVE_INFINITY;
  for (let aliases = 0; aliases < MAX_ALIASES; aliases++) {
    const own = response.answers.filter((record) => record.name === owner);
    const wanted = own.filter((record) => record.data.type === question.type);
    if (wanted.length > 0) {
      const records = wanted.flatMap((record) => pick(record.data) ?? []);
      return { is: 'found', records, ttl: wanted.reduce((low, record) => Math.min(low, record.ttl), ttl) };
    }
    const alias = own.find((record) => record.data.type === 'cname');
    if (alias?.data.type !== 'cname') break;
    owner = alias.data.target;
    ttl = Math.min(ttl, alias.ttl);
  }
  const soa = response.authority.find((record) => record.data.type === 'soa');
  const negative = soa?.data.type === 'soa' ? Math.min(soa.ttl, soa.data.minimum, ttl) : undefined;
  const kept = negative === undefined ? {} : { ttl: negative };
  if (response.rcode === RCODES.nxDomain) return { is: 'nxdomain', ...kept };
  // A server that leaves the end of the chain to us says nothing about it, not even an SOA.
  if (owner !== question.name && soa === undefined) return { is: 'alias', target: owner, ttl };
  return { is: 'nodata', ...kept };
}

function answers(response: Response, id: number, question: Question): boolean {
  return (
    response.id === id &&
    response.question?.name === question.name &&
    response.question.type === RECORD_TYPES[question.type]
  );
}

function overUdp(
  server: DnsServer,
  question: Question,
  extension: 'edns' | 'plain',
  signal: AbortSignal,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    const id = randomInt(0x10000);
    const socket = createSocket(isIPv4(server.address) ? 'udp4' : 'udp6');
    const settle = (act: () => void): void => {
      signal.removeEventListener('abort', onAbort);
      socket.removeAllListeners();
      // Errors still under way (an ICMP "unreachable") concern nobody any more.
      socket.on('error', () => {});
      socket.close();
      act();
    };
    const onAbort = (): void => settle(() => reject(unanswered(server, signal)));
    if (signal.aborted) {
      settle(() => reject(unanswered(server, signal)));
      return;
    }
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('error', (error) => settle(() => reject(error)));
    socket.on('message', (bytes) => {
      const response = decodeOrIgnore(bytes);
      if (response && answers(response, id, question)) settle(() => resolve(response));
    });
    // A connected socket takes datagrams from this server only, and hears that nobody listens there.
    socket.once('connect', () => socket.send(encodeQuery(id, question, extension)));
    socket.connect(server.port, server.address);
  });
}

/** Forged and broken datagrams are passed over: the right one may still come. */
function decodeOrIgnore(bytes: Buffer): Response | undefined {
  try {
    return decodeResponse(bytes);
  } catch (error) {
    if (error instanceof PacketError) return undefined;
    throw error;
  }
}

async function overTcp(server: DnsServer, question: Question, signal: AbortSignal): Promise<Response> {
  const id = randomInt(0x10000);
  const query = encodeQuery(id, question, 'edns');
  const socket = connect({ host: server.address, port: server.port, noDelay: true });
  const onAbort = (): void => {
    socket.destroy(unanswered(server, signal));
  };
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    if (signal.aborted) throw unanswered(server, signal);
    const length = Buffer.alloc(2);
    length.writeUInt16BE(query.length);
    socket.write(Buffer.concat([length, query]));
    const response = decodeResponse(await readTcpMessage(socket));
    if (!answers(response, id, question)) throw new PacketError('the answer is to another question');
    return response;
  } finally {
    signal.removeEventListener('abort', onAbort);
    socket.destroy();
  }
}

async function readTcpMessage(socket: AsyncIterable<Buffer>): Promise<Buffer> {
  let bytes = Buffer.alloc(0);
  for await (const chunk of socket) {
    bytes = Buffer.concat([bytes, chunk]);
    const length = bytes.length < 2 ? MAX_TCP_ANSWER : bytes.readUInt16BE(0);
    if (bytes.length >= length + 2) return bytes.subarray(2, length + 2);
  }
  throw new PacketError('the connection ended before the answer did');
}

function unanswered(server: DnsServer, signal: AbortSignal): Error {
  const where = isIPv6(server.address) ? `[${server.address}]` : server.address;
  return new Error(`no answer from ${where}:${server.port}`, { cause: signal.reason });
}
