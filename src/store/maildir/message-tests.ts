import { type Accents, fold } from '../../message/fold.ts';
import type { MessageSummary } from '../../message/summary.ts';
import { bodyText, fieldTexts, includesText, isForPeople, messageText } from '../../message/text.ts';
import type { MaildirAccount } from './account.ts';
import type { Folder } from './folder.ts';
import { rowOf } from './message-row.ts';
import { OpenMessage } from './open-message.ts';
import { headerOf, keep, readStructure, sentDate } from './read.ts';

/** Search criteria tried on a message itself: the truth that the index only finds sooner. All throw 'expunged'. */
export class MessageTests {
  readonly #account: MaildirAccount;
  readonly #folder: Folder;

  constructor(account: MaildirAccount, folder: Folder) {
    this.#account = account;
    this.#folder = folder;
  }

  /** @param name lower case; @param needle folded, empty: the field is there */
  header(uid: number, name: string, needle: string, accents?: Accents): boolean {
    return fieldTexts(this.#header(uid), name).some((text) => fold(text, accents).includes(needle));
  }

  text(uid: number, where: 'body' | 'message', wanted: string, accents?: Accents): boolean {
    const part = readStructure(this.#account, this.#folder, uid);
    const message = new OpenMessage(this.#account, this.#folder, uid);
    try {
      const textOf = where === 'body' ? bodyText : messageText;
      return includesText(
        textOf(part, (span) => message.read(span)),
        wanted,
        accents,
      );
    } finally {
      message.close();
    }
  }

  /** Without a usable Date field the day of arrival has to do, as other servers have it. */
  sent(uid: number): number {
    const row = rowOf(this.#account.index, this.#folder, uid);
    return sentDate(this.#header(uid)) ?? row?.internalDate ?? 0;
  }

  /** Whether words of this field (lower case) are in the full text. */
  isIndexed(name: string): boolean {
    return isForPeople(name);
  }

  #header(uid: number): Uint8Array {
    const made: [number, MessageSummary][] = [];
    const header = headerOf(this.#account, this.#folder, uid, made);
    keep(this.#account, this.#folder, made);
    return header;
  }
}
