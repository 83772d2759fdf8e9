import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ruleFor } from '../../src/store/folder-rules.ts';
import type { MaildirStore } from '../../src/store/maildir-store.ts';
import { accountLimits, type Limits, QuotaRules } from '../../src/store/quota.ts';
import { type AccountStore, type MailboxId, StoreError, type Uid } from '../../src/store/store.ts';
import { recordingLog } from '../tls/log.ts';
import { alice, all, bytesOf, maildirStore, message, temporaryDirectory } from './surroundings.ts';

/** Limits, warnings, and counters that are exact whatever happens. */

const DATE = { flags: [], internalDate: 0 };

let base: ReturnType<typeof temporaryDirectory>;
let store: MaildirStore;
let account: AccountStore;
let inbox: MailboxId;
let log: ReturnType<typeof recordingLog>;

async function open(limits: Limits | null, settings: object = {}): Promise<void> {
  log = recordingLog();
  store = maildirStore(base.path, log.log, limits, settings);
  account = await store.account(alice);
  inbox = (await account.mailbox('INBOX'))?.id ?? ('' as MailboxId);
}

beforeEach(() => {
  base = temporaryDirectory();
});
afterEach(async () => {
  await store.close();
  base.remove();
});

const texts = async (): Promise<string[]> => {
  const uids = [...(await account.uids(inbox))] as Uid[];
  return Promise.all(uids.map(async (uid) => (await bytesOf(await account.raw(inbox, uid))).toString()));
};
const warnings = async (): Promise<string[]> =>
  (await texts()).flatMap((text) => /^Subject: (Your mailbox .*)\r$/m.exec(text)?.[1] ?? []);
const sized = (size: number): ReturnType<typeof message> => message('x'.repeat(size - message('').size));
const told = (): string[] =>
  log.lines
    .filter((line) => line.message === 'quota warning')
    .map((line) => Object.values(line.fields).slice(0, 2).join(' '));

describe('warnings', () => {
  test('one mail and one line for each threshold crossed, again only after less was used', async () => {
    await open({ storage: 100_000, messages: null });
    const first = await account.append(inbox, sized(79_000), DATE);
    expect(await warnings()).toEqual([]);
    await account.append(inbox, sized(2000), DATE);
    await account.append(inbox, sized(1000), DATE);
    expect(await warnings()).toEqual(['Your mailbox is 80 % full']);
    expect(told()).toEqual(['storage 80']);
    await account.append(inbox, sized(14_500), DATE);
    expect(await warnings()).toEqual(['Your mailbox is 80 % full', 'Your mailbox is 95 % full']);
    await account.expunge(inbox, [first.uid]);
    // Back above 80 in one go: it was below in between.
    await account.append(inbox, sized(70_000), DATE);
    expect((await warnings()).length).toBe(3);
    expect(told()).toEqual(['storage 80', 'storage 95', 'storage 80']);
  });

  test('what was told is remembered over restarts, without the index, and by whoever reads the file', async () => {
    await open({ storage: null, messages: 10 });
    for (let i = 0; i < 8; i++) await account.append(inbox, message('x'), DATE);
    expect(await warnings()).toEqual(['Your mailbox is 80 % full']);
    await store.close();
    const file = join(base.path, 'mail/example.org/alice/quota-warned');
    expect(readFileSync(file, 'utf8')).toBe('quota-warned 1\nstorage 0 0\nmessages 80 1\n');
    for (const suffix of ['', '-wal', '-shm'])
      rmSync(join(base.path, `mail/example.org/alice/index.sqlite${suffix}`), { force: true });
    await open({ storage: null, messages: 10 });
    await account.expunge(inbox, [1 as Uid]);
    await account.append(inbox, message('y'), DATE);
    expect(told()).toEqual([]);
    // A crash between the mail and the note: the same mail is not delivered a second time.
    await store.close();
    writeFileSync(file, 'quota-warned 1\nstorage 0 0\nmessages 0 0\n');
    await open({ storage: null, messages: 10 });
    await account.expunge(inbox, [2 as Uid]);
    await account.copy(inbox, [3 as Uid], inbox);
    expect(await warnings()).toEqual(['Your mailbox is 80 % full']);
    expect(readFileSync(file, 'utf8')).toContain('messages 80 1');
    await store.close();
    writeFileSync(file, 'rubbish');
    await open({ storage: null, messages: 10 });
    expect((await account.quota()).messages).toBe(9);
  });

  test('the mail is a message of its own kind, and fits even when there is no room', async () => {
    await open({ storage: 3000, messages: null }, { quotaGrace: 100 });
    const key = { account: alice, mailbox: 'INBOX', key: 'k', flags: [], internalDate: 0 };
    await store.deliver({ ...key, content: sized(3500).pieces });
    const [, warning = ''] = await texts();
    expect(warning.split('\r\n\r\n')[0]).toMatch(
      /^Return-Path: <>\r\nDelivered-To: alice@example\.org\r\nDate: .*\r\nFrom: Mail system <postmaster@example\.org>\r\nTo: <alice@example\.org>\r\nSubject: Your mailbox is full\r\nMessage-ID: <quota-storage-100-0\.\d+@example\.org>\r\nAuto-Submitted: auto-generated\r\n/,
    );
    expect(warning).toContain('3.4 KB of 2.9 KB are used.\r\n');
    expect(warning).not.toMatch(/[^\r]\n/);
    await expect(store.deliver({ ...key, key: 'l', content: sized(300).pieces })).rejects.toMatchObject({
      kind: 'over-quota',
    });
    expect(await warnings()).toHaveLength(1);
  });

  test('a copy crosses thresholds too; several at once are one mail, and each resource has its own', async () => {
    await open({ storage: 10_000, messages: 20 });
    await account.append(inbox, sized(4800), DATE);
    await account.copy(inbox, [1 as Uid], inbox);
    expect(told()).toEqual(['storage 95']);
    await account.expunge(inbox, [1 as Uid]);
    for (let i = 0; i < 14; i++) await account.append(inbox, message(''), DATE);
    expect(told()).toEqual(['storage 95', 'messages 80']);
    expect((await warnings()).sort()).toEqual(['Your mailbox is 80 % full', 'Your mailbox is 95 % full']);
  });

  test('none where they are switched off, nor without a limit', async () => {
    await open({ storage: 1000, messages: 1 }, { quotaWarnings: [] });
    await account.append(inbox, sized(900), DATE);
    await store.close();
    await open(null);
    await account.append(inbox, sized(900), DATE);
    expect(await warnings()).toEqual([]);
    expect(told()).toEqual([]);
  });
});

