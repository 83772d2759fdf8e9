import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { MaildirAccount } from '../../src/store/maildir/account.ts';
import { copying, moving } from '../../src/store/maildir/copy.ts';
import { deliverAll } from '../../src/store/maildir/deliver.ts';
import { expunge } from '../../src/store/maildir/expunge.ts';
import type { Folder } from '../../src/store/maildir/folder.ts';
import { rowsBetween } from '../../src/store/maildir/message-row.ts';
import { setFlags } from '../../src/store/maildir/set-flags.ts';
import { finish } from '../../src/store/maildir/turns.ts';
import { pack, unpack } from '../../src/store/packed-messages.ts';
import { message, openAccount, settleNames, temporaryDirectory } from './surroundings.ts';

const ALL = [{ first: 1, last: 2 ** 32 - 1 }];
const NOBODY = { since: -1, after: 0, limit: 1e9 };

const uids = fc.uniqueArray(fc.integer({ min: 1, max: 30 }), { maxLength: 8 });
const step = fc.oneof(
  fc.record({ is: fc.constant('deliver'), count: fc.integer({ min: 1, max: 6 }) }),
  fc.record({ is: fc.constantFrom('expunge', 'copy', 'move'), uids }),
  fc.record({
    is: fc.constant('flags'),
    uids,
    mode: fc.constantFrom('set', 'add', 'remove'),
    flag: fc.constantFrom('\\Seen', '\\Flagged', 'Work'),
  }),
  fc.record({
    is: fc.constant('read'),
    first: fc.integer({ min: 1, max: 30 }),
    limit: fc.integer({ min: 1, max: 9 }),
  }),
  fc.record({ is: fc.constant('forget') }),
);

function expectEqual(account: MaildirAccount, folder: Folder, since: number): void {
  const rows = rowsBetween(account.index, folder, 1, 2 ** 32 - 1);
  const roster = account.roster(folder);
  expect([...roster.uids()]).toEqual(rows.map(({ uid }) => uid));
  const { messages, after } = roster.read(ALL, NOBODY);
  expect(after).toBeNull();
  expect(unpack(messages)).toEqual(unpack(pack(folder, rows)));
  const newer = rows.filter(({ modSeq }) => modSeq > since);
  expect(unpack(roster.read(ALL, { ...NOBODY, since }).messages)).toEqual(unpack(pack(folder, newer)));
  expect(roster.firstUnseen()).toBe(rows.find(({ flags }) => !(flags & 1))?.uid ?? 0);
  expect(folder).toMatchObject({
    total: rows.length,
    unseen: rows.filter(({ flags }) => !(flags & 1)).length,
  });
}

test('what sessions are told is what the index has, whatever happened in between', () => {
  let key = 0;
  fc.assert(
    fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
      const base = temporaryDirectory();
      const account = openAccount(base.path);
      try {
        const inbox = account.folderAt('INBOX');
        const sent = account.folderAt('Sent');
        for (const each of steps) {
          const since = inbox.modSeq - 2;
          if ('count' in each) {
            const arrival = { account, into: { path: 'INBOX' }, internalDate: 0, quota: null };
            const { pieces: content } = message('x');
            deliverAll(
              Array.from({ length: each.count }, () => {
                const flags = ++key % 3 ? [] : ['\\Seen'];
                return { ...arrival, key: `k${key}`, flags, content };
              }),
            );
          } else if ('mode' in each) {
            const mode = each.mode as 'set' | 'add' | 'remove';
            setFlags(account, inbox, each.uids, { mode, flags: [each.flag] });
          } else if ('first' in each) {
            const ranges = [{ first: each.first, last: each.first + 20 }];
            account.roster(inbox).read(ranges, { since: -1, after: 0, limit: each.limit });
          } else if (each.is === 'expunge' && 'uids' in each) expunge(account, inbox, each.uids);
          else if (each.is === 'copy' && 'uids' in each)
            finish(copying(account, inbox, each.uids, sent, null));
          else if (each.is === 'move' && 'uids' in each) finish(moving(account, inbox, each.uids, sent));
          else {
            settleNames(account);
            account.dropRoster(inbox);
          }
          expectEqual(account, inbox, since);
          expectEqual(account, sent, since);
        }
      } finally {
        account.close('unclean');
        base.remove();
      }
    }),
    { numRuns: 25 },
  );
}, 60_000);

test('batches go on where the last one ended', () => {
  const base = temporaryDirectory();
  const account = openAccount(base.path);
  try {
    const { pieces: content } = message('x');
    deliverAll(
      Array.from({ length: 10 }, (_, i) => {
        const into = { path: 'INBOX' };
        return { account, into, key: `k${i}`, flags: [], internalDate: 0, content, quota: null };
      }),
    );
    const roster = account.roster(account.folderAt('INBOX'));
    const ranges = [
      { first: 2, last: 4 },
      { first: 6, last: 9 },
    ];
    const found: number[][] = [];
    for (let after: number | null = 0; after !== null; ) {
      const batch = roster.read(ranges, { since: -1, after, limit: 2 });
      found.push(unpack(batch.messages).map(({ uid }) => uid));
      after = batch.after;
    }
    expect(found).toEqual([[2, 3], [4, 6], [7, 8], [9]]);
  } finally {
    account.close('unclean');
    base.remove();
  }
});
