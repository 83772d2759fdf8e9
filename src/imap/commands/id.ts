import { type Command, command } from '../command.ts';
import type { Parser } from '../parser.ts';
import { string } from '../response.ts';

/** RFC 2971 3.3: no more than 30 pairs, values no longer than 1024. */
const MAX_PAIRS = 30;
const MAX_VALUE = 1024;

/** ID (RFC 2971): who the client is, for the log; who we are. */
export const id: Command = command({
  name: 'ID',
  states: ['not-authenticated', 'authenticated', 'selected'],
  capability: 'ID',

  parse(p) {
    p.sp();
    if (p.tryTake('NIL')) return {};
    const at = p.at;
    const pairs = p.list(pair, 'empty');
    if (pairs.length > MAX_PAIRS) p.fail('Too many fields', at);
    return Object.fromEntries(pairs);
  },

  async run(session, client) {
    const { out, log, world } = session;
    log.debug({ client }, 'imap client');
    out.untagged(`ID ("name" "Facteur" "version" ${string(world.version)})`);
    const before = session.capabilities();
    session.client = describe(client);
    const now = session.capabilities();
    // Who has asked already does not ask again.
    if (now !== before) out.untagged(`CAPABILITY ${now}`);
    return undefined;
  },
});

/** What `imap.mask` compares with. */
function describe(client: Readonly<Record<string, string | null>>): string | null {
  const fields = new Map(Object.entries(client).map(([name, value]) => [name.toLowerCase(), value]));
  const words = ['vendor', 'name', 'version'].flatMap((name) => fields.get(name) ?? []);
  return words.length === 0 ? null : words.join(' ');
}

function pair(p: Parser): [string, string | null] {
  const name = p.string().toString();
  const at = p.sp().at;
  const value = p.nstring();
  if (value && value.length > MAX_VALUE) p.fail('The value is too long', at);
  return [name, value?.toString() ?? null];
}
