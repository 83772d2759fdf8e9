import { LANGUAGES, languageFor } from '../../lib/language.ts';
import { words } from '../arguments.ts';
import type { Command } from '../command.ts';
import { Pop3Error } from '../errors.ts';

/** LANG (RFC 6856 3): the language of the texts after `+OK` and `-ERR`, from its own answer on. */
export const lang: Command = {
  name: 'LANG',
  state: 'any',
  capability: () => 'LANG',

  run(session, args) {
    const [range] = words(args, 0, 1);
    if (range === undefined) {
      const list = Object.entries(LANGUAGES).map(([tag, name]) => `${tag} ${name}\r\n`);
      return `language listing follows\r\n${Buffer.from(list.join('')).toString('latin1')}.`;
    }
    // RFC 6856 3.2: `*` is what the administrator prefers.
    const language = range === '*' ? session.settings.language : languageFor(range);
    if (language === undefined) throw new Pop3Error('no such language');
    session.language = language;
    return `${language} ${session.say('this language from now on')}`;
  },
};
