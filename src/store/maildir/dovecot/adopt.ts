import { statSync } from 'node:fs';
import { parsePath } from '../../mailbox-path.ts';
import type { DefaultFolder } from '../../options.ts';
import type { SpecialUse } from '../../store.ts';
import type { UidlFormat } from '../../uidl-format.ts';
import { exists, readOptional, syncDirectory, writeDurably } from '../disk.ts';
import { type KeptUidl, MAX_UIDL, writeKeptUidls } from '../kept-uidls.ts';
import { readSubscriptions, SUBSCRIPTIONS_FILE, writeSubscriptions } from '../subscriptions.ts';
import { adoptFolder, keptUidl } from './adopt-folder.ts';
import { type DovecotFolder, type DovecotTree, dovecotTree, layoutOf, openBy } from './dovecot-tree.ts';
import { type FolderPlan, inspectFolder, type Looker, type Problem, readUidlist } from './inspect.ts';
import { readLastUidValidity } from './uidvalidity.ts';

/**
 * Makes a Maildir of Dovecot's one of ours where it lies: messages are not copied, their files get new names. First a
 * plan, which changes nothing; then the work, which may be stopped anywhere and done again. Afterwards Dovecot finds the
 * same messages under the same UIDs, and so does the store.
 */

export interface TreeWish {
  /** The Maildir, without links in the path. */
  readonly path: string;
  /** `CONTROL=` of mail_location; else the path itself. */
  readonly control: string;
  readonly uidl: UidlFormat;
  readonly defaultFolders: readonly DefaultFolder[];
}

export interface TreePlan {
  readonly folders: readonly FolderPlan[];
  /** null: there is no such file, nothing is subscribed. */
  readonly subscriptions: number | null;
  /** Messages in INBOX whose POP3 unique id is kept one by one. */
  readonly keptUidls: number;
  readonly problems: readonly Problem[];
}

/** Says whose tree it is, so that no two accounts take the same one. */
export const OWNER_FILE = 'facteur-account';

/** What other programs call these folders, where there is none of our own names. */
const OTHER_NAMES: readonly { readonly use: SpecialUse; readonly names: readonly string[] }[] = [
  { use: 'drafts', names: ['Drafts', 'Draft'] },
  { use: 'sent', names: ['Sent', 'Sent Messages', 'Sent Items', 'Sent Mail'] },
  { use: 'junk', names: ['Junk', 'Spam', 'Junk E-mail', 'Junk Email', 'Bulk Mail'] },
  { use: 'trash', names: ['Trash', 'Deleted Messages', 'Deleted Items'] },
  { use: 'archive', names: ['Archive', 'Archives'] },
];

export function planTree(wish: TreeWish, looker: Looker & { readonly pid: number }): TreePlan {
  const stop = refusal(wish);
  if (stop) return { folders: [], subscriptions: null, keptUidls: 0, problems: [stop] };
  const tree = dovecotTree(wish.path, wish.control);
  const uses = specialUses(tree, wish.defaultFolders);
  const folders = tree.folders.map((folder) => inspectFolder(folder, uses.get(folder.path) ?? null, looker));
  const problems: Problem[] = [
    ...nameless(tree),
    ...twins(folders),
    ...openBy(wish.path, looker.pid).map(
      ({ pid, command }): Problem => ({
        weight: 'stops',
        mailbox: '',
        count: 1,
        text: `process ${pid} (${command || 'unknown'}) has files in it open: stop Dovecot first`,
      }),
    ),
    ...folders.flatMap((folder) => folder.problems),
  ];
  const [inbox] = tree.folders;
  const subscriptions = subscriptionsFile(wish);
  return {
    folders,
    subscriptions: subscriptions === undefined ? null : readSubscriptions(subscriptions).paths.size,
    // The list may have lines of messages that are gone.
    keptUidls: inbox ? Math.min(uidlsOf(inbox, wish.uidl).length, folders[0]?.kept ?? 0) : 0,
    problems,
  };
}

/** Messages adopted, and those that get their UIDs when the account is opened. */
export function adoptTree(
  wish: TreeWish,
  { account, now }: { readonly account: string; readonly now: number },
): { kept: number; fresh: number } {
  const { path, control, uidl } = wish;
  const tree = dovecotTree(path, control);
  const uses = specialUses(tree, wish.defaultFolders);
  writeDurably(path, OWNER_FILE, `${account}\n`);
  const [inbox] = tree.folders;
  // From the list as Dovecot left it: the file names in it may be unique ids.
  if (inbox) keepUidls(inbox, uidl);
  adoptSubscriptions(wish);
  const lastUidValidity = readLastUidValidity(control);
  let kept = 0;
  let fresh = 0;
  for (const folder of tree.folders) {
    const done = adoptFolder(folder, {
      use: uses.get(folder.path) ?? null,
      lastUidValidity: folder.dir === '' ? lastUidValidity : 0,
      uidl,
      now,
    });
    kept += done.kept;
    fresh += done.fresh;
  }
  syncDirectory(path);
  return { kept, fresh };
}

