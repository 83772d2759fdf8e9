import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { posix } from 'node:path';
import { openSqlite } from '../../src/lib/sqlite.ts';
import { Index } from '../../src/store/maildir/index.ts';
import type { Steps } from '../../src/store/maildir/turns.ts';

/**
 * Writes down every step on the file system below one directory, in order, while the real functions do it on the real
 * disk: what simulated-disk.ts needs to say what a power cut would have left. Commits of the index are written down
 * with a copy of the whole database, which is tiny here. Steps that consist of several (a recursive removal, a file
 * written in one call) are done and written down one by one.
 */

export type Step<Mark> =
  | { readonly is: 'mkdir' | 'rmdir' | 'unlink'; readonly path: string }
  | { readonly is: 'open'; readonly handle: number; readonly path: string; readonly truncates: 'yes' | 'no' }
  | { readonly is: 'write'; readonly handle: number; readonly at: number; readonly bytes: Buffer }
  | { readonly is: 'truncate'; readonly handle: number; readonly size: number }
  | { readonly is: 'times'; readonly handle: number | string; readonly seconds: number }
  | { readonly is: 'sync'; readonly handle: number }
  | { readonly is: 'rename' | 'link'; readonly path: string; readonly to: string }
  | { readonly is: 'commit'; readonly durability: 'wait' | 'later'; readonly database: Buffer }
  | { readonly is: 'mark'; readonly mark: Mark };

/** Functions that change a file system and that we do not follow: the store must not begin to use them unnoticed. */
const UNKNOWN = [
  'appendFileSync',
  'chmodSync',
  'chownSync',
  'cpSync',
  'lutimesSync',
  'symlinkSync',
  'truncateSync',
  'writevSync',
] as const;

type Functions = Record<string, (...args: never[]) => unknown>;

interface Open {
  readonly handle: number;
  position: number;
}

export class RecordedDisk<Mark> {
  readonly steps: Step<Mark>[] = [];
  readonly #root: string;
  readonly #real: typeof fs = { ...fs };
  readonly #realRm = fs.promises.rm;
  readonly #transacting = Index.prototype.transacting;
  readonly #open = new Map<number, Open>();
  #handles = 0;
  #replaced: readonly (keyof typeof fs)[] = [];

  constructor(root: string) {
    this.#root = root;
    this.#replace({
      openSync: (path: string, flags: string | number = 'r', mode?: number) =>
        this.#openSync(path, flags, mode),
      closeSync: (fd: number) => {
        this.#open.delete(fd);
        this.#real.closeSync(fd);
      },
      writeSync: (fd: number, bytes: Uint8Array, from?: number, length?: number, at?: number | null) =>
        this.#writeSync(fd, bytes, from ?? 0, length ?? bytes.length - (from ?? 0), at ?? null),
      ftruncateSync: (fd: number, size = 0) => {
        this.#real.ftruncateSync(fd, size);
        this.#onHandle(fd, ({ handle }) => ({ is: 'truncate', handle, size }));
      },
      // The disk of this machine need not do it: what a power cut leaves is worked out from the steps.
      fsyncSync: (fd: number) => this.#onHandle(fd, ({ handle }) => ({ is: 'sync', handle })),
      fdatasyncSync: (fd: number) => this.#onHandle(fd, ({ handle }) => ({ is: 'sync', handle })),
      // Not before they are done: what others do meanwhile comes first.
      fsync: (fd: number, done: (error: null) => void) => this.#syncLater(fd, done),
      fdatasync: (fd: number, done: (error: null) => void) => this.#syncLater(fd, done),
      futimesSync: (fd: number, atime: number, mtime: number) => {
        this.#real.futimesSync(fd, atime, mtime);
        this.#onHandle(fd, ({ handle }) => ({ is: 'times', handle, seconds: mtime }));
      },
      utimesSync: (path: string, atime: number, mtime: number) => {
        this.#real.utimesSync(path, atime, mtime);
        this.#onPath(path, (name) => ({ is: 'times', handle: name, seconds: mtime }));
      },
      renameSync: (from: string, to: string) => {
        this.#real.renameSync(from, to);
        this.#onPath(from, (path) => ({ is: 'rename', path, to: this.#inside(to) ?? '' }));
      },
      linkSync: (from: string, to: string) => {
        this.#real.linkSync(from, to);
        this.#onPath(to, (name) => ({ is: 'link', path: this.#inside(from) ?? '', to: name }));
      },
      unlinkSync: (path: string) => {
        this.#real.unlinkSync(path);
        this.#onPath(path, (name) => ({ is: 'unlink', path: name }));
      },
      rmdirSync: (path: string) => {
        this.#real.rmdirSync(path);
        this.#onPath(path, (name) => ({ is: 'rmdir', path: name }));
      },
      mkdirSync: (path: string, options?: { recursive?: boolean; mode?: number }) =>
        this.#mkdirSync(path, options ?? {}),
      rmSync: (path: string, options?: { force?: boolean }) => this.#rmSync(path, options ?? {}),
      writeFileSync: (path: string, data: string | Uint8Array) => {
        const fd = this.#openSync(path, 'w', 0o600);
        const bytes = Buffer.from(data as string);
        this.#writeSync(fd, bytes, 0, bytes.length, null);
        this.#open.delete(fd);
        this.#real.closeSync(fd);
      },
      copyFileSync: (from: string, to: string) => {
        const fd = this.#openSync(to, 'wx', 0o600);
        const bytes = this.#real.readFileSync(from);
        this.#writeSync(fd, bytes, 0, bytes.length, null);
        this.#open.delete(fd);
        this.#real.closeSync(fd);
      },
      ...Object.fromEntries(UNKNOWN.map((name) => [name, (path: unknown) => this.#refuse(name, path)])),
    });
    fs.promises.rm = async (path, options) => this.#rmSync(String(path), { force: options?.force ?? false });
    const { steps } = this;
    const transacting = this.#transacting;
    Index.prototype.transacting = function* recorded<T>(
      this: Index,
      durability: 'wait' | 'later',
      work: () => Steps<T>,
    ): Steps<T> {
      const result = (yield* transacting.call(this, 'later', work)) as T;
      const db = openSqlite(this.path, { durability: 'normal', readonly: true });
      steps.push({ is: 'commit', durability, database: db.serialize() });
      db.close();
      return result;
    };
    syncBuiltinESMExports();
  }

  mark(mark: Mark): void {
    this.steps.push({ is: 'mark', mark });
  }

  /** The functions are the real ones again. */
  stop(): void {
    Object.assign(fs, Object.fromEntries(this.#replaced.map((name) => [name, this.#real[name]])));
    fs.promises.rm = this.#realRm;
    Index.prototype.transacting = this.#transacting;
    syncBuiltinESMExports();
  }

  #replace(functions: Functions): void {
    this.#replaced = Object.keys(functions) as (keyof typeof fs)[];
    Object.assign(fs, functions);
  }

  #syncLater(fd: number, done: (error: null) => void): void {
    setImmediate(() => {
      this.#onHandle(fd, ({ handle }) => ({ is: 'sync', handle }));
      done(null);
    });
  }

  #refuse(name: string, path: unknown): never {
    throw new Error(`the recorded disk does not know ${name}: ${String(path)}`);
  }

