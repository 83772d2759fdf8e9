import { availableParallelism } from 'node:os';
import { listAccounts } from './admin/accounts.ts';
import { aclHandlers } from './admin/acl.ts';
import { adoptionHandlers } from './admin/adopt.ts';
import { banHandlers } from './admin/bans.ts';
import { ControlServer, controlPath } from './admin/control.ts';
import { imapQuotas } from './admin/imap-quotas.ts';
import { queueHandlers } from './admin/queue.ts';
import { storeHandlers } from './admin/store.ts';
import { transferHandlers } from './admin/transfer.ts';
import type { QuotaCheck } from './checks/quota.ts';
import type { Config } from './config/schema.ts';
import { LocalAgent } from './delivery/local.ts';
import type { MailboxEvents } from './delivery/mailbox-events.ts';
import type { RecipientScripts } from './delivery/recipient-scripts.ts';
import { RemoteAgent } from './delivery/remote/remote-agent.ts';
import { ourselves } from './delivery/self.ts';
import { type SieveCalls, threadSieve } from './delivery/sieve/calls.ts';
import { ScriptedEvents } from './delivery/sieve/events.ts';
import { Filter } from './delivery/sieve/filter.ts';
import { recipientScripts } from './delivery/sieve/receipt.ts';
import { mayHaveScripts } from './delivery/sieve/scripts.ts';
import { submit } from './delivery/submit.ts';
import type { AccountId, Directory } from './directory/directory.ts';
import { FileDirectory } from './directory/file-directory.ts';
import { type DirectorySettings, JoinedDirectory } from './directory/joined-directory.ts';
import { Passwords } from './directory/password.ts';
import type { SqliteDirectory } from './directory/sqlite-directory.ts';
import { CachingResolver } from './dns/cache.ts';
import type { Resolver } from './dns/resolver.ts';
import { parseServer, systemServers } from './dns/servers.ts';
import { StubResolver } from './dns/stub-resolver.ts';
import type { Clock } from './lib/clock.ts';
import { asDataDirError, claimDataDir } from './lib/data-dir.ts';
import type { Logger } from './lib/logger.ts';
import { logFromThreads } from './lib/thread-logger.ts';
import { ThreadPool } from './lib/thread-pool.ts';
import { version } from './lib/version.ts';
import { type Address, Listeners, listensAnywhere, unserved } from './listeners.ts';
import { formatAddress, parseAddress, parseDomain } from './mail/address.ts';
import type { RawMessage } from './mail/raw-message.ts';
import { formatReply } from './mail/reply.ts';
import { ClosedAccounts } from './net/closed-accounts.ts';
import { AccountSessions } from './net/limits.ts';
import { openDirectory, sqliteSettings } from './open/directory.ts';
import { openQueue } from './open/queue.ts';
import type { Surroundings } from './open/surroundings.ts';
import { MaildropLocks } from './pop3/locks.ts';
import { createProtocols, type Protocols, type ProtocolsDeps } from './protocols.ts';
import type { DeliveryAgent, NewMessage } from './queue/queue.ts';
import { Scheduler, type SchedulerOptions } from './queue/scheduler.ts';
import type { SegmentQueue } from './queue/segment-queue.ts';
import { LoginGuard } from './sasl/login-guard.ts';
import { DailyWalk } from './store/daily-walk.ts';
import { accountLimits, type Limits } from './store/quota.ts';
import { ThreadStore } from './store/thread-store.ts';
import { Certificates, type CertificatesOptions } from './tls/certificates.ts';
import type { WorkerSettings } from './worker.ts';

/** What a process cannot start with; `message` says what to do about it. */
export class StartError extends Error {
  override readonly name = 'StartError';
}

/** Settings that a running process cannot change: each alone, or all below it. */
const RESTART_ONLY: readonly RegExp[] = [
  /^dataDir$/,
  /^dns\./,
  /^limits\./,
  /^sieve\./,
  /^store\./,
  /^log\.format$/,
];

/** The composition root: builds every room, starts them in order and stops them in the opposite one. */
export class Facteur {
  /** Domains, accounts and aliases, as an admin changes them. */
  readonly directory: SqliteDirectory;
  /** Resolves with the reason when the process cannot go on. */
  readonly failed: Promise<Error>;
  #config: Config;
  readonly #parts: Parts;
  #protocols: Protocols;
  /** Protocols of earlier configurations, whose sessions may still live. */
  #retired: readonly Protocols[] = [];
  readonly #listeners: Listeners;

