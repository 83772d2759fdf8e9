import { mkdtempSync, rmSync, type watch } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AccountId } from '../../src/directory/directory.ts';
import { systemClock } from '../../src/lib/clock.ts';
import type { Logger } from '../../src/lib/logger.ts';
import { type RawMessage, rawMessage } from '../../src/mail/raw-message.ts';
import { MaildirAccount, type StoredChange } from '../../src/store/maildir/account.ts';
import { catchUp } from '../../src/store/maildir/background.ts';
import { finish } from '../../src/store/maildir/turns.ts';
import { MaildirStore } from '../../src/store/maildir-store.ts';
import { storeOptions } from '../../src/store/options.ts';
import type { Limits } from '../../src/store/quota.ts';

/** What the store's tests stand on: a real directory, the real clock, a quiet log. */

export const silent: Logger = {
  child: () => silent,
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
};

export const alice = 'alice@example.org' as AccountId;

export function temporaryDirectory(): { path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'facteur-store-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

export function maildirStore(
  directory: string,
  log: Logger = silent,
  quota: Limits | null = null,
  settings: object = {},
  watchDirectory?: typeof watch,
): MaildirStore {
  const options = { directory, settings: storeOptions.parse(settings), clock: systemClock, log };
  const watching = watchDirectory && { watchDirectory };
  return new MaildirStore(
    { ...options, ...watching, host: 'mx.example.org', pid: process.pid },
    async () => quota,
  );
}

/** The account itself, below the store: for looking at disk and index between two steps. */
export function openAccount(
  directory: string,
  changes: StoredChange[] = [],
  log: Logger = silent,
): MaildirAccount {
  const account = new MaildirAccount({
    id: alice,
    directory,
    clock: systemClock,
    log,
    host: 'mx.example.org',
    pid: process.pid,
    defaultFolders: [{ name: 'Sent', use: 'sent' }],
    onChange: (change) => changes.push(change),
  });
  finish(account.opening());
  return account;
}

/** Names and removals follow. */
export function settleNames(account: MaildirAccount): void {
  account.behind = true;
  while (account.behind) catchUp(account);
}

export function message(text: string, subject = 'Test'): RawMessage {
  const lines = [
    `From: a@example.org`,
    `Subject: ${subject}`,
    'Date: Thu, 1 Jan 2026 12:00:00 +0100',
    '',
    text,
    '',
  ];
  return rawMessage([Buffer.from(lines.join('\r\n'))]);
}

export async function bytesOf(raw: RawMessage, range?: { start: number; end: number }): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of raw.read(range)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

export async function all<T>(batches: AsyncIterable<readonly T[]>): Promise<T[]> {
  const found: T[] = [];
  for await (const batch of batches) found.push(...batch);
  return found;
}
