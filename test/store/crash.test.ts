import { spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { MaildirAccount } from '../../src/store/maildir/account.ts';
import { checkAccount } from '../../src/store/maildir/check.ts';
import { deliverAll } from '../../src/store/maildir/deliver.ts';
import { parseBase } from '../../src/store/maildir/file-name.ts';
import { rowsBetween } from '../../src/store/maildir/message-row.ts';
import { message, openAccount, settleNames, temporaryDirectory } from './surroundings.ts';

const ROUNDS = 10;

type Entry = { readonly what: 'begin' | 'done' } & (
  | {
      readonly op: 'deliver';
      readonly key: string;
      readonly folder: string;
      readonly uid?: number;
      readonly flags: string[];
    }
  | { readonly op: 'flags'; readonly key: string; readonly flags: string[] }
  | { readonly op: 'move'; readonly keys: string[]; readonly folder: string; readonly uids?: number[] }
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
    for (const key of entry.op === 'move' ? entry.keys : [entry.key]) {
      const before = states.get(key)?.[0];
      let after: State | undefined;
      if (entry.op === 'deliver') after = { folder: entry.folder, flags: words(entry.flags) };
      else if (entry.op === 'flags') after = before && { ...before, flags: words(entry.flags) };
      else if (entry.op === 'move') after = before && { ...before, folder: entry.folder };
      states.set(key, entry.what === 'done' ? [after] : [before, after]);
    }
  }
  return states;
}

function content(account: MaildirAccount): { key: string; folder: string; uid: string; flags: string }[] {
  return [...account.folders.values()].flatMap((folder) =>
    rowsBetween(account.index, folder, 1, 2 ** 32 - 1).map((row) => ({
      key: parseBase(row.base).key ?? '',
      folder: folder.path,
      uid: `${folder.uidValidity}.${row.uid}`,
      flags: [...folder.flagSet(row.flags)].sort().join(' '),
    })),
  );
}

async function killedAfter(ms: number, args: readonly string[]): Promise<void> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'crash-child.ts'), ...args], {
    stdio: 'inherit',
  });
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  for (let waited = 0; !existsSync(args[1] ?? '') && waited < 10_000; waited += 20)
    await new Promise((resolve) => setTimeout(resolve, 20));
  await new Promise((resolve) => setTimeout(resolve, ms));
  child.kill('SIGKILL');
  await gone;
}

test(`${ROUNDS} times killed at work: what was acknowledged is there once, index and tree agree, no UID comes again`, async () => {
  const { path, remove } = temporaryDirectory();
  const uids = new Map<string, string>();
  let acknowledged = 0;
  try {
    for (let round = 0; round < ROUNDS; round++) {
      const log = join(path, `log-${round}`);
      await killedAfter(50 + Math.random() * 300, [path, log, `r${round}`]);
      const entries = readFileSync(log, 'utf8')
        .split('\n')
        .filter((line) => line.endsWith('}'))
        .map((line) => JSON.parse(line) as Entry);
      acknowledged += entries.filter(({ what }) => what === 'done').length;
      const directory = join(path, 'mail/example.org/alice');
      // Every third time the index is lost too.
      if (round % 3 === 2) rmSync(join(directory, 'index.sqlite'));
      const account = openAccount(directory);
      const found = content(account);
      for (const [key, states] of possibilities(entries)) {
        const copies = found.filter((message) => message.key === key);
        const flagsMayLag = round % 3 === 2;
        expect(copies.length, `copies of ${key}`).toBeLessThanOrEqual(1);
        const [copy] = copies;
        const fits = states.some((state) =>
          state && copy
            ? state.folder === copy.folder && (flagsMayLag || state.flags === copy.flags)
            : state === undefined && copy === undefined,
        );
        expect(fits, `${key}: ${JSON.stringify({ states, copy })}`).toBe(true);
      }
      for (const { key, folder, uid } of found) {
        const name = `${folder} ${uid}`;
        expect(uids.get(name) ?? key, `UID ${name}`).toBe(key);
        uids.set(name, key);
      }
      for (const entry of entries)
        if (entry.what === 'done' && entry.op === 'deliver' && entry.uid !== undefined) {
          const { uidValidity } = account.folderAt(entry.folder);
          const name = `${entry.folder} ${uidValidity}.${entry.uid}`;
          expect(uids.get(name) ?? entry.key, `UID ${name}`).toBe(entry.key);
          uids.set(name, entry.key);
        }
      redeliver(account, entries);
      settleNames(account);
      expect(checkAccount(account)).toEqual([]);
      account.close('clean');
    }
    expect(acknowledged).toBeGreaterThan(ROUNDS * 10);
  } finally {
    remove();
  }
}, 60_000);

/** The queue asks again for what it had no answer for: it is there once afterwards. */
function redeliver(account: MaildirAccount, entries: readonly Entry[]): void {
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
    expect(answer && 'error' in answer).toBe(false);
    expect(content(account).filter((found) => found.key === key)).toHaveLength(1);
  }
}
