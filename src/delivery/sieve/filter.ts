import type { AccountId } from '../../directory/directory.ts';
import { type Piece, pieceSize } from '../../lib/pieces.ts';
import { rawMessage } from '../../mail/raw-message.ts';
import type { Envelope } from '../../sieve/host.ts';
import { StoreError } from '../../store/store.ts';
import { Acting, type ActingDeps, type Subject } from './acting.ts';
import type { Outcome } from './carry-out.ts';
import type { Content } from './decision.ts';
import { DUPLICATE } from './host.ts';
import { tellOwner } from './tell-owner.ts';

/** Puts a message where its recipient's scripts want it. */

/** One message for one recipient. */
export interface Arrival {
  readonly account: AccountId;
  /** What stands behind the delimiter of the address (RFC 5233). */
  readonly detail: string | undefined;
  readonly envelope: Envelope;
  /** As it will be stored, trace fields on top. */
  readonly content: readonly Piece[];
  readonly internalDate: number;
  /** Names this delivery for ever; letters, digits, '-'. */
  readonly key: string;
}

export class Filter {
  readonly #deps: ActingDeps;

  constructor(deps: ActingDeps) {
    this.#deps = deps;
  }

  /** Resolves when the message is durable wherever it has to be. Throws StoreError and QueueFull: try again. */
  async deliver(arrival: Arrival): Promise<Outcome> {
    const { sieve, log } = this.#deps;
    const { account, envelope, content, key } = arrival;
    const size = content.reduce((sum, piece) => sum + pieceSize(piece), 0);
    const question = { account, envelope, content, size, environment: {}, mode: 'delivery' } as const;
    const decision = await sieve.decide(question);
    const delivery = new Acting(this.#deps, this.#subject(arrival));
    const outcome = await delivery.carryOut(decision);
    for (const { key: seen, expires } of decision.seen)
      await sieve.remember(account, DUPLICATE, seen, '', expires);
    if (decision.problem) await tellOwner(this.#deps, account, key, decision.problem);
    if (decision.actions !== null || decision.problem)
      log.info(
        {
          delivery: key,
          account,
          sieve: [...delivery.notes, ...decision.notes],
          problem: decision.problem?.text,
        },
        'delivered by script',
      );
    return outcome;
  }

  #subject({ account, detail, envelope, content, internalDate, key }: Arrival): Subject {
    const { store } = this.#deps;
    return {
      account,
      detail,
      envelope,
      key,
      raw: rawMessage(content),
      flags: [],
      async store(path, message, flags, nth) {
        const pieces = message instanceof Uint8Array ? [message] : piecesOf(message, content);
        const delivery = {
          account,
          key: nth === 0 ? key : `${key}-${nth}`,
          flags: [...flags],
          internalDate,
          content: pieces,
        };
        try {
          await store.deliver({ ...delivery, mailbox: path });
          return `stored in '${path}'`;
        } catch (error) {
          if (!(error instanceof StoreError && error.kind === 'not-found') || path === 'INBOX') throw error;
          await store.deliver({ ...delivery, mailbox: 'INBOX' });
          return `mailbox '${path}' has gone, kept in INBOX`;
        }
      },
    };
  }
}

function piecesOf(message: Content, original: readonly Piece[]): readonly Piece[] {
  switch (message.is) {
    case 'original':
      return original;
    case 'edited':
      return [message.header, ...piecesFrom(original, message.bodyAt)];
    case 'other':
      return [message.bytes];
  }
}

function piecesFrom(pieces: readonly Piece[], start: number): Piece[] {
  const rest: Piece[] = [];
  let at = 0;
  for (const piece of pieces) {
    const size = pieceSize(piece);
    const skip = Math.max(0, start - at);
    at += size;
    if (skip >= size) continue;
    if (skip === 0) rest.push(piece);
    else if (piece instanceof Uint8Array) rest.push(piece.subarray(skip));
    else rest.push({ ...piece, start: piece.start + skip });
  }
  return rest;
}
