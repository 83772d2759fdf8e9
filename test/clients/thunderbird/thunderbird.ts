import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Marionette } from './marionette.ts';
import { type ProfileOptions, writeProfile } from './profile.ts';

/** Functions that all scripts in the program may use. Its interfaces are those of comm-central. */
const PRELUDE = `
const { MailServices } = ChromeUtils.importESModule('resource:///modules/MailServices.sys.mjs');
const server = MailServices.accounts.allServers.find((one) => one.type === 'imap');
const root = server.rootFolder;
const pathOf = (one) => (one.parent === root ? '' : pathOf(one.parent) + '/') +
  (one.parent === root && one.name.toLowerCase() === 'inbox' ? 'INBOX' : one.name);
const folders = () => [...root.descendants];
const folder = (path) => folders().find((one) => pathOf(one) === path);
const urlEnd = (begin) => new Promise((resolve) => begin({
  OnStartRunningUrl() {}, OnStopRunningUrl(url, status) { resolve(status); },
  onStartRunningUrl() {}, onStopRunningUrl(url, status) { resolve(status); },
  QueryInterface: ChromeUtils.generateQI(['nsIUrlListener']),
}));
const copyEnd = (begin) => new Promise((resolve) => begin({
  onStartCopy() {}, onProgress() {}, setMessageKey() {}, getMessageId() { return null; },
  onStopCopy(status) { resolve(status); },
  QueryInterface: ChromeUtils.generateQI(['nsIMsgCopyServiceListener']),
}));
const update = (one) => urlEnd((listener) =>
  one.QueryInterface(Ci.nsIMsgImapMailFolder).updateFolderWithListener(null, listener));
const messages = (one) => [...one.messages];
const bySubject = (one, subject) => messages(one).find((each) => each.mime2DecodedSubject === subject);
const sleep = (ms) => new Promise((resolve) => {
  const timer = Cc['@mozilla.org/timer;1'].createInstance(Ci.nsITimer);
  timer.initWithCallback(resolve, ms, 0);
});
`;

/** @returns why it cannot run here, if so. */
export function whatIsMissing(): string | undefined {
  const missing = [
    ['thunderbird', '--version'],
    ['xvfb-run', '--help'],
    ['xauth', 'version'],
  ].filter(([name = '', word = '']) => spawnSync(name, [word], { stdio: 'ignore' }).error !== undefined);
  const names = missing.map(([name]) => name).join(', ');
  return names === '' ? undefined : `not installed: ${names} (Debian: thunderbird, xvfb, xauth)`;
}

/** A Thunderbird with a fresh profile on a screen of its own. */
export class Thunderbird {
  readonly #process: ChildProcess;
  readonly #directory: string;
  readonly #remote: Marionette;

  private constructor(child: ChildProcess, directory: string, remote: Marionette) {
    this.#process = child;
    this.#directory = directory;
    this.#remote = remote;
  }

  static async start(options: ProfileOptions): Promise<Thunderbird> {
    const directory = mkdtempSync(join(tmpdir(), 'facteur-thunderbird-'));
    const profile = join(directory, 'profile');
    mkdirSync(profile);
    writeProfile(profile, options);
    const child = spawn(
      'xvfb-run',
      ['-a', 'thunderbird', '-marionette', '-remote-allow-system-access', '-no-remote', '-profile', profile],
      {
        env: { ...process.env, HOME: directory, MOZ_DISABLE_CONTENT_SANDBOX: '1', LANG: 'C.UTF-8' },
        stdio: 'ignore',
        detached: true,
      },
    );
    try {
      const port = await until(60_000, 'Thunderbird opens its remote control', () => {
        try {
          return Number(readFileSync(join(profile, 'MarionetteActivePort'), 'utf8')) || undefined;
        } catch {
          return undefined;
        }
      });
      return new Thunderbird(child, directory, await Marionette.open(port));
    } catch (error) {
      killGroup(child);
      rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
      throw error;
    }
  }

  /** Runs the body of an async function inside the program; `args` are its arguments. */
  run(body: string, ...args: readonly unknown[]): Promise<unknown> {
    return this.#remote.run(PRELUDE + body, args);
  }

  async quit(): Promise<void> {
    const { exitCode } = this.#process;
    const gone = exitCode === null ? once(this.#process, 'exit') : undefined;
    await this.#remote.command('Marionette:Quit', { flags: ['eForceQuit'] }).catch(() => {});
    const timer = setTimeout(() => killGroup(this.#process), 15_000);
    await gone;
    clearTimeout(timer);
    this.#remote.close();
    rmSync(this.#directory, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Asks again until there is an answer. */
export async function until<T>(
  ms: number,
  what: string,
  ask: () => T | undefined | Promise<T | undefined>,
): Promise<T> {
  const end = Date.now() + ms;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (Date.now() > end) throw new Error(`in ${ms / 1000} s not: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

function killGroup(child: ChildProcess): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
}
