import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join, resolve } from 'node:path';
import type { AccountId } from '../../src/directory/directory.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { MaildirAccount } from '../../src/store/maildir/account.ts';
import { checkAccount } from '../../src/store/maildir/check.ts';
import { finish } from '../../src/store/maildir/turns.ts';
import { freePorts } from '../processes.ts';
import { startLoad } from './smtp-load.ts';

/**
 * Kills the daemon with SIGKILL at random moments under SMTP load, and says afterwards what became of every message. Some of
 * the recipients have a script that files their mail and sends a copy on.
 */
export interface CrashReport {
  readonly rounds: number;
  readonly acknowledged: number;
  readonly unknown: number;
  /** Answered 250 and not in any Maildir: must be empty. */
  readonly lost: readonly string[];
  /** Answered 250 and there more than once. */
  readonly doubled: readonly string[];
  /** Answered 4xx or 5xx and delivered all the same: must be empty. */
  readonly refusedButDelivered: readonly string[];
  /** Delivered by a script, and the copy that it sends on is nowhere: must be empty. */
  readonly notSentOn: readonly string[];
  /** The copy is there more than once: the process was killed between the queue's commit and the mark of it. */
  readonly sentOnTwice: readonly string[];
  /** Files in a Maildir that are not whole: must be empty. */
  readonly torn: readonly string[];
  /** What an account's index says and its Maildir does not: must be empty. */
  readonly disagreements: readonly string[];
}

export interface CrashOptions {
  readonly dir: string;
  readonly rounds: number;
  readonly connections: number;
  readonly size: number;
  /** Milliseconds that a round lasts before the kill: between these. */
  readonly life: readonly [number, number];
  progress?(text: string): void;
}

const root = resolve(import.meta.dirname, '../..');
const RECIPIENTS = Array.from({ length: 5 }, (_, i) => `user${i}@crash.test`);
const SCRIPTED = new Set(RECIPIENTS.slice(0, 2));
const COPIES = 'copies@crash.test';
const SCRIPT = `require ["fileinto", "mailbox", "copy"]; fileinto :create "Filed"; redirect :copy "${COPIES}";`;

export async function crashRounds(options: CrashOptions): Promise<CrashReport> {
  mkdirSync(options.dir, { recursive: true });
  const [port = 0] = await freePorts(1);
  const config = join(options.dir, 'facteur.yaml');
  writeFileSync(
    config,
    `hostname: mx.crash.test
dataDir: ./data
listeners: { smtp: [{ host: 127.0.0.1, port: ${port} }] }
log: { level: warn, format: json }
`,
  );
  cli(config, ['domain', 'add', 'crash.test']);
  for (const address of [...RECIPIENTS, COPIES])
    cli(config, ['account', 'add', address, '--password-stdin'], 'crash-test-password\n');
  for (const address of SCRIPTED) {
    const directory = join(homeOf(options.dir, address), 'sieve');
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, 'main.sieve'), SCRIPT);
    writeFileSync(join(directory, 'active'), 'main\n');
  }

  const load = startLoad({
    port,
    connections: options.connections,
    recipients: RECIPIENTS,
    size: options.size,
    label: 'crash',
  });
  const [shortest, longest] = options.life;
  for (let round = 1; round <= options.rounds; round++) {
    const daemon = start(config, options.dir);
    await listening(port, daemon);
    await sleep(shortest + Math.random() * (longest - shortest));
    await end(daemon, 'SIGKILL');
    if (round % 10 === 0) options.progress?.(`round ${round}: ${load.acknowledged.size} acknowledged`);
  }
  const daemon = start(config, options.dir);
  await listening(port, daemon);
  await load.stop();
  await queueEmpty(config);
  await end(daemon, 'SIGTERM');
  return judge(options, load);
}