  private constructor(config: Config, parts: Parts, protocols: Protocols, listeners: Listeners) {
    this.#config = config;
    this.#parts = parts;
    this.#protocols = protocols;
    this.#listeners = listeners;
    this.directory = parts.sqlite;
    this.failed = parts.failed;
  }

  /**
   * Resolves when everything listens. Throws StartError, DataDirError, ListenError, TlsError, DirectoryError: each
   * with words for the admin; nothing is left open then.
   */
  static async start(config: Config, surroundings: Surroundings): Promise<Facteur> {
    checkStartable(config);
    const closers: (() => void | Promise<void>)[] = [];
    try {
      const parts = await build(config, surroundings, (close) => void closers.push(close));
      const protocols = createProtocols(config, protocolsDeps(config, parts));
      const listeners = new Listeners(protocols, parts.certificates.forUsers, surroundings.log);
      closers.push(() => listeners.close());
      await listeners.apply(config, protocols);
      warnOfUnserved(config, surroundings.log);
      surroundings.log.info(
        { version: version(), node: process.versions.node, dataDir: config.dataDir },
        'started',
      );
      parts.scheduler.start();
      return new Facteur(config, { ...parts, close: () => closeAll(closers) }, protocols, listeners);
    } catch (error) {
      await closeAll(closers);
      throw asDataDirError(config.dataDir, error) ?? error;
    }
  }

  /** Where each service listens. */
  addresses(): Readonly<Record<string, readonly Address[]>> {
    return this.#listeners.addresses();
  }

  /**
   * Takes up a new configuration; when something in it cannot work, throws and the old one stays.
   * @returns the settings that changed and need a restart.
   */
  async reload(config: Config): Promise<readonly string[]> {
    checkStartable(config);
    const parts = this.#parts;
    const before = this.#config;
    // Refuses what cannot be, before anything has changed.
    new FileDirectory(config.directory);
    const protocols = createProtocols(config, protocolsDeps(config, parts));
    try {
      await parts.certificates.reload(certificatesOptions(config));
      parts.sqlite.configure(sqliteSettings(config));
      await this.#listeners.apply(config, protocols);
    } catch (error) {
      parts.sqlite.configure(sqliteSettings(before));
      await parts.certificates.reload(certificatesOptions(before));
      throw error;
    }
    warnOfUnserved(config, parts.surroundings.log);
    parts.declared.replace(config.directory);
    parts.directory.configure(directorySettings(config));
    parts.loginGuard.configure(config.auth.bans);
    parts.scheduler.reload(schedulerOptions(config));
    parts.remote.replace(config);
    const old = this.#protocols;
    this.#protocols = protocols;
    this.#config = config;
    await this.#retire(old);
    return changedSettings(before, config).filter((name) => RESTART_ONLY.some((rule) => rule.test(name)));
  }

  /** Keeps it while it has sessions; lets go of earlier ones that have none any more. */
  async #retire(protocols: Protocols): Promise<void> {
    const all = [...this.#retired, protocols];
    this.#retired = all.filter((one) => one.sessions > 0);
    await Promise.all(all.filter((one) => one.sessions === 0).map((one) => one.close(0)));
  }

