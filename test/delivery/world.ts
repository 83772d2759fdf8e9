import { afterEach } from 'vitest';
import { deliveryOptions } from '../../src/delivery/options.ts';
import { RemoteAgent, type RemoteAgentOptions } from '../../src/delivery/remote/remote-agent.ts';
import { StubResolver } from '../../src/dns/stub-resolver.ts';
import type { Logger } from '../../src/lib/logger.ts';
import { type Address, parseAddress } from '../../src/mail/address.ts';
import { rawMessage } from '../../src/mail/raw-message.ts';
import { formatReply } from '../../src/mail/reply.ts';
import type { Job, Outcome, QueuedMessage, QueuedRecipient, QueueId } from '../../src/queue/queue.ts';
import { DnsServer, type DnsServerOptions, type Zone } from '../dns-server.ts';
import { Peer, type Script } from './peer.ts';

/** What the tests of a file have started, ended after each. */
const running: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of running.splice(0).reverse()) await one.close();
});

export function address(text: string): Address {
  const parsed = parseAddress(text);
  if (!parsed) throw new Error(`${text} is no address`);
  return parsed;
}

export const CONTENT = 'Subject: hello\r\n\r\nHello, world.\r\n';

export interface Post {
  readonly from?: string | null;
  readonly to?: readonly (string | (Partial<QueuedRecipient> & { readonly to: string }))[];
  readonly content?: string | Buffer;
  readonly nextHop?: string;
  readonly message?: Partial<QueuedMessage>;
}

export function recipient(
  of: string | (Partial<QueuedRecipient> & { readonly to: string }),
  index: number,
): QueuedRecipient {
  const { to, ...rest } = typeof of === 'string' ? { to: of } : of;
  return {
    index,
    address: address(to),
    original: address(to),
    account: null,
    state: { is: 'waiting', attempts: 0, nextAttempt: 0 },
    ...rest,
  };
}

export function job(post: Post = {}): Job {
  const { from = 'bob@example.test', to = ['alice@remote.test'], nextHop = 'remote.test' } = post;
  const recipients = to.map(recipient);
  const content = bytes(post.content);
  const message: QueuedMessage = {
    id: 'Q1' as QueueId,
    from: from === null ? null : address(from),
    body: '7bit',
    smtputf8: false,
    requireTls: false,
    source: 'submission',
    account: null,
    queuedAt: 0,
    size: content.length,
    finalTrace: 0,
    recipients,
    ...post.message,
  };
  return { message, recipients, agent: 'remote', nextHop };
}

export function bytes(content: Post['content'] = CONTENT): Buffer {
  return typeof content === 'string' ? Buffer.from(content, 'latin1') : content;
}

/** Log lines as `message key=value …`. */
export class LogBook implements Logger {
  readonly lines: string[] = [];
  readonly #fields: object;

  constructor(fields: object = {}, lines: string[] = []) {
    this.#fields = fields;
    this.lines = lines;
  }

  child(fields: object): Logger {
    return new LogBook({ ...this.#fields, ...fields }, this.lines);
  }
  debug(): void {}
  info(fields: object, message: string): void {
    this.lines.push(`${message} ${JSON.stringify({ ...this.#fields, ...fields })}`);
  }
  warn(fields: object, message: string): void {
    this.info(fields, message);
  }
  error(fields: object, message: string): void {
    this.info(fields, message);
  }
}

export interface World<K extends string> {
  readonly peers: Record<K, Peer>;
  readonly dns: DnsServer;
  readonly agent: RemoteAgent;
  readonly log: LogBook;
  /** Outcomes as `is reply`, in the order of the recipients. */
  send(post?: Post, signal?: AbortSignal): Promise<string[]>;
  outcomes(post?: Post, signal?: AbortSignal): Promise<readonly Outcome[]>;
}

/** SMTP hosts on loopback addresses, a DNS server that leads to them, and our agent. */
export async function world<K extends string>(
  scripts: Readonly<Record<K, Script>>,
  zone: Zone,
  settings: Record<string, unknown> | ((peers: Record<K, Peer>) => Record<string, unknown>) = {},
  extra: Partial<RemoteAgentOptions> & { readonly dns?: DnsServerOptions } = {},
): Promise<World<K>> {
  const peers = await Peer.startAll(scripts);
  running.push(...Object.values<Peer>(peers));
  const dns = await DnsServer.start(zone, extra.dns);
  running.push(dns);
  const port = Object.values<Peer>(peers)[0]?.port ?? 25;
  const given = typeof settings === 'function' ? settings(peers) : settings;
  const delivery = deliveryOptions.parse({ port, ...given });
  const resolver = new StubResolver({
    servers: [{ address: dns.host, port: dns.port }],
    // A machine that is busy with other tests may take its time.
    timeout: 1000,
    tries: 1,
  });
  const log = new LogBook();
  const options = {
    hostname: 'mx.example.test',
    self: { names: new Set(['mx.example.test']), addresses: new Set<string>() },
    ...extra,
    delivery,
  };
  const agent = new RemoteAgent(options, { resolver, log });
  running.push(agent);
  const outcomes: World<K>['outcomes'] = (post = {}, signal = new AbortController().signal) =>
    agent.deliver(job(post), rawMessage([bytes(post.content)]), signal);
  return {
    peers,
    dns,
    agent,
    log,
    outcomes,
    async send(post, signal) {
      return (await outcomes(post, signal)).map(({ is, reply }) => `${is} ${formatReply(reply)}`);
    },
  };
}

/** remote.test with one mail host on 127.0.0.2. */
export const ONE: Zone = { 'remote.test MX': ['10 mx.remote.test'], 'mx.remote.test A': ['127.0.0.2'] };
/** remote.test with two. */
export const TWO: Zone = {
  'remote.test MX': ['10 mx1.remote.test', '20 mx2.remote.test'],
  'mx1.remote.test A': ['127.0.0.2'],
  'mx2.remote.test A': ['127.0.0.3'],
};
