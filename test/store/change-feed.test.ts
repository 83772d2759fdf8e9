import { describe, expect, test } from 'vitest';
import type { AccountId } from '../../src/directory/directory.ts';
import { ChangeFeed } from '../../src/store/change-feed.ts';
import type { AccountStore, Change, MailboxId, MailStore, ModSeq } from '../../src/store/store.ts';
import { recordingLog } from '../tls/log.ts';
import { alice, maildirStore, message, temporaryDirectory } from './surroundings.ts';

/** Who hears of what, and when the store is told that somebody listens. */

const INBOX = 'M1' as MailboxId;
const SENT = 'M2' as MailboxId;
const bob = 'bob@example.org' as AccountId;

function feed(): { feed: ChangeFeed; asked: string[]; log: ReturnType<typeof recordingLog> } {
  const asked: string[] = [];
  const log = recordingLog();
  const calls = {
    watch: (account: AccountId, mailbox: MailboxId | null) => void asked.push(`watch ${account} ${mailbox}`),
    unwatch: (account: AccountId, mailbox: MailboxId | null) =>
      void asked.push(`unwatch ${account} ${mailbox}`),
  };
  return { feed: new ChangeFeed(calls, log.log), asked, log };
}

const gone = (mailbox: MailboxId, modSeq: number): Extract<Change, { type: 'expunged' }> => ({
  type: 'expunged',
  mailbox,
  uids: [],
  modSeq: modSeq as ModSeq,
});

describe('the feed', () => {
  test('the store is told of the first that listens and of the last that stops', () => {
    const { feed: changes, asked } = feed();
    const stop = [
      changes.watch(alice, () => {}, INBOX),
      changes.watch(alice, () => {}, INBOX),
      changes.watch(alice, () => {}, null),
      changes.watch(alice, () => {}, SENT),
      changes.watch(bob, () => {}, INBOX),
    ];
    for (const one of [...stop, ...stop]) one();
    expect(asked).toEqual([
      'watch alice@example.org null',
      'watch alice@example.org M1',
      'watch alice@example.org M2',
      'watch bob@example.org null',
      'watch bob@example.org M1',
      'unwatch alice@example.org M1',
      'unwatch alice@example.org M2',
      'unwatch alice@example.org null',
      'unwatch bob@example.org M1',
      'unwatch bob@example.org null',
    ]);
  });

  test('each hears of its own mailbox, or of all, once and in order; of other accounts nothing', () => {
    const { feed: changes } = feed();
    const heard: string[] = [];
    const note = (name: string) => (change: Change) =>
      void heard.push(`${name} ${change.type === 'expunged' ? change.modSeq : ''}`);
    const inbox = note('inbox');
    changes.watch(alice, inbox, INBOX);
    changes.watch(alice, inbox, INBOX);
    changes.watch(alice, note('all'), null);
    changes.watch(bob, note('bob'), INBOX);
    changes.announce(alice, gone(INBOX, 1));
    changes.announce(alice, gone(SENT, 2));
    changes.announce(alice, gone(INBOX, 3));
    expect(heard).toEqual(['all 1', 'inbox 1', 'inbox 1', 'all 2', 'all 3', 'inbox 3', 'inbox 3']);
  });

  test('who comes or goes while a change is told: nobody twice, nobody after he has gone', () => {
    const { feed: changes } = feed();
    const heard: string[] = [];
    const stops = new Map<string, () => void>();
    const listen = (name: string, then: () => void = () => {}): void =>
      void stops.set(
        name,
        changes.watch(
          alice,
          () => {
            heard.push(name);
            then();
          },
          INBOX,
        ),
      );
    listen('first', () => {
      stops.get('second')?.();
      stops.get('first')?.();
      listen('new');
    });
    listen('second');
    listen('third');
    changes.announce(alice, gone(INBOX, 1));
    expect(heard).toEqual(['first', 'third']);
    changes.announce(alice, gone(INBOX, 2));
    expect(heard).toEqual(['first', 'third', 'third', 'new']);
  });

  test('a listener that throws is a line in the log, and nobody else notices', () => {
    const { feed: changes, log } = feed();
    let heard = 0;
    changes.watch(
      alice,
      () => {
        throw new Error('oops');
      },
      INBOX,
    );
    changes.watch(alice, () => heard++, INBOX);
    changes.announce(alice, gone(INBOX, 1));
    expect(heard).toBe(1);
    expect(log.lines.map(({ message }) => message)).toEqual(['a listener to mailbox changes failed']);
  });
});

