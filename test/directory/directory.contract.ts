import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AccountId, Directory, Route } from '../../src/directory/directory.ts';
import { address, domain } from './memory-directory.ts';

/** Who every directory of the contract has; each implementation writes it down in its own way. */
export const TOWN = {
  domains: ['example.org', 'example.net', 'empty.example', 'bücher.example'],
  accounts: {
    'alice@example.org': 'alice-pw',
    'Bob@example.org': 'bob-pw',
    'carol@example.net': 'carol-pw',
    'john-doe@example.org': 'john-pw',
    'with+plus@example.org': 'plus-pw',
    '"félix le [chat]"@bücher.example': 'félix-pw',
    'off@example.org': 'off-pw',
  },
  disabled: ['off@example.org'],
  aliases: {
    'sales@example.org': ['alice@example.org', 'partner@remote.example'],
    'team@example.org': ['sales@example.org', 'bob@example.org', 'alice@example.org'],
    'all@example.net': ['team@example.org', 'carol@example.net', 'PARTNER@remote.example'],
    'bob@example.org': ['bob@example.org', 'bob@remote.example'],
    'gone@example.org': ['off@example.org'],
    'some@example.org': ['off@example.org', 'alice@example.org'],
    'lists@example.org': ['alice+lists@example.org'],
    'webmaster@example.net': ['postmaster@example.net'],
    'deep@example.net': ['anything@example.net'],
    'abuse@example.org': ['carol@example.net'],
  },
  catchAll: { 'example.net': 'carol@example.net' },
} as const;

export interface Town {
  readonly directory: Directory;
  close(): Promise<void>;
}

