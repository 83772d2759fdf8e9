import { SieveBye, SieveNo } from '../../src/managesieve/errors.ts';
import { RequestReader } from '../../src/managesieve/reader.ts';
import type { LineConnection } from '../../src/net/connection.ts';
import { ConnectionLost, LineTooLong } from '../../src/net/errors.ts';
import type { Target } from './targets.ts';

/** Any octets are commands or refused, each once, to their end; what is held of them has its bounds. */

const MAX_LITERAL = 1000;

export const managesieve: Target = {
  name: 'managesieve',
  tokens: [
    ' ',
    '"',
    '\\',
    '\r\n',
    '\n',
    '\r',
    '{',
    '}',
    '{0}',
    '{3+}\r\nabc',
    '{99999999999+}',
    '{1001+}',
    '\0',
    '\xff',
    'PUTSCRIPT',
    'NOOP',
    '0',
    '""',
  ],
  async run(input) {
    const bytes = new Bytes(Buffer.from(input, 'latin1'));
    const reader = new RequestReader(bytes as unknown as LineConnection);
    const limits = { timeoutMs: 1000, maxLiteral: () => MAX_LITERAL };
    for (;;) {
      const before = bytes.at;
      try {
        const request = await reader.command(limits);
        if (request === null) return;
        if (!/^[A-Z]+$/.test(request.name)) throw new Error('a command without name');
        for (const argument of request.args)
          if (argument.is === 'string' && argument.octets.length > 20_000)
            throw new Error('too much is held');
      } catch (error) {
        if (error instanceof SieveBye || error instanceof ConnectionLost) return;
        if (!(error instanceof SieveNo)) throw error;
      }
      if (bytes.at === before) throw new Error('nothing was read');
    }
  },
};

/** A connection that has said all it will say. */
class Bytes {
  at = 0;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  async readLine({ maxBytes }: { readonly maxBytes: number }): Promise<Buffer | null> {
    if (this.at >= this.#bytes.length) return null;
    const end = this.#bytes.indexOf('\n', this.at);
    if (end < 0) throw new ConnectionLost(undefined);
    const line = this.#bytes.subarray(this.at, end);
    this.at = end + 1;
    if (line.length > maxBytes) throw new LineTooLong(line.subarray(0, 100));
    return line.at(-1) === 0x0d ? line.subarray(0, -1) : line;
  }

  async *readOctets(size: number): AsyncGenerator<Buffer> {
    if (this.at + size > this.#bytes.length) throw new ConnectionLost(undefined);
    const octets = this.#bytes.subarray(this.at, this.at + size);
    this.at += size;
    if (size > 0) yield octets;
  }
}
