/**
 * All that the store's index keeps about a message, from one pass over its bytes: never throws, and holds no more of
 * the message in memory than one header.
 */
import { bodyStructure } from './body-structure.ts';
import { EMPTY_ENVELOPE, envelope } from './envelope.ts';
import { MAX_HEADER, MimeScanner } from './scan.ts';
import type { Part } from './structure.ts';

/** The printed ones are strings with one char an octet, literals included. */
export interface MessageSummary {
  readonly envelope: string;
  /** BODY, without extension data. */
  readonly body: string;
  readonly bodyStructure: string;
  readonly structure: Part;
  /** The whole header with its blank line; null when it is longer than MAX_HEADER. */
  readonly header: Uint8Array | null;
}

/** Summarises a message that is in memory. */
export function summarise(bytes: Uint8Array): MessageSummary {
  const summariser = new Summariser();
  summariser.write(bytes);
  return summariser.end();
}

/** The same for one that is read in pieces, cut anywhere. */
export class Summariser {
  /** By where the message begins. */
  readonly #envelopes = new Map<number, string>();
  #header = '';
  readonly #scanner = new MimeScanner((header, start) => {
    if (start === 0) this.#header = header;
    this.#envelopes.set(start, envelope(header));
  });

  write(chunk: Uint8Array): void {
    this.#scanner.write(chunk);
  }

  /** Nothing may be written after it. */
  end(): MessageSummary {
    const structure = this.#scanner.end();
    const envelopeOf = (message: Part) => this.#envelopes.get(message.header.start) ?? EMPTY_ENVELOPE;
    return {
      envelope: envelopeOf(structure),
      body: bodyStructure(structure, 'body', envelopeOf),
      bodyStructure: bodyStructure(structure, 'bodystructure', envelopeOf),
      structure,
      header: structure.header.end > MAX_HEADER ? null : Buffer.from(this.#header, 'latin1'),
    };
  }
}
