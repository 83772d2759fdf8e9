import { encodeModifiedUtf7 } from '../../mail/modified-utf7.ts';
import { type Command, command, type ImapSession, nothing, type Tongue } from '../command.ts';
import { nameIn } from '../languages.ts';
import { string } from '../response.ts';

/** NAMESPACE (RFC 9051 6.3.10): one's own mail, that of others, and everybody's. */
export const namespace: Command = command({
  name: 'NAMESPACE',
  states: ['authenticated', 'selected'],
  capability: 'NAMESPACE',
  parse: nothing,
  async run(session) {
    await tellNamespaces(session);
    return undefined;
  },
});

/** The NAMESPACE response, which LANGUAGE gives too (RFC 5255 3.4). */
export async function tellNamespaces({ out, store, language }: ImapSession): Promise<void> {
  const { others, shared } = store.namespaces;
  const named = (prefix: string): string => `(("${prefix}" "/"${translation(prefix, language)}))`;
  out.untagged(`NAMESPACE (("" "/")) ${named(others)} ${shared === null ? 'NIL' : named(shared)}`);
}

/** What people read in place of the prefix (RFC 5255 3.4), in modified UTF-7 whatever else is enabled. */
function translation(prefix: string, language: Tongue): string {
  if (language === 'i-default' || language === 'en') return '';
  const text = nameIn(language, prefix);
  return text === prefix ? '' : ` "TRANSLATION" (${string(encodeModifiedUtf7(text))})`;
}
