import type { QueuedMessage, QueueId, RecipientState } from './queue.ts';

/** What the journal says about messages. Numbers are for ever: they stand on disks. */
export const MESSAGE = 1;
export const STATES = 2;
export const GONE = 3;

export type QueueRecord =
  /** All of a message as it is now, with its body or the word that the body is in the spool. */
  | { readonly is: 'message'; readonly message: QueuedMessage; readonly body: Buffer | 'spooled' }
  /** Recipients whose state has changed. */
  | { readonly is: 'states'; readonly id: QueueId; readonly states: readonly [number, RecipientState][] }
  /** Finished or removed. */
  | { readonly is: 'gone'; readonly id: QueueId };

const INLINE = 0;
const SPOOLED = 1;
const PREFIX = 5;

export function messageParts(
  message: QueuedMessage,
  body: readonly Uint8Array[] | 'spooled',
): readonly Uint8Array[] {
  const json = JSON.stringify(message);
  const length = Buffer.byteLength(json);
  const head = Buffer.allocUnsafe(PREFIX + length);
  head[0] = body === 'spooled' ? SPOOLED : INLINE;
  head.writeUInt32LE(length, 1);
  head.write(json, PREFIX);
  return body === 'spooled' ? [head] : [head, ...body];
}

export function statesParts(
  id: QueueId,
  states: readonly (readonly [number, RecipientState])[],
): readonly Uint8Array[] {
  return [Buffer.from(JSON.stringify({ id, states }))];
}

export function goneParts(id: QueueId): readonly Uint8Array[] {
  return [Buffer.from(id, 'latin1')];
}

/** The body in the payload of a message record. */
export function inlineBody(payload: Buffer): Buffer {
  return payload.subarray(PREFIX + payload.readUInt32LE(1));
}

/** undefined for a type that this version does not write. */
export function parseRecord(type: number, payload: Buffer): QueueRecord | undefined {
  switch (type) {
    case MESSAGE: {
      const end = PREFIX + payload.readUInt32LE(1);
      const message = JSON.parse(payload.toString('utf8', PREFIX, end)) as QueuedMessage;
      return { is: 'message', message, body: payload[0] === SPOOLED ? 'spooled' : payload.subarray(end) };
    }
    case STATES: {
      const { id, states } = JSON.parse(payload.toString()) as {
        id: QueueId;
        states: readonly [number, RecipientState][];
      };
      return { is: 'states', id, states };
    }
    case GONE:
      return { is: 'gone', id: payload.toString('latin1') as QueueId };
    default:
      return undefined;
  }
}
