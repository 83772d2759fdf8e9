import type { MailboxEvents } from '../delivery/mailbox-events.ts';
import { CapabilityMask } from '../lib/capability-mask.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import type { LineConnection } from '../net/connection.ts';
import { AccountSessions } from '../net/limits.ts';
import type { Sasl } from '../sasl/sasl.ts';
import type { MailStore } from '../store/store.ts';
import type { AccountQuotas } from './account-quotas.ts';
import { loadedCapabilities } from './capability.ts';
import type { Command, ImapWorld } from './command.ts';
import { commands } from './commands/index.ts';
import { FlagText } from './flag-text.ts';
import { HeldOctets } from './held-octets.ts';
import type { ImapOptions } from './options.ts';
import { Session } from './session.ts';
import { SharedAccounts } from './shared/accounts.ts';
import { Spool } from './spool.ts';

/** An IMAP4rev1 server for connections that others accept (net/). */

/** What a listener says to one too many. */
export const IMAP_REFUSAL = '* BYE [LIMIT] Too many connections, try again later\r\n';

export interface ImapServerOptions {
  readonly hostname: string;
  /** Told by ID. */
  readonly version: string;
  readonly store: MailStore;
  readonly sasl: Sasl;
  readonly clock: Clock;
  readonly log: Logger;
  readonly settings: ImapOptions;
  /** Shared with the servers before and after a reload. */
  readonly accountSessions?: AccountSessions;
  /** Runs scripts for what sessions do; `url` is the ManageSieve server's, where there is one (RFC 6785 2.1). */
  readonly scripts?: { readonly events: MailboxEvents; readonly url: string | null };
  /** For admins; without it nobody sets quotas. */
  readonly quotas?: AccountQuotas;
  /** A directory of our own, on a file system with room for messages being uploaded. */
  readonly spoolDirectory: string;
  /** Networks from which a password may come without TLS (`auth.allowPlaintextFrom`). */
  allowPlaintext(ip: string): boolean;
}

export interface ImapServer {
  /** Serves the connection to its end. Never rejects. */
  handle(connection: LineConnection): Promise<void>;
  /** Says BYE to all; running commands have `graceMs` to finish. */
  close(graceMs: number): Promise<void>;
  readonly sessions: number;
}

export function createImapServer(options: ImapServerOptions): ImapServer {
  const { spoolDirectory, ...rest } = options;
  const spool = new Spool(spoolDirectory);
  const world: ImapWorld = {
    ...rest,
    allowPlaintext: (ip) => options.allowPlaintext(ip),
    accountSessions: options.accountSessions ?? new AccountSessions(),
    shared: new SharedAccounts(options.store, options.settings.publicAccount, spool),
    flagText: new FlagText(),
    held: new HeldOctets(),
    capabilities: loadedCapabilities(),
    mask: new CapabilityMask(options.settings.mask),
  };
  const table: ReadonlyMap<string, Command> = new Map(commands.map((command) => [command.name, command]));
  const running = new Map<Session, Promise<void>>();
  let closed = false;

  return {
    get sessions() {
      return running.size;
    },

    async handle(connection) {
      const session = new Session(world, connection, table, spool);
      const done = session.run();
      running.set(session, done);
      if (closed) session.stop(SHUTDOWN);
      try {
        await done;
      } finally {
        running.delete(session);
      }
    },

    async close(graceMs) {
      closed = true;
      for (const session of running.keys()) session.stop(SHUTDOWN);
      const enough = new AbortController();
      const grace = options.clock.sleep(graceMs, enough.signal).catch(() => {});
      await Promise.race([Promise.all(running.values()), grace]);
      enough.abort();
      for (const session of running.keys()) session.connection.destroy();
      await Promise.all(running.values());
    },
  };
}

const SHUTDOWN = 'The server is going down';
