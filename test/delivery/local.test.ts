import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LocalAgent } from '../../src/delivery/local.ts';
import type { SieveCalls } from '../../src/delivery/sieve/calls.ts';
import { Filter } from '../../src/delivery/sieve/filter.ts';
import type { AccountId, Directory } from '../../src/directory/directory.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { type Piece, readPieces } from '../../src/lib/pieces.ts';
import { rawMessage } from '../../src/mail/raw-message.ts';
import { formatReply } from '../../src/mail/reply.ts';
import { sieveOptions } from '../../src/sieve/options.ts';
import {
  type Delivery,
  type MailboxId,
  type MailStore,
  StoreError,
  type Uid,
} from '../../src/store/store.ts';
import { bytes, CONTENT, job, LogBook, type Post } from './world.ts';

const ALICE = 'alice@example.test' as AccountId;
const BOB = 'bob@example.test' as AccountId;

const noScripts = {
  decide: async () => ({ actions: null, problem: null, seen: [], notes: [] }),
} as unknown as SieveCalls;

/** Keeps what is delivered, or refuses it. */
class Shelf implements Pick<MailStore, 'deliver'> {
  readonly deliveries: Delivery[] = [];
  refuse: Error | undefined;

  async deliver(delivery: Delivery): Promise<{ mailbox: MailboxId; uid: Uid }> {
    if (this.refuse) throw this.refuse;
    this.deliveries.push(delivery);
    return { mailbox: 'm' as MailboxId, uid: 1 as Uid };
  }
}

const people = {
  account: async (id: AccountId) => (id === ALICE || id === BOB ? { id } : undefined),
} as unknown as Directory;

async function text(pieces: readonly Piece[]): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of readPieces(pieces)) chunks.push(chunk);
  return Buffer.concat(chunks).toString('latin1');
}

const toAlice: Post = { to: [{ to: 'alice@example.test', account: ALICE }] };

async function deliver(
  post: Post = toAlice,
  refuse?: Error,
  pieces: readonly Piece[] = [bytes(post.content)],
  signal = new AbortController().signal,
  whenFull: 'tempfail' | 'reject' = 'tempfail',
): Promise<{ said: string[]; shelf: Shelf; log: LogBook }> {
  const shelf = new Shelf();
  shelf.refuse = refuse;
  const log = new LogBook();
  const store = shelf as unknown as MailStore;
  const filter = new Filter({
    sieve: noScripts,
    store,
    directory: people,
    queue: undefined as never,
    clock: systemClock,
    log,
    hostname: 'mx.example.test',
    settings: sieveOptions.parse({}),
  });
  const agent = new LocalAgent({ directory: people, filter, delimiter: '+', whenFull, log });
  const outcomes = await agent.deliver({ ...job(post), agent: 'local' }, rawMessage(pieces), signal);
  return { said: outcomes.map(({ is, reply }) => `${is} ${formatReply(reply)}`), shelf, log };
}

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'facteur-delivery-'));
});
afterAll(() => rmSync(dir, { recursive: true }));

test('a message goes into INBOX, Return-Path and Delivered-To on top (RFC 5321 4.4)', async () => {
  const { said, shelf } = await deliver({ ...toAlice, message: { queuedAt: 4711 } });
  expect(said).toEqual(['delivered 250 2.0.0 Delivered to mailbox']);
  const [delivery] = shelf.deliveries;
  expect(delivery).toMatchObject({
    account: ALICE,
    mailbox: 'INBOX',
    key: 'Q1-0',
    flags: [],
    internalDate: 4711,
  });
  expect(await text(delivery?.content ?? [])).toBe(
    `Return-Path: <bob@example.test>\r\nDelivered-To: alice@example.test\r\n${CONTENT}`,
  );
});

test('a bounce has an empty Return-Path', async () => {
  const { shelf } = await deliver({ ...toAlice, from: null });
  expect(await text(shelf.deliveries[0]?.content ?? [])).toMatch(/^Return-Path: <>\r\n/);
});

