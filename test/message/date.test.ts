import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatDate, formatInternalDate, parseDate, parseInternalDate } from '../../src/message/date.ts';

const at = (value: string): string | undefined => {
  const date = parseDate(value);
  return date && `${new Date(date.ms).toISOString().slice(0, 19)} ${date.zoneMinutes}`;
};

describe('parseDate', () => {
  test.each<[string, string]>([
    ['Fri, 21 Nov 1997 09:55:06 -0600', '1997-11-21T15:55:06 -360'],
    ['21 Nov 97 09:55:06 GMT', '1997-11-21T09:55:06 0'],
    [
      'Thu,\r\n      13\r\n        Feb\r\n          1969\r\n      23:32\r\n               -0330 (Newfoundland Time)',
      '1969-02-14T03:02:00 -210',
    ],
    ['Fri, 21 Nov 1997 09(comment):   55  :  06 -0600', '1997-11-21T15:55:06 -360'],
    ['1 Jan 49 00:00:00 +0000', '2049-01-01T00:00:00 0'],
    ['1 Jan 50 00:00:00 +0000', '1950-01-01T00:00:00 0'],
    ['1 Jan 102 00:00:00 +0000', '2002-01-01T00:00:00 0'],
    ['1 Jan 2001 00:00:00 EST', '2001-01-01T05:00:00 -300'],
    ['1 Jan 2001 00:00:00 PDT', '2001-01-01T07:00:00 -420'],
    ['1 Jan 2001 00:00:00 A', '2001-01-01T00:00:00 0'],
    ['1 Jan 2001 00:00:00 UT', '2001-01-01T00:00:00 0'],
    ['31 Dec 2016 23:59:60 +0000', '2016-12-31T23:59:59 0'],
  ])('RFC 5322 3.3 and 4.3: %j', (value, expected) => {
    expect(at(value)).toBe(expected);
  });

  test.each<[string, string]>([
    ['Thu Aug 22 13:52:38 2002', '2002-08-22T13:52:38 0'],
    ['Thu Aug 22 13:52:38 EDT 2002', '2002-08-22T17:52:38 -240'],
    ['22-Aug-2002 13:52:38 +0100', '2002-08-22T12:52:38 60'],
    ['Thu, 22 August 2002 13:52:38 GMT+0200', '2002-08-22T11:52:38 120'],
    ['Thu, 22 Aug 2002 13:52:38 +02:00', '2002-08-22T11:52:38 120'],
    ['Thu, 22 Aug 2002 1:52:38 PM +0000', '2002-08-22T01:52:38 0'],
    ['Thu, 22 Aug 2002', '2002-08-22T00:00:00 0'],
    ['22 Aug 2002 13.52.38 +0000', '2002-08-22T13:52:38 0'],
  ])('as mail has it: %j', (value, expected) => {
    expect(at(value)).toBe(expected);
  });

  test.each([
    '',
    'yesterday',
    '31 Apr 2002 00:00:00 +0000',
    '1 Jan 2002 24:61:00 +0000',
    '1 Jan',
    '0 Jan 2002',
    '99999 Jan 12',
  ])('no date: %j', (value) => {
    expect(parseDate(value)).toBeUndefined();
  });

  test('reads what formatDate writes (RFC 5322 3.3)', () => {
    expect(formatDate(Date.UTC(2002, 7, 2, 12, 52, 38), 60)).toBe('Fri, 2 Aug 2002 13:52:38 +0100');
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 4e9 }),
        fc.integer({ min: -720, max: 840 }),
        (seconds, zoneMinutes) => {
          const date = { ms: seconds * 1000, zoneMinutes };
          expect(parseDate(formatDate(date.ms, zoneMinutes))).toEqual(date);
        },
      ),
    );
  });

  test('any text is a date or none', () => {
    fc.assert(
      fc.property(fc.string(), (value) => {
        const date = parseDate(`1 Jan ${value}`);
        if (date) expect(Number.isSafeInteger(date.ms)).toBe(true);
      }),
    );
    expect(parseDate('1 '.repeat(1_000_000))).toBeUndefined();
  });
});

describe('INTERNALDATE (RFC 9051 9, date-time)', () => {
  test('one digit days have a blank before them', () => {
    expect(formatInternalDate(Date.UTC(2002, 7, 2, 12, 52, 38), -90)).toBe(' 2-Aug-2002 11:22:38 -0130');
  });

  test('reads what it writes, and the other way round', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 4e9 }),
        fc.integer({ min: -1439, max: 1439 }),
        (seconds, zoneMinutes) => {
          const text = formatInternalDate(seconds * 1000, zoneMinutes);
          expect(parseInternalDate(text)).toEqual({ ms: seconds * 1000, zoneMinutes });
        },
      ),
    );
  });

  test.each([
    '2-Aug-2002 11:22:38 +0000',
    '02-Aug-2002 11:22:38',
    '02-Foo-2002 11:22:38 +0000',
    '31-Apr-2002 11:22:38 +0000',
    '02-Aug-2002 25:22:38 +0000',
    '02-Aug-2002 11:22:38 +0060',
    '02-Aug-2002 11:22:38 +2400',
    '',
  ])('none: %j', (text) => {
    expect(parseInternalDate(text)).toBeUndefined();
  });
});
