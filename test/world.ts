import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ImapFlow } from 'imapflow';
import nodemailer from 'nodemailer';
import { addAccount } from '../src/admin/accounts.ts';
import { addDomain } from '../src/admin/domains.ts';
import { defaultConfig } from '../src/config/load.ts';
import { Facteur } from '../src/facteur.ts';
import { type Clock, systemClock } from '../src/lib/clock.ts';
import type { Logger } from '../src/lib/logger.ts';
import { ManualClock } from './clock.ts';

/** One log line, as a test can ask for it. */
export interface Line {
  readonly level: string;
  readonly message: string;
  readonly [field: string]: unknown;
}

/** A whole Facteur in this process, on real sockets and real files, in a directory that goes with it. */
export interface World {
  readonly facteur: Facteur;
  readonly dir: string;
  readonly lines: Line[];
  /** The first port of a service. */
  port(service: string): number;
  close(): Promise<void>;
}

export interface WorldOptions {
  /** Loopback address of all listeners. */
  readonly host?: string;
  readonly smtpPort?: number;
  /** Laid over the defaults. */
  readonly settings?: object;
  readonly accounts?: Readonly<Record<string, string>>;
  readonly clock?: Clock;
  readonly dir?: string;
}

export async function startWorld(options: WorldOptions = {}): Promise<World> {
  const { host = '127.0.0.1', smtpPort = 0, settings = {}, accounts = {}, clock = systemClock } = options;
  const dir = options.dir ?? mkdtempSync(join(tmpdir(), 'facteur-world-'));
  const lines: Line[] = [];
  const any = (port = 0): object[] => [{ host, port }];
  const config = defaultConfig(
    {
      hostname: 'mx.example.org',
      dataDir: join(dir, 'data'),
      listeners: {
        smtp: any(smtpPort),
        submission: any(),
        submissions: any(),
        lmtp: any(),
        imap: any(),
        imaps: any(),
        pop3: any(),
        pop3s: any(),
        managesieve: any(),
      },
      ...settings,
    },
    dir,
  );
  const facteur = await Facteur.start(config, { log: recorder(lines), clock });
  const domains = new Set(
    Object.keys(accounts).map((address) => address.slice(address.lastIndexOf('@') + 1)),
  );
  const known = new Set<string>(facteur.directory.domains());
  for (const domain of domains) if (!known.has(domain)) await addDomain(facteur.directory, domain);
  if (!options.dir || known.size === 0)
    for (const [address, password] of Object.entries(accounts))
      await addAccount(facteur.directory, { address, password: { is: 'password', password } });
  return {
    facteur,
    dir,
    lines,
    port: (service) => facteur.addresses()[service]?.[0]?.port ?? 0,
    async close() {
      await turning(clock, facteur.close(2000));
      if (!options.dir) rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** A clock that is moved by hand must go on for what waits while stopping. */
async function turning(clock: Clock, work: Promise<void>): Promise<void> {
  let done = false;
  const finished = work.finally(() => {
    done = true;
  });
  while (clock instanceof ManualClock && !done) {
    await clock.advance(100);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await finished;
}

function recorder(lines: Line[], bound: object = {}): Logger {
  const at =
    (level: string) =>
    (fields: object, message: string): void =>
      void lines.push({ ...bound, ...fields, level, message });
  return {
    child: (fields) => recorder(lines, { ...bound, ...fields }),
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
  };
}

/** Submits a message as the account's mail program would: 587, STARTTLS, password. */
export async function sendAs(
  world: World,
  user: string,
  pass: string,
  mail: { readonly to: string | readonly string[]; readonly subject: string; readonly text?: string },
): Promise<void> {
  const host = world.facteur.addresses()['submission']?.[0]?.host ?? '';
  const transport = nodemailer.createTransport({
    host,
    port: world.port('submission'),
    auth: { user, pass },
    requireTLS: true,
    tls: { rejectUnauthorized: false },
  });
  await transport.sendMail({
    from: user,
    to: typeof mail.to === 'string' ? mail.to : [...mail.to],
    subject: mail.subject,
    text: mail.text ?? 'Hello\n',
  });
  transport.close();
}

/** An IMAP client that is logged in. */
export async function imapClient(world: World, user: string, pass: string): Promise<ImapFlow> {
  const host = world.facteur.addresses()['imaps']?.[0]?.host ?? '';
  const client = new ImapFlow({
    host,
    port: world.port('imaps'),
    secure: true,
    auth: { user, pass },
    tls: { rejectUnauthorized: false },
    logger: false,
  });
  await client.connect();
  return client;
}

/** The sources of the messages in the account's INBOX, once there are `count` of them. */
export async function inbox(
  world: World,
  user: string,
  pass: string,
  count: number,
): Promise<readonly string[]> {
  const client = await imapClient(world, user, pass);
  try {
    for (let attempt = 0; attempt < 200; attempt++) {
      const box = await client.mailboxOpen('INBOX');
      if (box.exists >= count) break;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const sources: string[] = [];
    const exists = client.mailbox === false ? 0 : client.mailbox.exists;
    if (exists > 0)
      for await (const message of client.fetch('1:*', { source: true })) sources.push(String(message.source));
    return sources;
  } finally {
    await client.logout();
  }
}

/** Resolves when `check` finds something; fails after 20 s. */
export async function eventually<T>(
  what: string,
  check: () => T | undefined | Promise<T | undefined>,
): Promise<T> {
  const end = Date.now() + 20_000;
  while (Date.now() < end) {
    const found = await check();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`waited in vain: ${what}`);
}
