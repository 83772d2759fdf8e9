import { type Command, command } from '../command.ts';
import { ImapBad, ImapNo } from '../errors.ts';

/**
 * COMPRESS (RFC 4978): from the end of our OK on both directions are DEFLATE blocks. After login only: strangers are
 * given no memory for windows.
 */
export const compress: Command = command({
  name: 'COMPRESS',
  states: ['authenticated', 'selected'],
  capability: 'COMPRESS=DEFLATE',

  parse(p) {
    return p.sp().atom().toUpperCase();
  },

  async run({ connection }, algorithm) {
    if (algorithm !== 'DEFLATE') throw new ImapBad('DEFLATE is the only mechanism');
    // RFC 4978 3: one layer at most.
    if (connection.compressed) throw new ImapNo('DEFLATE is active already', 'COMPRESSIONACTIVE');
    return { text: 'DEFLATE active', afterwards: () => connection.compress() };
  },
});
