import { execFileSync, spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { chmodSync, cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { clientsFolder } from './client-suite.ts';

/**
 * The world in a box: a DNS server with made-up domains and a Postfix that plays all their hosts, good and bad ones
 * (../shared/clients/README.md, "Made-up domains"). Its ports are fixed but for those of the MX hosts, so there can be
 * one at a time.
 */
export interface Internet {
  /** The certificates that the world trusts: `server.chain.pem` and `server.key` are Facteur's. */
  readonly certs: string;
  /** Sources of the messages that the remote hosts took. */
  received(): readonly string[];
  close(): void;
}

export const DNS_SERVER = '127.0.0.1:5353';

/** Where mail is given to the remote Postfix, for it to deliver. */
export const REMOTE_SUBMISSION = { host: '127.0.0.2', port: 2500 } as const;

const PROGRAMS = [
  'postfix',
  'postgrey',
  'nsd',
  'opendkim',
  'opendkim-genkey',
  'openssl',
  'python3',
  'unshare',
];

/** Why there can be no world here and now; undefined when there can. */
export async function noInternet(): Promise<string | undefined> {
  if (!existsSync(clientsFolder)) return 'no ../shared/clients beside this checkout';
  const missing = PROGRAMS.filter((name) => spawnSync('sh', ['-c', `command -v ${name}`]).status !== 0);
  if (missing.length > 0) return `not installed: ${missing.join(', ')}`;
  if (process.getuid?.() !== 0) return 'Postfix needs root to start';
  if (!existsSync('/usr/lib/postfix/postfix-pcre.so')) return 'not installed: postfix-pcre';
  if (spawnSync('unshare', ['-m', 'true']).status !== 0) return 'no mount namespaces here';
  if (!(await bindable())) return 'the ports of its DNS or its MTA are taken';
  return undefined;
}

/** Starts the world. Its MX hosts listen on `mxPort`; Facteur is at 127.0.0.1, `facteurPort`. */
export function startInternet(mxPort: number, facteurPort: number): Internet {
  const dir = mkdtempSync(join(tmpdir(), 'facteur-internet-'));
  // Postfix runs as users of its own.
  chmodSync(dir, 0o755);
  cpSync(clientsFolder, join(dir, 'harness'), { recursive: true });
  const certs = join(dir, 'certs');
  const world = join(dir, 'world');
  const env = {
    ...process.env,
    FT_CERTS: certs,
    FT_SERVER_SMTP: String(facteurPort),
    FT_REMOTE_PORT: String(mxPort),
  };
  const run = (script: string): void => {
    execFileSync('bash', [join(dir, 'harness/internet', script), world], { env, stdio: 'ignore' });
  };
  const close = (): void => {
    run('stop.sh');
    rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    run('start.sh');
  } catch (error) {
    close();
    throw error;
  }
  return { certs, received: () => maildir(join(world, 'mail/all')), close };
}

function maildir(path: string): string[] {
  const folder = join(path, 'new');
  if (!existsSync(folder)) return [];
  return readdirSync(folder).map((name) => readFileSync(join(folder, name), 'latin1'));
}

async function bindable(): Promise<boolean> {
  const udp = new Promise<boolean>((done) => {
    const socket = createSocket('udp4').once('error', () => done(false));
    socket.bind(5353, '127.0.0.1', () => socket.close(() => done(true)));
  });
  const tcp = new Promise<boolean>((done) => {
    const server = createServer().once('error', () => done(false));
    server.listen(REMOTE_SUBMISSION, () => server.close(() => done(true)));
  });
  return (await Promise.all([udp, tcp])).every(Boolean);
}
