import type { FetchMessageObject } from 'imapflow';
import { withCrlf } from '../eml.ts';
import type { LedgerFolder } from '../ledger.ts';
import type { SourceItem, SourceMessage } from '../source.ts';
import { type ImapServer, words } from './server.ts';

/**
 * The messages of one folder, in the order of their UIDs; those that came before are not asked for. Small ones come many
 * at a time, big ones in pieces, so that little is in memory. BODY.PEEK: nothing becomes \Seen there.
 */

/** UIDs whose sizes are asked for at a time. */
const STEP = 500;
/** Fetched in one go. */
const MAX_TOGETHER = 100;
const MAX_OCTETS = 4 * 1024 * 1024;
/** Bigger messages come in pieces of this size. */
const PIECE = 1024 * 1024;

interface Facts {
  readonly uid: number;
  readonly size: number;
  readonly flags: readonly string[];
  readonly date: number;
}

export async function* fetchFolder(
  server: ImapServer,
  path: string,
  since: Date | null,
  ledger: LedgerFolder,
): AsyncGenerator<SourceItem> {
  const validity = await server.examine(path);
  ledger.valid(validity);
  const found = await server.askIn(path, validity, async (client) => {
    if (!client.mailbox || client.mailbox.exists === 0) return [];
    return (await client.search(since ? { since } : { all: true }, { uid: true })) || [];
  });
  const uids = [...found].sort((a, b) => a - b);
  for (let at = 0; at < uids.length; at += STEP) {
    const step = uids.slice(at, at + STEP);
    const fresh = step.filter((uid) => !ledger.placed(String(uid)));
    let done = at;
    for (let known = step.length - fresh.length; known > 0; known--) yield { is: 'known', done: ++done };
    if (fresh.length === 0) continue;
    const facts = await factsOf(server, path, validity, fresh);
    // Expunged between the two questions.
    for (let gone = fresh.length - facts.length; gone > 0; gone--) yield { is: 'passed', done: ++done };
    for (const window of windows(facts)) {
      for await (const item of fetchWindow(server, path, validity, window)) {
        done++;
        yield { ...item, done };
      }
    }
  }
}

async function factsOf(
  server: ImapServer,
  path: string,
  validity: string,
  uids: readonly number[],
): Promise<Facts[]> {
  return server.askIn(path, validity, async (client) => {
    const facts: Facts[] = [];
    const query = { uid: true, flags: true, internalDate: true, size: true };
    for await (const message of client.fetch(sequence(uids), query, { uid: true }))
      facts.push({
        uid: message.uid,
        size: message.size ?? 0,
        flags: [...(message.flags ?? [])].filter((flag) => flag.toLowerCase() !== '\\recent'),
        date: dateOf(message),
      });
    const wanted = new Set(uids);
    return facts.filter(({ uid }) => wanted.has(uid)).sort((a, b) => a.uid - b.uid);
  });
}

function dateOf({ internalDate }: FetchMessageObject): number {
  const ms = internalDate instanceof Date ? internalDate.getTime() : Date.parse(String(internalDate));
  return Number.isFinite(ms) ? ms : 0;
}

function* windows(facts: readonly Facts[]): Generator<readonly Facts[]> {
  let window: Facts[] = [];
  let octets = 0;
  for (const one of facts) {
    if (window.length > 0 && (window.length >= MAX_TOGETHER || octets + one.size > MAX_OCTETS)) {
      yield window;
      window = [];
      octets = 0;
    }
    window.push(one);
    octets += one.size;
  }
  if (window.length > 0) yield window;
}

type Undone =
  | Omit<SourceMessage, 'done'>
  | { is: 'passed' }
  | { is: 'broken'; label: string; reason: string };

async function* fetchWindow(
  server: ImapServer,
  path: string,
  validity: string,
  window: readonly Facts[],
): AsyncGenerator<Undone> {
  const [first] = window;
  if (first && window.length === 1 && first.size > MAX_OCTETS) {
    yield message(path, first, inPieces(server, path, validity, first));
    return;
  }
  let sources: ReadonlyMap<number, Buffer>;
  try {
    sources = await sourcesOf(server, path, validity, window);
  } catch (error) {
    if (!isAnswer(error)) throw error;
    // The server refuses one of them: which?
    if (first && window.length === 1) {
      yield { is: 'broken', label: label(path, first.uid), reason: `the server refuses it: ${words(error)}` };
      return;
    }
    const half = Math.ceil(window.length / 2);
    yield* fetchWindow(server, path, validity, window.slice(0, half));
    yield* fetchWindow(server, path, validity, window.slice(half));
    return;
  }
  for (const facts of window) {
    const source = sources.get(facts.uid);
    if (source) yield message(path, facts, withCrlf([source]));
    else yield { is: 'passed' };
  }
}

function message(path: string, facts: Facts, chunks: SourceMessage['chunks']): Omit<SourceMessage, 'done'> {
  return {
    is: 'message',
    label: label(path, facts.uid),
    identity: { by: 'content', name: String(facts.uid) },
    flags: facts.flags,
    date: facts.date > 0 ? { from: 'source', ms: facts.date } : { from: 'header', ms: 0 },
    chunks,
  };
}

function label(path: string, uid: number): string {
  return `${path}, UID ${uid}`;
}

function sourcesOf(
  server: ImapServer,
  path: string,
  validity: string,
  window: readonly Facts[],
): Promise<ReadonlyMap<number, Buffer>> {
  return server.askIn(path, validity, async (client) => {
    const sources = new Map<number, Buffer>();
    const uids = window.map(({ uid }) => uid);
    for await (const { uid, source } of client.fetch(
      sequence(uids),
      { uid: true, source: true },
      { uid: true },
    ))
      if (source) sources.set(uid, source);
    return sources;
  });
}

async function* inPieces(
  server: ImapServer,
  path: string,
  validity: string,
  { uid }: Facts,
): AsyncGenerator<Uint8Array> {
  let previous = 0;
  for (let start = 0; ; ) {
    const piece = await server.askIn(path, validity, async (client) => {
      const found = await client.fetchOne(
        String(uid),
        { uid: true, source: { start, maxLength: PIECE } },
        { uid: true },
      );
      return (found || undefined)?.source ?? Buffer.alloc(0);
    });
    if (piece.length === 0) return;
    for (const chunk of withCrlf([piece], previous)) yield chunk;
    previous = piece.at(-1) ?? previous;
    start += piece.length;
    if (piece.length < PIECE) return;
  }
}

/** The server's NO or BAD, not a lost connection. */
function isAnswer(error: unknown): boolean {
  return (
    error instanceof Error && 'responseStatus' in error && /^(NO|BAD)$/.test(String(error.responseStatus))
  );
}

/** A sequence set (RFC 9051 9) of ascending UIDs. */
export function sequence(uids: readonly number[]): string {
  const ranges: [number, number][] = [];
  for (const uid of uids) {
    const last = ranges.at(-1);
    if (last && last[1] === uid - 1) last[1] = uid;
    else ranges.push([uid, uid]);
  }
  return ranges.map(([first, last]) => (first === last ? `${first}` : `${first}:${last}`)).join(',');
}
