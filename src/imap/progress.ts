import { ConnectionLost } from '../net/errors.ts';
import type { ImapSession } from './command.ts';

/** Tells that a command takes its time (RFC 9585), so that neither the user nor a router gives the connection up. */

/** RFC 9585 4: every 10 to 15 seconds. */
const EVERY = 10_000;

/** How much of the work is done. */
export interface Progress {
  readonly done: number;
  readonly of: number;
}

/**
 * Resolves as `work` does. Meanwhile only whole responses may be added to the output: notices come between them.
 * @param progress asked whenever a notice is due; without it nobody knows how far the work is
 */
export async function withNotices<T>(
  session: ImapSession,
  work: Promise<T>,
  progress: () => Progress | null = () => null,
): Promise<T> {
  const done = new AbortController();
  const notices = tellUntil(session, done.signal, progress);
  try {
    return await work;
  } finally {
    // Without a reason a DOMException would be made, with its stack, for each command.
    done.abort(null);
    // A notice that is being written comes before the answer, whole.
    await notices;
  }
}

async function tellUntil(
  { world, out, log, tag }: ImapSession,
  signal: AbortSignal,
  progress: () => Progress | null,
): Promise<void> {
  try {
    for (;;) {
      await world.clock.sleep(EVERY, signal);
      out.untagged(`OK [INPROGRESS (${tagText(tag)} ${stateText(progress())})] Still working on it`);
      await out.flush();
    }
  } catch (error) {
    // Who answers the command finds out that the peer is gone.
    if (!signal.aborted && !(error instanceof ConnectionLost))
      log.error({ err: error }, 'imap notice failed');
  }
}

/** RFC 9585 4: a tag that holds `]` would end the response code. */
function tagText(tag: string): string {
  return tag.includes(']') ? 'NIL' : `"${tag}"`;
}

/** RFC 9585 4: the goal is above what is done. */
function stateText(progress: Progress | null): string {
  if (!progress) return 'NIL NIL';
  return progress.done < progress.of ? `${progress.done} ${progress.of}` : `${progress.done} NIL`;
}
