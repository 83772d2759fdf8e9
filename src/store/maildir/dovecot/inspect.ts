import { accessSync, constants, lstatSync, readdirSync, statSync } from 'node:fs';
import type { SpecialUse } from '../../store.ts';
import { exists, readOptional } from '../disk.ts';
import { readFolderFile } from '../folder-file.ts';
import type { DovecotFolder } from './dovecot-tree.ts';
import { Listed } from './identify.ts';
import { KEYWORDS_FILE, noKeywords, parseKeywords } from './keywords.ts';
import { disguiseOf, messageFiles } from './message-file.ts';
import { baseOf, parseUidlist, readLines, UIDLIST_FILE, type Uidlist } from './uidlist.ts';

/** Looks at one folder of Dovecot's and changes nothing: what an adoption will make of it, and what stands against it. */

export interface Problem {
  /** `stops`: nothing is adopted until it is solved. `note`: something will be different. */
  readonly weight: 'stops' | 'note';
  /** Path; '' is the tree as a whole. */
  readonly mailbox: string;
  readonly count: number;
  readonly text: string;
}

export interface FolderPlan {
  readonly mailbox: string;
  readonly directory: string;
  readonly messages: number;
  /** On disk. */
  readonly bytes: number;
  /** null: it had none, and gets one. */
  readonly uidValidity: number | null;
  readonly uidNext: number;
  /** Messages that keep their UID. */
  readonly kept: number;
  readonly keywords: readonly string[];
  readonly specialUse: SpecialUse | null;
  readonly problems: readonly Problem[];
}

/** Dovecot takes a lock away that is older than this (ms). */
const STALE_LOCK = 120_000;

export interface Looker {
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** The user we run as. */
  readonly uid: number;
}

export function readUidlist(folder: DovecotFolder): Uidlist | 'damaged' | undefined {
  const lines = readLines(`${folder.control}/${UIDLIST_FILE}`);
  return lines && (parseUidlist(lines) ?? 'damaged');
}

export function inspectFolder(folder: DovecotFolder, use: SpecialUse | null, looker: Looker): FolderPlan {
  const problems: Problem[] = [];
  const say = (weight: Problem['weight'], count: number, text: string): void => {
    if (count > 0) problems.push({ weight, mailbox: folder.path, count, text });
  };
  const list = readUidlist(folder);
  const ours = readFolderFile(folder.directory);
  if (list === 'damaged')
    say(
      'stops',
      1,
      'its dovecot-uidlist is damaged: let Dovecot mend it (doveadm force-resync), or remove it to give new UIDs',
    );
  const usable = list === 'damaged' ? undefined : list;
  const count = countFiles(folder, usable, looker);
  if (usable) {
    say('note', usable.broken, 'lines of its dovecot-uidlist make no sense and count as missing');
    say(
      'note',
      count.unlisted,
      'messages are not in its dovecot-uidlist, as after a delivery that Dovecot has not seen yet: they get the next UIDs',
    );
  } else if (!ours && count.messages > 0)
    say(
      'note',
      count.messages,
      'messages have no dovecot-uidlist, so all get new UIDs (is it elsewhere, as CONTROL= of mail_location says? then give --control)',
    );
  say(
    'stops',
    count.disguised,
    'messages are compressed or encrypted by a plugin of Dovecot; copy the mail with "doveadm backup" to a place without that plugin and adopt the copy',
  );
  say(
    'stops',
    count.unreadable,
    `messages or directories cannot be read and changed by this user (uid ${looker.uid}); chown the tree, or run Facteur as its owner`,
  );
  say(
    'note',
    count.foreign,
    `files belong to another user than ours (uid ${looker.uid}); what comes from now on belongs to us`,
  );
  say('note', count.strange, 'entries in new/ and cur/ are no files and are left alone');
  say(
    'note',
    count.doubled,
    'messages lie there under two names; when they are the same file one of the names goes',
  );
  sayMore(folder, count.letters, looker, say);
  return {
    mailbox: folder.path,
    directory: folder.directory,
    messages: count.messages,
    bytes: count.bytes,
    uidValidity: usable?.uidValidity ?? ours?.uidValidity ?? null,
    uidNext: Math.max(
      usable?.uidNext ?? 1,
      ours && ours.uidValidity === (usable?.uidValidity ?? ours.uidValidity) ? ours.uidMark : 1,
    ),
    kept: count.messages - count.unlisted,
    keywords: keywordsOf(folder).keywords.filter((keyword) => keyword !== ''),
    specialUse: ours?.use ?? use,
    problems,
  };
}

