/**
 * `npm run clients -- [--only mbsync,curl] [--skip …] [--internet]`: runs the real mail programs of
 * ../shared/clients against this checkout, on the ports that harness expects. With --internet it also starts the
 * harness's DNS and remote MTA. The programs must be installed (its install.sh does that).
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

const root = resolve(import.meta.dirname, '../..');
const shared = resolve(root, '../shared/clients');
const node = join(root, 'node_modules/node/bin/node');

const { values: options } = parseArgs({
  options: {
    only: { type: 'string' },
    skip: { type: 'string' },
    internet: { type: 'boolean', default: false },
    out: { type: 'string' },
    modules: { type: 'string' },
    keep: { type: 'boolean', default: false },
  },
});

const ACCOUNTS = [
  { address: 'alice@example.test', password: 'wonder-Land.1' },
  { address: 'bob@example.test', password: 'build-It.2' },
];

if (!existsSync(shared)) {
  console.error(`The clients are not at ${shared}; nothing run.`);
  process.exit(1);
}
const work = mkdtempSync(join(tmpdir(), 'facteur-clients-'));
// Some clients run as a user of their own.
chmodSync(work, 0o755);
const harness = join(work, 'harness');
cpSync(shared, harness, { recursive: true });
const certs = join(work, 'certs');
execFileSync('bash', [join(harness, 'lib/make-certs.sh'), certs], { stdio: ['ignore', 'ignore', 'inherit'] });
const config = join(work, 'facteur.yaml');
writeFileSync(
  config,
  `hostname: mail.example.test
dataDir: ./data
dns: { servers: ["127.0.0.1:5353"] }
tls: { cert: ${certs}/server.chain.pem, key: ${certs}/server.key }
auth: { cramMd5: true }
delivery: { port: 2525 }
queue: { retry: [4s, 6s, 8s] }
listeners:
  smtp: [{ host: 127.0.0.1, port: 2525 }, { host: 127.0.0.1, port: 2526, proxyProtocol: true }]
  submission: [{ host: 127.0.0.1, port: 2587 }]
  submissions: [{ host: 127.0.0.1, port: 2465 }]
  imap: [{ host: 127.0.0.1, port: 2143 }]
  imaps: [{ host: 127.0.0.1, port: 2993 }]
  pop3: [{ host: 127.0.0.1, port: 2110 }]
  pop3s: [{ host: 127.0.0.1, port: 2995 }]
`,
);
facteur(['domain', 'add', 'example.test']);
for (const { address, password } of ACCOUNTS)
  facteur(['account', 'add', address, '--password-stdin'], `${password}\n`);

mkdirSync(join(work, 'log'));
const out = openSync(join(work, 'log/facteur.log'), 'a');
const daemon = spawn(node, [join(root, 'src/main.ts'), 'serve', '--config', config], {
  stdio: ['ignore', out, out],
});
process.on('exit', () => daemon.kill('SIGTERM'));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1));
await listening(2993);

// The account's Maildir is made when it is first opened; some clients work on it directly.
execFileSync('curl', [
  '-sk',
  'imaps://127.0.0.1:2993/',
  '-u',
  `${ACCOUNTS[0]?.address}:${ACCOUNTS[0]?.password}`,
]);

const inet = { ...process.env, FT_CERTS: certs };
if (options.internet)
  execFileSync('bash', [join(harness, 'internet/start.sh'), join(work, 'inet')], {
    env: inet,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
const args = [
  ...['--ca', join(certs, 'ca.pem'), '--smtp-proxy', '2526'],
  ...['--maildir', join(work, 'data/mail/example.test/alice/Maildir')],
  ...(options.only ? ['--only', options.only] : []),
  ...(options.skip ? ['--skip', options.skip] : []),
  ...(options.internet ? ['--internet'] : []),
  ...['--out', options.out ?? join(work, 'results'), '--work', join(work, 'scratch')],
];
const result = spawnSync('bash', [join(harness, 'run-all.sh'), ...args], {
  env: {
    ...process.env,
    FT_NODE_MODULES: options.modules ?? join(root, 'node_modules'),
    FT_INET_DIR: join(work, 'inet'),
  },
  stdio: ['ignore', 'inherit', 'inherit'],
});
if (options.internet)
  spawnSync('bash', [join(harness, 'internet/stop.sh'), join(work, 'inet')], { env: inet, stdio: 'ignore' });
const gone = new Promise((resolve) => daemon.once('exit', resolve));
daemon.kill('SIGTERM');
await gone;
if (options.keep || result.status !== 0) console.log(`kept: ${work}`);
else rmSync(work, { recursive: true, force: true });
process.exitCode = result.status ?? 1;

function facteur(words: readonly string[], input = ''): void {
  execFileSync(node, [join(root, 'src/main.ts'), ...words, '--config', config], {
    input,
    stdio: ['pipe', 'ignore', 'inherit'],
  });
}

async function listening(port: number): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const up = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1');
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
      setTimeout(() => socket.destroy(), 200);
    });
    if (up) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`nothing listens on ${port}; see ${work}/log/facteur.log`);
}
