import { type Command, command, type Feature } from '../command.ts';
import { ImapBad } from '../errors.ts';
import { MetadataNews } from '../metadata-news.ts';

/** What ENABLE turns on here. */
const FEATURES: ReadonlyMap<string, Feature> = new Map([
  ['CONDSTORE', 'CONDSTORE'],
  ['QRESYNC', 'QRESYNC'],
  ['IMAP4REV2', 'IMAP4rev2'],
  ['METADATA', 'METADATA'],
  ['METADATA-SERVER', 'METADATA-SERVER'],
  ['UIDONLY', 'UIDONLY'],
  ['UTF8=ACCEPT', 'UTF8=ACCEPT'],
]);

/** ENABLE (RFC 5161, RFC 9051 6.3.1). Unknown names are ignored. */
export const enable: Command = command({
  name: 'ENABLE',
  states: ['authenticated', 'selected'],
  capability: ['ENABLE', 'IMAP4rev2', 'CONDSTORE', 'QRESYNC', 'UIDONLY', 'UTF8=ACCEPT'],

  parse(p) {
    const names: string[] = [];
    do names.push(p.sp().atom().toUpperCase());
    while (!p.atEnd);
    return names;
  },

  async run(session, names) {
    // RFC 6855 3: what names and searches mean shall not change under a mailbox that is open.
    if (session.hasSelected && names.includes('UTF8=ACCEPT') && !session.enabled.has('UTF8=ACCEPT'))
      throw new ImapBad('UTF8=ACCEPT is enabled before a mailbox is selected');
    const enabled: string[] = [];
    let metadata = false;
    for (const name of new Set(names)) {
      const feature = FEATURES.get(name);
      if (!feature || session.enabled.has(feature)) continue;
      // QRESYNC brings CONDSTORE with it (RFC 7162 3.2.3).
      if (feature === 'QRESYNC' || feature === 'CONDSTORE') session.enableCondstore();
      session.enable(feature);
      if (feature === 'UIDONLY' && session.hasSelected) session.selected.contexts?.endNumbered(session);
      if (feature === 'METADATA' || feature === 'METADATA-SERVER') metadata = true;
      enabled.push(feature);
    }
    if (metadata) MetadataNews.of(session);
    session.out.untagged(enabled.length > 0 ? `ENABLED ${enabled.join(' ')}` : 'ENABLED');
    return undefined;
  },
});
