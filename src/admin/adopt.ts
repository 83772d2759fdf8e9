import { realpathSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { AccountId } from '../directory/directory.ts';
import type { Clock } from '../lib/clock.ts';
import { accountDirectory } from '../store/account-path.ts';
import {
  adoptTree,
  ownerOf,
  planTree,
  type TreePlan,
  type TreeWish,
} from '../store/maildir/dovecot/adopt.ts';
import { dovecotTree } from '../store/maildir/dovecot/dovecot-tree.ts';
import type { Problem } from '../store/maildir/dovecot/inspect.ts';
import { messageFiles } from '../store/maildir/dovecot/message-file.ts';
import { isReleased, linkedTree, stage, stagedTree } from '../store/maildir/dovecot/place.ts';
import type { Released, ReleaseOptions } from '../store/maildir/dovecot/release.ts';
import { copyScripts, findScripts, type SieveScripts } from '../store/maildir/dovecot/sieve-scripts.ts';
import type { DefaultFolder } from '../store/options.ts';
import type { Mailbox } from '../store/store.ts';
import { parseUidlFormat } from '../store/uidl-format.ts';
import type { ControlClient, ControlHandler } from './control.ts';

/**
 * Mail that comes from Dovecot, and goes back there. The tree is made ready where it lies, by the command line; only the
 * last step, in which it becomes the account's, and the way back belong to whoever has the accounts open.
 */
export interface AdoptionAdmin {
  /** Throws when the account has mail of its own. */
  place(account: AccountId): Promise<readonly Mailbox[]>;
  release(account: AccountId, options: ReleaseOptions): Promise<Released>;
}

interface Store {
  placeTree(id: AccountId): Promise<readonly Mailbox[]>;
  release(id: AccountId, options: ReleaseOptions): Promise<Released>;
}

/** Straight on the store: in the daemon, and on the command line while no daemon runs. */
export function adoptionAdmin(store: Store): AdoptionAdmin {
  return {
    place: (account) => store.placeTree(account),
    release: (account, options) => store.release(account, options),
  };
}

/** The daemon's answers to remoteAdoptionAdmin. */
export function adoptionHandlers(store: Store): Readonly<Record<string, ControlHandler>> {
  return {
    'adopt.place': (argument) => store.placeTree(argument as AccountId),
    'adopt.release': (argument) => {
      const { account, ...options } = argument as ReleaseOptions & { readonly account: AccountId };
      return store.release(account, options);
    },
  };
}

/** The same over the daemon's control socket. */
export function remoteAdoptionAdmin(client: ControlClient): AdoptionAdmin {
  return {
    place: (account) => client.call('adopt.place', account) as Promise<readonly Mailbox[]>,
    release: (account, options) => client.call('adopt.release', { account, ...options }) as Promise<Released>,
  };
}

export interface AdoptionWish {
  readonly account: AccountId;
  /** As typed. */
  readonly path: string;
  /** `link`: the tree stays where it is. `move`: it is renamed to the account's place. */
  readonly mode: 'link' | 'move';
  /** Dovecot's pop3_uidl_format. */
  readonly uidl: string;
  /** `CONTROL=` of mail_location; null is the tree itself. */
  readonly control: string | null;
  readonly dataDir: string;
  readonly defaultFolders: readonly DefaultFolder[];
}

export interface AdoptionPlan extends TreePlan {
  readonly account: AccountId;
  /** Links followed. */
  readonly path: string;
  readonly mode: 'link' | 'move';
  /** The account's Maildir. */
  readonly place: string;
  /** `adopted`: it is the account's already, nothing is left to do. */
  readonly state: 'ready' | 'refused' | 'adopted';
  readonly uidl: string;
  readonly sieve: SieveScripts & { readonly to: string };
}

export interface Adopted {
  readonly kept: number;
  readonly fresh: number;
  /** As they are now, in the store. */
  readonly mailboxes: readonly Mailbox[];
}

/** Changes nothing. Throws StoreError for a form of unique ids that cannot be. */
export function planAdoption(wish: AdoptionWish, clock: Clock): AdoptionPlan {
  const directory = join(wish.dataDir, accountDirectory(wish.account));
  const tree = treeOf(wish, directory);
  const frame = {
    account: wish.account,
    path: tree.path,
    mode: wish.mode,
    place: join(directory, 'Maildir'),
    uidl: tree.uidl.text,
    sieve: { ...findScripts(tree.path), to: join(directory, 'sieve') },
  };
  if (isInPlace(directory, tree.path) && !isReleased(directory))
    return { ...frame, folders: [], subscriptions: null, keptUidls: 0, problems: [], state: 'adopted' };
  const looker = { now: clock.now().getTime(), uid: process.getuid?.() ?? 0, pid: process.pid };
  const plan = planTree(tree, looker);
  const problems = [...standing(wish, directory, tree.path, looker.uid), ...plan.problems];
  const state = problems.some(({ weight }) => weight === 'stops') ? 'refused' : 'ready';
  return { ...frame, ...plan, problems, state };
}

/** Does what a plan that is `ready` says. May be stopped anywhere and done again. */
export async function adopt(
  wish: AdoptionWish,
  admin: AdoptionAdmin,
  { clock }: { readonly clock: Clock },
): Promise<Adopted> {
  const directory = join(wish.dataDir, accountDirectory(wish.account));
  const tree = treeOf(wish, directory);
  const scripts = findScripts(tree.path);
  const done = adoptTree(tree, { account: wish.account, now: clock.now().getTime() });
  // One that was released lies where it shall be, or goes from there.
  const stays =
    isInPlace(directory, tree.path) && (wish.mode === 'link' || linkedTree(directory) === undefined);
  if (!stays && stagedTree(directory) === undefined) stage(directory, tree.path, wish.mode);
  copyScripts(scripts, join(directory, 'sieve'));
  const mailboxes = await admin.place(wish.account);
  return { ...done, mailboxes: mailboxes.filter(({ selectable }) => selectable) };
}

/** The tree, or where an adoption that was stopped has moved it. */
function treeOf(wish: AdoptionWish, directory: string): TreeWish {
  const typed = resolve(wish.path);
  const path = statSync(typed, { throwIfNoEntry: false })
    ? realpathSync(typed)
    : ((wish.mode === 'move' ? stagedTree(directory) : undefined) ?? typed);
  return {
    path,
    control: wish.control === null ? path : resolve(wish.control),
    uidl: parseUidlFormat(wish.uidl),
    defaultFolders: wish.defaultFolders,
  };
}

/** The path is the account's Maildir already, itself or by a link. */
function isInPlace(directory: string, path: string): boolean {
  const maildir = statSync(join(directory, 'Maildir'), { throwIfNoEntry: false });
  return maildir !== undefined && realpathSync(join(directory, 'Maildir')) === path;
}

/** What stands against it besides the tree itself. */
function standing(
  { account, dataDir }: AdoptionWish,
  directory: string,
  path: string,
  uid: number,
): Problem[] {
  const found: Problem[] = [];
  const say = (count: number, text: string): void =>
    void found.push({ weight: 'stops', mailbox: '', count, text });
  const inPlace = isInPlace(directory, path);
  const messages = inPlace ? 0 : messagesOf(join(directory, 'Maildir'));
  if (messages > 0) {
    const where = linkedTree(directory);
    say(
      messages,
      `messages are in the account already${where === undefined ? '' : ` (in ${where})`}: adopt into an empty account, and import the others afterwards`,
    );
  }
  const data = statSync(dataDir, { throwIfNoEntry: false });
  if (data && data.uid !== uid)
    say(
      1,
      `the data directory belongs to uid ${data.uid}, and this is uid ${uid}: run this as the user Facteur runs as`,
    );
  const staged = stagedTree(directory);
  if (data && path !== staged && !inPlace && `${path}/`.startsWith(`${realpathSync(dataDir)}/`))
    say(1, 'it lies in the data directory, so it is the mail of an account here already');
  if (staged !== undefined && path !== staged)
    say(1, `another tree lies in ${staged}, left by an adoption that was stopped: finish that one first`);
  const owner = ownerOf(path);
  if (owner !== undefined && owner !== account)
    say(1, `it was adopted by ${owner}; remove the file facteur-account in it when that account is gone`);
  return found;
}

function messagesOf(maildir: string): number {
  if (!statSync(maildir, { throwIfNoEntry: false })) return 0;
  return dovecotTree(maildir, maildir).folders.reduce(
    (count, { directory }) => count + messageFiles(directory).length,
    0,
  );
}