test('what has its trace fields already goes as it is, a spool file as the same file', async () => {
  const trace = 'Return-Path: <bob@example.test>\r\nDelivered-To: alice@example.test\r\n';
  const path = join(dir, 'spool');
  writeFileSync(path, trace + CONTENT);
  const piece = { path, start: 0, end: trace.length + CONTENT.length };
  const { said, shelf } = await deliver({ ...toAlice, message: { finalTrace: trace.length } }, undefined, [
    piece,
  ]);
  expect(said).toEqual(['delivered 250 2.0.0 Delivered to mailbox']);
  expect(shelf.deliveries[0]?.content).toEqual([piece]);
});

test('each recipient has its own copy under its own key', async () => {
  const { said, shelf } = await deliver({
    to: [
      { to: 'alice@example.test', account: ALICE },
      { to: 'bob@example.test', account: BOB },
      { to: 'alice@example.test', account: ALICE, detail: 'shop' },
    ],
  });
  expect(said).toHaveLength(3);
  expect(shelf.deliveries.map(({ account, key }) => `${account} ${key}`)).toEqual([
    'alice@example.test Q1-0',
    'bob@example.test Q1-1',
    'alice@example.test Q1-2',
  ]);
});

describe('a message that has been here', () => {
  const visited = (mailbox: string): string => `Subject: x\r\nDelivered-To: ${mailbox}\r\n\r\nbody\r\n`;
  test.each(['alice@example.test', 'Alice@Example.test', ' alice@example.test '])(
    'as %j is a loop',
    async (mailbox) => {
      const { said, shelf } = await deliver({ ...toAlice, content: visited(mailbox) });
      expect(said[0]).toMatch(/^failed 554 5\.4\.6 /);
      expect(shelf.deliveries).toEqual([]);
    },
  );
  test('as somebody else is none, nor in the body', async () => {
    const content = `${visited('bob@example.test')}Delivered-To: alice@example.test\r\n`;
    expect((await deliver({ ...toAlice, content })).said[0]).toMatch(/^delivered/);
  });
  test('is found in a header of 100 KB', async () => {
    const content = `X: ${'y'.repeat(100_000)}\r\n${visited('alice@example.test')}`;
    expect((await deliver({ ...toAlice, content })).said[0]).toMatch(/^failed 554 5\.4\.6 /);
  });
});

test('an account that is gone fails', async () => {
  const { said } = await deliver({
    to: [{ to: 'carol@example.test', account: 'carol@example.test' as AccountId }],
  });
  expect(said).toEqual(['failed 550 5.1.1 The mailbox is no longer there']);
});

describe('what the store refuses waits, with', () => {
  test.each([
    ['over-quota', 'deferred 452 4.2.2 why', 0],
    ['disk-full', 'deferred 452 4.3.1 No room on the mail system', 1],
    ['not-found', 'deferred 450 4.2.0 Mailbox cannot be opened', 1],
    ['busy', 'deferred 451 4.3.0 Local error', 1],
  ] as const)('%s: %s', async (kind, expected, logged) => {
    const { said, log } = await deliver(toAlice, new StoreError(kind, 'why'));
    expect(said).toEqual([expected]);
    expect(log.lines).toHaveLength(logged);
  });
  test('over-quota fails at once where that is wanted: 552 5.2.2', async () => {
    const full = new StoreError('over-quota', 'full');
    const { said } = await deliver(toAlice, full, undefined, undefined, 'reject');
    expect(said).toEqual(['failed 552 5.2.2 full']);
  });
  test('anything unforeseen: 451 4.3.0, and a line in the log', async () => {
    const { said, log } = await deliver(toAlice, new Error('disk on fire'));
    expect(said).toEqual(['deferred 451 4.3.0 Local error']);
    expect(log.lines[0]).toMatch(/^local delivery failed .*"qid":"Q1"/);
  });
});

test('a stop leaves the message in the queue', async () => {
  const { said, shelf } = await deliver(toAlice, undefined, undefined, AbortSignal.abort());
  expect(said[0]).toMatch(/^deferred 451 4\.3\.2/);
  expect(shelf.deliveries).toEqual([]);
});
