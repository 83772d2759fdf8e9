import { type Command, command, nothing } from '../command.ts';

/** NAMESPACE (RFC 9051 6.3.10): one's own mail and nothing else. */
export const namespace: Command = command({
  name: 'NAMESPACE',
  states: ['authenticated', 'selected'],
  capability: 'NAMESPACE',
  parse: nothing,
  async run({ out }) {
    out.untagged('NAMESPACE (("" "/")) NIL NIL');
    return undefined;
  },
});
