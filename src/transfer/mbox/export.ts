import { existsSync, mkdirSync, statSync } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { diskFiles } from '../../lib/durable-file.ts';
import { StoreError } from '../../store/store.ts';
import type { Place } from '../account.ts';
import { TransferError } from '../errors.ts';
import {
  ExportCount,
  type ExportParts,
  type ExportSummary,
  messagesOf,
  type Outgoing,
} from '../export-mail.ts';
import { ByteFile } from '../file.ts';
import { firstMessage } from './extents.ts';
import type { MboxFormat } from './format.ts';
import { escaped } from './tree.ts';
import { mboxMessage } from './write.ts';

/**
 * Folders as mboxes: one as the file itself, several in a directory as Thunderbird has them (`Work`, its children in
 * `Work.sbd/`). Each file appears, or replaces the mbox that was there, when it is complete and on the disk: whoever
 * stops an export has the old ones or the new ones. What is no mbox is never replaced.
 */
export interface MboxExport {
  readonly destination: string;
  readonly layout: 'file' | 'directory';
  readonly format: MboxFormat;
}

/** Written at once. */
const BUFFER = 1024 * 1024;

export async function exportMbox(
  places: readonly Place[],
  wish: MboxExport,
  parts: ExportParts,
): Promise<ExportSummary> {
  const count = new ExportCount(places, parts.onProgress);
  const results: { folder: string; file: string; messages: number }[] = [];
  const targets = places.map((place) => ({
    place,
    file: wish.layout === 'file' ? wish.destination : fileOf(wish.destination, place.path),
  }));
  for (const { file } of targets) checkReplaceable(file);
  for (const { place, file } of targets) {
    count.begin(place.path);
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    results.push({
      folder: place.path,
      file,
      messages: await writeMbox(place, file, wish.format, count, parts),
    });
    count.end();
  }
  return { ...count.progress(), places: results, notes: [] };
}

function fileOf(directory: string, path: string): string {
  const parts = path.split('/').map(escaped);
  const above = parts.slice(0, -1).map((part) => `${part}.sbd`);
  return join(directory, ...above, parts.at(-1) ?? '');
}

function checkReplaceable(path: string): void {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (!stats) return;
  if (stats.isDirectory()) throw new TransferError(`${path} is a directory`);
  if (!stats.isFile()) throw new TransferError(`${path} is not a file`);
  const file = new ByteFile(path);
  try {
    if (file.size > 0 && firstMessage(file) !== 0)
      throw new TransferError(`${path} is there and not an mbox: it is not replaced`);
  } finally {
    file.close();
  }
}

async function writeMbox(
  place: Place,
  path: string,
  format: MboxFormat,
  count: ExportCount,
  { account, signal }: ExportParts,
): Promise<number> {
  const temporary = join(dirname(path), `.${basename(path)}.facteur-new`);
  const file = await open(temporary, 'w', 0o600);
  let messages = 0;
  try {
    const writer = new Buffered(file);
    for await (const message of messagesOf(account, place, () => true)) {
      signal.throwIfAborted();
      if ('skipped' in message) continue;
      if (!(await writeMessage(message, format, writer))) continue;
      messages++;
      count.add('messages', message.size);
    }
    await writer.flush();
    await file.datasync();
    await file.close();
    await rename(temporary, path);
    await diskFiles.syncDirectory(dirname(path));
    return messages;
  } catch (error) {
    await file.close().catch(() => undefined);
    if (existsSync(temporary)) await rm(temporary);
    throw error;
  }
}

/** False when it was expunged meanwhile. */
async function writeMessage(message: Outgoing, format: MboxFormat, writer: Buffered): Promise<boolean> {
  let begun = false;
  try {
    for await (const chunk of mboxMessage(message, format)) {
      begun = true;
      await writer.write(chunk);
    }
    return true;
  } catch (error) {
    if (!begun && error instanceof StoreError && error.kind === 'expunged') return false;
    throw error;
  }
}

class Buffered {
  readonly #file: FileHandle;
  #chunks: Uint8Array[] = [];
  #size = 0;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    if (this.#size >= BUFFER) await this.flush();
  }

  async flush(): Promise<void> {
    const chunks = this.#chunks;
    this.#chunks = [];
    this.#size = 0;
    if (chunks.length > 0) await this.#file.writeFile(Buffer.concat(chunks));
  }
}
