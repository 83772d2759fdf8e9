import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { addAccount } from '../src/admin/accounts.ts';
import { addDomain } from '../src/admin/domains.ts';
import { resolveConfig } from '../src/cli/config-file.ts';
import { Passwords } from '../src/directory/password.ts';
import { systemClock } from '../src/lib/clock.ts';
import { prepareDataDir } from '../src/lib/data-dir.ts';
import { openDirectory } from '../src/open/directory.ts';

/** The daemon and its command line as processes of their own, as an admin has them. */

const MAIN = resolve(import.meta.dirname, '../bin/facteur.js');
/** Under load a start takes much longer than alone. */
const START_MS = 30_000;
const ACCOUNT_PASSWORD = 'correct horse battery';

/** A directory with a configuration file; removed at the end. */
export interface Place {
  readonly dir: string;
  readonly file: string;
  write(settings: object): void;
  /** Runs `facteur …words --config file`. */
  facteur(words: readonly string[], input?: string): Outcome;
  /** Accounts and their domains, made in this process; all have the same password, which it resolves to. */
  accounts(...addresses: string[]): Promise<string>;
  remove(): void;
}

export interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export function place(settings: object, dir: string = mkdtempSync(join(tmpdir(), 'facteur-daemon-'))): Place {
  mkdirSync(dir, { recursive: true });
  const file = join(dir, 'facteur.yaml');
  // JSON is YAML.
  const write = (all: object): void =>
    writeFileSync(file, JSON.stringify({ hostname: 'mx.example.org', dataDir: './data', ...all }, null, 2));
  write(settings);
  const facteur = (words: readonly string[], input = ''): Outcome =>
    runFacteur(['--config', file, ...words], input);
  return {
    dir,
    file,
    write,
    facteur,
    async accounts(...addresses) {
      await addAccounts(file, addresses);
      return ACCOUNT_PASSWORD;
    },
    remove: () => rmSync(dir, { recursive: true, force: true }),
  };
}

export function runFacteur(words: readonly string[], input = '', cwd?: string): Outcome {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...words], {
    input,
    encoding: 'utf8',
    ...(cwd !== undefined && { cwd }),
  });
  return { code: status, out: stdout, err: stderr };
}

async function addAccounts(file: string, addresses: readonly string[]): Promise<void> {
  const { config } = resolveConfig(file);
  prepareDataDir(config.dataDir);
  const passwords = new Passwords();
  const directory = openDirectory(config, systemClock, passwords);
  try {
    for (const domain of new Set(addresses.map((address) => address.split('@')[1] ?? '')))
      await addDomain(directory, domain);
    for (const address of addresses)
      await addAccount(directory, { address, password: { is: 'password', password: ACCOUNT_PASSWORD } });
  } finally {
    directory.close();
    await passwords.close();
  }
}

/** A running daemon, whose log is read as it comes. */
export class Daemon {
  readonly child: ChildProcess;
  readonly #lines: string[] = [];
  #rest = '';
  #err = '';
  readonly #ended: Promise<number | null>;

  private constructor(args: readonly string[], options: { readonly env?: NodeJS.ProcessEnv } = {}) {
    const [command = '', ...rest] = args;
    this.child = spawn(command, rest, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...options.env },
    });
    this.child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      const parts = (this.#rest + chunk).split('\n');
      this.#rest = parts.pop() ?? '';
      this.#lines.push(...parts);
    });
    this.child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      this.#err += chunk;
    });
    this.#ended = new Promise((resolve) => this.child.once('close', (code) => resolve(code)));
  }

  /** `facteur serve`, just begun. */
  static spawn(at: Place, options: { readonly env?: NodeJS.ProcessEnv } = {}): Daemon {
    return new Daemon([process.execPath, MAIN, 'serve', '--config', at.file], options);
  }

  /** `facteur serve`; resolves when it listens. Its log must be at level info. */
  static async start(at: Place, options: { readonly env?: NodeJS.ProcessEnv } = {}): Promise<Daemon> {
    const daemon = Daemon.spawn(at, options);
    await daemon.logged('started');
    return daemon;
  }

  /** Everything logged so far, a parsed object a line. */
  get log(): readonly Readonly<Record<string, unknown>>[] {
    return this.#lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
  }

  /** As it came. */
  get text(): string {
    return this.#lines.join('\n') + this.#err;
  }

  get err(): string {
    return this.#err;
  }

  /** The first line with this message and these fields, once it is there. */
  async logged(message: string, fields: object = {}): Promise<Readonly<Record<string, unknown>>> {
    const end = Date.now() + START_MS;
    for (;;) {
      const found = this.log.find(
        (line) =>
          line['msg'] === message && Object.entries(fields).every(([key, value]) => line[key] === value),
      );
      if (found) return found;
      if (this.child.exitCode !== null || Date.now() > end)
        throw new Error(`"${message}" was not logged:\n${this.text}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** The exit code, once the process has ended and its output is read; undefined when it does not end in time. */
  ended(withinMs: number): Promise<number | null | undefined> {
    const late = new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), withinMs).unref());
    return Promise.race([this.#ended, late]);
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** However it stands. */
  async end(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGKILL');
    await this.#ended;
  }
}

export async function freePorts(count: number): Promise<readonly number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<ReturnType<typeof createServer>>((resolve) => {
          const server = createServer().listen(0, '127.0.0.1', () => resolve(server));
        }),
    ),
  );
  const ports = servers.map((server) => {
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  });
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
