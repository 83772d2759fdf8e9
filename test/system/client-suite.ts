import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { checkout, command, Daemon, root } from '../daemon.ts';

/** Where the harness with the real mail programs lies, beside the checkout. */
export const clientsFolder: string = resolve(root, '../shared/clients');

export interface ClientRun {
  readonly only?: string | undefined;
  readonly skip?: string | undefined;
  /** Plays the world as well: its DNS and its MTA have fixed ports, and so has Facteur then. */
  readonly internet?: boolean;
  /** Where the results go; without it they go with the rest. */
  readonly out?: string | undefined;
  /** The node_modules folder of the Node.js clients. */
  readonly modules?: string | undefined;
  /** When the directory with logs and Maildirs stays; never without it. */
  readonly keep?: 'always' | 'failed';
  /** What the harness prints, as it comes. */
  print?(text: string): void;
}

export interface ClientResult {
  readonly status: number | null;
  /** The lines `PASS client/check`, `FAIL client/check: reason`, `SKIP client/check: reason`. */
  readonly checks: readonly string[];
  /** The directory that was kept. */
  readonly kept: string | undefined;
}

const ACCOUNTS = [
  { address: 'alice@example.test', password: 'wonder-Land.1' },
  { address: 'bob@example.test', password: 'build-It.2' },
] as const;

/** The ports that the world of `--internet` expects. */
const FIXED: Readonly<Record<string, number>> = {
  smtp: 2525,
  smtpProxy: 2526,
  submission: 2587,
  submissions: 2465,
  imap: 2143,
  imaps: 2993,
  pop3: 2110,
  pop3s: 2995,
  managesieve: 24190,
};

/** Runs the real mail programs of the harness against a daemon of this checkout. The programs must be installed. */
export async function runClients(run: ClientRun): Promise<ClientResult> {
  if (!existsSync(clientsFolder)) throw new Error(`The clients are not at ${clientsFolder}.`);
  const work = mkdtempSync(join(tmpdir(), 'facteur-clients-'));
  // Some clients run as a user of their own.
  chmodSync(work, 0o755);
  const harness = join(work, 'harness');
  cpSync(clientsFolder, harness, { recursive: true });
  const certs = join(work, 'certs');
  quietly('bash', [join(harness, 'lib/make-certs.sh'), certs]);
  const config = join(work, 'facteur.yaml');
  writeFileSync(config, configuration(certs, run.internet ? FIXED : {}));
  command(checkout, ['domain', 'add', 'example.test', '--config', config]);
  for (const { address, password } of ACCOUNTS)
    command(checkout, ['account', 'add', address, '--password-stdin', '--config', config], `${password}\n`);

  mkdirSync(join(work, 'log'));
  const daemon = await Daemon.start(checkout, { config, log: join(work, 'log/facteur.log') });
  const inet = { ...process.env, FT_CERTS: certs };
  let status: number | null = null;
  let output = '';
  try {
    if (run.internet) quietly('bash', [join(harness, 'internet/start.sh'), join(work, 'inet')], inet);
    // The account's Maildir is made when it is first opened; some clients work on it directly.
    const [{ address, password }] = ACCOUNTS;
    quietly('curl', [
      '-sk',
      `imaps://127.0.0.1:${daemon.ports('imaps')[0]}/`,
      '-u',
      `${address}:${password}`,
    ]);
    const args = [join(harness, 'run-all.sh'), ...harnessArguments(work, daemon, run)];
    const env = {
      ...process.env,
      FT_NODE_MODULES: run.modules ?? join(root, 'node_modules'),
      FT_INET_DIR: join(work, 'inet'),
    };
    ({ status, output } = await speaking('bash', args, env, run.print));
  } finally {
    if (run.internet) quietly('bash', [join(harness, 'internet/stop.sh'), join(work, 'inet')], inet);
    await daemon.stop();
  }
  const keep = run.keep === 'always' || (run.keep === 'failed' && status !== 0);
  if (!keep) rmSync(work, { recursive: true, force: true });
  const checks = output.split('\n').filter((line) => /^(PASS|FAIL|SKIP) /.test(line));
  return { status, checks, kept: keep ? work : undefined };
}

function configuration(certs: string, ports: Readonly<Record<string, number>>): string {
  const at = (service: string, more = ''): string =>
    `{ host: 127.0.0.1, port: ${ports[service] ?? 0}${more} }`;
  return `hostname: mail.example.test
dataDir: ./data
dns: { servers: ["127.0.0.1:5353"] }
tls: { cert: ${certs}/server.chain.pem, key: ${certs}/server.key }
auth: { cramMd5: true }
delivery: { port: 2525 }
queue: { retry: [4s, 6s, 8s] }
log: { format: json }
listeners:
  smtp: [${at('smtp')}, ${at('smtpProxy', ', proxyProtocol: true')}]
  submission: [${at('submission')}]
  submissions: [${at('submissions')}]
  imap: [${at('imap')}]
  imaps: [${at('imaps')}]
  pop3: [${at('pop3')}]
  pop3s: [${at('pop3s')}]
  managesieve: [${at('managesieve')}]
`;
}

/** The option of the harness for each service. */
const PORT_OPTIONS: readonly (readonly [service: string, ...options: string[]])[] = [
  ['smtp', '--smtp', '--smtp-proxy'],
  ['submission', '--submission'],
  ['submissions', '--smtps'],
  ['imap', '--imap'],
  ['imaps', '--imaps'],
  ['pop3', '--pop3'],
  ['pop3s', '--pop3s'],
  ['managesieve', '--sieve'],
];

function harnessArguments(work: string, daemon: Daemon, run: ClientRun): string[] {
  const ports = PORT_OPTIONS.flatMap(([service, ...options]) =>
    options.flatMap((option, i) => [option, String(daemon.ports(service)[i] ?? 0)]),
  );
  return [
    ...['--ca', join(work, 'certs/ca.pem'), ...ports],
    ...['--maildir', join(work, 'data/mail/example.test/alice/Maildir')],
    ...(run.only ? ['--only', run.only] : []),
    ...(run.skip ? ['--skip', run.skip] : []),
    ...(run.internet ? ['--internet'] : []),
    ...['--out', run.out ?? join(work, 'results'), '--work', join(work, 'scratch')],
  ];
}

function quietly(program: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): void {
  execFileSync(program, args, { env, stdio: ['ignore', 'ignore', 'inherit'] });
}

function speaking(
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  print: (text: string) => void = () => {},
): Promise<{ status: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      print(text);
    });
    child.once('error', reject);
    child.once('close', (status) => resolve({ status, output }));
  });
}
