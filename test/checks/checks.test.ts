import { describe, expect, test } from 'vitest';
import { checkRoom, type QuotaCheck } from '../../src/checks/quota.ts';
import { recipientDestinations } from '../../src/checks/recipient.ts';
import { checkAuthors, checkReversePath } from '../../src/checks/sender.ts';
import type { AccountId, Destination, Directory, Route } from '../../src/directory/directory.ts';
import { SmtpError } from '../../src/mail/reply.ts';
import { StoreError } from '../../src/store/store.ts';
import { address, memoryDirectory } from '../directory/memory-directory.ts';

const alice = 'alice@example.org' as AccountId;

/** A directory that knows one answer. */
function answering(route: () => Promise<Route>): Directory {
  const unused = (): never => {
    throw new Error('not asked');
  };
  return {
    isLocal: unused,
    route,
    postmaster: route,
    account: unused,
    verifyPassword: unused,
    loginAccount: unused,
    scramSha1Credentials: unused,
    scramCredentials: unused,
    sharedSecret: unused,
    maySendAs: () => Promise.reject(new Error('the disk is gone')),
  };
}

async function replyOf(work: Promise<unknown>): Promise<string> {
  try {
    return JSON.stringify(await work) ?? 'fine';
  } catch (error) {
    if (!(error instanceof SmtpError)) throw error;
    return `${error.reply.code} ${error.reply.enhanced}`;
  }
}

describe('room in the mailbox', () => {
  const bob = 'bob@example.org' as AccountId;
  const carol: Destination = { is: 'remote', address: address('carol@example.net') };
  const to = (account: AccountId): Destination => ({ is: 'account', account });
  const asked: [AccountId, number][] = [];
  const quota = (whenFull: 'tempfail' | 'reject' = 'tempfail'): QuotaCheck => ({
    whenFull,
    async admit(account, bytes) {
      asked.push([account, bytes]);
      if (account === alice) throw new StoreError('over-quota', 'Mailbox full');
    },
  });

  test('a full mailbox is 452, or 552 where mail is to go back at once', async () => {
    expect(await replyOf(checkRoom(quota(), [to(alice)], 500))).toBe('452 4.2.2');
    expect(await replyOf(checkRoom(quota('reject'), [to(alice)], 0))).toBe('552 5.2.2');
    expect(asked).toEqual([
      [alice, 500],
      [alice, 1],
    ]);
  });

  test('with somebody else who has room, or is elsewhere, the message is taken', async () => {
    expect(await replyOf(checkRoom(quota(), [to(alice), to(bob)], 1))).toBe('fine');
    expect(await replyOf(checkRoom(quota(), [to(alice), carol], 1))).toBe('fine');
  });

  test('a store that fails otherwise refuses nothing: the queue waits', async () => {
    const broken: QuotaCheck = { whenFull: 'reject', admit: () => Promise.reject(new Error('disk on fire')) };
    expect(await replyOf(checkRoom(broken, [to(alice)], 1))).toBe('fine');
  });
});

describe('recipients', () => {
  test.each([
    ['unknown', '550 5.1.1'],
    ['disabled', '550 5.2.1'],
    ['loop', '554 5.4.6'],
    ['elsewhere', '550 5.7.1'],
  ] as const)('%s: %s', async (to, reply) => {
    const directory = answering(async () => ({ to }));
    expect(await replyOf(recipientDestinations(directory, address('x@example.org'), { relay: 'no' }))).toBe(
      reply,
    );
  });

  test('a directory that fails says nothing about the address: 451 4.3.0', async () => {
    const directory = answering(() => Promise.reject(new Error('database is locked')));
    for (const recipient of [address('x@example.org'), 'postmaster'] as const)
      expect(await replyOf(recipientDestinations(directory, recipient, { relay: 'yes' }))).toBe('451 4.3.0');
  });

  test('whoever may relay, may', async () => {
    const directory = answering(async () => ({ to: 'elsewhere' }));
    const recipient = address('x@example.net');
    expect(await recipientDestinations(directory, recipient, { relay: 'yes' })).toEqual([
      { is: 'remote', address: recipient },
    ]);
  });
});

describe('senders (RFC 6409 6.1)', () => {
  test('themselves, and nobody else', async () => {
    const { directory, close } = await memoryDirectory({
      accounts: { 'alice@example.org': 'wonderland', 'bob@example.org': 'builder' },
    });
    const path = (from: string): Promise<string> =>
      replyOf(checkReversePath(directory, alice, from === '' ? null : address(from)));
    expect(await path('alice@example.org')).toBe('fine');
    expect(await path('bob@example.org')).toBe('553 5.7.1');
    // Read receipts have the null reverse-path (RFC 8098 3).
    expect(await path('')).toBe('fine');
    const authors = (...from: string[]): Promise<string> =>
      replyOf(checkAuthors(directory, alice, from.map(address)));
    expect(await authors('alice+x@example.org', 'alice@example.org')).toBe('fine');
    expect(await authors('alice@example.org', 'bob@example.org')).toBe('553 5.7.1');
    expect(await authors()).toBe('553 5.7.1');
    await close();
  });

  test('a directory that fails: 451 4.3.0', async () => {
    const directory = answering(async () => ({ to: 'unknown' }));
    expect(await replyOf(checkReversePath(directory, alice, address(alice)))).toBe('451 4.3.0');
  });
});
