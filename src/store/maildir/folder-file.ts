import { type MailboxId, type SpecialUse, StoreError } from '../store.ts';
import { readOptional, writeDurably, writingDurably } from './disk.ts';
import { isKeyword, type Keywords, MAX_KEYWORDS } from './flags.ts';

/**
 * `facteur-uid`, one in each folder: what must outlive the index. Lines of text:
 *
 *     facteur-uid 1                 format and its version
 *     mailbox <id>                  object id (RFC 8474)
 *     uidvalidity <n>
 *     uid <n>                       every UID ever shown is below n
 *     modseq <n>                    every MODSEQ ever shown is below n
 *     use <special use>             when it has one (RFC 6154)
 *     keyword <letter> <name>       what a letter in a file name means
 *     last-uidvalidity <n>          INBOX only: the highest one ever given in this account
 *     end
 *
 * `uid` and `modseq` are marks set a block ahead, written durably (temporary file, sync, rename, sync of the directory)
 * before any number of the block is used: a power cut that loses the index's last commits skips numbers, and never
 * gives one twice. A file without its `end` is damaged and counts as missing.
 */
export const FOLDER_FILE = 'facteur-uid';

export interface FolderFile {
  readonly mailbox: MailboxId;
  readonly uidValidity: number;
  readonly uidMark: number;
  readonly modSeqMark: number;
  readonly use: SpecialUse | null;
  readonly keywords: Keywords;
  readonly lastUidValidity: number;
}

const USES: readonly SpecialUse[] = ['archive', 'drafts', 'junk', 'sent', 'trash', 'flagged', 'all'];

/** undefined when it is missing or damaged. */
export function readFolderFile(directory: string): FolderFile | undefined {
  const text = readOptional(`${directory}/${FOLDER_FILE}`);
  return text === undefined ? undefined : parseFolderFile(text.toString('utf8'));
}

export function parseFolderFile(text: string): FolderFile | undefined {
  const lines = text.split('\n');
  if (lines[0] !== 'facteur-uid 1') {
    const version = /^facteur-uid (\d+)$/.exec(lines[0] ?? '');
    if (version) throw new StoreError('read-only', 'The mail was written by a newer version of this program');
    return undefined;
  }
  const values = new Map<string, string>();
  const keywords: Keywords = new Array<string>(MAX_KEYWORDS).fill('');
  let ended = false;
  for (const line of lines.slice(1)) {
    const [word = '', value = '', name] = line.split(' ');
    if (word === 'end') ended = true;
    else if (word === 'keyword' && /^[a-z]$/.test(value) && name !== undefined && isKeyword(name))
      keywords[value.charCodeAt(0) - 97] = name;
    else values.set(word, value);
  }
  const mailbox = values.get('mailbox') ?? '';
  const uidValidity = number(values.get('uidvalidity'));
  const uidMark = number(values.get('uid'));
  const modSeqMark = number(values.get('modseq'));
  if (!ended || !/^[A-Za-z0-9_-]{1,255}$/.test(mailbox) || !uidValidity || !uidMark || !modSeqMark)
    return undefined;
  // 32 bits, as every client keeps them (RFC 9051 2.3.1.1).
  if (Math.max(uidValidity, uidMark) >= 2 ** 32) return undefined;
  return {
    mailbox: mailbox as MailboxId,
    uidValidity,
    uidMark,
    modSeqMark,
    use: USES.find((use) => use === values.get('use')) ?? null,
    keywords,
    lastUidValidity: number(values.get('last-uidvalidity')) ?? 0,
  };
}

export function writeFolderFile(directory: string, file: FolderFile): void {
  writeDurably(directory, FOLDER_FILE, formatFolderFile(file));
}

/** Several with shared commits of the file system's journal. @returns why some could not be written, by directory */
export function writingFolderFiles(
  files: readonly { readonly directory: string; readonly file: FolderFile }[],
): Generator<null, ReadonlyMap<string, unknown>> {
  return writingDurably(
    FOLDER_FILE,
    files.map(({ directory, file }) => ({ directory, text: formatFolderFile(file) })),
  );
}

export function formatFolderFile(file: FolderFile): string {
  const lines = [
    'facteur-uid 1',
    `mailbox ${file.mailbox}`,
    `uidvalidity ${file.uidValidity}`,
    `uid ${file.uidMark}`,
    `modseq ${file.modSeqMark}`,
  ];
  if (file.use) lines.push(`use ${file.use}`);
  file.keywords.forEach((keyword, at) => {
    if (keyword !== '') lines.push(`keyword ${String.fromCharCode(97 + at)} ${keyword}`);
  });
  if (file.lastUidValidity > 0) lines.push(`last-uidvalidity ${file.lastUidValidity}`);
  lines.push('end', '');
  return lines.join('\n');
}

function number(text: string | undefined): number | undefined {
  return text !== undefined && /^[1-9]\d{0,15}$/.test(text) ? Number(text) : undefined;
}
