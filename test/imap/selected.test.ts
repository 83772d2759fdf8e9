import { describe, expect, test } from 'vitest';
import { ImapBad } from '../../src/imap/errors.ts';
import { Selected } from '../../src/imap/selected.ts';
import type { Change, Mailbox, MailboxId, Message, ModSeq, Uid } from '../../src/store/store.ts';

const ID = 'M1' as MailboxId;

function view(uids: readonly number[], recentFrom = 1000): Selected {
  const mailbox: Mailbox = {
    id: ID,
    path: 'INBOX',
    selectable: true,
    uidValidity: 1,
    uidNext: ((uids.at(-1) ?? 0) + 1) as Uid,
    highestModSeq: 10 as ModSeq,
    total: uids.length,
    unseen: 0,
    firstRecent: 1 as Uid,
    size: 0,
    specialUse: null,
    subscribed: false,
    keywords: ['Work'],
    hasChildren: false,
  };
  return new Selected({
    mailbox,
    uids: Uint32Array.from(uids),
    access: 'read-write',
    recentFrom: recentFrom as Uid,
  });
}

const message = (uid: number, modSeq: number, ...flags: string[]): Message => ({
  mailbox: ID,
  uid: uid as Uid,
  modSeq: modSeq as ModSeq,
  emailId: `E${uid}` as Message['emailId'],
  flags,
  internalDate: 0,
  savedDate: 0,
  size: 1,
});

const added = (...messages: Message[]): Change => ({ type: 'added', mailbox: ID, messages });
const flags = (...messages: Message[]): Change => ({ type: 'flags', mailbox: ID, messages });
const expunged = (modSeq: number, ...uids: number[]): Change => ({
  type: 'expunged',
  mailbox: ID,
  uids: uids as Uid[],
  modSeq: modSeq as ModSeq,
});

const set = (...ranges: [number | '*', number | '*'][]) => ({
  ranges: ranges.map(([first, last]) => ({ first, last })),
  at: 7,
});

describe('sets', () => {
  test('numbers of either kind become ranges of UIDs within the view', () => {
    const v = view([10, 20, 30, 40]);
    expect(v.resolve(set([2, 3]), 'sequence')).toEqual([{ first: 20, last: 30 }]);
    expect(v.resolve(set(['*', '*']), 'sequence')).toEqual([{ first: 40, last: 40 }]);
    expect(v.resolve(set([15, 35]), 'uid')).toEqual([{ first: 15, last: 35 }]);
    expect(v.resolve(set([100, '*']), 'uid')).toEqual([{ first: 40, last: 40 }]);
    expect(v.resolve(set([50, 60]), 'uid')).toEqual([]);
    expect([...v.uidsIn([{ first: 15, last: 35 }])]).toEqual([20, 30]);
  });

  test('a sequence number beyond the last is the client’s mistake (RFC 9051 9, seq-number)', () => {
    expect(() => view([10]).resolve(set([1, 2]), 'sequence')).toThrow(ImapBad);
    expect(() => view([]).resolve(set([1, '*']), 'sequence')).toThrow(ImapBad);
    expect(view([]).resolve(set([1, '*']), 'uid')).toEqual([]);
  });

  test('$ is what SEARCH saved and is still there, neighbours as ranges (RFC 5182 2.1)', () => {
    const v = view([10, 20, 30, 40]);
    v.saved = Uint32Array.of(10, 20, 25, 40);
    expect(v.resolve({ ranges: '$', at: 0 }, 'sequence')).toEqual([
      { first: 10, last: 20 },
      { first: 40, last: 40 },
    ]);
  });
});

