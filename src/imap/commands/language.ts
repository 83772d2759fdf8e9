import { languageFor } from '../../lib/language.ts';
import { type Command, command, type ImapSession, type Tongue } from '../command.ts';
import { ImapNo } from '../errors.ts';
import { tellNamespaces } from './namespace.ts';

/** A client names those that its user reads. */
const MAX_RANGES = 50;

/** LANGUAGE (RFC 5255 3): the language of the texts for people, from its own answer on. */
export const language: Command = command({
  name: 'LANGUAGE',
  states: ['not-authenticated', 'authenticated', 'selected'],
  capability: 'LANGUAGE',

  parse(p) {
    const ranges: string[] = [];
    const { at } = p;
    while (!p.atEnd) ranges.push(p.sp().astring().toString('latin1'));
    if (ranges.length > MAX_RANGES) p.fail('Too many languages', at);
    return ranges;
  },

  async run(session, ranges) {
    if (ranges.length === 0) {
      session.out.untagged('LANGUAGE (en fr i-default)');
      return { text: 'Supported languages' };
    }
    const tongue = ranges.flatMap((range) => tongueFor(session, range) ?? []).at(0);
    if (tongue === undefined) throw new ImapNo('This language is not spoken here');
    session.speak(tongue);
    session.out.untagged(`LANGUAGE (${tongue})`);
    // RFC 5255 3.4: what the namespaces are called has changed with it.
    if (session.state !== 'not-authenticated') await tellNamespaces(session);
    return { text: 'This language from now on' };
  },
});

/** RFC 5255 3.2: `default` is the administrator's choice; `*` is any (RFC 4647 2.1), so that one too. */
function tongueFor({ world }: ImapSession, range: string): Tongue | undefined {
  const wanted = range.toLowerCase();
  if (wanted === 'i-default') return 'i-default';
  if (wanted === 'default' || wanted === '*') return world.settings.language;
  return languageFor(wanted);
}
