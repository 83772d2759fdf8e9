import { fold } from '../../message/fold.ts';
import { type HeaderWords, headerWords, type MessageKeys, messageKeys } from '../../message/message-keys.ts';
import type { Part } from '../../message/structure.ts';
import { type MessageSummary, Summariser } from '../../message/summary.ts';
import { bodyText } from '../../message/text.ts';
import { addWords } from '../../message/words.ts';
import type { MaildirAccount } from './account.ts';
import type { Folder } from './folder.ts';
import { OpenMessage } from './open-message.ts';

/** What one message has for the index, from reading its file once; nothing is written here. */

/** `cut`: its text goes on, or its header; a search looks at the message itself when the index does not find it. */
export interface Indexed {
  readonly summary: MessageSummary;
  readonly keys: MessageKeys;
  readonly words: HeaderWords & { readonly body: ReadonlySet<string> };
  readonly text: 'whole' | 'cut';
}

/** Characters of text, and different words, of one message: a book has fewer. */
const MAX_TEXT = 1024 * 1024;
const MAX_WORDS = 10_000;
/** Parts whose text is looked at. */
const MAX_PARTS = 1000;
/** Characters that are made to words at a time. */
const PIECE = 32 * 1024;

const EMPTY = new Uint8Array(0);

/** Yields between pieces of a big message. Throws 'expunged'. */
export function* readForIndex(
  account: MaildirAccount,
  folder: Folder,
  uid: number,
): Generator<null, Indexed> {
  const message = new OpenMessage(account, folder, uid);
  try {
    const summariser = new Summariser();
    for (const chunk of message.read({ start: 0, end: message.size })) {
      summariser.write(chunk);
      if (chunk.length < message.size) yield null;
    }
    const summary = summariser.end();
    const words = headerWords(summary.header ?? EMPTY);
    const body = new BodyWords();
    const parts = countParts(summary.structure);
    if (parts <= MAX_PARTS) {
      for (const text of bodyText(summary.structure, (span) => message.read(span))) {
        if (body.add(text) === 'full') break;
        if (message.size > PIECE) yield null;
      }
      body.end();
    }
    const isWhole =
      summary.header !== null && parts <= MAX_PARTS && !body.isCut && words.header.size <= MAX_WORDS;
    return {
      summary,
      keys: messageKeys(summary.header ?? EMPTY),
      words:
        words.header.size <= MAX_WORDS
          ? { ...words, body: body.words }
          : { ...headerWords(EMPTY), body: body.words },
      text: isWhole ? 'whole' : 'cut',
    };
  } finally {
    message.close();
  }
}

/** The words of text that comes in pieces; a word is never cut in two, or the text counts as cut. */
class BodyWords {
  readonly words: Set<string> = new Set();
  isCut = false;
  #held = '';
  #length = 0;

  add(text: string): 'more' | 'full' {
    this.#length += text.length;
    this.#held += text;
    if (this.#length > MAX_TEXT || this.words.size > MAX_WORDS) {
      this.isCut = true;
      return 'full';
    }
    while (this.#held.length > PIECE) {
      const end = this.#held.lastIndexOf(' ', PIECE) + 1 || this.#held.lastIndexOf('\n', PIECE) + 1 || PIECE;
      if (end === PIECE) this.isCut = true;
      addWords(fold(this.#held.slice(0, end)), 'text', this.words);
      this.#held = this.#held.slice(end);
    }
    return 'more';
  }

  end(): void {
    addWords(fold(this.#held.slice(0, PIECE)), 'text', this.words);
    this.#held = '';
  }
}

function countParts({ children, message }: Part): number {
  let count = 1;
  for (const child of children) count += countParts(child);
  return count + (message ? countParts(message) : 0);
}
