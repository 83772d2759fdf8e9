import { type AnnotationChange, type Annotations, annotated, changedEntries } from '../annotations.ts';
import { ACCOUNT, type MailboxId, type SpecialUse, StoreError } from '../store.ts';
import type { MaildirAccount } from './account.ts';
import {
  ACCOUNT_ANNOTATIONS,
  FOLDER_ANNOTATIONS,
  readAnnotations,
  writeAnnotations,
} from './annotations-file.ts';
import type { Folder } from './folder.ts';
import { treeOf } from './tree.ts';

/** Annotations of folders and of the account: the files are all there is, so nothing is kept in memory or in the index. */

export function annotationsOf(account: MaildirAccount, id: MailboxId): Annotations {
  if (id === ACCOUNT) return readAnnotations(account.maildir, ACCOUNT_ANNOTATIONS);
  return readAnnotations(account.directoryOf(known(account, id)), FOLDER_ANNOTATIONS);
}

/** Durable when it returns. Throws 'not-found', 'limit', 'invalid-name'. */
export function annotate(account: MaildirAccount, id: MailboxId, change: AnnotationChange): void {
  const { specialUse: use } = change;
  const folder = id === ACCOUNT ? null : known(account, id);
  if (use !== undefined && (!folder || folder === account.inbox))
    throw new StoreError('invalid-name', 'INBOX and the account have no special use');
  const before = annotationsOf(account, id);
  const after = annotated(before, change.entries);
  // It has its new place first: a crash leaves two mailboxes with this use, never none.
  const others = use
    ? [...account.folders.values()].filter((other) => other !== folder && other.use === use)
    : [];
  const uses =
    folder && use !== undefined
      ? [{ folder, use }, ...others.map((other) => ({ folder: other, use: null }))]
      : [];
  const done: { readonly folder: Folder; readonly use: SpecialUse | null }[] = [];
  save(account, folder, after);
  try {
    for (const each of uses) {
      const former = each.folder.use;
      writeUse(account, each.folder, each.use);
      done.push({ folder: each.folder, use: former });
    }
  } catch (error) {
    // All or nothing (RFC 5464 4.3).
    for (const each of done.reverse()) writeUse(account, each.folder, each.use);
    save(account, folder, before);
    throw error;
  }
  account.write('later', [...(folder ? [folder] : []), ...others], () => {
    const entries = changedEntries(change);
    const path = folder?.path ?? '';
    account.announce({ type: 'annotated', mailbox: id, path, entries, by: change.by });
    for (const other of others)
      account.announce({
        type: 'annotated',
        mailbox: other.mailbox,
        path: other.path,
        entries: changedEntries({ entries: new Map(), specialUse: null, by: '' }),
        by: '',
      });
  });
}

/** RENAME of INBOX leaves them there and gives them to the new mailbox as well (RFC 5464 4.1). */
export function copyAnnotations(account: MaildirAccount, from: Folder, to: Folder): void {
  const annotations = readAnnotations(account.directoryOf(from), FOLDER_ANNOTATIONS);
  if (annotations.size > 0) save(account, to, annotations);
}

function known(account: MaildirAccount, id: MailboxId): Folder {
  const folder = account.folders.get(id);
  if (!folder) throw new StoreError('not-found', 'There is no such mailbox');
  return folder;
}

function save(account: MaildirAccount, folder: Folder | null, annotations: Annotations): void {
  const write = (): void =>
    folder
      ? writeAnnotations(account.directoryOf(folder), FOLDER_ANNOTATIONS, annotations)
      : writeAnnotations(account.maildir, ACCOUNT_ANNOTATIONS, annotations);
  // What we write into the Maildir itself is no reason to read its folders again.
  if (!folder || folder === account.inbox) treeOf(account).changing(account, write);
  else write();
}

function writeUse(account: MaildirAccount, folder: Folder, use: SpecialUse | null): void {
  const before = folder.use;
  if (before === use) return;
  folder.use = use;
  try {
    account.writeFolderFile(folder);
  } catch (error) {
    folder.use = before;
    throw error;
  }
}
