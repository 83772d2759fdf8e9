import { linkSync, mkdirSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Step } from './recorded-disk.ts';

/**
 * A disk that is told every step (recorded-disk.ts) and can say what a power cut would leave. What it promises is the
 * least that file systems promise: a synced file has its bytes, a synced directory has all names as they were, and
 * what was not synced is lost or there, for each directory in the order in which it happened. A rename between two
 * directories happens in both or in neither. Bytes that were not synced are there, or not, or in part, or zeros.
 */

interface File {
  readonly kind: 'file';
  data: Buffer;
  /** As of the last sync; null when there was none. */
  durable: Buffer | null;
  seconds: number;
}
interface Directory {
  readonly kind: 'directory';
  readonly now: Map<string, Entry>;
  readonly durable: Map<string, Entry>;
}
type Entry = File | Directory;

/** One change of names that is not durable yet. */
type Change = readonly { readonly in: Directory; readonly name: string; readonly entry: Entry | null }[];

export type Fate = 'all lost' | 'all kept' | 'by chance';

export class SimulatedDisk {
  readonly #root: Directory = directory();
  readonly #handles = new Map<number, Entry>();
  #pending: Change[] = [];
  #databases: { readonly durability: 'wait' | 'later'; readonly bytes: Buffer }[] = [];

  /** Takes what lies below `path` for durable. */
  load(path: string, database: Buffer | undefined): void {
    const files = new Map<number, File>();
    const read = (from: string, into: Directory): void => {
      for (const entry of readdirSync(from, { withFileTypes: true })) {
        const here = join(from, entry.name);
        if (entry.isDirectory()) {
          const below = directory();
          for (const names of [into.now, into.durable]) names.set(entry.name, below);
          read(here, below);
          continue;
        }
        if (entry.name.startsWith('index.sqlite')) continue;
        const { ino, mtimeMs } = statSync(here);
        const data = readFileSync(here);
        const file = files.get(ino) ?? { kind: 'file', data, durable: data, seconds: mtimeMs / 1000 };
        files.set(ino, file);
        for (const names of [into.now, into.durable]) names.set(entry.name, file);
      }
    };
    read(path, this.#root);
    this.#databases = database ? [{ durability: 'wait', bytes: database }] : [];
  }

  do(step: Step<unknown>): void {
    switch (step.is) {
      case 'mkdir':
        this.#change([{ path: step.path, entry: directory() }]);
        return;
      case 'rmdir':
      case 'unlink':
        this.#change([{ path: step.path, entry: null }]);
        return;
      case 'open':
        this.#open(step);
        return;
      case 'write': {
        const file = this.#file(step.handle);
        const size = Math.max(file.data.length, step.at + step.bytes.length);
        file.data = Buffer.concat([file.data], size);
        step.bytes.copy(file.data, step.at);
        return;
      }
      case 'truncate': {
        const file = this.#file(step.handle);
        file.data = Buffer.concat([file.data], step.size);
        return;
      }
      case 'times': {
        const entry =
          typeof step.handle === 'string' ? this.#find(step.handle) : this.#handles.get(step.handle);
        if (entry?.kind === 'file') entry.seconds = step.seconds;
        return;
      }
      case 'sync': {
        const entry = this.#handles.get(step.handle);
        if (entry?.kind === 'file') entry.durable = entry.data;
        else if (entry) this.#syncNames(entry);
        return;
      }
      case 'rename': {
        const entry = this.#find(step.path);
        if (!entry) throw new Error(`rename of what is not there: ${step.path}`);
        // Two names of one file: POSIX leaves both.
        if (this.#find(step.to) === entry) return;
        this.#change([
          { path: step.path, entry: null },
          { path: step.to, entry },
        ]);
        return;
      }
      case 'link': {
        const entry = this.#find(step.path);
        if (!entry) throw new Error(`link to what is not there: ${step.path}`);
        this.#change([{ path: step.to, entry }]);
        return;
      }
      case 'commit':
        // What waits for the disk takes all before it along.
        if (step.durability === 'wait') this.#databases = [];
        this.#databases.push({ durability: step.durability, bytes: step.database });
        return;
      case 'mark':
        return;
    }
  }

