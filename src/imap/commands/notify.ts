import { type Command, command } from '../command.ts';
import { ImapNo } from '../errors.ts';
import { MetadataNews } from '../metadata-news.ts';
import { Notify } from '../notify.ts';
import { EVENTS, type Groups, parseGroups } from '../notify-groups.ts';
import type { Parser } from '../parser.ts';
import { lookAtDisk } from './noop.ts';

interface Arguments {
  /** null: NONE. */
  readonly groups: Groups | null;
  readonly status: 'tell' | 'known';
}

/** NOTIFY (RFC 5465): what the client wants to hear of without asking, from now on and between commands too. */
export const notify: Command = command({
  name: 'NOTIFY',
  states: ['authenticated', 'selected'],
  capability: 'NOTIFY',
  parse,

  async run(session, { groups, status }) {
    if (!groups) {
      session.setNotify(new Notify(session));
      return undefined;
    }
    if (groups.unknownEvents) throw new ImapNo('There are no such events', `BADEVENT (${EVENTS.join(' ')})`);
    const wish = groups.selected?.fetch;
    // As FETCH with it would be (RFC 7162 3.1).
    if (wish?.some(({ condstore }) => condstore)) session.enableCondstore();
    const begun = await Notify.begin(session, groups);
    try {
      // What has gathered is told first, even where no more is wanted from here on (section 3.1).
      if (session.hasSelected) {
        await lookAtDisk(session);
        session.selected.wanted = 'everything';
        await session.tell('now');
      }
      if (status === 'tell') await begun.tellAll();
    } catch (error) {
      begun.stop();
      session.notifyChanged();
      throw error;
    }
    session.setNotify(begun);
    if (
      groups.others.some(
        ({ events }) => events.has('MailboxMetadataChange') || events.has('ServerMetadataChange'),
      )
    )
      MetadataNews.of(session);
    return undefined;
  },
});

function parse(p: Parser): Arguments {
  const at = p.sp().at;
  if (p.isWord('NONE')) {
    p.take('NONE');
    return { groups: null, status: 'known' };
  }
  if (!p.isWord('SET')) p.fail('SET or NONE is missing', at);
  p.take('SET');
  // No group begins with a letter.
  const status = p.letterAfterNext ? 'tell' : 'known';
  if (status === 'tell') p.sp().take('STATUS');
  return { groups: parseGroups(p), status };
}
