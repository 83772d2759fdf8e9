import { byteString, fields } from '../../message/header.ts';
import type { Flag } from '../../store/store.ts';

/**
 * What an mbox says of a message in header fields of its own: Status (`R` read, `O` seen by a program), X-Status
 * (`A` answered, `F` flagged, `T` draft, `D` deleted), X-Keywords, X-UID, X-IMAPbase, Thunderbird's X-Mozilla-Status
 * and X-Mozilla-Keys. When mail comes in they become flags and are taken out, as Dovecot does.
 *
 * We write them before the message's own fields. A message that has such fields itself, or begins with a line that
 * would be read as the rest of ours, gets one more in front, `X-Mbox-Fields: <n>`: the n lines after it are the mbox's,
 * all others the message's. So it comes back as it was.
 */
export interface MboxStatus {
  readonly flags: readonly Flag[];
  /** Thunderbird has deleted it, and not yet made the file smaller. */
  readonly expunged: boolean;
  /** UW imapd's and Pine's message that is none. */
  readonly internal: boolean;
}

const OURS = 'X-Mbox-Fields';
const NAMES = new Set([
  'status',
  'x-status',
  'x-keywords',
  'x-uid',
  'x-imap',
  'x-imapbase',
  'x-mozilla-status',
  'x-mozilla-status2',
  'x-mozilla-keys',
]);
const LENGTH = 'content-length';
/** Any of them: most messages have none, and cost one look. */
const ANY =
  /^(?:X-)?(?:Status|Keywords|UID|IMAP|IMAPbase|Mozilla-(?:Status2?|Keys)|Mbox-Fields|Content-Length)[ \t]*:/im;

const STATUS: ReadonlyMap<string, Flag> = new Map([['R', '\\Seen']]);
const X_STATUS: ReadonlyMap<string, Flag> = new Map([
  ['A', '\\Answered'],
  ['F', '\\Flagged'],
  ['T', '\\Draft'],
  ['D', '\\Deleted'],
]);
/** Bits of X-Mozilla-Status. */
const MOZILLA: readonly (readonly [number, Flag])[] = [
  [0x0001, '\\Seen'],
  [0x0002, '\\Answered'],
  [0x0004, '\\Flagged'],
];
const MOZILLA_EXPUNGED = 0x0008;
const MOZILLA_FORWARDED = 0x1000;

export interface TakenOut {
  readonly status: MboxStatus;
  /** The header without the mbox's fields. */
  readonly header: Buffer;
}

/**
 * @param header up to the empty line
 * @param length whether Content-Length is the mbox's
 */
export function takeStatus(
  header: Buffer,
  { fields: mode, length }: { readonly fields: 'strip' | 'keep'; readonly length: boolean },
): TakenOut {
  const text = byteString(header);
  if (!ANY.test(text)) return { status: { flags: [], expunged: false, internal: false }, header };
  const block = ownBlock(text);
  const from = block ? block.start : 0;
  const to = block ? block.end : text.length;
  const found = new Map<string, string>();
  let kept = '';
  let lengths = 0;
  let at = 0;
  for (const field of fields(text.slice(from, to))) {
    const mine = NAMES.has(field.name) || (length && field.name === LENGTH && lengths++ === 0);
    if (!mine) continue;
    found.set(field.name, `${found.get(field.name) ?? ''} ${field.value}`);
    kept += text.slice(at, field.start);
    at = field.end;
  }
  kept = block ? text.slice(to) : kept + text.slice(at);
  const internal = found.has('x-imap') && /^Subject:.*FOLDER INTERNAL DATA/im.test(text);
  const status = { ...statusOf(found), internal };
  return { status, header: mode === 'keep' && !block ? header : Buffer.from(kept, 'latin1') };
}

/** Where our own fields stand, when we said so. */
function ownBlock(text: string): { readonly start: number; readonly end: number } | null {
  const match = /^X-Mbox-Fields: (\d{1,2})\r?\n/.exec(text);
  if (!match) return null;
  const start = match[0].length;
  let end = start;
  for (let line = Number(match[1]); line > 0; line--) {
    const lf = text.indexOf('\n', end);
    if (lf < 0) return null;
    end = lf + 1;
  }
  return { start, end };
}

function statusOf(found: ReadonlyMap<string, string>): Omit<MboxStatus, 'internal'> {
  const flags = new Set<Flag>();
  const letters = (name: string, meanings: ReadonlyMap<string, Flag>): void => {
    for (const letter of found.get(name) ?? '') {
      const flag = meanings.get(letter);
      if (flag !== undefined) flags.add(flag);
    }
  };
  letters('status', STATUS);
  letters('x-status', X_STATUS);
  for (const name of ['x-keywords', 'x-mozilla-keys'])
    for (const word of (found.get(name) ?? '').split(/\s+/)) if (word !== '') flags.add(word);
  const mozilla = Number.parseInt(found.get('x-mozilla-status')?.trim() ?? '0', 16) || 0;
  for (const [bit, flag] of MOZILLA) if (mozilla & bit) flags.add(flag);
  if (mozilla & MOZILLA_FORWARDED) flags.add('$Forwarded');
  return { flags: [...flags], expunged: (mozilla & MOZILLA_EXPUNGED) !== 0 };
}

/** The fields for a message that goes into an mbox. @param lineEnd of this message in the file */
export function statusFields(
  header: Buffer,
  flags: readonly Flag[],
  length: number | null,
  lineEnd: '\n' | '\r\n',
): Buffer {
  const has = (flag: Flag): boolean => flags.some((other) => other.toLowerCase() === flag.toLowerCase());
  const marks = [...X_STATUS].flatMap(([letter, flag]) => (has(flag) ? [letter] : []));
  const keywords = flags.filter((flag) => !flag.startsWith('\\'));
  const lines = [
    ...(length === null ? [] : [`Content-Length: ${length}`]),
    `Status: ${has('\\Seen') ? 'RO' : 'O'}`,
    ...(marks.length > 0 ? [`X-Status: ${marks.join('')}`] : []),
    ...(keywords.length > 0 ? [`X-Keywords: ${keywords.join(' ')}`] : []),
  ];
  const text = byteString(header);
  if (/^[ \t]/.test(text) || ANY.test(text)) lines.unshift(`${OURS}: ${lines.length}`);
  return Buffer.from(lines.map((line) => `${line}${lineEnd}`).join(''), 'latin1');
}
