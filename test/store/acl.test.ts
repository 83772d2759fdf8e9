import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Acl,
  type AclChange,
  changedAcl,
  formatRights,
  identifiersOf,
  MAX_ACL_ENTRIES,
  OWNERS_OWN,
  parseRights,
  plainRights,
  RIGHTS,
  type Rights,
  rightsOf,
} from '../../src/store/acl.ts';
import { formatAcl, parseAcl } from '../../src/store/maildir/acl-file.ts';

const rights = (text: string): Rights => parseRights(text) ?? new Set(['not rights']);
const list = (entries: Record<string, string>): Acl =>
  new Map(Object.entries(entries).map(([identifier, text]) => [identifier, rights(text)]));
const change = (mode: AclChange['mode'], text: string): AclChange => ({ mode, rights: rights(text) });
const anyRights = fc.subarray([...RIGHTS]).map((letters) => letters.join(''));
const anyIdentifier = fc
  .string({ unit: fc.constantFrom(...'ab-@.% ~/é😀'), minLength: 1, maxLength: 12 })
  .filter((text) => text !== '-');
const anyList = fc.dictionary(
  fc.constantFrom('fred', '-fred', 'anyone', '-anyone', 'owner', '-owner', 'bob'),
  anyRights,
);

describe('rights', () => {
  test('c and d stand for others, and come back with them (RFC 4314 2.1.1, examples)', () => {
    expect(formatRights(rights('lrswida'))).toBe('lrswitead');
    expect(formatRights(rights('lrswikda'))).toBe('lrswikteacd');
    expect(formatRights(rights('rwipslxcetda'))).toBe('lrswipkxteacd');
    for (const member of 'kx') expect(formatRights(rights(member))).toBe(`${member}c`);
    for (const member of 'te') expect(formatRights(rights(member))).toBe(`${member}d`);
    expect(plainRights(rights('cd'))).toBe('kxte');
    expect(formatRights(rights(''))).toBe('');
  });

  test('what is no right is refused (RFC 4314 3.1, examples)', () => {
    for (const text of ['lrQswicda', 'lrqswicda', 'L', '0', ' ', 'é', '😀'])
      expect(parseRights(text)).toBe(undefined);
  });

  test('what is kept is read as the same; what is told only without c and d (RFC 4314 2.1.1)', () => {
    fc.assert(
      fc.property(anyRights, (text) => {
        expect(rights(plainRights(rights(text)))).toEqual(new Set(text));
        expect(rights(formatRights(rights(text)).replace(/[cd]/g, ''))).toEqual(new Set(text));
      }),
    );
  });
});

