import { formatDate, parseDate, type ZonedDate } from '../../message/date.ts';
import type { Bound } from '../bound.ts';
import type { Compiler } from '../compile.ts';
import type { Extension } from '../extension.ts';
import { chosenFields, isFieldName } from '../fields.ts';
import type { Run } from '../run.ts';

/** RFC 5260 4 and 5. */

const ZONE = /^([+-])(\d{2})(\d{2})$/;

export const date: Extension = {
  name: 'date',
  source: 'RFC 5260',
  tests: {
    date: {
      takes: ['match', 'index', 'mime'],
      tags: { zone: { group: 'zone', value: 'string' }, originalzone: { group: 'zone' } },
      arguments: ['string', 'string', 'strings'],
      compile(bound, compiler) {
        const [name, part] = bound.args;
        if (typeof name === 'string' && !isFieldName(name))
          compiler.error(bound.at, `there can be no header field ${JSON.stringify(name)}`);
        if (bound.tags.has('last') && !bound.tags.has('index'))
          compiler.error(bound.at, ':last needs :index');
        check(bound, part, compiler);
      },
      async check(bound, run) {
        const fields = await chosenFields(bound, run, [run.text(bound.args[0])]);
        const values = fields.flatMap(({ value }) => {
          // RFC 5260 4: of a field with more in it, what stands behind the last semicolon.
          const parsed = parseDate(value.slice(value.lastIndexOf(';') + 1));
          return parsed ? datePart(zoned(bound, run, parsed), run.text(bound.args[1])) : [];
        });
        return run.match(bound, values, run.texts(bound.args[2]));
      },
    },
    currentdate: {
      takes: ['match'],
      tags: { zone: { group: 'zone', value: 'string' } },
      arguments: ['string', 'strings'],
      compile: (bound, compiler) => check(bound, bound.args[0], compiler),
      check(bound, run) {
        const now = { ms: run.host.now.getTime(), zoneMinutes: run.host.zoneMinutesAt(run.host.now) };
        return run.match(
          bound,
          datePart(zoned(bound, run, now), run.text(bound.args[0])),
          run.texts(bound.args[1]),
        );
      },
    },
  },
};

const PARTS: Readonly<Record<string, (local: Date, zoneMinutes: number, ms: number) => string>> = {
  year: (local) => local.toISOString().slice(0, 4),
  month: (local) => local.toISOString().slice(5, 7),
  day: (local) => local.toISOString().slice(8, 10),
  date: (local) => local.toISOString().slice(0, 10),
  // RFC 5260 4.2: days since 17 November 1858.
  julian: (local) => String(Math.floor(local.getTime() / 86_400_000) + 40_587),
  hour: (local) => local.toISOString().slice(11, 13),
  minute: (local) => local.toISOString().slice(14, 16),
  second: (local) => local.toISOString().slice(17, 19),
  time: (local) => local.toISOString().slice(11, 19),
  iso8601: (local, zone) => local.toISOString().slice(0, 19) + (zone === 0 ? 'Z' : zoneText(zone, ':')),
  std11: (_local, zone, ms) => formatDate(ms, zone),
  zone: (_local, zone) => zoneText(zone, ''),
  weekday: (local) => String(local.getUTCDay()),
};

function check(bound: Bound, part: Bound['args'][number], compiler: Compiler): void {
  if (typeof part === 'string' && !Object.hasOwn(PARTS, part.toLowerCase()))
    compiler.error(
      bound.at,
      `there is no date part ${JSON.stringify(part)}: ${Object.keys(PARTS).join(', ')}`,
    );
  const zone = bound.tags.get('zone');
  if (typeof zone === 'string' && !ZONE.test(zone))
    compiler.error(bound.at, `${JSON.stringify(zone)} is no time zone; it looks like +0100`);
}

function zoned(bound: Bound, run: Run, { ms, zoneMinutes }: ZonedDate): ZonedDate {
  if (bound.tags.has('originalzone')) return { ms, zoneMinutes };
  const wanted = ZONE.exec(run.text(bound.tags.get('zone')));
  if (!wanted) return { ms, zoneMinutes: run.host.zoneMinutesAt(new Date(ms)) };
  const [, sign, hours, minutes] = wanted;
  return { ms, zoneMinutes: (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) };
}

function datePart({ ms, zoneMinutes }: ZonedDate, part: string): string[] {
  const name = part.toLowerCase();
  const local = new Date(ms + zoneMinutes * 60_000);
  if (Number.isNaN(local.getTime()) || local.getUTCFullYear() > 9999 || local.getUTCFullYear() < 0) return [];
  const show = Object.hasOwn(PARTS, name) ? PARTS[name] : undefined;
  return show ? [show(local, zoneMinutes, ms)] : [];
}

function zoneText(minutes: number, colon: string): string {
  const whole = Math.abs(minutes);
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${minutes < 0 ? '-' : '+'}${two(Math.floor(whole / 60))}${colon}${two(whole % 60)}`;
}
