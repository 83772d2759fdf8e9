import { scriptAddress } from './script-address.ts';

/** mailto: URIs (RFC 6068), as notifications use them (RFC 5436 2.1). */

/** Each recipient perhaps with a name. */
export interface Mailto {
  readonly to: readonly string[];
  readonly cc: readonly string[];
  readonly bcc: readonly string[];
  readonly subject: string | null;
  readonly body: string | null;
  /** Others, in their order; names in lower case. */
  readonly fields: readonly { readonly name: string; readonly value: string }[];
}

/** RFC 5436 2.3 and RFC 6068 4: what no URI may set. */
const UNSAFE = new Set([
  ...['from', 'sender', 'date', 'message-id', 'received', 'auto-submitted', 'return-path', 'reply-to'],
  ...['resent-from', 'resent-sender', 'resent-to', 'resent-cc', 'resent-bcc', 'resent-date', 'resent-msg-id'],
]);
/** RFC 5436 2.7: so many are enough for anybody's notifications. */
const MAX_RECIPIENTS = 8;

/** Why a URI cannot be used; undefined: it can. */
export function mailtoProblem(uri: string): string | undefined {
  const parsed = parseMailto(uri);
  return typeof parsed === 'string' ? parsed : undefined;
}

/** @returns a string that says what is wrong with it */
export function parseMailto(uri: string): Mailto | string {
  const match = /^mailto:([^?#]*)(?:\?([^#]*))?$/i.exec(uri);
  if (!match) return 'this is no mailto URI';
  const to: string[] = [];
  const others = { to, cc: [] as string[], bcc: [] as string[] };
  const texts = { subject: null as string | null, body: null as string | null };
  const fields: { name: string; value: string }[] = [];
  const wrong = addAddresses(match[1] ?? '', to);
  if (wrong !== undefined) return wrong;
  for (const pair of (match[2] ?? '').split('&').filter((one) => one !== '')) {
    const equals = pair.indexOf('=');
    const name = decoded(pair.slice(0, Math.max(0, equals)))?.toLowerCase();
    const value = decoded(pair.slice(equals + 1));
    if (equals < 1 || name === undefined || value === undefined) return `${pair} is no header field`;
    if (!/^[!-9;-~]+$/.test(name)) return `${name} is no name of a header field`;
    if (name !== 'body' && /[\r\n]/.test(value)) return `the field ${name} has line ends in it`;
    if (name === 'to' || name === 'cc' || name === 'bcc') {
      const bad = addAddresses(pair.slice(equals + 1), others[name]);
      if (bad !== undefined) return bad;
    } else if (name === 'subject' || name === 'body') texts[name] = value;
    else if (!UNSAFE.has(name)) fields.push({ name, value });
  }
  const count = to.length + others.cc.length + others.bcc.length;
  if (count === 0) return 'it names no recipient';
  if (count > MAX_RECIPIENTS) return `it names more than ${MAX_RECIPIENTS} recipients`;
  return { ...others, ...texts, fields };
}

/** RFC 6068 2 has a comma between addresses; many encode that, too. */
function addAddresses(text: string, to: string[]): string | undefined {
  const list = decoded(text);
  if (list === undefined) return `${text} is no list of addresses`;
  for (const item of list.split(/,(?![^"]*"@)/).filter((one) => one.trim() !== '')) {
    const address = scriptAddress(item);
    if (address === undefined) return `${item} is no address`;
    if (!to.some((other) => scriptAddress(other)?.toLowerCase() === address.toLowerCase()))
      to.push(item.trim());
  }
  return undefined;
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    // Not percent-encoded UTF-8.
    return undefined;
  }
}
