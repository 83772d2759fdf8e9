import type { Envelope, NotifyCondition } from '../mail/envelope.ts';
import { SmtpError } from '../mail/reply.ts';

/**
 * The ESMTP parameters of MAIL and RCPT. Each at most once; what is not known is 555 (RFC 5321 4.1.1.11), what is
 * known but malformed is 501. Decoded values hold no control characters: they go into reports and logs.
 */
export interface MailParameters {
  /** SIZE (RFC 1870); undefined when nothing was said. */
  readonly size?: number;
  readonly body: Envelope['body'];
  readonly smtputf8: boolean;
  readonly requireTls: boolean;
  readonly ret?: 'full' | 'hdrs';
  readonly envid?: string;
}

export interface RcptParameters {
  readonly notify?: readonly NotifyCondition[];
  readonly orcpt?: string;
}

/** RFC 3461 4.4. */
const MAX_ENVID = 100;
/** RFC 3461 4.2. */
const MAX_ORCPT = 500;

/** @param requireTls whether REQUIRETLS was announced: only under TLS (RFC 8689 3). */
export function parseMailParameters(
  items: readonly string[],
  announced: { readonly requireTls: boolean },
): MailParameters {
  const result: { -readonly [K in keyof MailParameters]: MailParameters[K] } = {
    body: '7bit',
    smtputf8: false,
    requireTls: false,
  };
  for (const [keyword, value] of keywords(items)) {
    switch (keyword) {
      case 'SIZE':
        if (!/^\d{1,20}$/.test(value ?? '')) throw malformed(keyword);
        result.size = Number(value);
        break;
      case 'BODY':
        result.body = bodyType(value);
        break;
      case 'SMTPUTF8':
        if (value !== undefined) throw malformed(keyword);
        result.smtputf8 = true;
        break;
      case 'REQUIRETLS':
        if (!announced.requireTls) throw unknown(keyword);
        if (value !== undefined) throw malformed(keyword);
        result.requireTls = true;
        break;
      case 'RET':
        if (!/^(?:FULL|HDRS)$/i.test(value ?? '')) throw malformed(keyword);
        result.ret = value?.toUpperCase() === 'FULL' ? 'full' : 'hdrs';
        break;
      case 'ENVID':
        result.envid = xtext(keyword, value, MAX_ENVID, 'ascii');
        break;
      case 'AUTH':
        // Who wrote it, in the words of a server we have no reason to trust (RFC 4954 5): taken as `<>`.
        xtext(keyword, value, MAX_ORCPT, 'ascii');
        break;
      default:
        throw unknown(keyword);
    }
  }
  return result;
}

export function parseRcptParameters(items: readonly string[]): RcptParameters {
  const result: { -readonly [K in keyof RcptParameters]: RcptParameters[K] } = {};
  for (const [keyword, value] of keywords(items)) {
    switch (keyword) {
      case 'NOTIFY':
        result.notify = notify(value);
        break;
      case 'ORCPT':
        result.orcpt = xtext(keyword, value, MAX_ORCPT, 'utf-8');
        if (!/^[A-Za-z0-9-]+;./.test(result.orcpt)) throw malformed(keyword);
        break;
      default:
        throw unknown(keyword);
    }
  }
  return result;
}

function keywords(items: readonly string[]): Map<string, string | undefined> {
  const result = new Map<string, string | undefined>();
  for (const item of items) {
    const equals = item.indexOf('=');
    const keyword = (equals < 0 ? item : item.slice(0, equals)).toUpperCase();
    if (!/^[A-Z0-9][A-Z0-9-]*$/.test(keyword)) throw new SmtpError(501, '5.5.4', 'Bad parameter syntax');
    if (result.has(keyword)) throw new SmtpError(501, '5.5.4', `Duplicate parameter ${keyword}`);
    result.set(keyword, equals < 0 ? undefined : item.slice(equals + 1));
  }
  return result;
}

function bodyType(value: string | undefined): Envelope['body'] {
  switch (value?.toUpperCase()) {
    case '7BIT':
      return '7bit';
    case '8BITMIME':
      return '8bitmime';
    case 'BINARYMIME':
      return 'binarymime';
    default:
      throw malformed('BODY');
  }
}

/** NEVER stands alone (RFC 3461 4.1); it is the empty list. */
function notify(value: string | undefined): readonly NotifyCondition[] {
  const words = (value ?? '').toLowerCase().split(',');
  if (words.length === 1 && words[0] === 'never') return [];
  return words.map((word) => {
    if (word === 'success' || word === 'failure' || word === 'delay') return word;
    throw malformed('NOTIFY');
  });
}

const XTEXT = {
  ascii: /^(?:[!-*,-~]|\+[0-9A-F]{2})+$/,
  'utf-8': /^(?:[!-*,-~\u0080-\u{10ffff}]|\+[0-9A-F]{2})+$/u,
} as const;

/** RFC 3461 4: `+` and two upper case hexadecimal digits for one character. UTF-8 for RFC 6533's addresses. */
function xtext(
  keyword: string,
  value: string | undefined,
  max: number,
  alphabet: keyof typeof XTEXT,
): string {
  if (!value || value.length > max || !XTEXT[alphabet].test(value)) throw malformed(keyword);
  const octets = value.replace(/\+([0-9A-F]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they would end a line of a report.
  if (/[\x00-\x1f\x7f-\x9f]/.test(octets)) throw malformed(keyword);
  return octets;
}

function malformed(keyword: string): SmtpError {
  return new SmtpError(501, '5.5.4', `Bad value of parameter ${keyword}`);
}

function unknown(keyword: string): SmtpError {
  return new SmtpError(555, '5.5.4', `Unsupported parameter ${keyword.slice(0, 32)}`);
}
