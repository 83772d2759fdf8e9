import type { Entry } from './entry.ts';
import type { NextHop } from './next-hop.ts';
import type { Job } from './queue.ts';
import type { Room } from './room.ts';

interface Line {
  readonly hop: NextHop;
  readonly entries: Entry[];
  /** Before it all were taken. */
  head: number;
}

/** How many taken entries a line may drag along before it is shortened. */
const MAX_TAKEN = 64;

/**
 * New messages that wait for their first attempt, in lines by next hop. Lines take turns, one message each, so that
 * no destination keeps the others waiting. A message that went elsewhere meanwhile is passed over by the taker.
 */
export class Ready {
  readonly #lines: Readonly<Record<Job['agent'], Map<string, Line>>> = {
    local: new Map(),
    remote: new Map(),
  };

  add(entry: Entry, hop: NextHop): void {
    const lines = this.#lines[hop.agent];
    const line = lines.get(hop.name);
    if (line) line.entries.push(entry);
    else lines.set(hop.name, { hop, entries: [entry], head: 0 });
  }

  get empty(): boolean {
    return this.#lines.local.size === 0 && this.#lines.remote.size === 0;
  }

  /**
   * Offers messages to `take`, in turn between next hops, until it took `limit` or nobody has any or may have more.
   * `take` says whether the message was still there to be taken; it then counts in `room`.
   */
  take(agent: Job['agent'], limit: number, room: Room, take: (entry: Entry, hop: NextHop) => boolean): void {
    const lines = this.#lines[agent];
    // A line that may not have more now stands again at the end: after a round of those nobody can be served.
    for (let left = limit, idle = 0; left > 0 && room.agent(agent) > 0 && idle < lines.size; ) {
      const [next] = lines.values();
      if (!next) return;
      const { hop } = next;
      lines.delete(hop.name);
      const served = room.nextHop(agent, hop.name) > 0;
      if (served && takeOne(next, take)) left--;
      idle = served ? 0 : idle + 1;
      const meanwhile = lines.get(hop.name);
      if (meanwhile) next.entries.push(...meanwhile.entries);
      lines.delete(hop.name);
      if (next.head < next.entries.length) lines.set(hop.name, next);
    }
  }
}

function takeOne(line: Line, take: (entry: Entry, hop: NextHop) => boolean): boolean {
  while (line.head < line.entries.length) {
    const entry = line.entries[line.head++];
    if (line.head > MAX_TAKEN && line.head * 2 > line.entries.length) {
      line.entries.splice(0, line.head);
      line.head = 0;
    }
    if (entry && take(entry, line.hop)) return true;
  }
  return false;
}
