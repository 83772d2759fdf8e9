import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { verifyCrypt } from '../../src/directory/crypt/crypt.ts';
import { DirectoryError } from '../../src/directory/errors.ts';
import { Gate } from '../../src/directory/gate.ts';
import { checkPassword, generatePassword, Passwords } from '../../src/directory/password.ts';
import { isWeak, parseStoredHash } from '../../src/directory/stored-hash.ts';
import { CHEAP } from './memory-directory.ts';

const passwords = new Passwords(CHEAP);
afterAll(() => passwords.close());

/** Of "pässword 1", by other programs: Dovecot's doveadm, Python's hashlib. */
const FOREIGN: readonly string[] = [
  '{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$0u5tbXVxBqzQbqTmjgu4hw$S6GgkoxIy2unABttpjHET+8/XB9XRc4p1YIqLGNYCDQ',
  '{ARGON2I}$argon2i$v=19$m=32768,t=4,p=1$XkIcz62lcpz7MCqrtoRj2Q$xUJ6sUKh6zRZ7q18jr6QuPLthffaESZfs0mmmJPxgwY',
  '$argon2i$v=19$m=32768,t=4,p=1$XkIcz62lcpz7MCqrtoRj2Q$xUJ6sUKh6zRZ7q18jr6QuPLthffaESZfs0mmmJPxgwY',
  '{BLF-CRYPT}$2y$05$OCo0.i8Dn.TAmxqwFgLQa.3fabqgWJwijjQz6lKplZqhB1cW2.8H6',
  '{SHA512-CRYPT}$6$63G1NcMCa4LWTaMm$wTNu7n3yVVN00UTLlQhfl6cam9TU.Ys29LAZr/nGSQhk5MMZWsQx95rTNLOlSYUew/pPzqYtoQxqLMxJ.FiXv.',
  '{SHA256-CRYPT}$5$cwE38WXeNycx16iu$qNC6eCzeIX7He3M5mTP7nlvGeJ9m0LKzPXXsZ9cTRo9',
  '{MD5-CRYPT}$1$8A1OofgR$KmWeYVEWKdLjaSsAyeUYA.',
  '{SSHA}OetUeo9RBead+NSNrFmlTuD33gY+KVnb',
  '{SSHA256}TvqBptnhfbR9ykpvB1vdT+98T5rlo/y8v/c5yNwccgeTa7U6',
  '{SSHA512}2sqWmBsx/nycHSDHnhjF0QIfE1WvNp86EstDSXQrR9u3c398FBtBc20MA6tII2wGMiUziE9rZhUtOaWkLAF9IXvC3Tw=',
  '{SMD5}gMCWkSfJJcFpnOkx4vyhJ5y1iKg=',
  '{SHA}wBFJYYjnh5eS5Eft5JORpd7Gkko=',
  '{SHA256}f7RERuWhObO3oHciFhtpNCnGhD0FNBL7CyE3AkK4vbA=',
  '{SHA512}CKWQ1bFe+6HuV0fkV78KrhRH5bOjFVbkHBnd8vTWw2lc3YVFx8X2I6wtGQoVpZVuVsftC++RLO5GPIvd7H4Lyg==',
  '{PBKDF2}$1$3f19kZ5FbDyCT.B3$5000$2c7582c493aa84de91077799e3d72a9253256360',
  '{SCRAM-SHA-256}4096,X3x2JM8jjfnmrGt7axMbKw==,74NxR26JF1QSZhvfYkc/CVABlbXoQwcJTBNO53X5UgQ=,6HHXhyvLoMjvzneh0UbwQhpyL+J/vuGfhPxaI9BJkTM=',
  '{PLAIN-MD5}ee0a0fa09df7c1e10c13c2792a1c5fba',
  '{LDAP-MD5}7goPoJ33weEME8J5Khxfug==',
  '{SHA256.HEX}7fb44446e5a139b3b7a07722161b693429c6843d053412fb0b21370242b8bdb0',
  '{SSHA.HEX}55e3f6355739803bbf98b9ad6d5bb2010e0a9a8c6c8f5efa',
  '{CRYPT}$2y$05$WyrWas9Q0SStzt4Pk9jtvOW50jgMA2BveMlvi5CP6HQ8cwB1fLGsa',
  '{SCRYPT}$7$86..../....saltsaltsaltsaltsaltsaltsaltsaltsaltsaltsal$8c0FVNzFbHDOZzDcSiUkV93ojP1MNCF0w8LeEIazmc9',
  '{SCRYPT}$scrypt$ln=10,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$Ws+EMA53dfkcXDSWeQEwawxnFnuxhHhv4rghHhOMzzc',
  '{PBKDF2}$pbkdf2-sha256$1000$MDEyMzQ1Njc4OWFiY2RlZg$MQe6G4sNOgColz8I3bQ4N92RDQcjI4OwuyxebKzGtdI',
];