  /** No new connections; what runs may finish within `graceMs`; then everything is closed in order. */
  async close(graceMs: number): Promise<void> {
    this.#listeners.close();
    const protocols = [this.#protocols, ...this.#retired];
    await Promise.all([...protocols.map((one) => one.close(graceMs)), this.#parts.scheduler.close(graceMs)]);
    await this.#parts.close();
  }
}

interface Parts {
  readonly sqlite: SqliteDirectory;
  readonly declared: FileDirectory;
  readonly directory: JoinedDirectory;
  readonly certificates: Certificates;
  readonly queue: SegmentQueue;
  readonly store: ThreadStore;
  readonly sieve: SieveCalls;
  readonly recipientScripts: RecipientScripts;
  readonly mailboxEvents: MailboxEvents;
  readonly quota: QuotaCheck;
  readonly maildropLocks: MaildropLocks;
  readonly loginGuard: LoginGuard;
  readonly accountSessions: AccountSessions;
  readonly scheduler: Scheduler;
  readonly remote: ReplaceableRemote;
  readonly surroundings: Surroundings;
  readonly failed: Promise<Error>;
  close(): Promise<void>;
}

async function build(
  config: Config,
  surroundings: Surroundings,
  onClose: (close: () => void | Promise<void>) => void,
): Promise<Parts> {
  const { log, clock } = surroundings;
  onClose(claimDataDir(config.dataDir));
  const passwords = new Passwords();
  onClose(() => passwords.close());
  const sqlite = openDirectory(config, clock, passwords);
  onClose(() => sqlite.close());
  const declared = sqlite.declared;
  const directory = new JoinedDirectory({
    sources: [sqlite, declared],
    passwords,
    clock,
    log,
    scramSecret: sqlite.scramSecret,
    settings: directorySettings(config),
  });
  onClose(() => directory.close());
  const maintenance = new AbortController();
  onClose(() => maintenance.abort());
  const certificates = await Certificates.load(certificatesOptions(config), { clock, log });
  void certificates.maintain(maintenance.signal);

  let fail: (error: Error) => void = () => {};
  const failed = new Promise<Error>((resolve) => {
    fail = resolve;
  });
  const settings: WorkerSettings = {
    dataDir: config.dataDir,
    store: config.store,
    sieve: config.sieve,
    hostname: hostnameOf(config),
    delimiters: config.directory.recipientDelimiters,
  };
  const pool = new ThreadPool(workerEntry(), Math.max(1, availableParallelism() - 1), settings, fail);
  onClose(() => pool.close());
  logFromThreads(pool, log);
  const quotaOf = async (id: AccountId): Promise<Limits> =>
    accountLimits(await directory.account(id), config.store.quota);
  const store = new ThreadStore(pool, quotaOf, log);
  const quota: QuotaCheck = {
    whenFull: config.store.quotaFull,
    async admit(account, bytes) {
      const { storage, messages } = await quotaOf(account);
      // Most accounts have no limit: then no RCPT waits for the store.
      if (storage === null && messages === null && config.store.mailboxSizeLimit.length === 0) return;
      await store.admit(account, bytes);
    },
  };

  const queue = await openQueue(config, surroundings);
  onClose(() => queue.close());
  const remote = new ReplaceableRemote(config, resolverOf(config, clock), log);
  onClose(() => remote.close());
  const sieve = threadSieve(pool, mayHaveScripts(config.dataDir, config.sieve));
  const acting = {
    sieve,
    store,
    directory,
    queue,
    clock,
    log,
    hostname: hostnameOf(config),
    settings: config.sieve,
  };
  const filter = new Filter(acting);
  const delimiter = config.directory.recipientDelimiters.at(0) ?? '+';
  const recipients = recipientScripts(sieve, delimiter);
  const local = new LocalAgent({ filter, directory, delimiter, whenFull: quota.whenFull, log });
  const scheduler = new Scheduler(schedulerOptions(config), {
    store: queue,
    agents: { local, remote },
    clock,
    log,
    submit: (report, raw) => submitReport(report, raw, { directory, queue, log }),
  });
  const walk = new DailyWalk({
    accounts: () => accountIds(sqlite),
    keepHouse: (account) => store.keepHouse(account),
    clock,
    log,
  });
  onClose(() => walk.close());
  const loginGuard = new LoginGuard(config.auth.bans, clock, log);
  const accountSessions = new AccountSessions();
  const closedAccounts = new ClosedAccounts({
    sessions: accountSessions,
    isOpen: async (account) => (await directory.account(account as AccountId))?.enabled === true,
    clock,
    log,
  });
  onClose(() => closedAccounts.close());
  const handlers = {
    ...aclHandlers(store),
    ...banHandlers(loginGuard),
    ...queueHandlers(queue),
    ...adoptionHandlers(store),
    ...storeHandlers(store),
    ...transferHandlers(store),
  };
  const control = new ControlServer(controlPath(config.dataDir), handlers, log);
  onClose(() => control.close());
  await control.listen();
  const close = async (): Promise<void> => {};
  return {
    sqlite,
    declared,
    directory,
    certificates,
    queue,
    store,
    sieve,
    recipientScripts: recipients,
    mailboxEvents: new ScriptedEvents(acting),
    quota,
    maildropLocks: new MaildropLocks(),
    loginGuard,
    accountSessions,
    scheduler,
    remote,
    surroundings,
    failed,
    close,
  };
}

async function* accountIds(directory: SqliteDirectory): AsyncGenerator<AccountId> {
  for await (const { address } of listAccounts(directory)) yield address as AccountId;
}

/** The remote agent of the present configuration; deliveries under way finish on the one they began with. */
class ReplaceableRemote implements DeliveryAgent {
  readonly name = 'remote';
  readonly #resolver: Resolver;
  readonly #log: Logger;
  #agent: RemoteAgent;

  constructor(config: Config, resolver: Resolver, log: Logger) {
    this.#resolver = resolver;
    this.#log = log;
    this.#agent = this.#make(config);
  }

  deliver(...args: Parameters<DeliveryAgent['deliver']>): ReturnType<DeliveryAgent['deliver']> {
    return this.#agent.deliver(...args);
  }

  replace(config: Config): void {
    this.#agent.close();
    this.#agent = this.#make(config);
  }

  close(): void {
    this.#agent.close();
  }

  #make(config: Config): RemoteAgent {
    const { delivery, listeners } = config;
    const hostname = hostnameOf(config);
    const self = ourselves(hostname, listeners.smtp, delivery.port);
    return new RemoteAgent({ delivery, hostname, self }, { resolver: this.#resolver, log: this.#log });
  }
}

function protocolsDeps(config: Config, parts: Parts): ProtocolsDeps {
  const { directory, queue, store, sieve, recipientScripts, mailboxEvents, quota, maildropLocks } = parts;
  const { loginGuard, accountSessions, certificates, surroundings } = parts;
  const hostname = hostnameOf(config);
  const accountQuotas = imapQuotas(config.directory.admins, directory, parts.sqlite);
  const shared = {
    directory,
    queue,
    store,
    sieve,
    recipientScripts,
    mailboxEvents,
    quota,
    maildropLocks,
    loginGuard,
    accountSessions,
    accountQuotas,
  };
  return { hostname, ...shared, tls: certificates, userTls: certificates.forUsers, ...surroundings };
}

function checkStartable(config: Config): void {
  if (!listensAnywhere(config))
    throw new StartError(
      'nothing to do: "listeners" names no service in the configuration. config/minimal.yaml shows the usual ones.',
    );
}

function warnOfUnserved(config: Config, log: Logger): void {
  for (const service of unserved(config))
    log.warn({ setting: `listeners.${service}` }, 'nothing listens there: not served in this version');
}

/** Dotted names of what differs; a list counts as one setting. */
function changedSettings(before: object, after: object, prefix = ''): string[] {
  const old = new Map<string, unknown>(Object.entries(before));
  return Object.entries(after).flatMap(([key, value]: [string, unknown]) => {
    const was = old.get(key);
    if (isGroup(value) && isGroup(was)) return changedSettings(was, value, `${prefix}${key}.`);
    return JSON.stringify(was) === JSON.stringify(value) ? [] : [prefix + key];
  });
}

function isGroup(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function schedulerOptions(config: Config): SchedulerOptions {
  return { ...config.queue, hostname: hostnameOf(config) };
}

/** A bounce goes where any mail to its recipient would go; one that cannot be delivered ends here (RFC 5321 6.1). */
async function submitReport(
  report: NewMessage,
  raw: RawMessage,
  { directory, queue, log }: { directory: Directory; queue: SegmentQueue; log: Logger },
): Promise<void> {
  const to = report.recipients.map(({ address, notify }) => ({ address, ...(notify && { notify }) }));
  const { id, refused } = await submit(directory, queue, { ...report, to }, raw.read());
  for (const { recipient, reply } of refused)
    log.warn(
      { qid: id, to: formatAddress(recipient.address), reply: formatReply(reply) },
      'report not deliverable',
    );
}

function hostnameOf(config: Config): string {
  return config.hostname ?? 'localhost';
}

function directorySettings(config: Config): DirectorySettings {
  const { postmaster, recipientDelimiters } = config.directory;
  const { defaultDomain } = config.auth;
  return {
    recipientDelimiters,
    postmaster: postmaster === null ? undefined : parseAddress(postmaster),
    defaultDomain: defaultDomain === null ? undefined : parseDomain(defaultDomain),
  };
}

function certificatesOptions(config: Config): CertificatesOptions {
  const { cert, key, certificates, minVersion, ciphers } = config.tls;
  return {
    hostname: hostnameOf(config),
    dataDir: config.dataDir,
    main: cert !== null && key !== null ? { cert, key, names: null } : null,
    others: certificates,
    minVersion,
    ciphers,
    clients: config.auth.clientCertificates,
  };
}

function resolverOf(config: Config, clock: Clock): Resolver {
  const { servers, timeout, tries, cacheSize } = config.dns;
  const parsed = servers.map(parseServer).filter((server) => server !== undefined);
  const stub = new StubResolver({ servers: parsed.length > 0 ? parsed : systemServers(), timeout, tries });
  return new CachingResolver(stub, { clock, size: cacheSize });
}

/** Beside us: `.ts` in a checkout, `.js` in the built package. */
function workerEntry(): URL {
  return new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url);
}

async function closeAll(closers: readonly (() => void | Promise<void>)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const close of closers.toReversed()) {
    try {
      await close();
    } catch (error) {
      // The others are closed all the same: a thread left running would keep the process from ending.
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}
