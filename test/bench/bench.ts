/**
 * `npm run bench`: measures this checkout, Postfix alone and Postfix with Dovecot back to back with the harness in
 * ../shared/bench, round after round so that each sees the same machine, and prints the ratios.
 *
 *   npm run bench -- [--rounds 2] [--runs 2] [--scale 1] [--steps intake,keepalive,outbound,startup,memory]
 *                    [--peers postfix-dovecot,postfix-virtual] [--profile]
 *   npm run bench -- --steps store [--messages 100000] [--peers postfix-dovecot]
 *   npm run bench -- --steps access [--peers postfix-dovecot]
 *   npm run bench -- --steps sieve [--peers postfix-dovecot]
 *
 * `store` is the mail store over IMAP: a mailbox of 100,000 messages opened, listed and searched, 10,000 messages changed,
 * APPENDs; with each the memory of the server, and how long its main loop and its store's thread were held.
 * `access` is what people's programs do all day: logins, IDLE, POP3, 20 busy clients, 1,000 idle ones.
 * `sieve` is delivery by LMTP, with a script of 50 rules and without.
 *
 * Needs root and the peers (`../shared/bench/setup-peers.sh`, run by itself the first time).
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { LoopDelay } from './loop-delay.ts';
import { benchSieve } from './sieve.ts';

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
    peers: { type: 'string' },
    messages: { type: 'string', default: '100000' },
    profile: { type: 'boolean', default: false },
  },
});

/** One after the other on the same server, which is warm then, as servers are. */
const STORE: readonly (readonly string[])[] = [
  ['seed', '--n', options.messages],
  ['imap', '--runs', '3', '--only', 'firstopen'],
  ['imap', '--runs', '5', '--only', 'select,reselect,status,uidflags,env,bs,list,hdrs,whole1000,page'],
  ['imap', '--runs', '3', '--only', 'search,sort'],
  ['imap-write', '--runs', '3'],
  ['imap-append', '--runs', '3'],
];

const STEPS: Readonly<Record<string, readonly (readonly string[])[]>> = {
  intake: [
    ['intake', '--sizes', '4096', '--sessions', '1,10,50'],
    ['intake', '--sizes', '102400', '--sessions', '10'],
  ],
  keepalive: [['intake', '--keep', '--sizes', '4096', '--sessions', '10']],
  outbound: [['outbound', '--n', '600']],
  startup: [['startup']],
  memory: [['memory', '--noimap']],
  access: [
    ['imap-login', '--runs', '3'],
    ['idle-latency', '--gap', '1000'],
    ['idle-latency', '--gap', '60'],
    ['pop3'],
    ['mixed'],
    ['memory'],
  ],
};

/** Steps that have to do with mailboxes: Postfix alone has none. */
const WITH_MAILBOXES = new Set(['store', 'access', 'sieve']);

/** Indexing 100,000 messages behind their first opening may take so long (ms). */
const MAX_BEHIND = 180_000;

interface Figure {
  readonly what: string;
  readonly [field: string]: unknown;
}

if (!existsSync(shared)) {
  console.error(`The bench harness is not at ${shared}; nothing measured.`);
  process.exit(1);
}
prepare();
const peers =
  options.peers ??
  (WITH_MAILBOXES.has(options.steps) ? 'postfix-dovecot' : 'postfix-dovecot,postfix-virtual');