/** The account that a tree belongs to already. */
export function ownerOf(path: string): string | undefined {
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) return undefined;
  return readOptional(`${path}/${OWNER_FILE}`)?.toString('utf8').trim();
}

function refusal({ path, control }: TreeWish): Problem | undefined {
  const say = (text: string): Problem => ({ weight: 'stops', mailbox: '', count: 1, text });
  switch (layoutOf(path)) {
    case 'maildir++':
      return layoutOf(control) === 'missing' ? say(`there is no ${control}`) : undefined;
    case 'missing':
      return say('there is no such directory');
    case 'file':
      return say('this is a file: mbox files are imported, "facteur import" does that');
    case 'fs':
      return say(
        `this is LAYOUT=fs: convert it first, with UIDs and all, by "doveadm backup -u USER maildir:${path}.maildir++", and adopt that`,
      );
    case 'dbox':
      return say(
        `this is sdbox or mdbox: convert it first, with UIDs and all, by "doveadm backup -u USER maildir:${path}.maildir++", and adopt that`,
      );
    case 'none':
      return say('this is no Maildir: there is no cur/ in it');
  }
}

function nameless({ nameless }: DovecotTree): Problem[] {
  return nameless.map((dir) => ({
    weight: 'stops',
    mailbox: '',
    count: 1,
    text: `the folder ${dir} has a name that no mailbox can have here, or that of another one in other spelling; rename it first (doveadm mailbox rename)`,
  }));
}

/** The store tells folders apart by it: UIDs in file names are valid with it. */
function twins(folders: readonly FolderPlan[]): Problem[] {
  const first = new Map<number, string>();
  const found: Problem[] = [];
  for (const { mailbox, uidValidity } of folders) {
    if (uidValidity === null) continue;
    const other = first.get(uidValidity);
    if (other === undefined) first.set(uidValidity, mailbox);
    else
      found.push({
        weight: 'note',
        mailbox,
        count: 1,
        text: `it has the UIDVALIDITY of "${other}" and gets another one: clients load it again`,
      });
  }
  return found;
}

/** Our own names first, then those that others use. */
function specialUses(
  { folders }: DovecotTree,
  defaults: readonly DefaultFolder[],
): ReadonlyMap<string, SpecialUse> {
  const paths = new Map(folders.map(({ path }) => [path.toLowerCase(), path]));
  const wanted = [
    ...defaults.flatMap(({ name, use }) => (use === null ? [] : [{ use, names: [parsePath(name)] }])),
    ...OTHER_NAMES,
  ];
  const given = new Map<string, SpecialUse>();
  const done = new Set<SpecialUse>();
  for (const { use, names } of wanted) {
    const path = names.map((name) => paths.get(name.toLowerCase())).find((found) => found !== undefined);
    if (path === undefined || done.has(use) || given.has(path)) continue;
    given.set(path, use);
    done.add(use);
  }
  return given;
}

function uidlsOf(inbox: DovecotFolder, uidl: UidlFormat): KeptUidl[] {
  const list = readUidlist(inbox);
  if (list === undefined || list === 'damaged') return [];
  const kept: KeptUidl[] = [];
  for (const entry of list.entries) {
    const uniqueId = keptUidl(entry, list.uidValidity, uidl);
    if (uniqueId !== undefined && /^[\x21-\x7e]+$/.test(uniqueId) && uniqueId.length <= MAX_UIDL)
      kept.push({ uid: entry.uid, uniqueId });
  }
  return kept;
}

/** Dovecot's default, for messages to come where Dovecot's own form needs their file names. */
export const NUMBERS = '%08Xu%08Xv';

function keepUidls(inbox: DovecotFolder, uidl: UidlFormat): void {
  const list = readUidlist(inbox);
  if (list === undefined || list === 'damaged') return;
  writeKeptUidls(inbox.directory, {
    uidValidity: list.uidValidity,
    format: uidl.needs === 'numbers' ? uidl.text : NUMBERS,
    theirs: uidl.text,
    ids: uidlsOf(inbox, uidl),
  });
}

/** The directory with the file, when there is one. */
function subscriptionsFile({ path, control }: TreeWish): string | undefined {
  return [control, path].find((directory) => exists(`${directory}/${SUBSCRIPTIONS_FILE}`));
}

/** An account with the file is not furnished with folders that nobody asked for. */
function adoptSubscriptions(wish: TreeWish): void {
  const { path } = wish;
  const from = subscriptionsFile(wish);
  if (from === undefined) writeSubscriptions(path, { paths: new Set(), strange: [] });
  else if (from !== path && !exists(`${path}/${SUBSCRIPTIONS_FILE}`)) {
    writeSubscriptions(path, readSubscriptions(from));
  }
}
