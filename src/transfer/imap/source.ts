import type { ListResponse } from 'imapflow';
import type { SpecialUse } from '../../store/store.ts';
import { TransferError } from '../errors.ts';
import { matches } from '../export-mail.ts';
import type { Source, SourceFolder } from '../source.ts';
import { fetchFolder } from './fetch.ts';
import { syncFlags } from './flags.ts';
import type { ImapServer, ServerWishes } from './server.ts';

/**
 * An account on another server: its folders below the personal namespace, whatever its separator and prefix
 * (`INBOX.Sent` is Sent). Other users' and shared folders come only when they are asked for.
 */
export interface ImapWishes {
  /** Patterns of paths with '/', `*` and `%`; none: all. */
  readonly folders: readonly string[];
  readonly exclude: readonly string[];
  /** Only what came on this day or later. */
  readonly since: Date | null;
  readonly name: string | null;
}

const USES: ReadonlyMap<string, SpecialUse> = new Map([
  ['\\archive', 'archive'],
  ['\\drafts', 'drafts'],
  ['\\junk', 'junk'],
  ['\\sent', 'sent'],
  ['\\trash', 'trash'],
  ['\\flagged', 'flagged'],
  ['\\all', 'all'],
]);

export function imapSource(
  server: ImapServer,
  { host, port, user }: ServerWishes,
  wishes: ImapWishes,
): Source {
  const place = port === 143 || port === 993 ? host : `${host}:${port}`;
  return {
    kind: 'imap',
    name: wishes.name ?? `${user}@${place.toLowerCase()}`,
    async folders() {
      const found = await listed(server);
      const chosen = found.filter(({ path, personal }) => isChosen(path.join('/'), personal, wishes));
      for (const pattern of wishes.folders)
        if (!found.some(({ path }) => matches(path.join('/'), pattern)))
          throw new TransferError(`the server has no folder "${pattern}"`);
      return chosen.map((one) => imapFolder(server, one, wishes.since));
    },
    close: () => server.close(),
  };
}

interface Listed {
  readonly entry: ListResponse;
  readonly path: readonly string[];
  readonly personal: boolean;
}

async function listed(server: ImapServer): Promise<Listed[]> {
  return server.ask(async (client) => {
    const entries = await client.list({ statusQuery: { messages: true } });
    const prefix = client.namespace?.prefix ?? '';
    const others = [...(client.namespaces?.other || []), ...(client.namespaces?.shared || [])]
      .map((namespace) => namespace.prefix)
      .filter((text) => text !== '');
    return entries.map((entry) => ({
      entry,
      path: levels(entry, prefix),
      personal: !others.some((other) => `${entry.path}${entry.delimiter}`.startsWith(other)),
    }));
  });
}

/** Without the prefix of the namespace. */
function levels({ path, delimiter }: ListResponse, prefix: string): string[] {
  const own = prefix !== '' && path.startsWith(prefix) && path.length > prefix.length;
  const parts = (own ? path.slice(prefix.length) : path)
    .split(delimiter || '\0')
    .filter((part) => part !== '');
  return parts.map((part, at) => (at === 0 && /^inbox$/i.test(part) ? 'INBOX' : part));
}

function isChosen(path: string, personal: boolean, { folders, exclude }: ImapWishes): boolean {
  if (exclude.some((pattern) => matches(path, pattern))) return false;
  return folders.length === 0 ? personal : folders.some((pattern) => matches(path, pattern));
}

function imapFolder(server: ImapServer, { entry, path }: Listed, since: Date | null): SourceFolder {
  const use = USES.get(entry.specialUse?.toLowerCase() ?? '') ?? null;
  const notes: string[] = [];
  return {
    name: path.join('/'),
    path,
    specialUse: use,
    subscribed: entry.subscribed ? 'yes' : 'no',
    view: use === 'all' || use === 'flagged',
    total: { messages: entry.status?.messages ?? 0 },
    selectable: ![...entry.flags].some((flag) => /^\\(noselect|nonexistent)$/i.test(flag)),
    notes: () => notes,
    messages: (ledger) => fetchFolder(server, entry.path, since, ledger),
    syncFlags: (ledger, account) => syncFlags(server, entry.path, ledger, account),
  };
}