  /** Relative to the root; undefined for what lies elsewhere, and for the index, whose commits are written down. */
  #inside(path: string): string | undefined {
    const normal = posix.normalize(path);
    if (normal !== this.#root && !normal.startsWith(`${this.#root}/`)) return undefined;
    const name = normal.slice(this.#root.length + 1);
    return /(^|\/)index\.sqlite(-wal|-shm)?$/.test(name) ? undefined : name;
  }

  #onPath(path: string, step: (name: string) => Step<Mark>): void {
    const name = this.#inside(String(path));
    if (name !== undefined) this.steps.push(step(name));
  }

  #onHandle(fd: number, step: (open: Open) => Step<Mark>): void {
    const open = this.#open.get(fd);
    if (open) this.steps.push(step(open));
  }

  #openSync(path: string, flags: string | number, mode?: number): number {
    const fd = this.#real.openSync(path, flags, mode);
    this.#onPath(path, (name) => {
      const handle = ++this.#handles;
      this.#open.set(fd, { handle, position: 0 });
      return { is: 'open', handle, path: name, truncates: String(flags).startsWith('w') ? 'yes' : 'no' };
    });
    return fd;
  }

  #writeSync(fd: number, bytes: Uint8Array, from: number, length: number, at: number | null): number {
    const written = this.#real.writeSync(fd, bytes, from, length, at);
    this.#onHandle(fd, (open) => {
      const start = at ?? open.position;
      open.position = start + written;
      const copy = Buffer.from(bytes.subarray(from, from + written));
      return { is: 'write', handle: open.handle, at: start, bytes: copy };
    });
    return written;
  }

  #mkdirSync(path: string, { recursive, mode }: { recursive?: boolean; mode?: number }): void {
    if (recursive) {
      if (this.#real.existsSync(path)) return;
      this.#mkdirSync(path.slice(0, path.lastIndexOf('/')), { recursive: true, ...(mode && { mode }) });
    }
    this.#real.mkdirSync(path, mode === undefined ? {} : { mode });
    this.#onPath(path, (name) => ({ is: 'mkdir', path: name }));
  }

  #rmSync(path: string, { force }: { force?: boolean }): void {
    const stats = this.#real.lstatSync(path, { throwIfNoEntry: false });
    if (!stats) {
      if (force) return;
      throw Object.assign(new Error(`ENOENT: ${path}`), { code: 'ENOENT' });
    }
    if (!stats.isDirectory()) {
      this.#real.unlinkSync(path);
      this.#onPath(path, (name) => ({ is: 'unlink', path: name }));
      return;
    }
    for (const name of this.#real.readdirSync(path)) this.#rmSync(`${path}/${name}`, {});
    this.#real.rmdirSync(path);
    this.#onPath(path, (name) => ({ is: 'rmdir', path: name }));
  }
}
