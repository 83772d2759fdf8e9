import { type Command, command, type ImapSession, nothing } from '../command.ts';

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
export async function tellNamespaces({ out, store }: ImapSession): Promise<void> {
  const { others, shared } = store.namespaces;
  const everybodys = shared === null ? 'NIL' : `(("${shared}" "/"))`;
  out.untagged(`NAMESPACE (("" "/")) (("${others}" "/")) ${everybodys}`);
}
