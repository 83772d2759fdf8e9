import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { decodeModifiedUtf7 } from '../../mail/modified-utf7.ts';
import { MAX_DEPTH } from '../../store/mailbox-path.ts';

/**
 * Directories of mboxes: a file is a folder. Its children lie in a directory beside it, `name.sbd` (Thunderbird, and
 * what we write) or plain directories (Dovecot, mutt, Pine); Apple's `name.mbox/mbox` is a folder too. Files that do not
 * begin as an mbox are passed over. Directories that are symbolic links are not followed.
 */
export interface MboxPlace {
  readonly file: string;
  readonly path: readonly string[];
  readonly subscribed: 'yes' | 'no' | 'unknown';
}

const CHILDREN = '.sbd';
/** Enough to see a `From ` line after a few empty ones. */
const BEGINNING = 256;

export function findMboxes(root: string): MboxPlace[] {
  if (!statSync(root).isDirectory())
    return [{ file: root, path: [nameOf(basename(root), 'top')], subscribed: 'unknown' }];
  const subscriptions = readSubscriptions(root);
  return [...walk(root, [])].map(({ file, path }) => ({
    file,
    path,
    subscribed: subscriptions ? (subscriptions.has(path.join('/')) ? 'yes' : 'no') : 'unknown',
  }));
}

function* walk(directory: string, above: readonly string[]): Generator<{ file: string; path: string[] }> {
  if (above.length >= MAX_DEPTH) return;
  const entries = readdirSync(directory, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    if (entry.name.startsWith('.')) continue;
    const place = join(directory, entry.name);
    const level = above.length === 0 ? 'top' : 'below';
    if (entry.isDirectory()) {
      const inside = join(place, 'mbox');
      if (/\.mbox$/i.test(entry.name) && beginsAsMbox(inside)) {
        yield { file: inside, path: [...above, nameOf(entry.name, level)] };
        continue;
      }
      const name = entry.name.endsWith(CHILDREN) ? entry.name.slice(0, -CHILDREN.length) : entry.name;
      yield* walk(place, [...above, nameOf(name, level)]);
    } else if (beginsAsMbox(place) || isEmptyFolder(place)) {
      yield { file: place, path: [...above, nameOf(entry.name, level)] };
    }
  }
}

function nameOf(file: string, level: 'top' | 'below'): string {
  const bare = file.replace(/(?<=.)\.mb(?:o)?x$/i, '');
  const plain = bare.includes('&') ? (decodeModifiedUtf7(bare, '.') ?? bare) : bare;
  const name = unescaped(plain);
  return level === 'top' && /^inbox$/i.test(name) ? 'INBOX' : name;
}

/** What a file name cannot say; no mailbox has a '%' in its name. */
export function escaped(part: string): string {
  return part
    .replace(/^\.|[/\\]/g, percent)
    .replace(/\.(?=(?:sbd|msf|mbox|mbx|lock|dat)$)/i, percent)
    .replace(/&/g, percent);
}

function percent(text: string): string {
  return `%${text.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
}

function unescaped(name: string): string {
  return name.replace(/%([0-7][0-9A-F])/g, (_, code: string) =>
    String.fromCharCode(Number.parseInt(code, 16)),
  );
}

function beginsAsMbox(path: string): boolean {
  if (!statSync(path, { throwIfNoEntry: false })?.isFile()) return false;
  const fd = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(BEGINNING);
    const length = readSync(fd, bytes);
    return /^[\r\n]*From /.test(bytes.subarray(0, length).toString('latin1'));
  } finally {
    closeSync(fd);
  }
}

/** Thunderbird's folder without mail, or one that says it is an mbox. */
function isEmptyFolder(path: string): boolean {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats?.isFile() === true && stats.size === 0 && (existsSync(`${path}.msf`) || /\.mbox$/.test(path));
}

/** Dovecot's, in a directory of mboxes. */
function readSubscriptions(root: string): ReadonlySet<string> | null {
  const file = join(root, '.subscriptions');
  if (!existsSync(file)) return null;
  const text = readFileSync(file, 'utf8');
  const second = text.startsWith('V\t2\n');
  const names = text
    .split('\n')
    .slice(second ? 1 : 0)
    .filter((line) => line !== '')
    .map((line) =>
      line
        .split(second ? '\t' : '/')
        .map((part) => decodeModifiedUtf7(part, '.') ?? part)
        .join('/'),
    );
  return new Set(names);
}
