import { readdirSync } from 'node:fs';
import type { MailboxId } from '../store.ts';
import type { MaildirAccount } from './account.ts';
import { renameIfThere, syncDirectory, unlinkIfThere } from './disk.ts';
import { splitName } from './file-name.ts';
import { CUR, type Folder, NEW } from './folder.ts';

/**
 * Copies and moves of several messages under way, and messages that are appended together or in place of another, kept in
 * the index so that a crash cannot leave half of one: a copy is undone (its source is still there) and so is what is
 * appended (nobody was told), a move is finished. Names are `new/<name>` or `cur/<name>` below the folder.
 */

export interface IntentStep {
  readonly from: string;
  readonly to: string;
}

interface Plan {
  readonly kind: 'copy' | 'move' | 'append';
  readonly from: MailboxId;
  readonly to: MailboxId;
  readonly steps: readonly IntentStep[];
}

/** Durable when it returns. */
export function noteIntent(
  account: MaildirAccount,
  kind: Plan['kind'],
  from: Folder,
  to: Folder,
  steps: readonly IntentStep[],
): number {
  const plan: Plan = { kind, from: from.mailbox, to: to.mailbox, steps };
  return account.write('wait', [], () =>
    Number(
      account.index.prepare('INSERT INTO intents (plan) VALUES (?)').run(JSON.stringify(plan))
        .lastInsertRowid,
    ),
  );
}

/** Soon: it is given up because something cannot be written, perhaps this neither. */
export function clearIntent(account: MaildirAccount, number: number): void {
  if (number === 0) return;
  account.abandoned.add(number);
  account.behind = true;
}

/** Plans that were given up, taken back, and must not be followed after a crash. */
export function forgetAbandoned(account: MaildirAccount): void {
  account.write('later', [], () => {
    for (const number of account.abandoned)
      account.index.prepare('DELETE FROM intents WHERE number = ?').run(number);
  });
  account.abandoned.clear();
}

/** At start after a crash, before the folders are scanned. */
export function recoverIntents(account: MaildirAccount): void {
  const rows = account.index.prepare<[number, string]>('SELECT number, plan FROM intents').all();
  for (const [, text] of rows) {
    const plan = JSON.parse(text) as Plan;
    const from = account.folders.get(plan.from);
    const to = account.folders.get(plan.to);
    if (!from || !to) continue;
    account.log.info({ what: plan.kind, messages: plan.steps.length }, 'settling what a crash interrupted');
    if (plan.kind === 'move') finish(account, from, to, plan.steps);
    else undo(account, to, plan.steps);
    for (const folder of [from, to])
      for (const place of [NEW, CUR] as const) syncDirectory(account.placeOf(folder, place));
  }
  if (rows.length > 0) account.write('wait', [], () => account.index.prepare('DELETE FROM intents').run());
}

function undo(account: MaildirAccount, to: Folder, steps: readonly IntentStep[]): void {
  const names = namesIn(account, to);
  for (const step of steps) {
    const name = names.get(baseOf(step.to));
    if (name) unlinkIfThere(`${account.directoryOf(to)}/${name}`);
    // Not yet in its place, or a copy that was written there.
    unlinkIfThere(`${account.directoryOf(to)}/tmp/${baseOf(step.to)}`);
  }
}

function finish(account: MaildirAccount, from: Folder, to: Folder, steps: readonly IntentStep[]): void {
  const names = namesIn(account, from);
  for (const step of steps) {
    const name = names.get(baseOf(step.from));
    if (name) renameIfThere(`${account.directoryOf(from)}/${name}`, `${account.directoryOf(to)}/${step.to}`);
  }
}

/** By the name without its letters, which another program may have changed since. */
function namesIn(account: MaildirAccount, folder: Folder): Map<string, string> {
  const names = new Map<string, string>();
  for (const place of ['new', 'cur'])
    for (const name of readdirSync(`${account.directoryOf(folder)}/${place}`))
      names.set(splitName(name).base, `${place}/${name}`);
  return names;
}

function baseOf(name: string): string {
  return splitName(name.slice(name.indexOf('/') + 1)).base;
}