  /** Databases that a power cut may leave, oldest first. */
  get databases(): readonly Buffer[] {
    return this.#databases.map(({ bytes }) => bytes);
  }

  /** Makes below `target` what is left when the power goes now. */
  cut(target: string, fate: Fate, chance: () => number): void {
    const left = new Map<Directory, Map<string, Entry>>();
    const namesOf = (at: Directory): Map<string, Entry> => {
      let names = left.get(at);
      if (!names) {
        names = new Map(at.durable);
        left.set(at, names);
      }
      return names;
    };
    const stopped = new Set<Directory>();
    const persistence = chance();
    for (const change of this.#pending) {
      const kept = fate === 'all kept' || (fate === 'by chance' && chance() < persistence ** 0.3);
      if (kept && !change.some((part) => stopped.has(part.in)))
        for (const part of change) set(namesOf(part.in), part);
      else for (const part of change) stopped.add(part.in);
    }
    const made = new Map<File, string>();
    const build = (at: Directory, path: string): void => {
      mkdirSync(path, { recursive: true });
      for (const [name, entry] of namesOf(at)) {
        const here = join(path, name);
        if (entry.kind === 'directory') build(entry, here);
        else {
          const other = made.get(entry);
          if (other) linkSync(other, here);
          else {
            writeFileSync(here, contentOf(entry, fate, chance));
            utimesSync(here, entry.seconds, entry.seconds);
            made.set(entry, here);
          }
        }
      }
    };
    build(this.#root, target);
  }

  #open({ handle, path, truncates }: Extract<Step<unknown>, { is: 'open' }>): void {
    let entry = this.#find(path);
    if (!entry) {
      entry = { kind: 'file', data: Buffer.alloc(0), durable: null, seconds: 1 };
      this.#change([{ path, entry }]);
    } else if (truncates === 'yes' && entry.kind === 'file') entry.data = Buffer.alloc(0);
    this.#handles.set(handle, entry);
  }

  #file(handle: number): File {
    const entry = this.#handles.get(handle);
    if (entry?.kind !== 'file') throw new Error('no such open file');
    return entry;
  }

  #find(path: string): Entry | undefined {
    let at: Entry | undefined = this.#root;
    for (const name of path.split('/').filter((part) => part !== ''))
      at = at?.kind === 'directory' ? at.now.get(name) : undefined;
    return at;
  }

  #change(parts: readonly { readonly path: string; readonly entry: Entry | null }[]): void {
    const change = parts.map(({ path, entry }) => {
      const slash = path.lastIndexOf('/');
      const parent = this.#find(path.slice(0, Math.max(slash, 0)));
      if (parent?.kind !== 'directory') throw new Error(`no directory for ${path}`);
      return { in: parent, name: path.slice(slash + 1), entry };
    });
    for (const part of change) set(part.in.now, part);
    this.#pending.push(change);
  }

  /** All that happened in it, and what that needs: earlier changes of the other directories it touched. */
  #syncNames(of: Directory): void {
    const needed = new Set([of]);
    const durable: Change[] = [];
    const rest: Change[] = [];
    for (const change of this.#pending.toReversed()) {
      if (!change.some((part) => needed.has(part.in))) rest.unshift(change);
      else {
        for (const part of change) needed.add(part.in);
        durable.unshift(change);
      }
    }
    for (const change of durable) for (const part of change) set(part.in.durable, part);
    this.#pending = rest;
  }
}

function directory(): Directory {
  return { kind: 'directory', now: new Map(), durable: new Map() };
}

function set(names: Map<string, Entry>, { name, entry }: Change[number]): void {
  if (entry) names.set(name, entry);
  else names.delete(name);
}

function contentOf({ data, durable }: File, fate: Fate, chance: () => number): Buffer {
  if (fate === 'all kept' || durable === data) return data;
  const old = durable ?? Buffer.alloc(0);
  if (fate === 'all lost') return old;
  const dice = chance();
  if (dice < 0.3) return old;
  if (dice < 0.5) return data;
  const part = data.subarray(0, Math.floor(chance() * data.length));
  return dice < 0.8 ? part : Buffer.concat([part], data.length);
}
