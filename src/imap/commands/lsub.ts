import { type Command, command } from '../command.ts';
import { listPattern, SEPARATOR } from '../list-pattern.ts';
import { mailboxName } from '../response.ts';

/** LSUB (RFC 3501 6.3.9): subscribed names, whether there are such mailboxes or not. */
export const lsub: Command = command({
  name: 'LSUB',
  states: ['authenticated', 'selected'],

  parse(p) {
    const reference = p.sp().decodeMailbox(p.astring());
    const pattern = p.sp().listMailbox();
    return { reference, pattern };
  },

  async run({ store, out, names }, { reference, pattern }) {
    const matches = listPattern(reference + pattern);
    const subscribed = new Set(await store.subscriptions());
    const reach = (prefix: string): boolean => [...subscribed].some((path) => path.startsWith(prefix));
    const existing = new Set((await store.mailboxes(reach)).filter((m) => m.selectable).map((m) => m.path));
    const listed = new Set<string>();
    for (const path of subscribed) {
      if (matches(path)) listed.add(path);
      else if (pattern.includes('%')) {
        // `%` stops at a level: the name there stands for what is subscribed below it.
        for (let at = path.lastIndexOf(SEPARATOR); at > 0; at = path.lastIndexOf(SEPARATOR, at - 1)) {
          const parent = path.slice(0, at);
          if (!matches(parent)) continue;
          listed.add(parent);
          break;
        }
      }
    }
    for (const path of [...listed].sort()) {
      const selectable = subscribed.has(path) && existing.has(path);
      out.untagged(`LSUB (${selectable ? '' : '\\NoSelect'}) "${SEPARATOR}" ${mailboxName(path, names)}`);
      if (out.full) await out.flush();
    }
    return undefined;
  },
});
