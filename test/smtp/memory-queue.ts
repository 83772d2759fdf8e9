import type { Draft, NewMessage, QueueId, QueueStore } from '../../src/queue/queue.ts';

export interface Kept {
  readonly id: QueueId;
  readonly message: NewMessage;
  readonly bytes: Buffer;
  /** All of it, one char an octet. */
  readonly text: string;
  /** Without what is for the only recipient's final delivery, and without our Received field. */
  readonly content: string;
}

/** What the SMTP side uses of a queue, and what a test wants to see of it and do to it. */
export interface MemoryQueue {
  readonly store: QueueStore;
  readonly kept: Kept[];
  /** Drafts neither committed nor aborted. */
  readonly open: Set<QueueId>;
  /** Thrown by the next calls of these. */
  faults: { draft?: Error; write?: Error; commit?: Error };
  /** Resolves before each commit does. */
  beforeCommit: () => Promise<void>;
  last(): Kept;
}

export function memoryQueue(): MemoryQueue {
  let count = 0;
  const queue: MemoryQueue = {
    store: undefined as unknown as QueueStore,
    kept: [],
    open: new Set(),
    faults: {},
    beforeCommit: async () => {},
    last() {
      const kept = queue.kept.at(-1);
      if (!kept) throw new Error('the queue is empty');
      return kept;
    },
  };
  const draft = (): Draft => {
    if (queue.faults.draft) throw queue.faults.draft;
    const id = `Q${++count}` as QueueId;
    const pieces: Buffer[] = [];
    let settled = false;
    queue.open.add(id);
    return {
      id,
      write(chunk) {
        if (queue.faults.write) return Promise.reject(queue.faults.write);
        // A copy, as the real one makes before it returns.
        pieces.push(Buffer.from(chunk));
        return pieces.length % 7 === 0 ? Promise.resolve() : undefined;
      },
      pieces: async () => [...pieces],
      async commit(message) {
        await queue.beforeCommit();
        if (queue.faults.commit) throw queue.faults.commit;
        if (settled) throw new Error('settled before');
        settled = true;
        queue.open.delete(id);
        const bytes = Buffer.concat(pieces);
        const text = bytes.toString('latin1');
        const content = text.slice(message.finalTrace ?? 0).replace(/^Received: .*\r\n(?:\t.*\r\n)*/, '');
        queue.kept.push({ id, message, bytes, text, content });
      },
      async abort() {
        settled = true;
        queue.open.delete(id);
      },
    };
  };
  Object.assign(queue, { store: { draft } });
  return queue;
}
