import { join } from 'node:path';
import type { QuotaCheck } from './checks/quota.ts';
import type { Config } from './config/schema.ts';
import type { MailboxEvents } from './delivery/mailbox-events.ts';
import type { RecipientScripts } from './delivery/recipient-scripts.ts';
import type { SieveCalls } from './delivery/sieve/calls.ts';
import { extensionNames } from './delivery/sieve/scripts.ts';
import type { Directory } from './directory/directory.ts';
import type { AccountQuotas } from './imap/account-quotas.ts';
import { createImapServer, IMAP_REFUSAL } from './imap/server.ts';
import type { Clock } from './lib/clock.ts';
import { networks } from './lib/ip.ts';
import type { Logger } from './lib/logger.ts';
import { version } from './lib/version.ts';
import { createManageSieveServer, MANAGESIEVE_REFUSAL } from './managesieve/server.ts';
import type { Accepted } from './net/connection.ts';
import type { TlsContext } from './net/handshake.ts';
import type { AccountSessions } from './net/limits.ts';
import { SocketLineConnection } from './net/line-connection.ts';
import { createOAuth } from './oauth/token-check.ts';
import type { MaildropLocks } from './pop3/locks.ts';
import { createPop3Server, POP3_REFUSAL } from './pop3/server.ts';
import type { QueueStore } from './queue/queue.ts';
import { createSasl } from './sasl/index.ts';
import type { LoginGuard } from './sasl/login-guard.ts';
import { createSmtpServer, type SmtpServer } from './smtp/server.ts';
import { FileScriptStore } from './store/script-store.ts';
import type { MailStore } from './store/store.ts';

/** What listeners can be opened for, each with its protocol. */
export type ServiceName =
  | 'smtp'
  | 'submission'
  | 'submissions'
  | 'lmtp'
  | 'imap'
  | 'imaps'
  | 'pop3'
  | 'pop3s'
  | 'managesieve';

export interface Service {
  readonly implicitTls: boolean;
  /** Whose share of `limits:` it takes. */
  readonly limits: 'smtp' | 'submission' | 'lmtp' | 'imap' | 'pop3' | 'managesieve';
  /** What the protocol says to one too many. */
  readonly refusal: string;
  accept(accepted: Accepted): void;
}

/** The protocol servers made from one reading of the configuration: a reload makes new ones, old sessions stay. */
export interface Protocols {
  readonly services: Readonly<Record<ServiceName, Service>>;
  /** Sessions that wait end at once, those at work get `graceMs`. */
  close(graceMs: number): Promise<void>;
  /** That are open. */
  readonly sessions: number;
}

export interface ProtocolsDeps {
  readonly hostname: string;
  readonly directory: Directory & { allHaveScram(): boolean };
  readonly queue: QueueStore;
  readonly store: MailStore;
  readonly sieve: Pick<SieveCalls, 'check'>;
  readonly quota: QuotaCheck;
  readonly recipientScripts: RecipientScripts;
  readonly mailboxEvents: MailboxEvents;
  readonly maildropLocks: MaildropLocks;
  readonly loginGuard: LoginGuard;
  readonly accountSessions: AccountSessions;
  /** Of this configuration's admins. */
  readonly accountQuotas: AccountQuotas;
  readonly tls: TlsContext;
  /** Where users log in: their certificates may be asked for. */
  readonly userTls: TlsContext;
  readonly clock: Clock;
  readonly log: Logger;
}

/** RFC 5804 1.8. */
const MANAGESIEVE_PORT = 4190;
const SMTP_REFUSAL = '421 4.7.0 Too many connections, try again later\r\n';

/** As RFC 4422 names them. */
const SASL_SERVICES = { imap: 'imap', pop3: 'pop', submission: 'smtp' } as const;

/** RFC 6785 2.1, RFC 5804 3; null where scripts cannot be edited. */
function sieveUrl({ listeners }: Config, hostname: string): string | null {
  const [first] = listeners.managesieve;
  if (!first) return null;
  return `sieve://${hostname}${first.port === MANAGESIEVE_PORT ? '' : `:${first.port}`}`;
}

