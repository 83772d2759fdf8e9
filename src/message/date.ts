/** Dates of header fields (RFC 5322 3.3 and 4.3) and of IMAP's INTERNALDATE (RFC 9051 9, date-time). */

export interface ZonedDate {
  /** Milliseconds since the epoch. */
  readonly ms: number;
  /** East of UTC. */
  readonly zoneMinutes: number;
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] as const;
const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'] as const;

/** No date is longer; the rest is comment and junk. */
const MAX_DATE = 200;

/** Hours of RFC 5322 4.3. All others, the military letters among them, say nothing and count as UTC. */
const ZONES: ReadonlyMap<string, number> = new Map([
  ['EST', -5],
  ['EDT', -4],
  ['CST', -6],
  ['CDT', -5],
  ['MST', -7],
  ['MDT', -6],
  ['PST', -8],
  ['PDT', -7],
]);

const TIME = /^(\d{1,2})[:.](\d{1,2})(?:[:.](\d{1,2}))?(?:\.\d+)?(am|pm)?$/i;
const OFFSET = /^(?:GMT|UTC?)?([+-])(\d{1,2}):?(\d{2})$/i;

/**
 * Reads a date in any order in which a day, a month's name, a year, a time and a zone are met, as old and broken
 * programs write it; two-digit years by RFC 5322 4.3, no zone is UTC.
 * @returns undefined when it is no date.
 */
export function parseDate(value: string): ZonedDate | undefined {
  let day: number | undefined;
  let month: number | undefined;
  let year: number | undefined;
  let time: readonly [number, number, number] | undefined;
  let zoneMinutes: number | undefined;
  for (const word of words(value)) {
    const clock = time === undefined ? TIME.exec(word) : null;
    const offset = time === undefined || zoneMinutes !== undefined ? null : OFFSET.exec(word);
    if (clock) time = timeOf(clock);
    else if (offset) zoneMinutes = offsetOf(offset);
    else if (/^\d+$/.test(word)) {
      if (day === undefined && word.length <= 2) day = Number(word);
      else year ??= yearOf(word);
    } else if (month === undefined && monthOf(word) >= 0) month = monthOf(word);
    else if (time !== undefined) zoneMinutes ??= hoursOf(word);
  }
  if (day === undefined || month === undefined || year === undefined) return undefined;
  return zoned(year, month, day, time ?? [0, 0, 0], zoneMinutes ?? 0);
}

function words(value: string): string[] {
  return (
    value
      .slice(0, MAX_DATE)
      .replace(/\([^()]*\)?/g, ' ')
      .replace(/\s*:\s*/g, ':')
      // 22-Aug-2002, but not the sign of a zone.
      .replace(/(\d)[-/](?=[A-Za-z])|([A-Za-z])[-/](?=\d{2,4}(?!\d))/g, (_, a?: string, b?: string) =>
        /^[A-Za-z]$/.test(b ?? '') ? `${b} ` : `${a} `,
      )
      .split(/[\s,]+/)
      .filter((word) => word !== '')
  );
}

function timeOf([, hours, minutes, seconds = '0', half]: RegExpExecArray): readonly [number, number, number] {
  const hour = half === undefined ? Number(hours) : (Number(hours) % 12) + (/p/i.test(half) ? 12 : 0);
  return [hour, Number(minutes), Number(seconds)];
}

function offsetOf([, sign, hours, minutes]: RegExpExecArray): number {
  const total = Number(hours) * 60 + Number(minutes);
  // No place on Earth is farther than 14 hours; RFC 5322 allows any four digits.
  if (total >= 24 * 60) return 0;
  return sign === '-' ? -total : total;
}

function hoursOf(word: string): number | undefined {
  if (!/^[a-z]{1,5}$/i.test(word) || /^[ap]m$/i.test(word)) return undefined;
  return (ZONES.get(word.toUpperCase()) ?? 0) * 60;
}

function monthOf(word: string): number {
  const name = word.slice(0, 3).toLowerCase();
  return MONTHS.findIndex((month) => month.toLowerCase() === name);
}

/** RFC 5322 4.3: 00 to 49 are of this century, 50 to 999 count from 1900. */
function yearOf(digits: string): number | undefined {
  const year = Number(digits);
  if (digits.length > 4) return undefined;
  if (digits.length === 4) return year;
  return digits.length <= 2 && year < 50 ? 2000 + year : 1900 + year;
}

/** undefined for what is on no calendar: 31 April, 24:61. A leap second is the second before it. */
function zoned(
  year: number,
  month: number,
  day: number,
  [hours, minutes, seconds]: readonly [number, number, number],
  zoneMinutes: number,
): ZonedDate | undefined {
  if (day < 1 || hours > 23 || minutes > 59 || seconds > 60 || year < 1) return undefined;
  const date = new Date(0);
  date.setUTCFullYear(year, month, day);
  if (date.getUTCDate() !== day) return undefined;
  date.setUTCHours(hours, minutes, Math.min(seconds, 59));
  return { ms: date.getTime() - zoneMinutes * 60_000, zoneMinutes };
}

/** `Thu, 22 Aug 2002 13:52:38 +0100` (RFC 5322 3.3). */
export function formatDate(ms: number, zoneMinutes: number): string {
  const local = new Date(ms + zoneMinutes * 60_000);
  const date = `${local.getUTCDate()} ${MONTHS[local.getUTCMonth()]} ${two(local.getUTCFullYear(), 4)}`;
  return `${DAYS[local.getUTCDay()]}, ${date} ${clockOf(local)} ${formatZone(zoneMinutes)}`;
}

/** `22-Aug-2002 13:52:38 +0100`, the day with a blank before a single digit (RFC 9051 9: date-day-fixed). */
export function formatInternalDate(ms: number, zoneMinutes: number): string {
  const local = new Date(ms + zoneMinutes * 60_000);
  const day = String(local.getUTCDate()).padStart(2, ' ');
  const date = `${day}-${MONTHS[local.getUTCMonth()]}-${two(local.getUTCFullYear(), 4)}`;
  return `${date} ${clockOf(local)} ${formatZone(zoneMinutes)}`;
}

const INTERNAL_DATE = /^( \d|\d{2})-([A-Za-z]{3})-(\d{4}) (\d{2}):(\d{2}):(\d{2}) ([+-])(\d{2})(\d{2})$/;

/** The text between the quotes of IMAP's date-time, exactly; undefined when it is none. */
export function parseInternalDate(text: string): ZonedDate | undefined {
  const match = INTERNAL_DATE.exec(text);
  if (match === null) return undefined;
  const [, day = '', monthName = '', year, hours, minutes, seconds, sign = '', zoneHours, zoneMinutes] =
    match;
  const month = monthOf(monthName);
  const zone = Number(zoneHours) * 60 + Number(zoneMinutes);
  if (month < 0 || Number(zoneMinutes) > 59 || zone >= 24 * 60) return undefined;
  const time = [Number(hours), Number(minutes), Number(seconds)] as const;
  return zoned(Number(year), month, Number(day), time, sign === '-' ? -zone : zone);
}

function clockOf(date: Date): string {
  return [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()].map((n) => two(n)).join(':');
}

function formatZone(zoneMinutes: number): string {
  const minutes = Math.abs(zoneMinutes);
  return `${zoneMinutes < 0 ? '-' : '+'}${two(Math.trunc(minutes / 60))}${two(minutes % 60)}`;
}

function two(value: number, digits = 2): string {
  return String(value).padStart(digits, '0');
}
