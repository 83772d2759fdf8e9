import { readFileSync } from 'node:fs';
import type { ServerWishes } from '../transfer/imap/server.ts';
import type { ImapWishes } from '../transfer/imap/source.ts';
import { askSecret, readPassword } from './ask-password.ts';
import { type CliIo, UsageError } from './io.ts';
import { asTransferError, firstLine } from './transfer-world.ts';

/** What belongs to `facteur import imap` alone: which server, and how to get in. */

export const IMAP_OPTIONS = {
  user: { type: 'string' },
  'password-file': { type: 'string' },
  'password-stdin': { type: 'boolean' },
  'token-file': { type: 'string' },
  tls: { type: 'string' },
  ca: { type: 'string' },
  insecure: { type: 'boolean' },
  folder: { type: 'string', multiple: true },
  exclude: { type: 'string', multiple: true },
  since: { type: 'string' },
  'sync-flags': { type: 'boolean' },
} as const;

export interface ImapOptions {
  readonly user?: string | undefined;
  readonly 'password-file'?: string | undefined;
  readonly 'password-stdin'?: boolean | undefined;
  readonly 'token-file'?: string | undefined;
  readonly tls?: string | undefined;
  readonly ca?: string | undefined;
  readonly insecure?: boolean | undefined;
  readonly folder?: readonly string[] | undefined;
  readonly exclude?: readonly string[] | undefined;
  readonly since?: string | undefined;
  readonly 'sync-flags'?: boolean | undefined;
}

const TLS_MODES = ['implicit', 'starttls', 'none'] as const;

export async function serverWishes(
  place: string,
  options: ImapOptions,
  io: CliIo,
): Promise<{ readonly server: ServerWishes; readonly wishes: Omit<ImapWishes, 'name'> }> {
  const { scheme, host, port, user: named } = parsePlace(place);
  const tls = options.tls ?? (scheme === 'imap' || port === 143 ? 'starttls' : 'implicit');
  const mode = TLS_MODES.find((known) => known === tls);
  if (!mode) throw new UsageError(`--tls is ${TLS_MODES.join(', ')}`);
  const user = options.user ?? named;
  if (user === undefined) throw new UsageError('who logs in there? --user NAME');
  const since = sinceOf(options.since);
  if (options.insecure && options.ca !== undefined) throw new UsageError('--ca or --insecure, not both');
  const trust = trustOf(options);
  const secret = await secretOf(options, user, io);
  return {
    server: { host, port: port ?? (mode === 'implicit' ? 993 : 143), tls: mode, trust, user, secret },
    wishes: { folders: options.folder ?? [], exclude: options.exclude ?? [], since },
  };
}

interface NamedPlace {
  readonly scheme: 'imap' | 'imaps' | null;
  readonly host: string;
  readonly port: number | null;
  readonly user: string | undefined;
}

/** `HOST`, `HOST:PORT` or a URL (RFC 5092). A password in it would be seen by everybody on the machine. */
function parsePlace(text: string): NamedPlace {
  const match = /^(?:(imaps?):\/\/)?(?:([^/]*)@)?(\[[0-9A-Fa-f:.]+\]|[^:/@\s]+)(?::(\d{1,5}))?\/?$/.exec(
    text,
  );
  if (!match)
    throw new UsageError(
      `"${text}" is not a server such as imap.example.org or imaps://user@imap.example.org`,
    );
  const [, scheme, login, host = '', digits] = match;
  const port = digits === undefined ? null : Number(digits);
  if (port !== null && (port < 1 || port > 65535)) throw new UsageError(`${port} is not a port`);
  if (login?.includes(':'))
    throw new UsageError(
      'a password does not belong there: others see it. --password-file, --password-stdin',
    );
  return {
    scheme: scheme === 'imap' || scheme === 'imaps' ? scheme : null,
    host: host.replace(/^\[|\]$/g, ''),
    port,
    user: login === undefined || login === '' ? undefined : decoded(login),
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function sinceOf(text: string | undefined): Date | null {
  if (text === undefined) return null;
  const date = /^\d{4}-\d\d-\d\d$/.test(text) ? new Date(`${text}T00:00:00Z`) : null;
  if (!date || Number.isNaN(date.getTime())) throw new UsageError('--since is a day such as 2024-12-31');
  return date;
}

function trustOf({ ca, insecure }: ImapOptions): ServerWishes['trust'] {
  if (insecure) return { is: 'unverified' };
  if (ca === undefined) return { is: 'system' };
  try {
    return { is: 'authority', pem: readFileSync(ca, 'utf8') };
  } catch (error) {
    throw asTransferError(error);
  }
}

/** Never from the command line itself, which every user of the machine can read. */
async function secretOf(options: ImapOptions, user: string, io: CliIo): Promise<ServerWishes['secret']> {
  const ways = ['password-file', 'password-stdin', 'token-file'] as const;
  if (ways.filter((way) => options[way]).length > 1)
    throw new UsageError('--password-file, --password-stdin or --token-file, not several');
  if (options['token-file'] !== undefined) return { token: firstLine(options['token-file']) };
  if (options['password-file'] !== undefined) return { password: firstLine(options['password-file']) };
  if (options['password-stdin']) return { password: await readPassword(io) };
  const token = io.env?.['FACTEUR_IMAP_TOKEN'];
  if (token) return { token };
  const password = io.env?.['FACTEUR_IMAP_PASSWORD'];
  if (password) return { password };
  if (!io.isTTY) throw new UsageError('no password: --password-file, --password-stdin or --token-file');
  return { password: await askSecret(io, `Password of ${user} there: `) };
}
