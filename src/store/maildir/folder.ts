import type { Usage } from '../quota.ts';
import type { Flag, MailboxId, SpecialUse } from '../store.ts';
import { joinName } from './file-name.ts';
import { flagsOf, type Keywords } from './flags.ts';
import { SPAN } from './index.ts';
import type { KnownTree } from './known-tree.ts';

/** 0 is new/, 1 is cur/: also the number in the index. */
export type Place = 0 | 1;
export const NEW: Place = 0;
export const CUR: Place = 1;
export const PLACES: readonly ['new', 'cur'] = ['new', 'cur'];

export interface NameOnDisk {
  readonly place: Place;
  readonly base: string;
  readonly info: string | null;
}

/** `new/…` or `cur/…`, below the folder. */
export function nameOf({ place, base, info }: NameOnDisk): string {
  return `${PLACES[place]}/${joinName(base, info)}`;
}

/** Different combinations of flags remembered per folder. */
const MAX_FLAG_SETS = 4096;

/** What the worker knows of one folder; the same numbers are in the index, and the lasting ones in its folder file. */
export interface FolderState {
  dir: string;
  path: string;
  uidValidity: number;
  uidNext: number;
  /** As in the folder file: no UID from here on was ever shown. */
  uidMark: number;
  modSeq: number;
  modSeqMark: number;
  use: SpecialUse | null;
  keywords: Keywords;
  total: number;
  unseen: number;
  size: number;
  firstRecent: number;
  /** Tombstones are complete from this MODSEQ on. */
  vanishedFloor: number;
  /** When new/ and cur/ had changed last when we last knew all of them. */
  times: [number, number];
  /** Nobody else can have changed them in the same tick of the file system's clock. */
  certain: boolean;
}

export class Folder implements FolderState {
  /** Its number in the index. */
  readonly row: number;
  readonly mailbox: MailboxId;
  dir: string;
  path: string;
  uidValidity: number;
  uidNext: number;
  uidMark: number;
  modSeq: number;
  modSeqMark: number;
  use: SpecialUse | null;
  keywords: Keywords;
  total: number;
  unseen: number;
  size: number;
  firstRecent: number;
  vanishedFloor: number;
  times: [number, number];
  certain: boolean;
  /** Somebody else changed it: the next look must read the directories. */
  dirty = false;
  /** Not before this time, when only doubt asks for another look. */
  nextDoubt = 0;
  /** When a command last looked for what nobody tells. */
  glancedAt = 0;
  /** Flags of messages on their way in, which the index does not know yet: their letters are taken. */
  promised = 0;
  /** INBOX only, as its directory holds those of the others. */
  tree: KnownTree | null = null;
  /** Files of readers who are not the owner (seen-file.ts); null when nobody looked yet. */
  readers: Set<string> | null = null;
  /** Why its access control list cannot be read, as it was last said in the log. */
  aclDamage = '';
  #flagSets = new Map<number, readonly Flag[]>();

  constructor(row: number, mailbox: MailboxId, state: FolderState) {
    this.row = row;
    this.mailbox = mailbox;
    this.dir = state.dir;
    this.path = state.path;
    this.uidValidity = state.uidValidity;
    this.uidNext = state.uidNext;
    this.uidMark = state.uidMark;
    this.modSeq = state.modSeq;
    this.modSeqMark = state.modSeqMark;
    this.use = state.use;
    this.keywords = state.keywords;
    this.total = state.total;
    this.unseen = state.unseen;
    this.size = state.size;
    this.firstRecent = state.firstRecent;
    this.vanishedFloor = state.vanishedFloor;
    this.times = state.times;
    this.certain = state.certain;
  }

  /** The key of a message in every table of the index. */
  id(uid: number): number {
    return this.row * SPAN + uid;
  }

  uidOf(id: number): number {
    return id - this.row * SPAN;
  }

  get firstId(): number {
    return this.row * SPAN;
  }

  get lastId(): number {
    return this.row * SPAN + SPAN - 1;
  }

  get held(): Usage {
    return { bytes: this.size, messages: this.total };
  }

  flagSet(bits: number): readonly Flag[] {
    let flags = this.#flagSets.get(bits);
    if (!flags) {
      if (this.#flagSets.size >= MAX_FLAG_SETS) this.#flagSets.clear();
      flags = flagsOf(bits, this.keywords);
      this.#flagSets.set(bits, flags);
    }
    return flags;
  }

  setKeywords(keywords: Keywords): void {
    this.keywords = keywords;
    this.#flagSets.clear();
  }
}
