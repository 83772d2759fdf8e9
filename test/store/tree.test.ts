import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, utimesSync } from 'node:fs';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { MaildirAccount, StoredChange } from '../../src/store/maildir/account.ts';
import { UNKNOWN } from '../../src/store/maildir/known-tree.ts';
import {
  createMailbox,
  deleteMailbox,
  findMailbox,
  listMailboxes,
  renamingMailbox,
  subscribe,
} from '../../src/store/maildir/mailboxes.ts';
import { finish } from '../../src/store/maildir/turns.ts';
import { StoreError } from '../../src/store/store.ts';
import { openAccount, temporaryDirectory } from './surroundings.ts';

let dir: { path: string; remove(): void };
let changes: StoredChange[];
let account: MaildirAccount;

beforeEach(() => {
  dir = temporaryDirectory();
  changes = [];
  account = openAccount(dir.path, changes);
});

afterEach(() => {
  account.close('unclean');
  dir.remove();
});

function at(name: string): string {
  return `${dir.path}/Maildir/${name}`;
}

function paths(): string[] {
  return listMailboxes(account).map(({ path }) => path);
}

/** Nothing would be read from the disk now. */
function isKnown(): boolean | undefined {
  return account.inbox.tree?.isKnown(account, existsSync);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

test('our own changes are no reason to read the tree again', () => {
  let now = Date.now();
  // A look takes a few milliseconds, and doubt waits many times as long.
  account.now = () => now++;
  const own: (() => unknown)[] = [
    () => createMailbox(account, 'A/B', null),
    () => subscribe(account, 'A/B', 'yes'),
    () => finish(renamingMailbox(account, account.folderAt('A').mailbox, 'C')),
    () => rmSync(deleteMailbox(account, account.folderAt('C/B').mailbox), { recursive: true }),
  ];
  for (const change of own) {
    account.treeTime = UNKNOWN;
    account.refreshTree();
    change();
    expect(isKnown()).toBe(true);
  }
  expect(paths()).toEqual(['C', 'INBOX', 'Sent']);
});

test('what others do right after us is seen at once', () => {
  createMailbox(account, 'Ours', null);
  mkdirSync(at('.Theirs/cur'), { recursive: true });
  expect(isKnown()).toBe(false);
  account.refreshTree();
  expect(paths()).toContain('Theirs');
  rmSync(at('.Ours'), { recursive: true });
  account.refreshTree();
  expect(paths()).not.toContain('Ours');
  expect(changes.at(-1)).toMatchObject({ type: 'mailbox', what: 'deleted', path: 'Ours' });
});

test('a directory becomes a folder when it gets its parts, though the Maildir itself shows nothing of it', () => {
  mkdirSync(at('.Slow'));
  account.refreshTree();
  expect(paths()).not.toContain('Slow');
  mkdirSync(at('.Slow/cur'));
  account.refreshTree();
  expect(paths()).toContain('Slow');
});

test('what came in the same tick of the clock is seen a little later', async () => {
  const tick = Math.floor(Date.now() / 1000);
  utimesSync(at(''), tick, tick);
  account.refreshTree();
  mkdirSync(at('.Late/cur'), { recursive: true });
  utimesSync(at(''), tick, tick);
  await pause(1100);
  account.refreshTree();
  expect(paths()).toContain('Late');
});

test('many folders by hand, copies of each other: each gets an identity, durable and its own', () => {
  for (let n = 0; n < 250; n++) cpSync(at('.Sent'), at(`.Many.${n}`), { recursive: true });
  account.refreshTree();
  const folders = [...account.folders.values()];
  expect(folders).toHaveLength(252);
  expect(new Set(folders.map(({ uidValidity }) => uidValidity)).size).toBe(252);
  for (const folder of folders) {
    const file = readFileSync(`${account.directoryOf(folder)}/facteur-uid`, 'latin1');
    expect(file).toContain(`mailbox ${folder.mailbox}\nuidvalidity ${folder.uidValidity}\n`);
  }
  const before = new Map(folders.map(({ mailbox, path }) => [mailbox, path]));
  account.close('unclean');
  account = openAccount(dir.path, changes);
  expect(new Map([...account.folders.values()].map(({ mailbox, path }) => [mailbox, path]))).toEqual(before);
});

test('a folder that is empty at the next start is none', () => {
  createMailbox(account, 'Link', null);
  createMailbox(account, 'Empty', null);
  account.close('clean');
  rmSync(at('.Empty'), { recursive: true });
  mkdirSync(at('.Empty'));
  account = openAccount(dir.path, changes);
  expect(paths()).toEqual(['INBOX', 'Link', 'Sent']);
});

test('something of somebody else’s where deleted folders go', () => {
  createMailbox(account, 'A', null);
  cpSync(at('.A/facteur-uid'), at('..facteur-gone'));
  const gone = deleteMailbox(account, account.folderAt('A').mailbox);
  expect(existsSync(`${gone}/cur`)).toBe(true);
  expect(existsSync(at('.A'))).toBe(false);
  expect(existsSync(at('..facteur-gone.aside-1'))).toBe(true);
});

test('names above others are what the folders say, whatever is made, renamed and removed', () => {
  const path = fc
    .array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 3 })
    .map((p) => p.join('/'));
  const step = fc.oneof(
    path.map((to) => ({ is: 'create', to }) as const),
    fc.tuple(path, path).map(([from, to]) => ({ is: 'rename', from, to }) as const),
    path.map((from) => ({ is: 'delete', from }) as const),
    path.map((to) => ({ is: 'by hand', to }) as const),
  );
  const tree = (): unknown =>
    listMailboxes(account).map(({ path: name, selectable, hasChildren }) => [name, selectable, hasChildren]);
  const wanted = (): unknown => {
    const all = [...account.byPath.keys()];
    const above = all.flatMap((name) => name.split('/').map((_, n, parts) => parts.slice(0, n).join('/')));
    const names = [...new Set([...all, ...above.filter((name) => name !== '')])].sort();
    return names.map((name) => [
      name,
      account.byPath.has(name),
      all.some((one) => one.startsWith(`${name}/`)),
    ]);
  };
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      for (const { mailbox } of [...account.folders.values()])
        if (mailbox !== account.inbox.mailbox)
          rmSync(deleteMailbox(account, mailbox), { recursive: true, force: true });
      for (const one of steps) {
        try {
          if (one.is === 'create') createMailbox(account, one.to, null);
          else if (one.is === 'delete') deleteMailbox(account, account.folderAt(one.from).mailbox);
          else if (one.is === 'by hand')
            mkdirSync(at(`.${one.to.replaceAll('/', '.')}/cur`), { recursive: true });
          else {
            const found = findMailbox(account, one.from);
            if (found) finish(renamingMailbox(account, found.id, one.to));
          }
        } catch (error) {
          if (!(error instanceof StoreError)) throw error;
        }
        account.refreshTree();
        expect(tree()).toEqual(wanted());
      }
    }),
    { numRuns: 30 },
  );
});