describe('what the store announces waits until the client is told', () => {
  test('expunged messages keep their numbers until they are taken out', () => {
    const v = view([10, 20, 30, 40]);
    v.hear(expunged(11, 20, 40, 99));
    expect(v.sequenceOf(30)).toBe(3);
    expect(v.takeExpunged()).toEqual({ sequence: [2, 3], uids: [20, 40] });
    expect(v.exists).toBe(2);
    expect(v.sequenceOf(30)).toBe(2);
    expect(v.sequenceOf(20)).toBe(0);
  });

  test('new messages are counted once, though announced again', () => {
    const v = view([10]);
    v.hear(added(message(10, 5), message(11, 11)));
    v.catchUp([message(11, 11), message(12, 12)]);
    expect(v.takeAdded()).toBe(2);
    v.hear(added(message(12, 12)));
    expect(v.hasPending).toBe(false);
    expect(v.uidAt(3)).toBe(12);
  });

  test('what came and went between two commands was never there', () => {
    const v = view([10]);
    v.hear(added(message(11, 11)));
    v.hear(expunged(12, 11));
    expect(v.hasPending).toBe(false);
    expect(v.takeExpunged().uids).toEqual([]);
    expect(v.takeAdded()).toBe(0);
  });

  test('a mailbox that is deleted loses all its messages', () => {
    const v = view([10, 20]);
    v.hear({ type: 'mailbox', mailbox: ID, path: 'INBOX', what: 'deleted' });
    expect(v.takeExpunged().sequence).toEqual([1, 1]);
    expect(v.hasPending).toBe(false);
  });

  test('changes of other mailboxes are none of ours', () => {
    const v = view([10]);
    v.hear({ ...added(message(11, 11)), mailbox: 'M2' as MailboxId });
    expect(v.hasPending).toBe(false);
  });

  test('a flood of flag changes is looked up instead of kept', () => {
    const uids = Array.from({ length: 6000 }, (_, i) => i + 1);
    const v = view(uids);
    v.hear(flags(...uids.map((uid) => message(uid, 10 + uid))));
    expect(v.takeFlags()).toEqual({ messages: [], since: 10 });
    v.hear(flags(message(1, 7000)));
    expect(v.takeFlags()).toEqual({ messages: [message(1, 7000)], since: null });
  });
});

describe('our own changes', () => {
  const echoes = ['before', 'after'] as const;
  const both = (when: (typeof echoes)[number], v: Selected, change: Change, mine: () => void): void => {
    if (when === 'before') v.hear(change);
    mine();
    if (when === 'after') v.hear(change);
  };

  test.each(echoes)('are not told again, the echo coming %s the result', (when) => {
    for (const knows of ['told', 'silent'] as const) {
      const v = view([10]);
      const mine = message(10, 11, '\\Seen');
      both(when, v, flags(mine), () => v.changedHere([mine], knows));
      expect(v.takeFlags().messages, knows).toEqual([]);
    }
  });

  test.each(echoes)(
    'do not hide a change of somebody else when silent, the echo coming %s the result',
    (when) => {
      const v = view([10]);
      const mine = message(10, 12, '\\Flagged', '\\Seen');
      v.hear(flags(message(10, 11, '\\Flagged')));
      both(when, v, flags(mine), () => v.changedHere([mine], 'silent'));
      expect(v.takeFlags().messages).toEqual([mine]);
    },
  );

  test('nor one whose announcement comes late', () => {
    const v = view([10]);
    const mine = message(10, 12, '\\Flagged', '\\Seen');
    v.changedHere([mine], 'silent');
    v.hear(flags(message(10, 11, '\\Flagged')));
    v.hear(flags(mine));
    expect(v.takeFlags().messages).toEqual([mine]);
  });

  test.each(echoes)(
    'that change nothing hide nothing, the announcement of another coming %s the result',
    (when) => {
      const v = view([10]);
      const foreign = message(10, 11, '\\Flagged');
      if (when === 'before') v.hear(flags(foreign));
      v.changing();
      v.changedHere([foreign], 'silent', [10 as Uid]);
      if (when === 'after') v.hear(flags(foreign));
      expect(v.takeFlags().messages).toEqual([foreign]);
    },
  );

  test('later changes of others are told', () => {
    const v = view([10]);
    const mine = message(10, 11, '\\Seen');
    v.changedHere([mine], 'silent');
    v.hear(flags(mine));
    v.hear(flags(message(10, 12)));
    expect(v.takeFlags().messages).toEqual([message(10, 12)]);
  });
});

test('\\Recent: ranges of UIDs, each message in one session (RFC 3501 2.3.2)', () => {
  const v = view([10, 20, 30], 20);
  expect(v.recentCount).toBe(2);
  expect(v.isRecent(10)).toBe(false);
  expect(v.isRecent(30)).toBe(true);
  v.hear(added(message(31, 11), message(32, 12)));
  v.takeAdded();
  // Another session was first with 31.
  v.markRecent(32);
  expect([31, 32].map((uid) => v.isRecent(uid))).toEqual([false, true]);
  expect(v.recentCount).toBe(3);
});

test('MODSEQ: nothing is settled beyond an expunge that is still to be told (RFC 7162 3.2)', () => {
  const v = view([10, 20]);
  v.hear(expunged(11, 10));
  v.hear(flags(message(20, 12)));
  expect(v.settledModSeq).toBe(10);
  v.takeExpunged();
  expect(v.settledModSeq).toBe(12);
});