test.each(FOREIGN)('%s, made elsewhere, fits its password and no other', async (hash) => {
  expect(await passwords.verify(hash, 'pässword 1')).toBe(true);
  expect(await passwords.verify(hash, 'pässword 2')).toBe(false);
  expect(await passwords.verify(hash, '')).toBe(false);
});

/** By libxcrypt, at the edges: empty, block-sized and long passwords, short salts, rounds. */
const CRYPT: readonly (readonly [string, string])[] = [
  [
    'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',
    '$6$rounds=1400$anotherlongsalts$eXe/Z3riKrkUKpCaYA3yNYwqgxcWWLEZJeMgVUWhr9TpyXL0v4HDMbHw6IURi0o9B.Lfw3CAL1LicmbRpnG3R1',
  ],
  ['x', '$6$s$SBlV1TrR7m/.1RRLMAAvh/x6acOyBKfXVqXOixcaFNbUhqE84RFnq6y5mvfWTW8EA6yIr1RuWU8IRsKA/9jfE.'],
  ['', '$1$ab$rn6aQS/o7141mj179E/zA.'],
  [
    'ccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc',
    '$2b$04$abcdefghijklmnopqrstuuogRL5VQwGjcLu2sTFXkuj.Qf1F2dCtK',
  ],
  ['', '$2a$04$......................w74bL5gU7LSJClZClCa.Pkz14aTv/XO'],
  ['0123456789abcdef0123456789abcdef', '$5$rounds=1000$$.X.jnZcii5cGR9EB9u8u73QxEkJRbu2taS/6.t1wip.'],
  [
    'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb',
    '$1$abcdefgh$8kEDujb5GbfRQkKAhRDjv.',
  ],
];

test.each(CRYPT)('crypt(3) of %j', (password, hash) => {
  expect(verifyCrypt(password, hash)).toBe(true);
  expect(verifyCrypt(`x${password}`.slice(0, 60), hash)).toBe(password === `x${password}`.slice(0, 60));
});

test('the salt of a crypt hash matters', () => {
  const hash = '$5$cwE38WXeNycx16iu$qNC6eCzeIX7He3M5mTP7nlvGeJ9m0LKzPXXsZ9cTRo9';
  expect(verifyCrypt('pässword 1', hash)).toBe(true);
  expect(verifyCrypt('pässword 1', hash.replace('cwE3', 'cwE4'))).toBe(false);
});

