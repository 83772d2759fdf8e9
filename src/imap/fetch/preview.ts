import { string, utf8Bytes } from '../response.ts';
import type { FetchItem } from './item.ts';

/** PREVIEW and PREVIEW (LAZY) (RFC 8970). */
export const preview: FetchItem = {
  name: 'PREVIEW',
  capability: 'PREVIEW',
  parse(p) {
    // `FETCH 1 PREVIEW (CHANGEDSINCE 5)`: a list may also be the modifiers of the command (RFC 4466 2.4).
    const lazy = p.tryTake(' (LAZY');
    if (lazy) {
      while (p.tryTake(' LAZY'));
      p.take(')');
    }
    return {
      reads: true,
      print(message) {
        // Section 4.1: what is read many at once makes nobody wait; a big message would.
        if (lazy && !message.content) return 'PREVIEW NIL';
        return message.preview().then((text) => `PREVIEW ${string(utf8Bytes(text))}`);
      },
    };
  },
};
