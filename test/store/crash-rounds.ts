import { spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { MaildirAccount } from '../../src/store/maildir/account.ts';
import { checkAccount } from '../../src/store/maildir/check.ts';
import { deliverAll } from '../../src/store/maildir/deliver.ts';
import { parseBase } from '../../src/store/maildir/file-name.ts';
import { rowsBetween } from '../../src/store/maildir/message-row.ts';
import { message, openAccount, settleNames, temporaryDirectory } from './surroundings.ts';

/**
 * Kills a process at work on an account (crash-child.ts) and looks at what it left: what was acknowledged is there once,
 * what was not is whole or not there, no UID ever stands for another message, index and tree agree. Every third time the
 * index is lost too.
 */

export interface CrashRounds {
  readonly rounds: number;
  /** How long the process lives, ms: between these. */
  readonly life: readonly [shortest: number, longest: number];
  progress?(text: string): void;
}

export interface CrashReport {
  readonly acknowledged: number;
  readonly messages: number;
  readonly broken: readonly string[];
}

/** An account so often killed begins anew, so that it does not grow without end. */
const ROUNDS_OF_AN_ACCOUNT = 25;

export async function crashRounds({ rounds, life, progress }: CrashRounds): Promise<CrashReport> {
  let acknowledged = 0;
  let messages = 0;
  const broken: string[] = [];
  for (let first = 0; first < rounds; first += ROUNDS_OF_AN_ACCOUNT) {
    const { path, remove } = temporaryDirectory();
    const uids = new Map<string, string>();
    const copies = new Map<string, number>();
    let found: readonly Found[] = [];
    for (let round = first; round < Math.min(first + ROUNDS_OF_AN_ACCOUNT, rounds); round++) {
      const log = join(path, `log-${round}`);
      await killedAfter(life[0] + Math.random() * (life[1] - life[0]), [path, log, `r${round}`]);
      const entries = readFileSync(log, 'utf8')
        .split('\n')
        .filter((line) => line.endsWith('}'))
        .map((line) => JSON.parse(line) as Entry);
      acknowledged += entries.filter(({ what }) => what === 'done').length;
      const directory = join(path, 'mail/example.org/alice');
      const index = round % 3 === 2 ? 'lost' : 'kept';
      if (index === 'lost') rmSync(join(directory, 'index.sqlite'));
      const account = openAccount(directory);
      found = content(account);
      const say = (problem: string): void => void broken.push(`round ${round}, index ${index}: ${problem}`);
      judgeMessages(entries, found, index, say);
      judgeCopies(entries, found, copies, index, say);
      if (index === 'kept') judgeGroups(entries, found, say);
      judgeUids(account, entries, found, uids, say);
      redeliver(account, entries, say);
      settleNames(account);
      for (const { mailbox, problem } of checkAccount(account)) say(`check: ${mailbox}: ${problem}`);
      account.close('clean');
    }
    messages += found.length;
    remove();
    progress?.(
      `${Math.min(first + ROUNDS_OF_AN_ACCOUNT, rounds)} rounds: ${acknowledged} acknowledged, ${broken.length} broken promises`,
    );
  }
  return { acknowledged, messages, broken };
}

type Entry = { readonly what: 'begin' | 'done' } & (
  | {
      readonly op: 'deliver';
      readonly key: string;
      readonly folder: string;
      readonly uid?: number;
      readonly flags: string[];
    }
  | {
      readonly op: 'append';
      readonly keys: string[];
      readonly folder: string;
      readonly flags: string[];
      readonly replaces?: string;
    }
  | { readonly op: 'flags'; readonly key: string; readonly flags: string[] }
  | { readonly op: 'move'; readonly keys: string[]; readonly folder: string; readonly uids?: number[] }
  | { readonly op: 'copy'; readonly keys: string[] }
  | { readonly op: 'expunge'; readonly key: string }
);

interface State {
  readonly folder: string;
  readonly flags: string;
}

/** What may be true of a message: `undefined` is "not there". One possibility, or two while something was under way. */
function possibilities(entries: readonly Entry[]): Map<string, (State | undefined)[]> {
  const states = new Map<string, (State | undefined)[]>();
  const words = (flags: readonly string[]): string => [...flags].sort().join(' ');
  for (const entry of entries) {
    if (entry.op === 'copy') continue;
    for (const key of keysOf(entry)) {
      const before = states.get(key)?.[0];
      let after: State | undefined;
      if (entry.op === 'deliver' || (entry.op === 'append' && key !== entry.replaces))
        after = { folder: entry.folder, flags: words(entry.flags) };
      else if (entry.op === 'flags') after = before && { ...before, flags: words(entry.flags) };
      else if (entry.op === 'move') after = before && { ...before, folder: entry.folder };
      states.set(key, entry.what === 'done' ? [after] : [before, after]);
    }
  }
  return states;
}

function keysOf(entry: Exclude<Entry, { readonly op: 'copy' }>): readonly string[] {
  if (entry.op === 'move') return entry.keys;
  if (entry.op !== 'append') return [entry.key];
  return entry.replaces === undefined ? entry.keys : [...entry.keys, entry.replaces];
}

interface Found {
  readonly key: string;
  readonly folder: string;
  readonly uid: string;
  readonly flags: string;
}

function content(account: MaildirAccount): Found[] {
  return [...account.folders.values()].flatMap((folder) =>
    rowsBetween(account.index, folder, 1, 2 ** 32 - 1).map((row) => ({
      key: parseBase(row.base).key ?? subject(account.fileOf(folder, row)),
      folder: folder.path,
      uid: `${folder.uidValidity}.${row.uid}`,
      flags: [...folder.flagSet(row.flags)].sort().join(' '),
    })),
  );
}

/** What a copy is a copy of. */
function subject(file: string): string {
  const text = readFileSync(file, 'latin1');
  const key = /^Subject: (.*)\r$/m.exec(text)?.[1] ?? '';
  return text.endsWith(`\r\nbody of ${key}\r\n`) ? key : `torn: ${file}`;
}

function judgeMessages(
  entries: readonly Entry[],
  found: readonly Found[],
  index: 'kept' | 'lost',
  say: (problem: string) => void,
): void {
  const known = possibilities(entries);
  for (const [key, states] of known) {
    const here = found.filter((one) => one.key === key && one.folder !== 'Copies');
    if (here.length > 1) say(`${key} is there ${here.length} times`);
    const [copy] = here;
    // Names follow within a tenth of a second; what only the index knew went with it.
    const fits = states.some((state) =>
      state && copy
        ? state.folder === copy.folder && (index === 'lost' || state.flags === copy.flags)
        : state === undefined && copy === undefined,
    );
    const resurrected = index === 'lost' && copy !== undefined && states.includes(undefined);
    if (!fits && !resurrected) say(`${key}: ${JSON.stringify({ states, copy })}`);
  }
}

/** Messages appended together are there or not, and what one of them replaces the other way round. */
function judgeGroups(
  entries: readonly Entry[],
  found: readonly Found[],
  say: (problem: string) => void,
): void {
  const here = new Set(found.flatMap(({ key, folder }) => (folder === 'Copies' ? [] : [key])));
  const done = new Set(
    entries.flatMap((entry) => (entry.op === 'append' && entry.what === 'done' ? [entry.keys.join()] : [])),
  );
  for (const entry of entries) {
    if (entry.op !== 'append' || entry.what === 'done' || done.has(entry.keys.join())) continue;
    const { keys, replaces } = entry;
    const there = keys.filter((key) => here.has(key)).length;
    if (there > 0 && there < keys.length) say(`${there} of ${keys.length} messages were appended`);
    if (replaces !== undefined && here.has(replaces) === there > 0)
      say(`${replaces} and what replaces it are ${there > 0 ? 'both' : 'neither'} there`);
  }
}

/** As many as were acknowledged; of one that was under way all or none. */
function judgeCopies(
  entries: readonly Entry[],
  found: readonly Found[],
  before: Map<string, number>,
  index: 'kept' | 'lost',
  say: (problem: string) => void,
): void {
  const unfinished: (readonly string[])[] = [];
  for (const entry of entries) {
    if (entry.op !== 'copy') continue;
    if (entry.what === 'begin') unfinished.push(entry.keys);
    else {
      unfinished.splice(
        unfinished.findIndex((keys) => keys.join() === entry.keys.join()),
        1,
      );
      for (const key of entry.keys) before.set(key, (before.get(key) ?? 0) + 1);
    }
  }
  const now = new Map<string, number>();
  for (const { key, folder } of found) if (folder === 'Copies') now.set(key, (now.get(key) ?? 0) + 1);
  for (const key of new Set([...before.keys(), ...now.keys()])) {
    const more = (now.get(key) ?? 0) - (before.get(key) ?? 0);
    const allowed = unfinished.filter((keys) => keys.includes(key)).length;
    if (more < 0 || more > allowed) say(`${key}: ${more} copies more than acknowledged`);
  }
  for (const keys of unfinished) {
    const done = keys.filter((key) => (now.get(key) ?? 0) > (before.get(key) ?? 0)).length;
    if (index === 'kept' && done > 0 && done < keys.length)
      say(`a copy of ${keys.length} is half done: ${done}`);
  }
  for (const [key, count] of now) before.set(key, count);
}

function judgeUids(
  account: MaildirAccount,
  entries: readonly Entry[],
  found: readonly Found[],
  uids: Map<string, string>,
  say: (problem: string) => void,
): void {
  const stands = (uid: string, key: string): void => {
    const before = uids.get(uid) ?? key;
    if (before !== key) say(`UID ${uid} was ${before} and is ${key}`);
    uids.set(uid, key);
  };
  for (const { key, uid } of found) stands(uid, key);
  for (const entry of entries)
    if (entry.what === 'done' && entry.op === 'deliver' && entry.uid !== undefined)
      stands(`${account.folderAt(entry.folder).uidValidity}.${entry.uid}`, entry.key);
}

/** As for the daemon: what is compiled is kept, and each process is at work sooner. */
const compiled = join(import.meta.dirname, '../../node_modules/.cache/facteur');

async function killedAfter(ms: number, args: readonly string[]): Promise<void> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'crash-child.ts'), ...args], {
    stdio: 'inherit',
    env: { ...process.env, NODE_COMPILE_CACHE: compiled },
  });
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  for (let waited = 0; !existsSync(args[1] ?? '') && waited < 10_000; waited += 20)
    await new Promise((resolve) => setTimeout(resolve, 20));
  await new Promise((resolve) => setTimeout(resolve, ms));
  child.kill('SIGKILL');
  await gone;
}

/** The queue asks again for what it had no answer for: it is there once afterwards. */
function redeliver(account: MaildirAccount, entries: readonly Entry[], say: (problem: string) => void): void {
  const answered = new Set(
    entries.flatMap((entry) => (entry.op === 'deliver' && entry.what === 'done' ? [entry.key] : [])),
  );
  for (const entry of entries) {
    if (entry.op !== 'deliver' || entry.what !== 'begin' || answered.has(entry.key)) continue;
    const { key, folder, flags } = entry;
    const into = { path: folder };
    const bytes = message(`body of ${key}`, key).pieces;
    const [answer] = deliverAll([
      { account, into, key, flags, internalDate: 0, content: bytes, quota: null },
    ]);
    if (!answer || 'error' in answer) say(`${key} cannot be delivered again`);
    const times = content(account).filter((one) => one.key === key && one.folder !== 'Copies').length;
    if (times !== 1) say(`${key} is there ${times} times after the queue asked again`);
  }
}
