import { decodeModifiedUtf7, encodeModifiedUtf7 } from '../../mail/modified-utf7.ts';
import { parsePath } from '../mailbox-path.ts';
import { readOptional, writeDurably } from './disk.ts';

/**
 * The account's subscriptions: the file `subscriptions` in the Maildir, as Dovecot keeps it. Version 2 is written: a
 * line `V<TAB>2`, an empty line, then one mailbox a line, its levels separated by TAB and each in modified UTF-7, with
 * Dovecot's escapes for control characters (which no name of ours has). Version 1, one name a line with '.' between
 * the levels, is read too. Names that we could not address are kept as they are.
 */
export const SUBSCRIPTIONS_FILE = 'subscriptions';
const HEADER = 'V\t2\n\n';
/** A client could subscribe to names without end (RFC 9051 6.3.7 lets them not exist). */
export const MAX_SUBSCRIPTIONS = 50_000;

export interface Subscriptions {
  readonly paths: Set<string>;
  /** Lines of version 2 that are not names of ours. */
  readonly strange: readonly string[];
}

export function readSubscriptions(maildir: string): Subscriptions {
  const text = readOptional(`${maildir}/${SUBSCRIPTIONS_FILE}`)?.toString('utf8') ?? '';
  const second = text.startsWith('V\t2\n');
  const separator = second ? '\t' : '.';
  const paths = new Set<string>();
  const strange: string[] = [];
  for (const line of text.split('\n').slice(second ? 1 : 0)) {
    if (line === '') continue;
    const parts = line.split(separator).map((part) => decodeModifiedUtf7(part, '.') ?? part);
    try {
      paths.add(parsePath(parts.join('/')));
    } catch {
      strange.push(line.replaceAll(separator, '\t'));
    }
  }
  return { paths, strange };
}

export function writeSubscriptions(maildir: string, { paths, strange }: Subscriptions): void {
  const lines = [...paths].sort().map((path) => path.split('/').map(encodeModifiedUtf7).join('\t'));
  writeDurably(
    maildir,
    SUBSCRIPTIONS_FILE,
    HEADER + [...lines, ...strange].map((line) => `${line}\n`).join(''),
  );
}
