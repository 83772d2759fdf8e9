import { parseDate } from '../../message/date.ts';

/**
 * The line before each message of an mbox (RFC 4155, appendix A):
 *
 *     From <addr-spec of the sender> <asctime, UTC>
 *
 * Programs differ in all of it but the first five octets: a zone before or after the year, `remote from`, no sender, a
 * date as in a header field. A line whose date can be read is one; times without a zone count as UTC.
 */

/** Longer lines are text. */
export const MAX_FROM_LINE = 1000;

/** Null: it has no date that could be read. */
export type FromDate = number | null;

const ASCTIME =
  /[ \t](Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) {1,2}(\d{1,2}) {1,2}(\d{1,2}):(\d\d)(?::(\d\d))?(?: ([A-Za-z]{1,5}|[+-]\d{4}))?(?: ([A-Za-z]{1,5}|[+-]\d{4}))? (\d{4}|\d\d(?!\d))(?: ([+-]\d{4}|[A-Z]{1,5})\b)?/;
const FIELD_DATE =
  /[ \t]\d{1,2}[ -](?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[ -]\d{2,4} \d{1,2}:\d\d(?::\d\d)?(?: [+-]\d{4}| [A-Z]{1,5}\b)?/;

/** @param line begins with `From `, without its line end */
export function fromLineDate(line: string): FromDate {
  const match = ASCTIME.exec(line);
  if (match) {
    const [, month, day, hour, minute, second = '00', one, two, year, after] = match;
    const zone = after ?? numeric(two) ?? numeric(one) ?? one ?? 'UTC';
    return parseDate(`${day} ${month} ${year} ${hour}:${minute}:${second} ${zone}`)?.ms ?? null;
  }
  const other = FIELD_DATE.exec(line);
  return other ? (parseDate(other[0])?.ms ?? null) : null;
}

function numeric(zone: string | undefined): string | undefined {
  return zone !== undefined && /^[+-]/.test(zone) ? zone : undefined;
}

const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'] as const;
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] as const;

/** @param sender as in Return-Path; one that cannot stand in the line is MAILER-DAEMON, as for the null path */
export function formatFromLine(sender: string, date: number): string {
  const at = new Date(date);
  const two = (value: number): string => String(value).padStart(2, '0');
  const time = `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}:${two(at.getUTCSeconds())}`;
  const day = String(at.getUTCDate()).padStart(2, ' ');
  const who = /^[\x21-\x7e]{1,320}$/.test(sender) ? sender : 'MAILER-DAEMON';
  const year = String(Math.min(Math.max(at.getUTCFullYear(), 0), 9999)).padStart(4, '0');
  return `From ${who} ${DAYS[at.getUTCDay()]} ${MONTHS[at.getUTCMonth()]} ${day} ${time} ${year}`;
}