describe('our own hashes', () => {
  test('are argon2id in PHC form, each with its own salt', async () => {
    const [a, b] = await Promise.all([passwords.hash('geheim'), passwords.hash('geheim')]);
    expect(a).toMatch(/^\$argon2id\$v=19\$m=64,t=1,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
    expect(a).not.toBe(b);
    expect(await passwords.verify(a ?? '', 'geheim')).toBe(true);
    expect(await passwords.verify(a ?? '', 'Geheim')).toBe(false);
  });

  test('cost 19 MiB and two passes by default', async () => {
    const serious = new Passwords();
    expect(await serious.hash('geheim')).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
    await serious.close();
  });

  test('do not depend on how the keyboard composes letters (RFC 4013 2.2)', async () => {
    const hash = await passwords.hash('caf\u00e9');
    expect(await passwords.verify(hash, 'cafe\u0301')).toBe(true);
  });

  test('take passwords that SASLprep refuses', async () => {
    const hash = await passwords.hash('\u0627\u0031');
    expect(await passwords.verify(hash, '\u0627\u0031')).toBe(true);
  });
});

test('weak is whatever we would not choose today', () => {
  const today = { memory: 19 * 1024, passes: 2 };
  const weak = FOREIGN.filter((hash) => isWeak(parseStoredHash(hash), today));
  expect(FOREIGN.filter((hash) => !weak.includes(hash))).toEqual([FOREIGN[0]]);
  const strong = '$scrypt$ln=15,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$Ws+EMA53dfkcXDSWeQEwawxnFnuxhHhv4rghHhOMzzc';
  expect(isWeak(parseStoredHash(strong), today)).toBe(false);
});

describe('what is no hash, or one that costs too much, is refused', () => {
  test.each([
    'geheim',
    '',
    '{DES-CRYPT}ab01FAX.bQRSU',
    '{NONSENSE}abc',
    '{SSHA}wBFJYYjnh5eS5Eft5JORpd7Gkko=', // no salt
    '{SHA256}wBFJYYjnh5eS5Eft5JORpd7Gkko=', // too short
    '{SHA}$2y$05$OCo0.i8Dn.TAmxqwFgLQa.3fabqgWJwijjQz6lKplZqhB1cW2.8H6',
    '{BLF-CRYPT}$6$63G1NcMCa4LWTaMm$x',
    '{BLF-CRYPT}$2y$31$OCo0.i8Dn.TAmxqwFgLQa.3fabqgWJwijjQz6lKplZqhB1cW2.8H6',
    '$2x$05$OCo0.i8Dn.TAmxqwFgLQa.3fabqgWJwijjQz6lKplZqhB1cW2.8H6',
    '$argon2id$v=19$m=99999999,t=3,p=1$0u5tbXVxBqzQbqTmjgu4hw$S6GgkoxIy2unABttpjHET+8/XB9XRc4p1YIqLGNYCDQ',
    '$argon2id$v=16$m=65536,t=3,p=1$0u5tbXVxBqzQbqTmjgu4hw$S6GgkoxIy2unABttpjHET+8/XB9XRc4p1YIqLGNYCDQ',
    '$argon2id$v=19$m=65536,t=9999,p=1$0u5tbXVxBqzQbqTmjgu4hw$S6GgkoxIy2unABttpjHET+8/XB9XRc4p1YIqLGNYCDQ',
    '$scrypt$ln=30,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$Ws+EMA53dfkcXDSWeQEwawxnFnuxhHhv4rghHhOMzzc',
    '$6$rounds=999999999$63G1NcMCa4LWTaMm$wTNu7n3yVVN00UTLlQhfl6cam9TU.Ys29LAZr/nGSQhk5MMZWsQx95rTNLOlSYUew/pPzqYtoQxqLMxJ.FiXv.',
    '{PBKDF2}$1$salt$99999999$2c7582c493aa84de91077799e3d72a9253256360',
    '$y$j9T$abc$def',
    `{SSHA}${'A'.repeat(2000)}`,
  ])('%s', (hash) => {
    expect(() => parseStoredHash(hash)).toThrow(DirectoryError);
    try {
      parseStoredHash(hash);
    } catch (error) {
      // A hash has no place in a message: it ends up in logs and tickets.
      if (hash.length > 20) expect(String(error)).not.toContain(hash.slice(-15));
    }
  });

  test('reading any text throws nothing but DirectoryError', () => {
    const start = fc.constantFrom(
      ...FOREIGN,
      '$',
      '{',
      '{CRYPT}',
      '$2y$',
      '$6$rounds=',
      '{SSHA}',
      '$argon2id$',
    );
    fc.assert(
      fc.property(start, fc.nat(120), fc.string({ unit: 'binary', maxLength: 40 }), (text, at, tail) => {
        try {
          parseStoredHash(text.slice(0, at) + tail);
        } catch (error) {
          expect(error).toBeInstanceOf(DirectoryError);
        }
      }),
    );
  });
});

test('an argon2 hash that was damaged is refused, not thrown at the client', async () => {
  await expect(passwords.verify('$argon2id$v=19$m=64', 'x')).rejects.toThrow(DirectoryError);
});

test('made-up passwords are long, all different, and easy to copy', () => {
  const many = new Set(Array.from({ length: 100 }, generatePassword));
  expect(many.size).toBe(100);
  for (const password of many) expect(password).toMatch(/^([a-km-np-z2-9]{4}-){4}[a-km-np-z2-9]{4}$/);
});

test.each(['', 'a\0b', 'line\nend', 'x'.repeat(1025)])('the password %j cannot be set', (password) => {
  expect(() => checkPassword(password)).toThrow(DirectoryError);
});

describe('the gate', () => {
  test('lets only so many in, in order, and refuses a crowd', async () => {
    const gate = new Gate(2, 2);
    const order: number[] = [];
    const doors: (() => void)[] = [];
    const task = (n: number) => () =>
      new Promise<void>((resolve) => {
        order.push(n);
        doors.push(resolve);
      });
    const running = [1, 2, 3, 4].map((n) => gate.run(task(n)));
    await expect(gate.run(task(5))).rejects.toMatchObject({ kind: 'busy' });
    expect(order).toEqual([1, 2]);
    doors[1]?.();
    await running[1];
    expect(order).toEqual([1, 2, 3]);
    doors[0]?.();
    await running[0];
    doors[2]?.();
    doors[3]?.();
    await Promise.all(running);
    expect(order).toEqual([1, 2, 3, 4]);
  });

  test('gives its place back when a task fails', async () => {
    const gate = new Gate(1, 1);
    await expect(gate.run(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
    await expect(gate.run(async () => 'yes')).resolves.toBe('yes');
  });
});