function judge(
  options: CrashOptions,
  load: { readonly acknowledged: Set<string>; readonly unknown: Set<string>; readonly refused: Set<string> },
): CrashReport {
  const found = new Map<string, number>();
  const filed = new Set<string>();
  const copies = new Map<string, number>();
  const torn: string[] = [];
  for (const address of [...RECIPIENTS, COPIES]) {
    const maildir = join(homeOf(options.dir, address), 'Maildir');
    const isScripted = SCRIPTED.has(address);
    for (const name of messagesIn(maildir, isScripted ? '.Filed' : '')) {
      const text = readFileSync(name, 'latin1');
      const token = /^Subject: (crashx\d+x)\r$/m.exec(text)?.[1];
      if (token === undefined || !text.endsWith('0123456789.\r\n')) {
        torn.push(name);
        continue;
      }
      const counted = address === COPIES ? copies : found;
      counted.set(token, (counted.get(token) ?? 0) + 1);
      if (isScripted) filed.add(token);
    }
    // Nothing of theirs is anywhere else.
    if (isScripted) torn.push(...messagesIn(maildir, ''));
  }
  const acknowledged = [...load.acknowledged];
  return {
    rounds: options.rounds,
    acknowledged: acknowledged.length,
    unknown: load.unknown.size,
    lost: acknowledged.filter((token) => !found.has(token)),
    doubled: [...found].filter(([, times]) => times > 1).map(([token]) => token),
    refusedButDelivered: [...load.refused].filter((token) => found.has(token)),
    notSentOn: [...filed].filter((token) => !copies.has(token)),
    sentOnTwice: [...copies].filter(([, times]) => times > 1).map(([token]) => token),
    torn,
    disagreements: RECIPIENTS.flatMap((address) => disagreements(options.dir, address)),
  };
}

function homeOf(dir: string, address: string): string {
  return join(dir, 'data/mail/crash.test', address.split('@')[0] ?? '');
}

function messagesIn(maildir: string, folder: string): string[] {
  return ['new', 'cur'].flatMap((part) => {
    const directory = join(maildir, folder, part);
    return existsSync(directory) ? readdirSync(directory).map((name) => join(directory, name)) : [];
  });
}

/** Looks at one account as the daemon left it; nothing else has it open now. */
function disagreements(dir: string, address: string): string[] {
  const account = new MaildirAccount({
    id: address as AccountId,
    directory: homeOf(dir, address),
    clock: systemClock,
    log: createLogger({ level: 'warn', format: 'json' }),
    host: 'mx.crash.test',
    pid: process.pid,
    defaultFolders: [],
    onChange: () => {},
  });
  finish(account.opening());
  try {
    return checkAccount(account).map(({ mailbox, problem }) => `${address} ${mailbox}: ${problem}`);
  } finally {
    account.close('clean');
  }
}

function start(config: string, dir: string): ChildProcess {
  const log = openSync(join(dir, 'daemon.log'), 'a');
  return spawn(process.execPath, [join(root, 'bin/facteur.js'), 'serve', '--config', config], {
    stdio: ['ignore', log, log],
  });
}

async function end(daemon: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (daemon.exitCode !== null || daemon.signalCode !== null) throw new Error('the daemon ended by itself');
  const gone = new Promise((done) => daemon.once('exit', done));
  daemon.kill(signal);
  await gone;
}

function cli(config: string, words: readonly string[], input = ''): string {
  return execFileSync(process.execPath, [join(root, 'bin/facteur.js'), ...words, '--config', config], {
    input,
    encoding: 'utf8',
    stdio: ['pipe', 'pipe', 'inherit'],
  });
}

async function queueEmpty(config: string): Promise<void> {
  const deadline = Date.now() + 120_000;
  while (Date.now() < deadline) {
    if (cli(config, ['queue', 'list', '--json']).trim() === '') return;
    cli(config, ['queue', 'retry', '--all']);
    await sleep(300);
  }
  throw new Error('the queue does not get empty');
}

async function listening(port: number, daemon: ChildProcess): Promise<void> {
  for (let attempt = 0; attempt < 300; attempt++) {
    if (daemon.exitCode !== null) throw new Error('the daemon did not start');
    const up = await new Promise<boolean>((done) => {
      const socket = connect(port, '127.0.0.1');
      socket.once('data', () => done(true));
      socket.once('error', () => done(false));
      socket.once('close', () => done(false));
      setTimeout(() => socket.destroy(), 1000);
    });
    if (up) return;
    await sleep(50);
  }
  throw new Error('the daemon does not answer');
}

function sleep(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms));
}