test('a batch of deliveries stops where the quota does, in each account and folder', async () => {
  await open({ storage: 10_000, messages: null }, { quotaGrace: 0, quotaWarnings: [] });
  const outcomes = await Promise.allSettled(
    Array.from({ length: 20 }, (_, i) =>
      store.deliver({
        account: alice,
        mailbox: 'INBOX',
        key: `k${i}`,
        flags: [],
        internalDate: 0,
        content: sized(1000).pieces,
      }),
    ),
  );
  expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(10);
  expect(await account.quota()).toMatchObject({ usedBytes: 10_000, messages: 10 });
});

test('usage is what the messages add up to, after any operations, also by other programs', async () => {
  const operation = fc.oneof(
    fc.record({
      what: fc.constant('append' as const),
      box: fc.nat(2),
      size: fc.integer({ min: 100, max: 900 }),
    }),
    fc.record({
      what: fc.constant('deliver' as const),
      box: fc.nat(2),
      size: fc.integer({ min: 100, max: 900 }),
    }),
    fc.record({ what: fc.constantFrom('copy' as const, 'move' as const), box: fc.nat(2), to: fc.nat(2) }),
    fc.record({
      what: fc.constantFrom('expunge' as const, 'drop' as const, 'recreate' as const),
      box: fc.nat(2),
    }),
    fc.record({ what: fc.constantFrom('empty INBOX' as const, 'restart' as const), box: fc.constant(0) }),
  );
  const limits = { storage: 12_000, messages: 25 };
  const settings = {
    quotaWarnings: [],
    mailboxSizeLimit: [{ folder: 'two', storage: '3000B', messages: 5 }],
  };
  let run = 0;
  await open(limits, settings);
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { maxLength: 25 }), async (operations) => {
      const number = run++;
      const name = `user${number}@example.org` as typeof alice;
      account = await store.account(name);
      const maildir = join(base.path, `mail/example.org/user${number}/Maildir`);
      const paths = ['INBOX', 'one', 'two'];
      for (const path of paths.slice(1)) await account.create(path);
      const id = async (box: number): Promise<MailboxId> =>
        (await account.mailbox(paths[box] ?? 'INBOX'))?.id ??
        (await account.create(paths[box] ?? 'INBOX')).id;
      let serial = 0;
      for (const operation of operations) {
        const { what, box } = operation;
        const from = await id(box);
        const uids = [...(await account.uids(from))] as Uid[];
        const some = uids.filter((_, at) => at % 2 === 0);
        try {
          if (what === 'append') await account.append(from, sized(operation.size), DATE);
          else if (what === 'deliver')
            await Promise.allSettled(
              [1, 2].map((n) =>
                store.deliver({
                  account: name,
                  mailbox: paths[box] ?? 'INBOX',
                  key: `k${serial++}-${n}`,
                  flags: [],
                  internalDate: 0,
                  content: sized(operation.size).pieces,
                }),
              ),
            );
          else if (what === 'copy') await account.copy(from, some, await id(operation.to));
          else if (what === 'move') await account.move(from, some, await id(operation.to));
          else if (what === 'expunge') await account.expunge(from, some);
          else if (what === 'drop')
            writeFileSync(`${maildir}${box === 0 ? '' : `/.${paths[box]}`}/new/${serial++}.x`, 'A: b\n\nc\n');
          else if (what === 'recreate' && box > 0) {
            await account.delete(from);
            await account.create(paths[box] ?? '');
          } else if (what === 'empty INBOX') await account.rename(from, `renamed${serial++}`);
          else if (what === 'restart') {
            await store.close();
            store = maildirStore(base.path, log.log, limits, settings);
            account = await store.account(name);
          }
        } catch (error) {
          if (!(error instanceof StoreError && error.kind === 'over-quota')) throw error;
        }
      }
      let bytes = 0;
      let messages = 0;
      for (const { id: mailbox } of (await account.mailboxes()).filter(({ selectable }) => selectable)) {
        await account.refresh(mailbox);
        const inside = await all(account.messages(mailbox, [{ first: 1, last: '*' }]));
        const size = inside.reduce((sum, one) => sum + one.size, 0);
        expect(await account.quota(mailbox)).toMatchObject({ usedBytes: size, messages: inside.length });
        bytes += size;
        messages += inside.length;
      }
      expect(await account.quota()).toMatchObject({ usedBytes: bytes, messages });
    }),
    { numRuns: 25 },
  );
}, 60_000);

