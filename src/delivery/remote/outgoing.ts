import { type Piece, pieceSize } from '../../lib/pieces.ts';
import { needsSmtpUtf8 } from '../../mail/address.ts';
import { type RawMessage, rawMessage } from '../../mail/raw-message.ts';
import { convert, examine, type Unfit } from '../../message/re-encode.ts';
import { MAX_HEADER } from '../../message/scan.ts';
import type { QueuedMessage, QueuedRecipient } from '../../queue/queue.ts';
import type { Extensions } from './envelope.ts';

/** A message in the form that one host can take. */
export interface Form {
  readonly size: number;
  readonly body: '7bit' | '8bitmime';
  read(): AsyncIterable<Uint8Array>;
}

/** Our own copy of the message cannot be read. */
export class ContentError extends Error {
  override readonly name = 'ContentError';
}

/** A queued message as it leaves the house: without what was written for a mailbox here. */
export class Outgoing {
  readonly #message: QueuedMessage;
  readonly #raw: RawMessage;
  #utf8Header: Promise<boolean> | undefined;
  readonly #forms = new Map<string, Promise<Form>>();

  constructor(message: QueuedMessage, raw: RawMessage) {
    this.#message = message;
    this.#raw = message.finalTrace > 0 ? rawMessage(without(raw.pieces, message.finalTrace)) : raw;
  }

  get size(): number {
    return this.#raw.size;
  }

  /** Recipients that only a host with SMTPUTF8 can be told of (RFC 6531 3.2); all of them when the rest needs it. */
  async needingUtf8(recipients: readonly QueuedRecipient[]): Promise<readonly QueuedRecipient[]> {
    const { from } = this.#message;
    if ((from !== null && needsSmtpUtf8(from)) || (await this.#hasUtf8Header())) return recipients;
    return recipients.filter(({ address }) => needsSmtpUtf8(address));
  }

  /** As a host with these extensions can take it. */
  form(extensions: Extensions): Promise<Form> {
    const unfit = {
      eightBit: !extensions.has('8BITMIME'),
      // Ours is not to speak BDAT: whatever the peer announces, lines must be lines.
      binary: this.#message.body === 'binarymime',
    };
    const key = JSON.stringify(unfit);
    const known = this.#forms.get(key);
    if (known !== undefined) return known;
    const form = this.#makeForm(unfit);
    this.#forms.set(key, form);
    return form;
  }

  async #makeForm(unfit: Unfit): Promise<Form> {
    const asIs: Form = {
      size: this.#raw.size,
      body: this.#message.body === '7bit' || unfit.eightBit ? '7bit' : '8bitmime',
      read: () => readable(this.#raw.read()),
    };
    if (!unfit.eightBit && !unfit.binary) return asIs;
    const raw = {
      ...this.#raw,
      read: (range?: Parameters<RawMessage['read']>[0]) => readable(this.#raw.read(range)),
    };
    const { root, fits } = await examine(raw, unfit);
    if (fits) return asIs;
    const read = (): AsyncIterable<Uint8Array> => convert(raw, root, unfit);
    let size = 0;
    for await (const chunk of read()) size += chunk.length;
    return { size, body: asIs.body, read };
  }

  #hasUtf8Header(): Promise<boolean> {
    // Only who asked for SMTPUTF8 may have it in the header; anything else is broken mail, and passed on as it came.
    this.#utf8Header ??= this.#message.smtputf8 ? hasUtf8Header(this.#raw) : Promise.resolve(false);
    return this.#utf8Header;
  }
}

async function* readable(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* content;
  } catch (error) {
    throw new ContentError('the message cannot be read', { cause: error });
  }
}

async function hasUtf8Header(raw: RawMessage): Promise<boolean> {
  let tail = '';
  for await (const chunk of readable(raw.read({ start: 0, end: MAX_HEADER }))) {
    const text = tail + Buffer.from(chunk).toString('latin1');
    const end = text.startsWith('\r\n') && tail === '' ? 0 : text.indexOf('\r\n\r\n');
    if (/[\x80-\xff]/.test(end < 0 ? text : text.slice(0, end))) return true;
    if (end >= 0) return false;
    tail = text.slice(-3);
  }
  return false;
}

/** The pieces but for the first `count` octets. */
function without(pieces: readonly Piece[], count: number): readonly Piece[] {
  const kept: Piece[] = [];
  let skip = count;
  for (const piece of pieces) {
    const size = pieceSize(piece);
    if (skip >= size) skip -= size;
    else {
      kept.push(piece instanceof Uint8Array ? piece.subarray(skip) : { ...piece, start: piece.start + skip });
      skip = 0;
    }
  }
  return kept;
}