describe('a list', () => {
  test('SETACL with + and - (RFC 4314 3.1, example)', () => {
    const before = list({ Fred: 'rwipslxetad', Chris: 'lrswi' });
    const after = changedAcl(before, 'Chris', change('add', 'cda'));
    expect(formatRights(after.get('Chris') ?? new Set())).toBe('lrswikxteacd');
    expect(before.get('Chris')).toEqual(rights('lrswi'));
    expect([...changedAcl(after, 'Chris', change('remove', RIGHTS)).keys()]).toEqual(['Fred']);
    expect([...changedAcl(after, 'Fred', change('set', '')).keys()]).toEqual(['Chris']);
    expect(changedAcl(after, 'nobody', change('remove', 'l'))).toEqual(after);
  });

  test('so many entries, and no more; those that are there can be changed', () => {
    const full: Acl = new Map(Array.from({ length: MAX_ACL_ENTRIES }, (_, at) => [`u${at}`, rights('l')]));
    expect(() => changedAcl(full, 'more', change('set', 'l'))).toThrow('full');
    expect(changedAcl(full, 'more', change('remove', 'l'))).toEqual(full);
    expect(changedAcl(full, 'u7', change('add', 'r')).get('u7')).toEqual(rights('lr'));
    const room = changedAcl(full, 'u8', change('set', ''));
    expect(changedAcl(room, 'more', change('add', 'l')).size).toBe(MAX_ACL_ENTRIES);
  });

  test('all that is granted, without what is taken away (RFC 4314 2)', () => {
    const acl = list({ fred: 'rwipslxetad', '-fred': 'wetd', anyone: 'l', '-anyone': 'p' });
    const of = (account: string): string => formatRights(rightsOf(acl, { account, is: 'other' }));
    expect(of('fred')).toBe('lrsixac');
    expect(of('bob')).toBe('l');
    expect(identifiersOf({ account: 'bob', is: 'other' })).toEqual(['bob', 'anyone']);
    // Who calls themselves what others are.
    expect(formatRights(rightsOf(list({ owner: 'lr' }), { account: 'bob', is: 'other' }))).toBe('');
  });

  test('an owner has all rights, or what the list says, and never less than it takes to change it', () => {
    const of = (entries: Record<string, string>): string =>
      formatRights(rightsOf(list(entries), { account: 'fred', is: 'owner' }));
    expect(of({})).toBe('lrswipkxteacd');
    expect(of({ bob: 'lr', anyone: 'l' })).toBe('lrswipkxteacd');
    expect(of({ fred: 'lr', anyone: 'i' })).toBe('lria');
    expect(of({ owner: 'r', fred: 's' })).toBe('lrsa');
    expect(of({ '-owner': RIGHTS })).toBe('la');
    fc.assert(
      fc.property(anyList, (entries) => {
        const has = rightsOf(list(entries), { account: 'fred', is: 'owner' });
        for (const right of OWNERS_OWN) expect(has.has(right)).toBe(true);
      }),
    );
  });

  test('what is taken away is never there, and more in a list never takes away', () => {
    fc.assert(
      fc.property(anyList, anyRights, (entries, more) => {
        const visitor = { account: 'fred', is: 'other' as const };
        const acl = list(entries);
        const has = rightsOf(acl, visitor);
        for (const identifier of identifiersOf(visitor))
          for (const right of acl.get(`-${identifier}`) ?? []) expect(has.has(right)).toBe(false);
        const wider = rightsOf(changedAcl(acl, 'anyone', change('add', more)), visitor);
        for (const right of has) expect(wider.has(right)).toBe(true);
      }),
    );
  });
});

describe('its file', () => {
  test('what is written is read again', () => {
    fc.assert(
      fc.property(
        fc.dictionary(
          anyIdentifier,
          anyRights.filter((text) => text !== ''),
        ),
        (entries) => {
          expect(parseAcl(formatAcl(list(entries)))).toEqual({ is: 'list', acl: list(entries) });
        },
      ),
    );
    expect(formatAcl(list({ 'bob@example.org': 'rl', '-é': 'w' }))).toBe(
      'facteur-acl 1\nbob%40example.org lr\n-%C3%A9 w\nend\n',
    );
  });

  test('what is not whole is no list: a part of one could grant what the rest takes away', () => {
    const whole = formatAcl(list({ anyone: 'lrs', '-bob': 'r' }));
    for (let length = 0; length < whole.length - 1; length++)
      expect(parseAcl(whole.slice(0, length)).is).not.toBe('list');
    for (const line of ['bob', 'bob ', 'bob lq', 'bob L', '%FF l', '% l', ' l', 'bob l x', '', 'a l\na r'])
      expect(parseAcl(`facteur-acl 1\n${line}\nend\n`).is).toBe('damaged');
    expect(parseAcl('facteur-acl 2\nend\n').is).toBe('of a newer version');
    expect(parseAcl('facteur-acl 1\nend\n')).toEqual({ is: 'list', acl: new Map() });
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 30 }),
        (bytes) => void parseAcl(`facteur-acl 1\n${Buffer.from(bytes).toString('latin1')}`),
      ),
    );
  });
});
