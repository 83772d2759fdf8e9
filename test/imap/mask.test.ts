import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { imapOptions } from '../../src/imap/options.ts';
import { CapabilityMask } from '../../src/lib/capability-mask.ts';
import { pop3Options } from '../../src/pop3/options.ts';
import { ALICE, type Client, ImapWorld, PASSWORD } from './world.ts';

/** `imap.mask`: capabilities are hidden from programs that cannot live with them. */

const mask = [
  { client: 'K-9 Mail 5.6', hide: ['qresync', 'CONDSTORE'] },
  { account: ALICE, hide: ['IDLE', 'APPENDLIMIT'] },
  { address: '192.0.2.0/24', hide: ['SORT'] },
  { account: '*@example.org', client: 'outlook', address: '127.0.0.0/8', hide: ['NAMESPACE', 'AUTH=PLAIN'] },
];

let world: ImapWorld;
beforeAll(async () => {
  world = await ImapWorld.start({ settings: { mask } });
  await world.account('testimap2@example.org');
});
afterAll(() => world.close());

async function shown(client: Client): Promise<ReadonlySet<string>> {
  const [line = ''] = await client.ok('CAPABILITY');
  return new Set(line.split(' ').slice(1));
}

describe('sessions', () => {
  test('by account: from the answer to the login on, and until it is given up', async () => {
    const client = await world.client();
    expect(await shown(client)).toContain('IDLE');
    const { tagged } = await client.ask(`LOGIN ${ALICE} "${PASSWORD}"`);
    expect(tagged).not.toMatch(/ IDLE| APPENDLIMIT/);
    expect([...(await shown(client))].join(' ')).not.toMatch(/ IDLE| APPENDLIMIT/);
    await client.ok('UNAUTHENTICATE');
    await client.ok('LOGIN testimap2@example.org testimap2');
    expect(await shown(client)).toContain('IDLE');
  });

  test('by client: once ID has told, which says what is left', async () => {
    const client = await world.login();
    expect(await client.ok('ID ("name" "K-9 Mail" "version" "5.600")')).toEqual([
      expect.stringMatching(/^ID /),
      expect.stringMatching(/^CAPABILITY IMAP4rev1 (?!.*(?:QRESYNC|CONDSTORE)).* SORT /),
    ]);
    expect(await shown(client)).not.toContain('QRESYNC');
    // Commands go on working: what a client does without asking is no harm to it.
    expect(await client.ok('ENABLE QRESYNC')).toEqual(['ENABLED QRESYNC']);
    // The same again changes nothing, another name does.
    expect(await client.ok('ID ("name" "K-9 Mail" "version" "5.600")')).toHaveLength(1);
    expect(await client.ok('ID NIL')).toHaveLength(2);
    expect(await shown(client)).toContain('QRESYNC');
  });

  test('a rule holds where all that it names is so', async () => {
    const client = await world.client();
    expect(await client.ok('ID ("vendor" "Microsoft" "NAME" "Outlook")')).toHaveLength(1);
    expect(await shown(client)).toContain('AUTH=PLAIN');
    await client.ok('LOGIN testimap2@example.org testimap2');
    const capabilities = await shown(client);
    expect(capabilities).not.toContain('NAMESPACE');
    expect(capabilities).toContain('SORT');
    // ID is of the connection (RFC 8437 3).
    await client.ok('UNAUTHENTICATE');
    expect(await shown(client)).toContain('NAMESPACE');
    await client.ok('LOGIN testimap2@example.org testimap2');
    expect(await shown(client)).not.toContain('NAMESPACE');
  });
});

test('rules', () => {
  const rules = new CapabilityMask([
    { hide: ['A'] },
    { account: '*@Example.org', hide: ['B'] },
    { address: '2001:db8::/32', hide: ['C'] },
    { client: 'x', hide: ['D'] },
  ]);
  const hidden = (account: string | null, client: string | null, ip: string): string =>
    [...rules.hiddenFrom({ account, client, ip })].join('');
  expect(hidden(null, null, '192.0.2.1')).toBe('A');
  expect(hidden('ann@example.org', null, '2001:db8::1')).toBe('ABC');
  expect(hidden('ann@sub.example.org', 'fox', '::1')).toBe('AD');
  expect(hidden('ann@notexample.org', 'XY', '::1')).toBe('AD');
});

describe('configuration', () => {
  test.each(['IMAP4rev2', 'notify', 'AUTH=SCRAM-SHA-256', 'STARTTLS', 'APPENDLIMIT', 'UTF8=ACCEPT'])(
    '%s can be hidden',
    (name) => {
      expect(imapOptions.safeParse({ mask: [{ hide: [name] }] }).success).toBe(true);
    },
  );

  test.each(['IMAP4rev1', 'NOTYFI', 'AUTH=', 'X-A b', ''])('%s is named as no capability', (name) => {
    const { error } = imapOptions.safeParse({ mask: [{ client: 'a', hide: ['IDLE', name] }] });
    expect(error?.issues).toMatchObject([
      { path: ['mask', 0, 'hide', 1], message: `${name} is no capability of ours` },
    ]);
  });

  test.each([
    [{ hide: [] }],
    [{ hide: ['IDLE'], clients: 'a' }],
    [{ hide: ['IDLE'], client: '' }],
    [{ hide: ['IDLE'], address: 'here' }],
    [{ account: 'a' }],
  ])('%o is no rule', (rule) => {
    expect(imapOptions.safeParse({ mask: [rule] }).success).toBe(false);
  });

  test('of POP3 likewise, which knows no clients by name', () => {
    expect(pop3Options.safeParse({ mask: [{ account: 'a@b', hide: ['utf8', 'PIPELINING'] }] }).success).toBe(
      true,
    );
    expect(pop3Options.safeParse({ mask: [{ client: 'a', hide: ['UTF8'] }] }).success).toBe(false);
    expect(pop3Options.safeParse({ mask: [{ hide: ['XTND'] }] }).error?.issues).toMatchObject([
      { message: 'XTND is no capability of ours' },
    ]);
  });
});
