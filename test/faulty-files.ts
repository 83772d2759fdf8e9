import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { type DurableFiles, diskFiles, type OpenFile } from '../src/lib/durable-file.ts';

export type Step = 'open' | 'write' | 'datasync' | 'rename' | 'link' | 'unlink' | 'syncDirectory' | 'free';

const SECTOR = 512;

/** What of a file's bytes the disk has for sure, and what was written since the last sync. */
interface Inode {
  durable: Buffer;
  unsynced: { readonly bytes: Buffer; readonly position: number }[];
}

/**
 * The real file system, with a count of the steps that matter for durability, errors where a test wants them, and a
 * model of what would be left after a power cut: bytes by datasync, names by syncDirectory, nothing else for sure.
 */
export class FaultyFiles implements DurableFiles {
  steps = 0;
  /** Called before each step; an error it returns is that step's. */
  fault: (step: Step, path: string, count: number) => Error | undefined = () => undefined;
  readonly #inodes = new Map<string, Inode>();
  /** Names that survive: path to inode. */
  readonly #names = new Map<string, Inode>();

  /** From now on nothing works any more: the power is off. */
  cut(): void {
    this.fault = () => new Error('the power is off');
  }

  /**
   * Writes what a power cut now would leave under `root` into `to`.
   * @param survives decides for every sector written and not synced whether it reached the disk after all
   */
  image(root: string, to: string, survives: () => boolean): void {
    for (const [path, inode] of this.#names) {
      if (relative(root, path).startsWith('..')) continue;
      let bytes: Buffer = Buffer.from(inode.durable);
      for (const { bytes: written, position } of inode.unsynced) {
        for (let at = 0; at < written.length; at += SECTOR)
          if (survives()) bytes = overlay(bytes, written.subarray(at, at + SECTOR), position + at);
      }
      const target = join(to, relative(root, path));
      mkdirSync(dirname(target), { recursive: true });
      writeFileSync(target, bytes);
    }
  }

  async open(path: string, mode: 'create' | 'update'): Promise<OpenFile> {
    this.#step('open', path);
    const file = await diskFiles.open(path, mode);
    const known = this.#inodes.get(path);
    const inode = known ?? {
      durable: mode === 'update' ? readFileSync(path) : Buffer.alloc(0),
      unsynced: [],
    };
    this.#inodes.set(path, inode);
    // What was there before we came is on the disk.
    if (!known && mode === 'update') this.#names.set(path, inode);
    return {
      ...file,
      write: async (bytes, position) => {
        // A failing write may have begun.
        inode.unsynced.push({ bytes: Buffer.from(bytes), position });
        this.#step('write', path);
        await file.write(bytes, position);
      },
      datasync: async () => {
        this.#step('datasync', path);
        await file.datasync();
        for (const { bytes, position } of inode.unsynced)
          inode.durable = overlay(inode.durable, bytes, position);
        inode.unsynced = [];
      },
    };
  }

  async rename(from: string, to: string): Promise<void> {
    this.#step('rename', from);
    await diskFiles.rename(from, to);
    const inode = this.#inodes.get(from);
    this.#inodes.delete(from);
    if (inode) this.#inodes.set(to, inode);
  }

  async link(from: string, to: string): Promise<void> {
    this.#step('link', from);
    await diskFiles.link(from, to);
    const inode = this.#inodes.get(from);
    if (inode) this.#inodes.set(to, inode);
  }

  async unlink(path: string): Promise<void> {
    this.#step('unlink', path);
    await diskFiles.unlink(path);
    this.#inodes.delete(path);
  }

  async syncDirectory(path: string): Promise<void> {
    this.#step('syncDirectory', path);
    await diskFiles.syncDirectory(path);
    for (const name of [...this.#names.keys()]) if (dirname(name) === path) this.#names.delete(name);
    const present = new Set(readdirSync(path));
    for (const [name, inode] of this.#inodes)
      if (dirname(name) === path && present.has(basename(name))) this.#names.set(name, inode);
  }

  async free(path: string): Promise<number> {
    this.#step('free', path);
    return diskFiles.free(path);
  }

  #step(step: Step, path: string): void {
    this.steps++;
    const error = this.fault(step, path, this.steps);
    if (error) throw error;
  }
}

export function diskFull(): Error {
  return Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
}

export function ioError(): Error {
  return Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });
}

function overlay(base: Buffer, bytes: Buffer, position: number): Buffer {
  if (position + bytes.length <= base.length) {
    bytes.copy(base, position);
    return base;
  }
  const grown = Buffer.alloc(position + bytes.length);
  base.copy(grown);
  bytes.copy(grown, position);
  return grown;
}
