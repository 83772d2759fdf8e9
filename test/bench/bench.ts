/**
 * `npm run bench`: measures this checkout, Postfix alone and Postfix with Dovecot back to back with the harness in
 * ../shared/bench, round after round so that each sees the same machine, and prints the ratios.
 *
 *   npm run bench -- [--rounds 2] [--runs 2] [--scale 1] [--steps intake,keepalive,outbound,startup,memory]
 *                    [--peers postfix-dovecot,postfix-virtual] [--profile]
 *
 * Needs root and the peers (`../shared/bench/setup-peers.sh`, run by itself the first time).
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

const root = resolve(import.meta.dirname, '../..');
const shared = resolve(root, '../shared/bench');
const work = process.env['BENCH_WORK'] ?? join(tmpdir(), 'facteur-bench');
const peersRoot = process.env['BENCH_ROOT'] ?? join(work, 'peers');
const harness = join(work, 'harness');
// A new directory for each run: ext4 makes files slowly where thousands were removed in the last minutes, so that a
// clean-up before the run would be measured along with it.
const home = join(work, `run-${Date.now()}`);

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '2' },
    runs: { type: 'string', default: '2' },
    scale: { type: 'string', default: '1' },
    steps: { type: 'string', default: 'intake,keepalive,outbound,startup,memory' },
    peers: { type: 'string', default: 'postfix-dovecot,postfix-virtual' },
    profile: { type: 'boolean', default: false },
  },
});

const STEPS: Readonly<Record<string, readonly (readonly string[])[]>> = {
  intake: [
    ['intake', '--sizes', '4096', '--sessions', '1,10,50'],
    ['intake', '--sizes', '102400', '--sessions', '10'],
  ],
  keepalive: [['intake', '--keep', '--sizes', '4096', '--sessions', '10']],
  outbound: [['outbound', '--n', '600']],
  startup: [['startup']],
  memory: [['memory', '--noimap']],
};

interface Figure {
  readonly what: string;
  readonly [field: string]: unknown;
}

if (!existsSync(shared)) {
  console.error(`The bench harness is not at ${shared}; nothing measured.`);
  process.exit(1);
}
prepare();
const targets = ['facteur', ...options.peers.split(',').filter((name) => name !== '')];
for (let round = 1; round <= Number(options.rounds); round++) {
  for (const step of options.steps.split(',')) {
    for (const command of STEPS[step] ?? []) {
      for (const target of targets) {
        for (const other of targets) bench(['down', other], 'quiet');
        console.log(`--- round ${round}: ${command.join(' ')} on ${target}`);
        const [verb = '', ...rest] = command;
        const scale = verb === 'intake' ? ['--runs', options.runs, '--scale', options.scale] : [];
        const runs = verb === 'outbound' ? ['--runs', options.runs] : [];
        bench([verb, target, ...rest, ...scale, ...runs], 'loud');
      }
    }
  }
}
for (const target of targets) bench(['down', target], 'quiet');
report();
for (const name of readdirSync(work))
  if (/^run-\d+$/.test(name) && !home.endsWith(name))
    rmSync(join(work, name), { recursive: true, force: true });

/** A copy of the harness (it writes its results beside itself), our target, and our own data directory. */
function prepare(): void {
  mkdirSync(work, { recursive: true });
  rmSync(harness, { recursive: true, force: true });
  cpSync(shared, harness, { recursive: true });
  execFileSync('chmod', ['-R', 'u+w', harness]);
  rmSync(join(harness, 'results'), { recursive: true, force: true });
  mkdirSync(join(harness, 'results'));
  const set = existsSync(join(peersRoot, 'fsyncprobe'));
  execFileSync('bash', [join(harness, 'setup-peers.sh')], {
    env: { ...process.env, BENCH_ROOT: peersRoot, ...(set ? { SKIP_INSTALL: '1' } : {}) },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  mkdirSync(home, { recursive: true });
  writeFileSync(join(home, 'facteur.yaml'), configuration());
  const node = join(root, 'node_modules/node/bin/node');
  const run = [
    existsSync(node) ? node : process.execPath,
    ...(options.profile ? ['--cpu-prof', `--cpu-prof-dir=${home}/profile`] : []),
  ];
  const pidFile = join(home, 'bench.pid');
  writeFileSync(
    join(harness, 'targets/facteur.json'),
    JSON.stringify({
      name: 'facteur',
      title: 'Facteur',
      start: [
        `kill -0 $(cat ${pidFile} 2>/dev/null || echo x) 2>/dev/null || { setsid ${run.join(' ')} ${root}/bin/facteur.js serve --config ${home}/facteur.yaml >> ${home}/log 2>&1 < /dev/null & echo $! > ${pidFile}; }`,
      ],
      stop: [
        `kill $(cat ${pidFile}) 2>/dev/null && while kill -0 $(cat ${pidFile}) 2>/dev/null; do sleep 0.1; done; rm -f ${pidFile}; true`,
      ],
      pids: [`cat ${pidFile}`],
      host: '127.0.0.1',
      smtp: { port: 18825 },
      submission: { port: 18887 },
      imap: { port: 18843 },
      pop3: { port: 18810 },
      relayPort: 18999,
      domain: 'bench.test',
      users: 'u%03d',
      plainUsers: 'p%03d',
      nusers: 100,
      pass: 'benchpass',
      big: 'big',
      ten: 'ten',
      work: 'work',
      maildir: `${home}/data/mail/bench.test/%u/Maildir`,
      folderPattern: '.%f',
      mailOwner: 0,
      resetIndex: `rm -f ${home}/data/mail/bench.test/%u/index.sqlite*`,
    }),
  );
}

/** The accounts of the harness, declared in the file: u… with a slow hash, p… with a cheap one. */
function configuration(): string {
  const slow = `{SHA512-CRYPT}${execFileSync('openssl', ['passwd', '-6', '-salt', 'benchsaltbench', 'benchpass'], { encoding: 'utf8' }).trim()}`;
  const cheap = '{SHA256}q0jrqy8l087SqSuKcHFVyRVp+AFVUvjgwbZUwbInY6w=';
  const users = ['big', 'ten', 'work'].map((name) => ({ name, hash: slow }));
  for (let i = 1; i <= 100; i++) {
    const number = String(i).padStart(3, '0');
    users.push({ name: `u${number}`, hash: slow }, { name: `p${number}`, hash: cheap });
  }
  const accounts = users.map(
    ({ name, hash }) => `    - { address: ${name}@bench.test, password: "${hash}" }`,
  );
  return `hostname: mail.bench.test
dataDir: ./data
mynetworks: [127.0.0.0/8]
auth: { allowPlaintextFrom: [127.0.0.0/8] }
delivery: { relayhost: "[127.0.0.1]:18999" }
listeners:
  smtp: [{ host: 127.0.0.1, port: 18825 }]
  submission: [{ host: 127.0.0.1, port: 18887 }]
  imap: [{ host: 127.0.0.1, port: 18843 }]
  pop3: [{ host: 127.0.0.1, port: 18810 }]
limits:
  smtp: { maxConnections: 5000, maxConnectionsPerIp: 5000 }
  submission: { maxConnections: 5000, maxConnectionsPerIp: 5000 }
  imap: { maxConnections: 5000, maxConnectionsPerIp: 5000 }
  pop3: { maxConnections: 5000, maxConnectionsPerIp: 5000 }
directory:
  domains: [{ name: bench.test }]
  accounts:
${accounts.join('\n')}
`;
}

function bench([command = '', target = '', ...rest]: readonly string[], how: 'quiet' | 'loud'): void {
  const result = spawnSync(process.execPath, ['bench.mjs', command, `targets/${target}.json`, ...rest], {
    cwd: harness,
    env: { ...process.env, BENCH_ROOT: peersRoot, BENCH_DIR: harness },
    stdio: how === 'loud' ? 'inherit' : 'ignore',
  });
  if (how === 'loud' && result.status !== 0) console.error(`failed: ${command} ${target}`);
}

/** One table a case: every target's figures of all rounds, and ours divided by theirs. */
function report(): void {
  const all = new Map<string, Figure[]>();
  for (const file of readdirSync(join(harness, 'results'))) {
    const entries = JSON.parse(readFileSync(join(harness, 'results', file), 'utf8')) as Figure[];
    all.set(file.replace(/\.json$/, ''), entries);
  }
  const cases = [...new Set([...all.values()].flat().map(({ what }) => what))];
  for (const what of cases) {
    console.log(`\n${what}`);
    for (const field of [
      'accept_s',
      'e2e_s',
      'relay_s',
      'cpu_ms_msg',
      'smtp_ms',
      'imap_ms',
      'pss_mb',
      'lost',
    ]) {
      const ours = median(all.get('facteur'), what, field);
      if (ours === undefined) continue;
      const row = targets.map((target) => {
        const theirs = median(all.get(target), what, field);
        if (theirs === undefined) return `${target} -`;
        if (target === 'facteur') return `facteur ${round(theirs)}`;
        return `${target} ${round(theirs)}${theirs > 0 ? ` (x${(ours / theirs).toFixed(2)})` : ''}`;
      });
      console.log(`  ${field.padEnd(12)} ${row.join('   ')}`);
    }
  }
}

function median(figures: readonly Figure[] | undefined, what: string, field: string): number | undefined {
  const values = (figures ?? [])
    .filter((figure) => figure.what === what)
    .map((figure) => figure[field])
    .map((value) =>
      typeof value === 'object' && value !== null && 'med' in value
        ? Number(value.med)
        : value === undefined
          ? Number.NaN
          : Number(value),
    )
    .filter((value) => !Number.isNaN(value))
    .sort((a, b) => a - b);
  if (values.length === 0) return undefined;
  const middle = values.length >> 1;
  return values.length % 2 ? values[middle] : ((values[middle - 1] ?? 0) + (values[middle] ?? 0)) / 2;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
