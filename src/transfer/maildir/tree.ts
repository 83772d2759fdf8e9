import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { decodeModifiedUtf7 } from '../../mail/modified-utf7.ts';
import { MAX_DEPTH } from '../../store/mailbox-path.ts';
import { readFolderFile } from '../../store/maildir/folder-file.ts';
import { readSubscriptions, SUBSCRIPTIONS_FILE } from '../../store/maildir/subscriptions.ts';
import type { Flag, SpecialUse } from '../../store/store.ts';

/**
 * The folders of a foreign Maildir: Maildir++ (`.Parent.Child` beside `cur`, Courier and Dovecot), directories in
 * directories (Dovecot's LAYOUT=fs), KMail's `.Parent.directory/Child`. Names are in modified UTF-7, or, where they are
 * not well-formed so, in UTF-8.
 */
export interface MaildirPlace {
  readonly directory: string;
  readonly path: readonly string[];
  readonly subscribed: 'yes' | 'no' | 'unknown';
  readonly specialUse: SpecialUse | null;
  /** By letter: 'a' first. */
  readonly keywords: readonly Flag[];
}

export function findMaildirs(root: string): MaildirPlace[] {
  const subscriptions = subscribed(root);
  return [...walk(root, [])].map(({ directory, path }) => {
    const own = readOwn(directory);
    return {
      directory,
      path,
      subscribed: subscriptions ? (subscriptions.has(path.join('/')) ? 'yes' : 'no') : 'unknown',
      specialUse: own?.use ?? null,
      keywords: own?.keywords ?? dovecotKeywords(directory),
    };
  });
}

function* walk(
  directory: string,
  path: readonly string[],
): Generator<{ readonly directory: string; readonly path: readonly string[] }> {
  if (isMaildir(directory)) yield { directory, path: path.length === 0 ? ['INBOX'] : path };
  if (path.length >= MAX_DEPTH) return;
  const entries = readdirSync(directory, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    const { name } = entry;
    if (!entry.isDirectory() || ['cur', 'new', 'tmp'].includes(name) || name.startsWith('..')) continue;
    const place = join(directory, name);
    if (/^\..+\.directory$/.test(name))
      yield* walk(place, [...path, decoded(name.slice(1, -'.directory'.length))]);
    else if (name.startsWith('.')) {
      if (isMaildir(place))
        yield { directory: place, path: [...path, ...name.slice(1).split('.').map(decoded)] };
    } else yield* walk(place, [...path, decoded(name)]);
  }
}

export function isMaildir(directory: string): boolean {
  return statSync(join(directory, 'cur'), { throwIfNoEntry: false })?.isDirectory() === true;
}

function decoded(part: string): string {
  return decodeModifiedUtf7(part, '.') ?? part;
}

function subscribed(root: string): ReadonlySet<string> | null {
  if (existsSync(join(root, SUBSCRIPTIONS_FILE))) return readSubscriptions(root).paths;
  const courier = join(root, 'courierimapsubscribed');
  if (!existsSync(courier)) return null;
  const names = readFileSync(courier, 'utf8').split('\n');
  return new Set(
    names.map((name) =>
      name === 'INBOX'
        ? name
        : name
            .replace(/^INBOX\./, '')
            .split('.')
            .map(decoded)
            .join('/'),
    ),
  );
}

/** A tree of our own kind. */
function readOwn(
  directory: string,
): { readonly use: SpecialUse | null; readonly keywords: readonly Flag[] } | undefined {
  try {
    return readFolderFile(directory);
  } catch {
    return undefined;
  }
}

/** Lines of `<number> <keyword>`; the number is the letter. */
export function dovecotKeywords(directory: string): Flag[] {
  const file = join(directory, 'dovecot-keywords');
  const keywords: Flag[] = new Array<Flag>(26).fill('');
  if (!existsSync(file)) return keywords;
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    const match = /^(\d{1,2}) (\S+)$/.exec(line);
    if (match && Number(match[1]) < keywords.length) keywords[Number(match[1])] = match[2] ?? '';
  }
  return keywords;
}