/** What everybody may expect of a Directory, whatever it is made of. */
export function directoryContract(name: string, open: () => Promise<Town>): void {
  describe(`${name} as a directory`, () => {
    let town: Town;
    let directory: Directory;
    beforeAll(async () => {
      town = await open();
      directory = town.directory;
    });
    afterAll(() => town.close());

    const route = (text: string): Promise<Route> => directory.route(address(text));
    const ends = async (text: string): Promise<string[]> => ending(await route(text));

    test('knows its domains without case, and in both forms (RFC 5321 2.4, RFC 5890)', async () => {
      expect(await directory.isLocal(domain('EXAMPLE.org'))).toBe(true);
      expect(await directory.isLocal(domain('xn--bcher-kva.example'))).toBe(true);
      expect(await directory.isLocal(domain('remote.example'))).toBe(false);
      expect(await route('x@remote.example')).toEqual({ to: 'elsewhere' });
    });

    test('an account gets its mail, written with any case', async () => {
      expect(await route('alice@example.org')).toEqual({
        to: 'deliver',
        destinations: [{ is: 'account', account: 'alice@example.org' }],
      });
      expect(await ends('ALICE@Example.ORG')).toEqual(['alice@example.org']);
    });

    test('an account is named as it was written down', async () => {
      expect(await directory.account('Bob@example.org' as AccountId)).toMatchObject({
        id: 'Bob@example.org',
        enabled: true,
        quotaBytes: null,
        quotaMessages: null,
        quotaMailboxes: null,
      });
      expect(await directory.loginAccount('bob@EXAMPLE.org')).toMatchObject({ id: 'Bob@example.org' });
      expect(await directory.loginAccount('nobody@example.org')).toBeUndefined();
      expect(await directory.account('nobody@example.org' as AccountId)).toBeUndefined();
    });

    test('quoted local parts and letters beyond ASCII (RFC 6531 3.3)', async () => {
      const id = '"félix le [chat]"@bücher.example';
      expect(await ends(id)).toEqual([id]);
      expect(await ends('"FE\u0301LIX le [chat]"@xn--bcher-kva.example')).toEqual([id]);
      expect(await ends('"félix le [chat]+detail"@bücher.example')).toEqual([`${id} (detail)`]);
    });

    test('nobody there', async () => {
      expect(await route('nobody@example.org')).toEqual({ to: 'unknown' });
      expect(await route('nobody@empty.example')).toEqual({ to: 'unknown' });
    });

    test('a disabled account, and an alias to nobody else', async () => {
      expect(await route('off@example.org')).toEqual({ to: 'disabled' });
      expect(await route('gone@example.org')).toEqual({ to: 'disabled' });
      expect(await ends('some@example.org')).toEqual(['alice@example.org']);
    });

    test('sub-addresses (RFC 5233): the detail as received; an exact address wins', async () => {
      expect(await ends('Alice+Shop@example.org')).toEqual(['alice@example.org (Shop)']);
      expect(await ends('alice+@example.org')).toEqual(['alice@example.org ()']);
      expect(await ends('alice+a+b@example.org')).toEqual(['alice@example.org (a+b)']);
      expect(await ends('with+plus@example.org')).toEqual(['with+plus@example.org']);
      expect(await ends('with+plus+x@example.org')).toEqual(['with+plus@example.org (x)']);
      expect(await route('with+other@example.org')).toEqual({ to: 'unknown' });
      expect(await route('+alice@example.org')).toEqual({ to: 'unknown' });
    });

    test('aliases lead here, elsewhere, and over others, each end once', async () => {
      expect(await ends('sales@example.org')).toEqual(['alice@example.org', '<partner@remote.example>']);
      expect(await ends('team@example.org')).toEqual([
        'alice@example.org',
        '<partner@remote.example>',
        'Bob@example.org',
        '<bob@remote.example>',
      ]);
      expect(await ends('all@example.net')).toEqual([
        'alice@example.org',
        '<partner@remote.example>',
        'Bob@example.org',
        '<bob@remote.example>',
        'carol@example.net',
        // Elsewhere the case of a local part may mean something (RFC 5321 2.4).
        '<PARTNER@remote.example>',
      ]);
    });

    test('an alias that names its own account keeps a copy', async () => {
      expect(await ends('bob@example.org')).toEqual(['Bob@example.org', '<bob@remote.example>']);
    });

    test('a detail goes along an alias; a target with its own keeps that', async () => {
      expect(await ends('sales+x@example.org')).toEqual([
        'alice@example.org (x)',
        '<partner@remote.example>',
      ]);
      expect(await ends('lists+x@example.org')).toEqual(['alice@example.org (lists)']);
    });

    test('a catch-all takes what is left, never what somebody has', async () => {
      expect(await ends('anything@example.net')).toEqual(['carol@example.net']);
      expect(await ends('all+x@example.net')).toContain('alice@example.org (x)');
      expect(await ends('deep@example.net')).toEqual(['carol@example.net']);
      expect(await route('anything@example.org')).toEqual({ to: 'unknown' });
    });

    test('postmaster and abuse of every domain reach somebody (RFC 5321 4.5.1, RFC 2142 4)', async () => {
      expect(await ends('PostMaster@example.org')).toEqual(['alice@example.org']);
      expect(await ends('postmaster@example.net')).toEqual(['carol@example.net']);
      expect(await ends('webmaster@example.net')).toEqual(['carol@example.net']);
      expect(await ends('abuse@example.org')).toEqual(['carol@example.net']);
      expect(await ends('abuse+report@bücher.example')).toEqual(['"félix le [chat]"@bücher.example']);
      expect(await ends('postmaster@empty.example')).toEqual(['alice@example.org']);
      expect(ending(await directory.postmaster())).toEqual(['alice@example.org']);
    });

    test('the right password, and only that', async () => {
      expect(await directory.verifyPassword('alice@example.org', 'alice-pw')).toMatchObject({
        id: 'alice@example.org',
      });
      expect(await directory.verifyPassword('ALICE@EXAMPLE.ORG', 'alice-pw')).toMatchObject({
        id: 'alice@example.org',
      });
      const bad: [string, string][] = [
        ['alice@example.org', 'Alice-pw'],
        ['alice@example.org', ''],
        ['alice@example.org', 'x'.repeat(5000)],
        ['nobody@example.org', 'alice-pw'],
        ['alice+x@example.org', 'alice-pw'],
        ['sales@example.org', 'alice-pw'],
        ['alice', 'alice-pw'],
        ['', 'alice-pw'],
        ['@', 'x'],
        ['a'.repeat(5000), 'x'],
        ['off@example.org', 'off-pw'],
      ];
      for (const [login, password] of bad)
        expect(await directory.verifyPassword(login, password), login).toBeUndefined();
    });

    test('SCRAM keys of unknown, disabled and sub-addressed logins are made up, and stay (RFC 5802 9)', async () => {
      for (const login of [
        'nobody@example.org',
        'off@example.org',
        'alice+x@example.org',
        '',
        'x'.repeat(9000),
      ]) {
        const [once, twice] = [
          await directory.scramCredentials(login),
          await directory.scramCredentials(login),
        ];
        expect(once.account).toBeUndefined();
        expect(once).toEqual(twice);
        expect(once.salt.length).toBeGreaterThanOrEqual(16);
      }
      const known = await directory.scramCredentials('alice@example.org');
      const upper = await directory.scramCredentials('ALICE@example.org');
      expect(Buffer.from(upper.salt).equals(Buffer.from(known.salt))).toBe(true);
    });

    test('may send as: oneself, one’s sub-addresses, and aliases that lead to one', async () => {
      const may = (account: string, from: string): Promise<boolean> =>
        directory.maySendAs(account as AccountId, address(from));
      for (const from of [
        'alice@example.org',
        'ALICE@example.org',
        'alice+shop@example.org',
        'sales@example.org',
        'sales+x@example.org',
        'team@example.org',
        'all@example.net',
        'lists@example.org',
      ])
        expect(await may('alice@example.org', from), from).toBe(true);
      for (const from of [
        'bob@example.org',
        'abuse@example.org',
        'postmaster@example.org',
        'nobody@example.org',
        'alice@example.net',
        'partner@remote.example',
        'alice@remote.example',
        'gone@example.org',
      ])
        expect(await may('alice@example.org', from), from).toBe(false);
      expect(await may('carol@example.net', 'abuse@example.org')).toBe(true);
      expect(await may('carol@example.net', 'anything@example.net')).toBe(false);
      expect(await may('carol@example.net', 'webmaster@example.net')).toBe(false);
      expect(await may('carol@example.net', 'deep@example.net')).toBe(false);
      expect(await may('Bob@example.org', 'bob+x@example.org')).toBe(true);
      expect(await may('with+plus@example.org', 'with@example.org')).toBe(false);
    });
  });
}

/** Accounts with their detail in brackets, addresses elsewhere in angle brackets. */
export function ending(route: Route): string[] {
  if (route.to !== 'deliver') return [route.to];
  return route.destinations.map((to) => {
    if (to.is === 'remote') return `<${to.address.local}@${to.address.domain}>`;
    return to.detail === undefined ? to.account : `${to.account} (${to.detail})`;
  });
}