interface Count {
  messages: number;
  bytes: number;
  unlisted: number;
  disguised: number;
  unreadable: number;
  foreign: number;
  strange: number;
  doubled: number;
  /** Lower-case letters in the names. */
  readonly letters: Set<string>;
}

function countFiles(folder: DovecotFolder, list: Uidlist | undefined, { uid }: Looker): Count {
  const count: Count = {
    messages: 0,
    bytes: 0,
    unlisted: 0,
    disguised: 0,
    unreadable: 0,
    foreign: 0,
    strange: 0,
    doubled: 0,
    letters: new Set(),
  };
  for (const directory of [
    folder.directory,
    `${folder.directory}/new`,
    `${folder.directory}/cur`,
    `${folder.directory}/tmp`,
  ])
    if (exists(directory) && !allows(directory, constants.R_OK | constants.W_OK | constants.X_OK))
      count.unreadable++;
  if (count.unreadable > 0) return count;
  const listed = new Listed(list ?? { uidValidity: 0, entries: [] });
  const seen = new Set<string>();
  for (const file of messageFiles(folder.directory)) {
    const stats = lstatSync(file.path, { throwIfNoEntry: false });
    if (!stats?.isFile()) {
      count.strange++;
      continue;
    }
    for (const letter of file.info ?? '') if (/[a-z]/.test(letter)) count.letters.add(letter);
    const base = baseOf(file.base);
    if (seen.has(base)) {
      count.doubled++;
      continue;
    }
    seen.add(base);
    count.messages++;
    count.bytes += stats.size;
    if (stats.uid !== uid) count.foreign++;
    if (!allows(file.path, constants.R_OK)) {
      count.unreadable++;
      continue;
    }
    if (disguiseOf(file, stats)) count.disguised++;
    if (!listed.entryOf(file.base)) count.unlisted++;
  }
  return count;
}

export function keywordsOf(folder: DovecotFolder): ReturnType<typeof parseKeywords> {
  const text = readOptional(`${folder.control}/${KEYWORDS_FILE}`);
  return text ? parseKeywords(text.toString('utf8')) : { keywords: noKeywords(), lost: [] };
}

/** Keywords, locks, and what Dovecot has and we have not. */
function sayMore(
  folder: DovecotFolder,
  letters: ReadonlySet<string>,
  { now }: Looker,
  say: (weight: Problem['weight'], count: number, text: string) => void,
): void {
  const { keywords, lost } = keywordsOf(folder);
  const ours = readFolderFile(folder.directory)?.keywords ?? [];
  say(
    'note',
    lost.length,
    `keywords cannot be kept, as they have no letter or no valid name: ${shown(lost)}`,
  );
  const unnamed = [...letters].filter((letter) => {
    const at = letter.charCodeAt(0) - 97;
    return !keywords[at] && !ours[at];
  });
  say(
    'note',
    unnamed.length,
    `letters in file names have no keyword and stay without one: ${unnamed.sort().join('')}`,
  );
  for (const name of new Set([...namesIn(folder.directory), ...namesIn(folder.control)])) {
    if (!/^(dovecot[-.].*|subscriptions)\.lock$/.test(name)) continue;
    const changed = Math.max(timeOf(`${folder.directory}/${name}`), timeOf(`${folder.control}/${name}`));
    if (now - changed < STALE_LOCK)
      say('stops', 1, `${name} is held: stop Dovecot, or wait two minutes when it has crashed`);
    else say('note', 1, `${name} was left by a program that crashed, and is ignored`);
  }
  if (exists(`${folder.directory}/dovecot-acl`))
    say('note', 1, 'dovecot-acl: rights for others are not taken over');
  if (exists(`${folder.directory}/dovecot-shared`))
    say('note', 1, 'dovecot-shared: modes for a group are not taken over');
}

function shown(names: readonly string[]): string {
  return names.length > 5 ? `${names.slice(0, 5).join(' ')} …` : names.join(' ');
}

function allows(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}

function namesIn(directory: string): string[] {
  return exists(directory) && allows(directory, constants.R_OK) ? readdirSync(directory) : [];
}

function timeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