describe('a store', () => {
  test('1,000 sessions in several mailboxes hear of each change once, in MODSEQ order', async () => {
    const base = temporaryDirectory();
    const store = maildirStore(base.path);
    try {
      const account = await store.account(alice);
      const boxes: MailboxId[] = [];
      for (const path of ['INBOX', 'Sent', 'Trash', 'new'])
        boxes.push(((await account.mailbox(path)) ?? (await account.create(path))).id);
      const heard: number[][] = [];
      const stops = Array.from({ length: 1000 }, (_, i) => {
        const seen: number[] = [];
        heard.push(seen);
        return account.watch(
          (change) => {
            if (change.type === 'added') seen.push(...change.messages.map(({ modSeq }) => modSeq));
            else if (change.type === 'expunged') seen.push(change.modSeq);
          },
          boxes[i % boxes.length],
        );
      });
      for (let i = 0; i < 40; i++) {
        const box = boxes[i % boxes.length] ?? boxes[0];
        if (box) await account.append(box, message('x'), { flags: [], internalDate: 0 });
        if (box && i % 7 === 0) await account.expunge(box, [1 as never]);
      }
      for (const [i, seen] of heard.entries()) {
        expect(seen).toEqual([...new Set(seen)].sort((a, b) => a - b));
        expect(seen).toEqual(heard[i % boxes.length]);
        expect(seen.length).toBeGreaterThanOrEqual(10);
      }
      for (const stop of stops) stop();
      const before = heard.flat().length;
      if (boxes[0]) await account.append(boxes[0], message('x'), { flags: [], internalDate: 0 });
      expect(heard.flat()).toHaveLength(before);
    } finally {
      await store.close();
      base.remove();
    }
  });

  test('nothing is missed between the watch and the list of UIDs, whatever comes meanwhile', async () => {
    const base = temporaryDirectory();
    const store = maildirStore(base.path);
    try {
      const account = await store.account(alice);
      const inbox = (await account.mailbox('INBOX'))?.id as MailboxId;
      const sending = deliverOneByOne(store, 120);
      for (let session = 0; session < 15; session++) {
        const view = new Set<number>();
        const { stop, uids } = await select(account, inbox, view);
        await new Promise((resolve) => setTimeout(resolve, 5));
        const now = [...(await account.uids(inbox))];
        // What a session knows is what there is, or more that has come since.
        for (const uid of now) expect(view.has(uid), `UID ${uid} of ${uids.length}`).toBe(true);
        stop();
      }
      await sending;
    } finally {
      await store.close();
      base.remove();
    }
  });
});

async function deliverOneByOne(store: MailStore, count: number): Promise<void> {
  for (let i = 0; i < count; i++)
    await store.deliver({
      account: alice,
      mailbox: 'INBOX',
      key: `k${i}`,
      flags: [],
      internalDate: 0,
      content: message('x').pieces,
    });
}

/** As SELECT does it: first the watch, then the list. */
async function select(
  account: AccountStore,
  inbox: MailboxId,
  view: Set<number>,
): Promise<{ stop: () => void; uids: Uint32Array }> {
  const stop = account.watch((change) => {
    if (change.type === 'added') for (const { uid } of change.messages) view.add(uid);
  }, inbox);
  const uids = await account.uids(inbox);
  for (const uid of uids) view.add(uid);
  return { stop, uids };
}
