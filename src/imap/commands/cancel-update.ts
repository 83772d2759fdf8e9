import { type Command, command } from '../command.ts';
import { ImapBad } from '../errors.ts';

/** CANCELUPDATE (RFC 5267 4.3.5): no more news of these searches. */
export const cancelUpdate: Command = command({
  name: 'CANCELUPDATE',
  states: ['selected'],
  parse(p) {
    const tags: string[] = [];
    do tags.push(p.sp().astring().toString('latin1'));
    while (!p.atEnd);
    return tags;
  },
  async run({ selected }, tags) {
    if (!selected.contexts) throw new ImapBad('There is no such context');
    selected.contexts.cancel(tags);
    return { text: 'No further updates' };
  },
});
