import { type Flag, type MailboxId, StoreError, type Uid } from '../../store/store.ts';
import type { TransferAccount } from '../account.ts';
import type { LedgerFolder, Placed } from '../ledger.ts';
import { sequence } from './fetch.ts';
import type { ImapServer } from './server.ts';

/**
 * Flags that were changed in the source since a message came, or since the last time, are changed here too. What was
 * changed here stays: only differences in the source count. Messages that were moved or expunged here are left alone.
 */

const STEP = 1000;

interface Difference {
  readonly mailbox: MailboxId;
  readonly mode: 'add' | 'remove';
  readonly flags: readonly Flag[];
  readonly uids: Uid[];
}

/** Resolves to how many messages differed. */
export async function syncFlags(
  server: ImapServer,
  path: string,
  ledger: LedgerFolder,
  account: TransferAccount,
): Promise<number> {
  const validity = await server.examine(path);
  const found = await server.askIn(path, validity, async (client) => {
    if (!client.mailbox || client.mailbox.exists === 0) return [];
    return (await client.search({ all: true }, { uid: true })) || [];
  });
  const uids = [...found].sort((a, b) => a - b);
  let changed = 0;
  for (let at = 0; at < uids.length; at += STEP) {
    const now = await flagsOf(server, path, validity, uids.slice(at, at + STEP));
    const differences = new Map<string, Difference>();
    const settled: [string, string][] = [];
    for (const [uid, flags] of now) {
      const placed = ledger.placed(String(uid));
      if (!placed || placed.mailbox === '') continue;
      if (collect(differences, placed, flags)) {
        changed++;
        settled.push([String(uid), JSON.stringify(flags)]);
      }
    }
    for (const { mailbox, uids: there, mode, flags } of differences.values())
      await account.setFlags(mailbox, there, { mode, flags }).catch(cannotBeKept);
    for (const [name, flags] of settled) ledger.setFlags(name, flags);
  }
  return changed;
}

/** Keywords that have no place here. */
function cannotBeKept(error: unknown): void {
  if (!(error instanceof StoreError) || error.kind !== 'limit') throw error;
}

function flagsOf(
  server: ImapServer,
  path: string,
  validity: string,
  uids: readonly number[],
): Promise<ReadonlyMap<number, readonly Flag[]>> {
  return server.askIn(path, validity, async (client) => {
    const found = new Map<number, readonly Flag[]>();
    for await (const { uid, flags } of client.fetch(
      sequence(uids),
      { uid: true, flags: true },
      { uid: true },
    ))
      found.set(
        uid,
        [...(flags ?? [])].filter((flag) => flag.toLowerCase() !== '\\recent'),
      );
    return found;
  });
}

/** Messages with the same difference are changed together. */
function collect(differences: Map<string, Difference>, placed: Placed, now: readonly Flag[]): boolean {
  const before: readonly Flag[] = JSON.parse(placed.flags);
  const has = (flags: readonly Flag[], flag: Flag): boolean =>
    flags.some((other) => other.toLowerCase() === flag.toLowerCase());
  let differs = false;
  for (const [mode, flags] of [
    ['add', now.filter((flag) => !has(before, flag))],
    ['remove', before.filter((flag) => !has(now, flag))],
  ] as const) {
    if (flags.length === 0) continue;
    differs = true;
    const name = `${placed.mailbox}\n${mode}\n${[...flags].sort().join(' ')}`;
    const known = differences.get(name);
    if (known) known.uids.push(placed.uid);
    else differences.set(name, { mailbox: placed.mailbox, mode, flags, uids: [placed.uid] });
  }
  return differs;
}