export function createProtocols(config: Config, deps: ProtocolsDeps): Protocols {
  const { hostname, directory, queue, store, quota, tls, userTls, clock, log } = deps;
  const { allowPlaintextFrom, cramMd5, announcePlus } = config.auth;
  const sasl = createSasl({
    directory,
    log,
    clock,
    hostname,
    guard: deps.loginGuard,
    cramMd5,
    announcePlus: announcePlus.map((protocol) => SASL_SERVICES[protocol]),
    allHaveScram: () => directory.allHaveScram(),
    oauth: createOAuth(config.auth.oauth, { clock, log }),
    certificateAccount: config.auth.clientCertificates.account,
  });
  const plaintextNetworks = networks(allowPlaintextFrom);
  const readers = {
    hostname,
    version: version(),
    store,
    sasl,
    clock,
    log,
    allowPlaintext: (ip: string) => plaintextNetworks.contains(ip),
  };
  const smtp = (service: 'smtp' | 'submission' | 'lmtp'): SmtpServer =>
    createSmtpServer({
      service,
      hostname,
      directory,
      queue,
      quota,
      scripts: deps.recipientScripts,
      sasl,
      tls: service === 'submission' ? userTls : tls,
      settings: config.smtp,
      mynetworks: config.mynetworks,
      allowPlaintextFrom,
      log,
      clock,
    });
  const servers = { smtp: smtp('smtp'), submission: smtp('submission'), lmtp: smtp('lmtp') };
  const imap = createImapServer({
    ...readers,
    settings: config.imap,
    scripts: { events: deps.mailboxEvents, url: sieveUrl(config, hostname) },
    accountSessions: deps.accountSessions,
    quotas: deps.accountQuotas,
    spoolDirectory: join(config.dataDir, 'spool'),
  });
  const pop3 = createPop3Server({
    ...readers,
    settings: config.pop3,
    accountSessions: deps.accountSessions,
    locks: deps.maildropLocks,
  });
  const managesieve = createManageSieveServer({
    ...readers,
    settings: config.managesieve,
    accountSessions: deps.accountSessions,
    scripts: new FileScriptStore(config.dataDir, {
      maxSize: config.managesieve.maxScriptSize,
      maxScripts: config.managesieve.maxScripts,
      maxTotal: config.managesieve.maxScriptsSize,
    }),
    abilities: {
      extensions: extensionNames(config.sieve),
      notify: config.sieve.maxNotifications > 0 ? ['mailto'] : [],
      maxRedirects: config.sieve.maxRedirects,
    },
    check: (account, source) => deps.sieve.check(account, source),
  });
  const all = [...Object.values(servers), imap, pop3, managesieve];
  const lines = (accepted: Accepted): SocketLineConnection =>
    new SocketLineConnection(accepted, {
      tls: userTls,
      handshakeTimeoutMs: config.limits.handshakeTimeout,
      writeTimeoutMs: config.limits.writeTimeout,
    });

  const takeSmtp = (name: 'smtp' | 'submission' | 'lmtp', implicitTls: boolean): Service => ({
    implicitTls,
    limits: name,
    refusal: SMTP_REFUSAL,
    accept: (accepted) => servers[name].accept(accepted),
  });
  const takeImap = (implicitTls: boolean): Service => ({
    implicitTls,
    limits: 'imap',
    refusal: IMAP_REFUSAL,
    accept: (accepted) => void imap.handle(lines(accepted)),
  });
  const takePop3 = (implicitTls: boolean): Service => ({
    implicitTls,
    limits: 'pop3',
    refusal: POP3_REFUSAL,
    accept: (accepted) => void pop3.handle(lines(accepted)),
  });

  return {
    services: {
      smtp: takeSmtp('smtp', false),
      submission: takeSmtp('submission', false),
      submissions: takeSmtp('submission', true),
      lmtp: takeSmtp('lmtp', false),
      imap: takeImap(false),
      imaps: takeImap(true),
      pop3: takePop3(false),
      pop3s: takePop3(true),
      managesieve: {
        implicitTls: false,
        limits: 'managesieve',
        refusal: MANAGESIEVE_REFUSAL,
        accept: (accepted) => void managesieve.handle(lines(accepted)),
      },
    },
    get sessions() {
      return all.reduce((sum, server) => sum + server.sessions, 0);
    },
    async close(graceMs) {
      await Promise.all(all.map((server) => server.close(graceMs)));
    },
  };
}
