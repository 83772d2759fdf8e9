import { type MessageKeys, messageKeys } from '../../src/message/message-keys.ts';
import type { SortKey } from '../../src/message/sort.ts';
import { type ThreadAlgorithm, threads } from '../../src/message/threads.ts';
import type { EmailId, ThreadId, UidThreads } from '../../src/store/store.ts';

/** SORT, THREAD and thread ids as plainly as they can be said, for stores in memory. */

export interface Arrangeable {
  readonly uid: number;
  readonly internalDate: number;
  readonly size: number;
  readonly emailId: EmailId;
  readonly header: Uint8Array;
}

export function naiveSort(messages: readonly Arrangeable[], keys: readonly SortKey[]): number[] {
  const said = new Map(messages.map((message) => [message, messageKeys(message.header)]));
  const value = (message: Arrangeable, { by }: SortKey): string | number => {
    const known = said.get(message);
    if (!known) throw new Error('not one of them');
    switch (by) {
      case 'arrival':
        return message.internalDate;
      case 'size':
        return message.size;
      case 'date':
        return known.sentUtc ?? message.internalDate;
      case 'displayfrom':
        return known.displayFrom;
      case 'displayto':
        return known.displayTo;
      case 'cc':
      case 'from':
      case 'subject':
      case 'to':
        return known[by];
    }
  };
  const compare = (a: Arrangeable, b: Arrangeable): number => {
    for (const key of keys) {
      const [one, other] = [value(a, key), value(b, key)];
      if (one === other) continue;
      return one < other === (key.order === 'ascending') ? -1 : 1;
    }
    return a.uid - b.uid;
  };
  return [...messages].sort(compare).map(({ uid }) => uid);
}

export function naiveThreads(messages: readonly Arrangeable[], algorithm: ThreadAlgorithm): UidThreads {
  const numbers = new Map<string, number>();
  const number = (name: string): number => {
    const known = numbers.get(name) ?? numbers.size + 1;
    numbers.set(name, known);
    return known;
  };
  const said = messages.map(({ header }) => messageKeys(header));
  const found = threads(algorithm, {
    nodes: said.map(({ messageId }, at) => number(messageId === null ? `none ${at}` : `id ${messageId}`)),
    dates: Float64Array.from(said, ({ sentUtc }, at) => sentUtc ?? messages[at]?.internalDate ?? 0),
    subjects: said.map(({ base, kind }) =>
      base === '' ? 0 : number(`subject ${base}`) * (kind === 'reply' ? -1 : 1),
    ),
    references: said.map(({ ancestors }) => ancestors.map((id) => number(`id ${id}`))),
  });
  return {
    uids: Uint32Array.from(found.messages, (at) => messages[at]?.uid ?? 0),
    levels: Uint32Array.from(found.levels),
  };
}

/** An account's threads, as thread-ids.ts of the Maildir says it. */
export class ThreadBook {
  readonly #nodes = new Map<string, ThreadId>();
  readonly #subjects = new Map<string, ThreadId>();
  readonly #given = new Map<EmailId, ThreadId>();

  of({ emailId, header }: Pick<Arrangeable, 'emailId' | 'header'>): ThreadId {
    const known = this.#given.get(emailId);
    if (known) return known;
    const keys = messageKeys(header);
    const own = keys.messageId ?? `email ${emailId}`;
    const before = keys.ancestors.filter((id) => id !== own);
    const thread = this.#find(own, before, keys);
    for (const id of [...before, own]) if (!this.#nodes.has(id)) this.#nodes.set(id, thread);
    if (keys.kind === 'original' && before.length === 0) this.#subjects.set(keys.base, thread);
    this.#given.set(emailId, thread);
    return thread;
  }

  #find(own: string, before: readonly string[], { kind, base }: MessageKeys): ThreadId {
    for (const id of [...before, own]) {
      const thread = this.#nodes.get(id);
      if (thread) return thread;
    }
    const [first] = before;
    const bySubject = kind === 'reply' && base !== '' ? this.#subjects.get(base) : undefined;
    return first !== undefined ? name(first) : (bySubject ?? name(own));
  }
}

function name(id: string): ThreadId {
  return `T${Buffer.from(id).toString('hex').slice(0, 200)}` as ThreadId;
}
