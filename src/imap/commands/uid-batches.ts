import { type Command, command } from '../command.ts';
import { ImapBad, ImapNo } from '../errors.ts';
import { string } from '../response.ts';
import type { Selected } from '../selected.ts';

/**
 * UIDBATCHES (RFC 10022): ranges of UIDs that part the mailbox, from its newest message on, into batches of one size. They
 * are read off the view, a step a batch, so nobody need be kept from asking often (3.1.1).
 */

/** RFC 10022 3.1.3.2. */
const MIN_BATCH = 500;
/** RFC 10022 3.1.5: messages in the batches that a client may name. All batches are told, however many they are. */
const MAX_NAMED = 100_000;

export const uidBatches: Command = command({
  name: 'UIDBATCHES',
  states: ['selected'],
  capability: 'UIDBATCHES',

  parse(p) {
    const size = p.sp().nzNumber();
    if (p.atEnd) return { size, batches: null };
    const { at } = p.sp();
    const first = p.nzNumber();
    const last = p.take(':').nzNumber();
    if (last < first) throw new ImapBad('The last number is below the first', at, 'CLIENTBUG');
    return { size, batches: { first, last } };
  },

  async run({ selected, out, tag }, { size, batches }) {
    if (size < MIN_BATCH) throw new ImapNo(`A batch has at least ${MIN_BATCH} messages`, 'TOOFEW');
    if (batches && (batches.last - batches.first + 1) * size > MAX_NAMED)
      throw new ImapNo(`At most ${MAX_NAMED} messages at a time`, 'TOOMANY');
    const ranges = rangesOf(selected, size, batches ?? { first: 1, last: Math.ceil(selected.exists / size) });
    out.untagged(`UIDBATCHES (TAG ${string(tag)})${ranges.length > 0 ? ` ${ranges.join(',')}` : ''}`);
    return undefined;
  },
});

/** From high to low without gaps, the last one down to 1: it is plain which that is (3.1.4). */
function rangesOf(
  selected: Selected,
  size: number,
  batches: { readonly first: number; readonly last: number },
): string[] {
  const ranges: string[] = [];
  const { exists } = selected;
  for (let batch = batches.first; batch <= batches.last; batch++) {
    const newest = exists - (batch - 1) * size;
    if (newest <= 0) break;
    const oldest = newest - size + 1;
    // A batch reaches up to the one before it, whatever is gone in between.
    const high = newest === exists ? selected.lastUid : selected.uidAt(newest + 1) - 1;
    ranges.push(`${high}:${oldest <= 1 ? 1 : selected.uidAt(oldest)}`);
  }
  return ranges;
}