test('limits: an account has its own, or those of all; 0 is none', () => {
  const everybody = { storage: 5, messages: null, mailboxes: 9 };
  expect(accountLimits(undefined, everybody)).toEqual({ storage: 5, messages: null, mailboxes: 9 });
  expect(accountLimits({ quotaBytes: null, quotaMessages: 7, quotaMailboxes: 3 }, everybody)).toEqual({
    storage: 5,
    messages: 7,
    mailboxes: 3,
  });
  expect(accountLimits({ quotaBytes: 0, quotaMessages: 0, quotaMailboxes: 0 }, everybody)).toEqual({
    storage: null,
    messages: null,
    mailboxes: null,
  });
});

describe('rules for folders', () => {
  test.each([
    ['Trash', 'Trash', true],
    ['Trash', 'Trash/a', false],
    ['Trash/*', 'Trash/a/b', true],
    ['Trash/*', 'Trash', false],
    ['Trash*', 'Trash', true],
    ['%', 'Trash', true],
    ['%', 'Trash/a', false],
    ['%/a', 'Trash/a', true],
    ['a*b*c', 'a/xbx/bc', true],
    ['a%b', 'a/b', false],
    ['inbox', 'INBOX', true],
    ['*', '', true],
  ])('%s fits %s: %s', (folder, path, expected) => {
    expect(ruleFor([{ folder }], { path, use: null }) !== undefined).toBe(expected);
  });

  test('by special use, and the first that fits', () => {
    const rules = [{ use: 'trash' as const }, { folder: 'Tr*' }];
    expect(ruleFor(rules, { path: 'Müll', use: 'trash' })).toBe(rules[0]);
    expect(ruleFor(rules, { path: 'Trash', use: null })).toBe(rules[1]);
    expect(ruleFor(rules, { path: 'Sent', use: 'sent' })).toBeUndefined();
  });

  test('a pattern of nothing but wildcards takes no longer than its length times the name', () => {
    expect(
      ruleFor([{ folder: `${'*a'.repeat(100)}b` }], { path: 'a'.repeat(250), use: null }),
    ).toBeUndefined();
  });

  test('the Trash may hold more, by copies only; the last delivery may go beyond, not the one after', () => {
    const rules = new QuotaRules({ quotaGrace: 10, quotaTrashExtra: 50, mailboxSizeLimit: [] });
    const limits = { storage: 100, messages: null };
    const held = { bytes: 0, messages: 0 };
    const admit = (entrance: 'copy' | 'delivery', used: number, more: number, use: 'trash' | null): void =>
      rules.admit(entrance, { bytes: more, messages: 1 }, { bytes: used, messages: 1 }, limits, {
        path: 'x',
        use,
        held,
      });
    admit('copy', 100, 50, 'trash');
    expect(() => admit('copy', 100, 51, 'trash')).toThrow('storage');
    expect(() => admit('copy', 100, 1, null)).toThrow('storage');
    admit('delivery', 99, 11, null);
    expect(() => admit('delivery', 99, 12, null)).toThrow('storage');
    expect(() => admit('delivery', 100, 1, null)).toThrow('storage');
  });
});
