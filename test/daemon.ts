import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** A Facteur that can be started: which Node.js runs which file. */
export interface Program {
  readonly node: string;
  readonly entry: string;
}

/** The root of this checkout. */
export const root: string = resolve(import.meta.dirname, '..');

/** The sources as they lie here. */
export const checkout: Program = { node: process.execPath, entry: join(root, 'bin/facteur.js') };

/** How long a daemon may take to start on a machine that is busy with other tests. */
const START_MS = 60_000;

/** One run of the command line; throws when it exits with anything but 0. */
export function command(program: Program, words: readonly string[], input = ''): string {
  return execFileSync(program.node, [program.entry, ...words], {
    input,
    encoding: 'utf8',
    stdio: ['pipe', 'pipe', 'inherit'],
  });
}

/**
 * `facteur serve` in a process of its own, as its users run it. Where the configuration says port 0 the log says which
 * port it became, so that daemons of several tests do not meet; the log must be JSON at level info.
 */
export class Daemon {
  readonly process: ChildProcess;
  readonly #log: string;

  private constructor(child: ChildProcess, log: string) {
    this.process = child;
    this.#log = log;
  }

  /** Resolves when all listeners are open. `log` is the file that gets what the daemon writes. */
  static async start(program: Program, options: { config: string; log: string }): Promise<Daemon> {
    const log = openSync(options.log, 'a');
    const child = spawn(program.node, [program.entry, 'serve', '--config', options.config], {
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    const daemon = new Daemon(child, options.log);
    const end = Date.now() + START_MS;
    while (!daemon.#lines().some(({ msg }) => msg === 'started')) {
      if (child.exitCode !== null || child.signalCode !== null || Date.now() > end) {
        child.kill('SIGKILL');
        throw new Error(`the daemon did not start: ${daemon.log()}`);
      }
      await new Promise((done) => setTimeout(done, 50));
    }
    return daemon;
  }

  /** The ports of a service, in the order of the configuration. */
  ports(service: string): readonly number[] {
    return this.#lines()
      .filter((line) => line.msg === 'listening' && line.service === service)
      .map((line) => Number(line.port));
  }

  /** All that it wrote until now. */
  log(): string {
    return readFileSync(this.#log, 'utf8');
  }

  /** Asks it to stop. @returns its exit code; null when a signal ended it. */
  async stop(): Promise<number | null> {
    const { process: child } = this;
    if (child.exitCode === null && child.signalCode === null) {
      const gone = new Promise((done) => child.once('exit', done));
      child.kill('SIGTERM');
      await gone;
    }
    return child.exitCode;
  }

  #lines(): { readonly msg?: string; readonly service?: string; readonly port?: number }[] {
    return this.log()
      .split('\n')
      .filter((line) => line.startsWith('{') && line.endsWith('}'))
      .map((line) => JSON.parse(line));
  }
}