const targets = ['facteur', ...peers.split(',').filter((name) => name !== '')];
for (let round = 1; round <= Number(options.rounds); round++) {
  for (const step of options.steps.split(',')) {
    if (step === 'store') for (const target of targets) await store(target, round);
    if (step === 'sieve') for (const target of targets) await sieve(target, round);
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

/** The table of the store for one server; what it does behind the first opening must not be measured along. */
async function store(target: string, round: number): Promise<void> {
  for (const other of targets) bench(['down', other], 'quiet');
  for (const [verb = '', ...rest] of STORE) {
    console.log(`--- round ${round}: ${[verb, ...rest].join(' ')} on ${target}`);
    const since = Date.now();
    bench([verb, target, ...rest], 'loud');
    if (target !== 'facteur' || verb === 'seed') continue;
    printThreads(since);
    if (rest.includes('firstopen')) await untilIdle();
  }
  bench(['down', target], 'quiet');
}

async function sieve(target: string, round: number): Promise<void> {
  for (const other of targets) bench(['down', other], 'quiet');
  console.log(`--- round ${round}: deliveries by LMTP on ${target}`);
  await benchSieve({
    name: target,
    file: join(harness, `targets/${target}.json`),
    env: { ...process.env, BENCH_ROOT: peersRoot, BENCH_DIR: harness },
    scripts: (user) => join(home, 'data/mail/bench.test', user, 'sieve'),
  });
  bench(['down', target], 'quiet');
}

/** Until the server's threads have had nothing to do for two seconds; prints how long that took. */
async function untilIdle(): Promise<void> {
  const since = Date.now();
  for (let idle = 0, busy = cpuTime(); idle < 4 && Date.now() - since < MAX_BEHIND; ) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    const now = cpuTime();
    idle = now - busy < 10 ? idle + 1 : 0;
    busy = now;
  }
  const seconds = (Date.now() - since) / 1000 - 2;
  console.log(`    indexed behind in ${seconds.toFixed(0)} s`);
  printThreads(since);
}

/** Ticks of 10 ms. */
function cpuTime(): number {
  const stat = readFileSync(`/proc/${readFileSync(join(home, 'bench.pid'), 'utf8').trim()}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[11]) + Number(fields[12]);
}

/** What loop-delay.ts has seen since: the longest that each thread was held, and the memory. */
function printThreads(since: number): void {
  const longest = new Map<string, number>();
  let memory = 0;
  for (const line of readFileSync(join(home, 'loop'), 'utf8').trim().split('\n')) {
    const { at, thread, held, rss } = JSON.parse(line) as LoopDelay;
    if (at < since) continue;
    longest.set(thread, Math.max(longest.get(thread) ?? 0, held));
    memory = Math.max(memory, rss);
  }
  const held = [...longest].map(([thread, ms]) => `${thread} held ${ms.toFixed(1)} ms at most`).join(', ');
  console.log(`    ${held}, ${(memory / 1e6).toFixed(0)} MB resident at most`);
}

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
    '--import',
    join(import.meta.dirname, 'loop-delay.ts'),
    ...(options.profile ? ['--cpu-prof', `--cpu-prof-dir=${home}/profile`] : []),
  ];
  const pidFile = join(home, 'bench.pid');
  const start = `kill -0 $(cat ${pidFile} 2>/dev/null || echo x) 2>/dev/null || { LOOP_DELAY=${home}/loop setsid ${run.join(' ')} ${root}/bin/facteur.js serve --config ${home}/facteur.yaml >> ${home}/log 2>&1 < /dev/null & echo $! > ${pidFile}; }`;
  writeFileSync(
    join(harness, 'targets/facteur.json'),
    JSON.stringify({
      name: 'facteur',
      title: 'Facteur',
      start: [start],
      stop: [
        `kill $(cat ${pidFile}) 2>/dev/null && while kill -0 $(cat ${pidFile}) 2>/dev/null; do sleep 0.1; done; rm -f ${pidFile}; true`,
      ],
      pids: [`cat ${pidFile}`],
      host: '127.0.0.1',
      smtp: { port: 18825 },
      submission: { port: 18887 },
      lmtp: { port: 18824 },
      imap: { port: 18843 },
      imaps: { port: 18893 },
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
      // A running server keeps the file it has open: what is asked is how a start without it goes.
      resetIndex: `kill $(cat ${pidFile}) && while kill -0 $(cat ${pidFile}) 2>/dev/null; do sleep 0.1; done; rm -f ${home}/data/mail/bench.test/big/index.sqlite*; ${start}; while ! (exec 3<>/dev/tcp/127.0.0.1/18843) 2>/dev/null; do sleep 0.1; done`,
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
auth: { allowPlaintextFrom: [127.0.0.0/8], defaultDomain: bench.test }
delivery: { relayhost: "[127.0.0.1]:18999" }
listeners:
  smtp: [{ host: 127.0.0.1, port: 18825 }]
  submission: [{ host: 127.0.0.1, port: 18887 }]
  lmtp: [{ host: 127.0.0.1, port: 18824 }]
  imap: [{ host: 127.0.0.1, port: 18843 }]
  imaps: [{ host: 127.0.0.1, port: 18893 }]
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
      'ms',
      'per_s',
      'server_cpu_ms',
      'accept_s',
      'e2e_s',
      'relay_s',
      'cpu_ms_msg',
      'smtp_ms',
      'imap_ms',
      'pss_mb',
      'lost',
      'imap_ops_s',
      'all_ms',
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
