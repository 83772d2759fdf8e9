import { createHash } from 'node:crypto';
import { lstatSync, readFileSync } from 'node:fs';
import { lstat, mkdir, open, readdir, readFile, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { AccountId } from '../directory/directory.ts';
import { diskFiles } from '../lib/durable-file.ts';
import { accountDirectory } from './account-path.ts';
import { DIRECTORY_MODE, FILE_MODE, isMissing } from './maildir/disk.ts';
import { StoreError } from './store.ts';

/**
 * Sieve scripts of an account; at most one is active (RFC 5804 1.4). They are files below the account's directory:
 *
 *     sieve/<name>.sieve     the script, octet by octet as it was put
 *     sieve/active           the name of the active one and a line end; missing or of a script that is not there: none is
 *
 * A name stands for itself where it can be a file's name: not longer than 200 octets, no dot in front, no `%`. In others
 * these octets are `%XX`; of one that is too long for that, the file is `%~<SHA-256>.sieve` and `%~<SHA-256>.name` says it.
 * Everything is durable when a method resolves: written beside, synced, renamed, the directory synced. An admin may put
 * files there, too; what is no plain file is not seen.
 */
export interface ScriptStore {
  /** By name. */
  list(account: AccountId): Promise<readonly ScriptEntry[]>;
  get(account: AccountId, name: string): Promise<Uint8Array | undefined>;
  /** Throws 'limit' (too big), 'over-quota' (too many, or too much in all). Of one that is there the new one takes its place. */
  put(account: AccountId, name: string, source: Uint8Array): Promise<void>;
  /** What `put` would refuse now is thrown. */
  admit(account: AccountId, name: string, bytes: number): Promise<void>;
  /** Active it stays. Throws 'not-found', 'exists'. */
  rename(account: AccountId, name: string, to: string): Promise<void>;
  /** Throws 'not-found', 'busy' (it is the active one). */
  delete(account: AccountId, name: string): Promise<void>;
  /** null: none is active from now on. Throws 'not-found'. */
  activate(account: AccountId, name: string | null): Promise<void>;
}

export interface ScriptEntry {
  readonly name: string;
  readonly active: boolean;
  readonly bytes: number;
}

export interface ScriptLimits {
  /** Octets of one. */
  readonly maxSize: number;
  readonly maxScripts: number;
  /** Octets of all. */
  readonly maxTotal: number;
}

/** Octets of a name that stands for itself; room for the suffix stays. */
const MAX_PLAIN = 200;
const SUFFIX = '.sieve';
const ACTIVE = 'active';
/** `active` holds a name (RFC 5804 1.6) and a line end. */
const MAX_ACTIVE = 600;

/** @param directory the account's */
export function scriptPath(directory: string, name: string): string {
  return join(directory, 'sieve', `${scriptFileName(name)}${SUFFIX}`);
}

/** Whether one may be active: cheaper than to find it. */
export function hasActiveScript(directory: string): boolean {
  return lstatSync(join(directory, 'sieve', ACTIVE), { throwIfNoEntry: false }) !== undefined;
}

/** The active script; undefined where there is none. */
export function activeScriptFile(
  directory: string,
): { readonly name: string; readonly path: string } | undefined {
  const at = join(directory, 'sieve', ACTIVE);
  const stats = lstatSync(at, { throwIfNoEntry: false });
  if (!stats?.isFile() || stats.size > MAX_ACTIVE) return undefined;
  const name = activeName(readFileSync(at, 'utf8'));
  if (name === undefined) return undefined;
  const path = scriptPath(directory, name);
  return lstatSync(path, { throwIfNoEntry: false })?.isFile() ? { name, path } : undefined;
}

export class FileScriptStore implements ScriptStore {
  readonly #dataDir: string;
  readonly #limits: ScriptLimits;
  /** One change of an account after the other. */
  readonly #turns = new Map<AccountId, Promise<unknown>>();

  constructor(dataDir: string, limits: ScriptLimits) {
    this.#dataDir = dataDir;
    this.#limits = limits;
  }

  async list(account: AccountId): Promise<readonly ScriptEntry[]> {
    const directory = this.#directory(account);
    const active = await this.#active(directory);
    const entries: ScriptEntry[] = [];
    for (const file of await namesIn(directory)) {
      if (!file.endsWith(SUFFIX)) continue;
      const stats = await lstat(join(directory, file)).catch(ifMissing);
      const name = stats?.isFile() ? await nameOf(directory, file) : undefined;
      if (stats && name !== undefined) entries.push({ name, active: name === active, bytes: stats.size });
    }
    return entries.sort((one, other) => (one.name < other.name ? -1 : 1));
  }

  async get(account: AccountId, name: string): Promise<Uint8Array | undefined> {
    const path = scriptPath(this.#home(account), name);
    const stats = await lstat(path).catch(ifMissing);
    if (!stats?.isFile() || stats.size > this.#limits.maxSize * 4) return undefined;
    return readFile(path);
  }

  put(account: AccountId, name: string, source: Uint8Array): Promise<void> {
    return this.#inTurn(account, async () => {
      await this.admit(account, name, source.length);
      const directory = this.#directory(account);
      await mkdir(directory, { recursive: true, mode: DIRECTORY_MODE });
      const file = scriptFileName(name);
      if (file.startsWith(HASHED)) await writeDurably(directory, `${file}.name`, Buffer.from(name));
      await writeDurably(directory, `${file}${SUFFIX}`, source);
      await diskFiles.syncDirectory(this.#home(account));
    });
  }

  async admit(account: AccountId, name: string, bytes: number): Promise<void> {
    const { maxSize, maxScripts, maxTotal } = this.#limits;
    if (bytes > maxSize) throw new StoreError('limit', `a script may have ${maxSize} octets`);
    const others = (await this.list(account)).filter((entry) => entry.name !== name);
    if (others.length >= maxScripts) throw new StoreError('over-quota', `there may be ${maxScripts} scripts`);
    const total = others.reduce((sum, entry) => sum + entry.bytes, bytes);
    if (total > maxTotal)
      throw new StoreError('over-quota', `all scripts together may have ${maxTotal} octets`);
  }

  rename(account: AccountId, name: string, to: string): Promise<void> {
    return this.#inTurn(account, async () => {
      const directory = this.#directory(account);
      const [from, target] = [scriptPath(this.#home(account), name), scriptPath(this.#home(account), to)];
      if (!(await lstat(from).catch(ifMissing))?.isFile()) throw notFound(name);
      if (name === to) return;
      if (await lstat(target).catch(ifMissing)) throw new StoreError('exists', `there is a script ${to}`);
      const isActive = (await this.#active(directory)) === name;
      const file = scriptFileName(to);
      if (file.startsWith(HASHED)) await writeDurably(directory, `${file}.name`, Buffer.from(to));
      // First the one name more: whatever happens in between, the active script is there.
      if (isActive) {
        await writeDurably(directory, `${file}${SUFFIX}`, await readFile(from));
        await writeDurably(directory, ACTIVE, Buffer.from(`${to}\n`));
        await diskFiles.unlink(from);
      } else await rename(from, target);
      await forgetName(directory, name);
      await diskFiles.syncDirectory(directory);
    });
  }

  delete(account: AccountId, name: string): Promise<void> {
    return this.#inTurn(account, async () => {
      const directory = this.#directory(account);
      const path = scriptPath(this.#home(account), name);
      if (!(await lstat(path).catch(ifMissing))?.isFile()) throw notFound(name);
      if ((await this.#active(directory)) === name) throw new StoreError('busy', 'it is the active script');
      await unlink(path);
      await forgetName(directory, name);
      await diskFiles.syncDirectory(directory);
    });
  }

  activate(account: AccountId, name: string | null): Promise<void> {
    return this.#inTurn(account, async () => {
      const directory = this.#directory(account);
      if (name === null) {
        await diskFiles.unlink(join(directory, ACTIVE));
        await diskFiles.syncDirectory(directory).catch(ifMissing);
        return;
      }
      if (!(await lstat(scriptPath(this.#home(account), name)).catch(ifMissing))?.isFile())
        throw notFound(name);
      await writeDurably(directory, ACTIVE, Buffer.from(`${name}\n`));
    });
  }

  async #active(directory: string): Promise<string | undefined> {
    const path = join(directory, ACTIVE);
    const stats = await lstat(path).catch(ifMissing);
    return stats?.isFile() && stats.size <= MAX_ACTIVE ? activeName(await readFile(path, 'utf8')) : undefined;
  }

  async #inTurn<T>(account: AccountId, work: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(account);
    const turn = (before ?? Promise.resolve()).then(work, work);
    this.#turns.set(account, turn);
    try {
      return await turn;
    } finally {
      if (this.#turns.get(account) === turn) this.#turns.delete(account);
    }
  }

  #home(account: AccountId): string {
    return join(this.#dataDir, accountDirectory(account));
  }

  #directory(account: AccountId): string {
    return join(this.#home(account), 'sieve');
  }
}

export const HASHED = '%~';

/** Of a script, without its suffix. One that begins with `%~` needs a file beside it that says the name. */
export function scriptFileName(name: string): string {
  const octets = Buffer.from(name);
  const encoded = name.replace(/^\.|[%/\p{Cc}]/gu, (char) => percent(char));
  if (encoded.length <= MAX_PLAIN && Buffer.byteLength(encoded) <= MAX_PLAIN) return encoded;
  return `${HASHED}${createHash('sha256').update(octets).digest('hex')}`;
}

function percent(char: string): string {
  return [...Buffer.from(char)]
    .map((octet) => `%${octet.toString(16).toUpperCase().padStart(2, '0')}`)
    .join('');
}

/** undefined: the file is none of ours. */
async function nameOf(directory: string, file: string): Promise<string | undefined> {
  const stem = file.slice(0, -SUFFIX.length);
  const name = stem.startsWith(HASHED)
    ? await readFile(join(directory, `${stem}.name`), 'utf8').catch(ifMissing)
    : decoded(stem);
  return name !== undefined && name !== '' && scriptFileName(name) === stem ? name : undefined;
}

function decoded(stem: string): string | undefined {
  try {
    return decodeURIComponent(stem);
  } catch {
    // A per cent sign that nobody of us has written.
    return undefined;
  }
}

function activeName(text: string): string | undefined {
  const name = text.replace(/\r?\n$/, '');
  return name === '' ? undefined : name;
}

async function forgetName(directory: string, name: string): Promise<void> {
  const file = scriptFileName(name);
  if (file.startsWith(HASHED)) await diskFiles.unlink(join(directory, `${file}.name`));
}

async function writeDurably(directory: string, name: string, bytes: Uint8Array): Promise<void> {
  const path = join(directory, name);
  const beside = `${path}.new`;
  const file = await open(beside, 'w', FILE_MODE);
  try {
    await file.writeFile(bytes);
    await file.datasync();
  } finally {
    await file.close();
  }
  await rename(beside, path);
  await diskFiles.syncDirectory(directory);
}

async function namesIn(directory: string): Promise<readonly string[]> {
  return (await readdir(directory).catch(ifMissing)) ?? [];
}

function ifMissing(error: unknown): undefined {
  if (isMissing(error)) return undefined;
  throw error;
}

function notFound(name: string): StoreError {
  return new StoreError('not-found', `there is no script ${name}`);
}
