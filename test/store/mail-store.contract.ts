import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { AccountId } from '../../src/directory/directory.ts';
import { rawMessage } from '../../src/mail/raw-message.ts';
import type { SortKey } from '../../src/message/sort.ts';
import type { ThreadAlgorithm } from '../../src/message/threads.ts';
import { type AnnotationChange, MAX_ANNOTATION, MAX_ANNOTATIONS } from '../../src/store/annotations.ts';
import {
  ACCOUNT,
  type AccountStore,
  type Change,
  type EmailId,
  type Mailbox,
  type MailboxId,
  type MailStore,
  type Message,
  type ModSeq,
  type SearchCriteria,
  type SpecialUse,
  StoreError,
  type ThreadId,
  type Uid,
} from '../../src/store/store.ts';
import { sharingContract } from './sharing.contract.ts';
import { all, bytesOf, message, temporaryDirectory } from './surroundings.ts';

export interface Implementation {
  readonly store: MailStore;
  /** The limit of accounts whose name begins with `small`, bytes. A delivery has a grace of 10 %, the Trash too. */
  readonly smallQuota: number;
  /** The messages that accounts may have whose name begins with `few`. */
  readonly fewMessages: number;
  close(): Promise<void>;
}

/** The mailboxes that accounts may have whose name begins with `boxes`; they begin with six. */
export const BOXES = 8;

const DATE = Date.UTC(2026, 0, 2, 3, 4, 5);
const NO_FLAGS = { flags: [], internalDate: DATE };

/** What every mail store must do. */
export function mailStoreContract(name: string, make: () => Promise<Implementation>): void {
  describe(name, () => {
    let world: Implementation;
    let store: MailStore;
    let account: AccountStore;
    let inbox: MailboxId;
    let count = 0;
    const files = temporaryDirectory();

    beforeAll(async () => {
      world = await make();
      store = world.store;
    });
    afterAll(async () => {
      await world.close();
      files.remove();
    });
    beforeEach(async () => {
      account = await store.account(`user${count++}@example.org` as AccountId);
      inbox = (await mailbox('INBOX')).id;
    });

    async function mailbox(path: string): Promise<Mailbox> {
      const found = await account.mailbox(path);
      if (!found) throw new Error(`no mailbox ${path}`);
      return found;
    }
    const append = async (text = 'Hello', flags: readonly string[] = [], to = inbox): Promise<Uid> =>
      (await account.append(to, message(text), { flags, internalDate: DATE })).uid;
    const uids = async (id = inbox): Promise<number[]> => [...(await account.uids(id))];
    const flagsOf = async (id = inbox): Promise<string[][]> =>
      (await all(account.messages(id, [{ first: 1, last: '*' }]))).map(({ flags }) => [...flags].sort());
    const refused = async (work: Promise<unknown>): Promise<string> => {
      const error = await work.then(
        () => undefined,
        (reason: unknown) => reason,
      );
      if (!(error instanceof StoreError)) throw new Error(`not a StoreError: ${String(error)}`);
      return error.kind;
    };

    sharingContract(() => store);

    test('a new account has INBOX and the default mailboxes with their special use, subscribed (RFC 6154)', async () => {
      const boxes = await account.mailboxes();
      expect(boxes.map(({ path, specialUse }) => [path, specialUse])).toEqual([
        ['Archive', 'archive'],
        ['Drafts', 'drafts'],
        ['INBOX', null],
        ['Junk', 'junk'],
        ['Sent', 'sent'],
        ['Trash', 'trash'],
      ]);
      expect(boxes.every(({ subscribed, selectable }) => subscribed && selectable)).toBe(true);
      expect(new Set(boxes.map(({ id }) => id)).size).toBe(6);
      expect(await account.subscriptions()).toEqual(['Archive', 'Drafts', 'INBOX', 'Junk', 'Sent', 'Trash']);
    });

    test('INBOX is one mailbox whatever its case (RFC 9051 5.1)', async () => {
      expect((await account.mailbox('inBox'))?.id).toBe(inbox);
      expect(await refused(account.create('Inbox'))).toBe('exists');
      expect((await account.create('iNbOx/below')).path).toBe('INBOX/below');
    });

    test('CREATE makes the parents, and refuses what exists', async () => {
      const made = await account.create('Projets/été/2026', 'archive');
      expect(made).toMatchObject({
        path: 'Projets/été/2026',
        specialUse: 'archive',
        total: 0,
        selectable: true,
      });
      expect(made.uidNext).toBe(1);
      expect((await mailbox('Projets')).selectable).toBe(true);
      expect(await refused(account.create('Projets/été'))).toBe('exists');
    });

    test.each([
      '',
      '/',
      'a//b',
      '/a',
      'a/',
      '..',
      '../../etc/passwd',
      'a/../b',
      '.',
      'a\0b',
      'a\nb',
      'a\u0085b',
      'a*',
      'a%',
      '\ud800',
      'x'.repeat(300),
      'é'.repeat(200),
      `${'a/'.repeat(200)}a`,
    ])('a hostile name is refused: %j', async (name) => {
      expect(await refused(account.create(name))).toBe('invalid-name');
      expect(await account.mailbox(name)).toBeUndefined();
    });

    test.each([
      'v1.2',
      'a.b/c.d',
      '~root',
      '&',
      '&-',
      '&AOk-',
      '"\\',
      'INBOXES',
      ' x ',
      '日本語',
      'Отправленные',
      '.hidden',
      'tmp',
      'cur',
    ])('an odd name is just a name: %j', async (name) => {
      await account.create(name);
      expect((await account.mailboxes()).some(({ path }) => path === name)).toBe(true);
      expect((await mailbox(name)).path).toBe(name);
    });

    test('names that differ only in Unicode form are one name', async () => {
      await account.create('e\u0301te');
      expect((await mailbox('\u00e9te')).path).toBe('\u00e9te');
      expect(await refused(account.create('\u00e9te'))).toBe('exists');
    });

    test('RENAME takes the children along and keeps ids, messages and UIDVALIDITY', async () => {
      const child = await account.create('a/b/c');
      const uid = await append('Hello', ['\\Seen'], child.id);
      await account.rename((await mailbox('a')).id, 'x/y');
      expect((await account.mailboxes()).map(({ path }) => path)).toEqual(
        expect.arrayContaining(['x', 'x/y', 'x/y/b', 'x/y/b/c']),
      );
      expect(await account.mailbox('a')).toBeUndefined();
      const moved = await mailbox('x/y/b/c');
      expect(moved).toMatchObject({ id: child.id, uidValidity: child.uidValidity, total: 1 });
      expect(await uids(moved.id)).toEqual([uid]);
      expect(await refused(account.rename(moved.id, 'x'))).toBe('exists');
      expect(await refused(account.rename((await mailbox('x')).id, 'x/in'))).toBe('invalid-name');
      expect(await refused(account.rename('Mnone' as MailboxId, 'z'))).toBe('not-found');
    });

    test('renaming INBOX moves its messages and leaves it empty (RFC 9051 6.3.6)', async () => {
      await account.create('INBOX/child');
      await append('one', ['\\Flagged']);
      await append('two');
      await account.rename(inbox, 'Old');
      expect((await mailbox('INBOX')).total).toBe(0);
      expect((await mailbox('INBOX')).id).toBe(inbox);
      expect(await flagsOf((await mailbox('Old')).id)).toEqual([['\\Flagged'], []]);
      expect(await account.mailbox('INBOX/child')).toBeDefined();
      expect(await account.mailbox('Old/child')).toBeUndefined();
    });

    test('a deleted mailbox with children stays as a name (RFC 9051 6.3.5)', async () => {
      const parent = await account.create('p');
      await account.create('p/q');
      await append('gone', [], parent.id);
      await account.delete(parent.id);
      const name = await mailbox('p');
      expect(name.selectable).toBe(false);
      expect(await refused(account.uids(parent.id))).toBe('not-found');
      expect(await refused(account.delete(name.id))).toBe('not-found');
      await account.rename(name.id, 'r');
      expect(await account.mailbox('p')).toBeUndefined();
      expect((await mailbox('r/q')).selectable).toBe(true);
      expect(await refused(account.delete(inbox))).toBe('invalid-name');
    });

    test('a name used again gets another UIDVALIDITY and id (RFC 9051 2.3.1.1)', async () => {
      const seen = new Set<number>();
      const ids = new Set<string>();
      for (let i = 0; i < 4; i++) {
        const box = await account.create('again');
        seen.add(box.uidValidity);
        ids.add(box.id);
        await account.delete(box.id);
      }
      expect(seen.size).toBe(4);
      expect(ids.size).toBe(4);
    });

    test('subscriptions may be of names that do not exist (RFC 9051 6.3.7)', async () => {
      await account.subscribe('nowhere/at all', 'yes');
      await account.subscribe('Junk', 'no');
      expect(await account.subscriptions()).toEqual([
        'Archive',
        'Drafts',
        'INBOX',
        'Sent',
        'Trash',
        'nowhere/at all',
      ]);
      expect((await mailbox('Junk')).subscribed).toBe(false);
      expect(await refused(account.subscribe('../x', 'yes'))).toBe('invalid-name');
    });

    test('an appended message comes back byte for byte, with flags, dates and size', async () => {
      const bytes = Buffer.from('Subject: \xff\x00\r\n\r\nbare \n and \r here\r\n.\r\nno end', 'latin1');
      const flags = ['\\Seen', '$Forwarded', '\\Flagged'];
      const appended = await account.append(inbox, rawMessage([bytes.subarray(0, 9), bytes.subarray(9)]), {
        flags,
        internalDate: DATE,
      });
      expect(appended).toMatchObject({ mailbox: inbox, uid: 1, internalDate: DATE, size: bytes.length });
      expect(appended.emailId).toMatch(/^[A-Za-z0-9_-]{1,255}$/);
      const raw = await account.raw(inbox, appended.uid);
      expect(raw.size).toBe(bytes.length);
      expect((await bytesOf(raw)).equals(bytes)).toBe(true);
      expect((await bytesOf(raw, { start: 5, end: 12 })).equals(bytes.subarray(5, 12))).toBe(true);
      expect(await bytesOf(raw, { start: 1000, end: 2000 })).toHaveLength(0);
      expect(await flagsOf()).toEqual([[...flags].sort()]);
      expect((await mailbox('INBOX')).keywords).toEqual(['$Forwarded']);
      expect(await refused(account.append('Mx' as MailboxId, message('x'), NO_FLAGS))).toBe('not-found');
      const { uidValidity } = await mailbox('INBOX');
      expect(await account.appendTo('inbox', message('by name'), NO_FLAGS)).toEqual({
        mailbox: inbox,
        uidValidity,
        uid: 2,
      });
      for (const path of ['No/where', '../x', ''])
        expect(await refused(account.appendTo(path, message('x'), NO_FLAGS))).toBe('not-found');
      expect(await refused(account.raw(inbox, 99 as Uid))).toBe('expunged');
    });

    test('a big message, and an empty one', async () => {
      const big = Buffer.alloc(3_000_000, 'Large lines of text are also text.\r\n');
      const path = join(files.path, `big-${count}`);
      writeFileSync(path, big);
      const { uid } = await account.append(
        inbox,
        rawMessage([{ path, start: 0, end: big.length }]),
        NO_FLAGS,
      );
      const raw = await account.raw(inbox, uid);
      expect((await bytesOf(raw)).equals(big)).toBe(true);
      const part = await bytesOf(raw, { start: 2_000_000, end: 2_100_000 });
      expect(part.equals(big.subarray(2_000_000, 2_100_000))).toBe(true);
      const empty = await account.append(inbox, rawMessage([]), NO_FLAGS);
      expect(empty.size).toBe(0);
      expect(await bytesOf(await account.raw(inbox, empty.uid))).toHaveLength(0);
      expect(await all(account.summaries(inbox, [empty.uid]))).toHaveLength(1);
    });

    test('counters follow', async () => {
      await append('one');
      await append('two', ['\\Seen']);
      const { size } = (await all(account.messages(inbox, [{ first: 1, last: 1 }])))[0] ?? { size: 0 };
      expect(await mailbox('INBOX')).toMatchObject({ total: 2, unseen: 1, uidNext: 3, size: size * 2 });
      expect(await account.quota()).toEqual({
        usedBytes: size * 2,
        limitBytes: null,
        messages: 2,
        limitMessages: null,
        mailboxes: { count: 6, limit: null },
      });
      await account.expunge(inbox, [1 as Uid]);
      expect(await mailbox('INBOX')).toMatchObject({ total: 1, unseen: 0, uidNext: 3, size });
      expect(await account.quota()).toMatchObject({ usedBytes: size, messages: 1 });
    });

    test('ranges: backwards, beyond the end, and the star (RFC 9051 9: seq-range)', async () => {
      for (let i = 0; i < 6; i++) await append(`${i}`);
      await account.expunge(inbox, [3 as Uid]);
      const pick = async (...ranges: { first: number; last: number | '*' }[]): Promise<number[]> =>
        (await all(account.messages(inbox, ranges))).map(({ uid }) => uid);
      expect(await pick({ first: 4, last: 2 })).toEqual([2, 4]);
      expect(await pick({ first: 99, last: '*' })).toEqual([6]);
      expect(await pick({ first: 5, last: 6 }, { first: 1, last: 1 }, { first: 6, last: 6 })).toEqual([
        1, 5, 6,
      ]);
      expect(await pick({ first: 7, last: 4_294_967_295 })).toEqual([]);
    });

    test('flags: set, add, remove, whatever the case', async () => {
      const uid = await append('x', ['\\Seen']);
      const change = async (mode: 'set' | 'add' | 'remove', ...flags: string[]): Promise<string[]> => {
        const { messages } = await account.setFlags(inbox, [uid, 77 as Uid], { mode, flags });
        expect(messages).toHaveLength(1);
        return [...(messages[0]?.flags ?? [])].sort();
      };
      expect(await change('add', '\\flagged', 'Work')).toEqual(['Work', '\\Flagged', '\\Seen']);
      expect(await change('remove', '\\SEEN', 'work', 'never-seen')).toEqual(['\\Flagged']);
      expect(await change('set', 'WORK', '\\Draft')).toEqual(['Work', '\\Draft']);
      expect(await change('set')).toEqual([]);
      expect(await mailbox('INBOX')).toMatchObject({ unseen: 1 });
    });

    test('MODSEQ: each change is higher, no change changes nothing, conflicts are told (RFC 7162 3.1.3)', async () => {
      const [one, two] = [await append('1'), await append('2')];
      const before = (await mailbox('INBOX')).highestModSeq;
      const { messages } = await account.setFlags(inbox, [one], { mode: 'add', flags: ['\\Seen'] });
      const after = messages[0]?.modSeq ?? 0;
      expect(after).toBeGreaterThan(before);
      const same = await account.setFlags(inbox, [one], { mode: 'add', flags: ['\\Seen'] });
      expect(same.messages[0]?.modSeq).toBe(after);
      expect((await mailbox('INBOX')).highestModSeq).toBe(after);
      const late = await account.setFlags(inbox, [one, two], {
        mode: 'add',
        flags: ['\\Deleted'],
        unchangedSince: before,
      });
      expect(late.conflicts).toEqual([one]);
      expect(late.messages.map(({ uid }) => uid)).toEqual([two]);
      const changed = await all(account.messages(inbox, [{ first: 1, last: '*' }], before));
      expect(changed.map(({ uid }) => uid)).toEqual([one, two]);
      expect(await all(account.messages(inbox, [{ first: 1, last: '*' }], after as ModSeq))).toHaveLength(1);
    });

    test('26 keywords in use at once; a letter nobody uses is given again', async () => {
      const uid = await append('x');
      const keywords = Array.from({ length: 26 }, (_, i) => `key${i}`);
      await account.setFlags(inbox, [uid], { mode: 'set', flags: keywords });
      expect(await refused(account.setFlags(inbox, [uid], { mode: 'add', flags: ['more'] }))).toBe('limit');
      expect((await flagsOf())[0]).toHaveLength(26);
      expect(await refused(account.setFlags(inbox, [uid], { mode: 'add', flags: ['a b'] }))).toBe('limit');
    });

    test('many messages at once with more keywords than there is room for: each has its own, or is refused', async () => {
      const results = await Promise.allSettled(
        Array.from({ length: 40 }, (_, i) =>
          store.deliver({
            account: account.account,
            mailbox: 'INBOX',
            key: `keyword-${count}-${i}`,
            flags: [`key${i}`],
            internalDate: DATE,
            content: message(`${i}`).pieces,
          }),
        ),
      );
      expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(26);
      expect((await flagsOf()).flat().sort()).toEqual(Array.from({ length: 26 }, (_, i) => `key${i}`).sort());
    });

    test('COPY keeps flags, date and email id; MOVE leaves nothing behind (RFC 6851)', async () => {
      const to = await account.create('to');
      const [a, b, c] = [
        await append('a', ['\\Seen', 'Work']),
        await append('b'),
        await append('c', ['\\Draft']),
      ];
      const original = await all(account.messages(inbox, [{ first: 1, last: '*' }]));
      const copied = await account.copy(inbox, [c, a, 55 as Uid], to.id);
      expect(copied).toEqual([
        { from: a, to: 1 },
        { from: c, to: 2 },
      ]);
      const copies = await all(account.messages(to.id, [{ first: 1, last: '*' }]));
      expect(copies.map(({ emailId, internalDate }) => [emailId, internalDate])).toEqual(
        [original[0], original[2]].map((m) => [m?.emailId, DATE]),
      );
      expect(await flagsOf(to.id)).toEqual([['Work', '\\Seen'], ['\\Draft']]);
      const moved = await account.move(inbox, [b, a], to.id);
      expect(moved).toEqual([
        { from: a, to: 3 },
        { from: b, to: 4 },
      ]);
      expect(await uids()).toEqual([c]);
      expect(await uids(to.id)).toEqual([1, 2, 3, 4]);
      const text = (await bytesOf(await account.raw(to.id, 4 as Uid))).toString();
      expect(text).toContain('\r\nb\r\n');
      expect(await refused(account.copy(inbox, [c], 'Mnone' as MailboxId))).toBe('not-found');
      expect(await account.copy(inbox, [99 as Uid], to.id)).toEqual([]);
    });

    test('moving and copying inside one mailbox gives new UIDs', async () => {
      await append('a');
      expect(await account.copy(inbox, [1 as Uid], inbox)).toEqual([{ from: 1, to: 2 }]);
      expect(await account.move(inbox, [1 as Uid, 2 as Uid], inbox)).toEqual([
        { from: 1, to: 3 },
        { from: 2, to: 4 },
      ]);
      expect(await uids()).toEqual([3, 4]);
    });

    test('what is expunged is gone, and told as vanished (RFC 7162 3.2.10)', async () => {
      for (let i = 0; i < 5; i++) await append(`${i}`);
      const before = (await mailbox('INBOX')).highestModSeq;
      expect(await account.expunge(inbox, [2, 4, 9] as Uid[])).toEqual([2, 4]);
      expect(await account.expunge(inbox, [2] as Uid[])).toEqual([]);
      expect(await account.vanished(inbox, before)).toEqual([2, 4]);
      expect((await mailbox('INBOX')).highestModSeq).toBeGreaterThan(before);
      expect(await account.vanished(inbox, (await mailbox('INBOX')).highestModSeq)).toEqual([]);
      expect(await append('new')).toBe(6);
      expect(await uids()).toEqual([1, 3, 5, 6]);
    });

    test('delivery: once for each key, into the mailbox named', async () => {
      const id = account.account;
      const delivery = (key: string, mailbox = 'INBOX', text = key) => ({
        account: id,
        mailbox,
        key,
        flags: [],
        internalDate: DATE,
        content: message(text).pieces,
      });
      const first = await store.deliver(delivery('k-1'));
      expect(await store.deliver(delivery('k-1'))).toEqual(first);
      const many = await Promise.all(
        Array.from({ length: 40 }, (_, i) => store.deliver(delivery(`many-${i % 20}`))),
      );
      expect(new Set(many.map(({ uid }) => uid)).size).toBe(20);
      expect(await uids()).toHaveLength(21);
      await account.expunge(inbox, [first.uid]);
      expect(await store.deliver(delivery('k-1'))).toEqual(first);
      expect(await uids()).toHaveLength(20);
      expect((await store.deliver(delivery('sent', 'Sent'))).mailbox).toBe((await mailbox('Sent')).id);
      expect(await refused(store.deliver(delivery('x', 'Nowhere')))).toBe('not-found');
      await expect(store.deliver(delivery('../x'))).rejects.toThrow();
    });

    test('a delivery from a file, whole or part of it', async () => {
      const path = join(files.path, `spool-${count}`);
      const bytes = (await bytesOf(message('spooled'))).toString();
      writeFileSync(path, `${bytes}${bytes}`);
      const deliver = (key: string, start: number, end: number): Promise<{ uid: Uid }> =>
        store.deliver({
          account: account.account,
          mailbox: 'INBOX',
          key,
          flags: ['\\Flagged'],
          internalDate: DATE,
          content: [{ path, start, end }],
        });
      const whole = await deliver('whole', 0, bytes.length * 2);
      const half = await deliver('half', bytes.length, bytes.length * 2);
      expect((await bytesOf(await account.raw(inbox, whole.uid))).toString()).toBe(bytes + bytes);
      expect((await bytesOf(await account.raw(inbox, half.uid))).toString()).toBe(bytes);
      expect(await flagsOf()).toEqual([['\\Flagged'], ['\\Flagged']]);
      expect((await all(account.messages(inbox, [{ first: 1, last: '*' }])))[0]?.internalDate).toBe(DATE);
    });

    test('a full mailbox refuses delivery, APPEND and COPY, and nothing of them stays', async () => {
      account = await store.account(`small${count}@example.org` as AccountId);
      inbox = (await mailbox('INBOX')).id;
      const fits = 'x'.repeat(world.smallQuota - 300);
      const uid = await append(fits);
      expect((await account.quota()).limitBytes).toBe(world.smallQuota);
      expect(await refused(append('y'.repeat(400)))).toBe('over-quota');
      expect(await refused(account.copy(inbox, [uid], inbox))).toBe('over-quota');
      const delivery = {
        account: account.account,
        mailbox: 'INBOX',
        key: 'q',
        flags: [],
        internalDate: DATE,
      };
      expect(await refused(store.deliver({ ...delivery, content: message('z'.repeat(400)).pieces }))).toBe(
        'over-quota',
      );
      expect(await uids()).toEqual([uid]);
      await account.expunge(inbox, [uid]);
      expect(
        (await store.deliver({ ...delivery, content: message('z'.repeat(400)).pieces })).uid,
      ).toBeGreaterThan(uid);
    });

    test('the last delivery may go beyond the quota a little; a full mailbox takes none, however small', async () => {
      account = await store.account(`small${count}@example.org` as AccountId);
      inbox = (await mailbox('INBOX')).id;
      const overhead = message('').size;
      await append('x'.repeat(world.smallQuota - 100 - 2 * overhead));
      const deliver = (key: string, text: string, limits?: 'ignored'): Promise<unknown> =>
        store.deliver({
          account: account.account,
          mailbox: 'INBOX',
          key,
          flags: [],
          internalDate: DATE,
          content: message(text).pieces,
          ...(limits && { limits }),
        });
      const beyond = 'z'.repeat(200);
      expect(await refused(append(beyond))).toBe('over-quota');
      await store.admit(account.account, overhead + 200);
      expect(await refused(store.admit(account.account, overhead + 400))).toBe('over-quota');
      await deliver('last', beyond);
      expect((await account.quota()).usedBytes).toBe(world.smallQuota + 100);
      expect(await refused(deliver('more', ''))).toBe('over-quota');
      expect(await refused(store.admit(account.account, 1))).toBe('over-quota');
      expect(await refused(account.admit(inbox, 1))).toBe('over-quota');
      expect(await deliver('last', beyond)).toMatchObject({ uid: 2 });
      expect(await deliver('imported', '', 'ignored')).toMatchObject({ uid: 3 });
      // Clients delete by a copy to the Trash.
      const trash = await mailbox('Trash');
      await account.copy(inbox, [2 as Uid], trash.id).catch(() => undefined);
      expect(trash.specialUse).toBe('trash');
    });

    test('a quota of messages', async () => {
      account = await store.account(`few${count}@example.org` as AccountId);
      inbox = (await mailbox('INBOX')).id;
      for (let i = 0; i < world.fewMessages; i++) await append();
      expect(await account.quota()).toMatchObject({
        messages: world.fewMessages,
        limitMessages: world.fewMessages,
        limitBytes: null,
      });
      expect(await refused(append())).toBe('over-quota');
      expect(await refused(account.copy(inbox, [1 as Uid], inbox))).toBe('over-quota');
      expect(await refused(store.admit(account.account, 1))).toBe('over-quota');
      // Moving is no more mail than before.
      const [pair] = await account.move(inbox, [1 as Uid], (await mailbox('Sent')).id);
      expect(pair?.from).toBe(1);
      await account.expunge(inbox, [2 as Uid]);
      await append();
    });

    test('a quota of mailboxes: CREATE with the parents it needs, and RENAME (RFC 9208 5.3)', async () => {
      account = await store.account(`boxes${count}@example.org` as AccountId);
      inbox = (await mailbox('INBOX')).id;
      const counted = async (): Promise<number | undefined> => (await account.quota()).mailboxes?.count;
      expect((await account.quota()).mailboxes).toEqual({ count: 6, limit: BOXES });
      expect((await account.quota(inbox)).mailboxes).toBeUndefined();
      expect(await refused(account.create('a/b/c'))).toBe('over-quota');
      expect(await account.mailbox('a')).toBeUndefined();
      const { id } = await account.create('a/b');
      expect(await counted()).toBe(BOXES);
      expect(await refused(account.create('d'))).toBe('over-quota');
      expect(await refused(account.rename(id, 'd/e'))).toBe('over-quota');
      expect(await refused(account.rename(inbox, 'd'))).toBe('over-quota');
      expect(await account.mailbox('d')).toBeUndefined();
      await account.rename(id, 'a/x');
      await append();
      await account.delete(id);
      expect(await counted()).toBe(BOXES - 1);
      await account.rename(inbox, 'd');
      expect(await refused(account.create('e'))).toBe('over-quota');
      expect(await refused(account.create('a'))).toBe('exists');
    });

    test('a mailbox with limits of its own: delivery, APPEND, COPY, MOVE, and INBOX renamed', async () => {
      const limited = (await account.create('Limited/box')).id;
      expect(await account.quota(limited)).toEqual({
        usedBytes: 0,
        limitBytes: 1000,
        messages: 0,
        limitMessages: null,
      });
      expect(await account.quota(inbox)).toMatchObject({ limitBytes: null, limitMessages: null });
      const fits = 'x'.repeat(600);
      const uid = await append(fits);
      await account.copy(inbox, [uid], limited);
      expect(await refused(account.copy(inbox, [uid], limited))).toBe('over-quota');
      expect(await refused(account.move(inbox, [uid], limited))).toBe('over-quota');
      expect(await refused(append(fits, [], limited))).toBe('over-quota');
      expect(await refused(account.admit(limited, 700))).toBe('over-quota');
      const [moved] = await account.move(limited, [1 as Uid], limited);
      expect(moved).toBeDefined();
      await append(fits);
      expect(await refused(account.rename(inbox, 'Limited/other'))).toBe('over-quota');
      expect(await account.mailbox('Limited/other')).toBeUndefined();
      expect(await uids()).toHaveLength(2);
      const junk = (await mailbox('Junk')).id;
      await append('1', [], junk);
      await append('2', [], junk);
      expect(await refused(append('3', [], junk))).toBe('over-quota');
      expect(await refused(account.move(inbox, [uid], junk))).toBe('over-quota');
      await account.expunge(junk, [1 as Uid]);
      await account.move(inbox, [uid], junk);
      expect(await account.quota(junk)).toMatchObject({ messages: 2, limitMessages: 2 });
    });

    test('\\Recent belongs to one session (RFC 3501 2.3.2)', async () => {
      await append('1');
      expect((await mailbox('INBOX')).firstRecent).toBe(1);
      expect(await account.claimRecent(inbox)).toBe(1);
      expect(await account.claimRecent(inbox)).toBe(2);
      await append('2');
      expect((await mailbox('INBOX')).firstRecent).toBe(2);
      expect(await account.claimRecent(inbox)).toBe(2);
      expect((await mailbox('INBOX')).firstRecent).toBe(3);
    });

    test('the first unseen message', async () => {
      const unseen = async (): Promise<number | null | undefined> => {
        const opened = await account.open('INBOX', 'look', () => {});
        opened?.close();
        return opened?.firstUnseen;
      };
      expect(await unseen()).toBeNull();
      for (const flags of [['\\Seen'], [], ['\\Flagged'], ['\\Seen']]) await append('x', flags);
      expect(await unseen()).toBe(2);
      await account.setFlags(inbox, [2 as Uid], { mode: 'add', flags: ['\\Seen'] });
      expect(await unseen()).toBe(3);
      await account.expunge(inbox, [3 as Uid]);
      expect(await unseen()).toBeNull();
      await append('y');
      expect(await unseen()).toBe(5);
      await account.setFlags(inbox, [1 as Uid], { mode: 'remove', flags: ['\\Seen'] });
      expect(await unseen()).toBe(1);
    });

    test('what SELECT and POP3 ask for, with one question each', async () => {
      expect(await account.open('none', 'claim', () => {})).toBeUndefined();
      for (const flags of [['\\Seen'], [], ['\\Flagged']]) await append('x', flags);
      await account.expunge(inbox, [1 as Uid]);
      const heard: string[] = [];
      const opened = await account.open('inbox', 'claim', ({ type }) => heard.push(type));
      expect(opened?.mailbox).toEqual({ ...(await mailbox('INBOX')), firstRecent: 1 });
      expect([...(opened?.uids ?? [])]).toEqual([2, 3]);
      expect(opened?.firstRecent).toBe(1);
      expect((await account.open('INBOX', 'look', () => {}))?.firstRecent).toBe(4);
      heard.length = 0;
      await append('y', ['\\Seen']);
      await expect.poll(() => heard).toEqual(['added']);
      opened?.close();
      await append('z');
      expect(heard).toEqual(['added']);
      const { uids, sizes, seen } = await account.columns(inbox);
      expect([...uids]).toEqual([2, 3, 4, 5]);
      expect([...seen]).toEqual([0, 0, 1, 0]);
      for await (const batch of account.messages(inbox, [{ first: 1, last: '*' }]))
        expect([...sizes]).toEqual(batch.map(({ size }) => size));
    });

    test('summaries, headers and structure; messages that are gone are left out', async () => {
      for (let i = 0; i < 3; i++) await append(`text ${i}`);
      const wanted = [1, 2, 3, 99] as Uid[];
      for (let round = 0; round < 2; round++) {
        const summaries = await all(account.summaries(inbox, wanted));
        expect(summaries.map(({ uid }) => uid)).toEqual([1, 2, 3]);
        expect(summaries[0]?.envelope).toContain('"Test"');
        expect(summaries[0]?.bodyStructure).toMatch(/^\("text" "plain"/i);
        const [only] = await all(account.summaries(inbox, [2 as Uid], ['bodyStructure']));
        expect(only).toEqual({ uid: 2, envelope: '', body: '', bodyStructure: summaries[1]?.bodyStructure });
        const headers = await all(account.headers(inbox, wanted));
        expect(headers.map(({ uid }) => uid)).toEqual([1, 2, 3]);
        expect(Buffer.from(headers[2]?.header ?? []).toString()).toMatch(/^From: .*\r\n\r\n$/s);
        const part = await account.structure(inbox, 2 as Uid);
        expect(part).toMatchObject({ type: 'text', subtype: 'plain' });
        const raw = await bytesOf(await account.raw(inbox, 2 as Uid), part.body);
        expect(raw.toString()).toBe('text 1\r\n');
      }
      expect(await refused(account.structure(inbox, 99 as Uid))).toBe('expunged');
    });

    test('fields of headers, as BODY[HEADER.FIELDS (...)] has them', async () => {
      for (let i = 0; i < 3; i++) await append(`text ${i}`);
      const wanted = [3, 1, 99, 2] as Uid[];
      for (let round = 0; round < 2; round++) {
        const only = await all(
          account.headerFields(inbox, wanted, { mode: 'only', names: ['SUBJECT', 'X-None'] }),
        );
        expect(only).toEqual([1, 2, 3].map((uid) => ({ uid, fields: 'Subject: Test\r\n\r\n' })));
        const [rest] = await all(account.headerFields(inbox, [2 as Uid], { mode: 'not', names: ['from'] }));
        expect(rest?.fields).toMatch(/^(?!.*From:).*Subject: Test\r\n.*\r\n\r\n$/s);
      }
      expect(await all(account.headerFields(inbox, [], { mode: 'only', names: ['to'] }))).toEqual([]);
    });

    test('small messages whole, many at once; big ones and those that are gone are left out', async () => {
      const texts = Array.from({ length: 40 }, (_, i) => `${i}`.repeat(i * 1000));
      texts[7] = 'big '.repeat(100_000);
      for (const text of texts) await append(text);
      await account.expunge(inbox, [9 as Uid]);
      await account.setFlags(inbox, [10 as Uid], { mode: 'add', flags: ['\\Seen'] });
      const wanted = texts.map((_, i) => (i + 1) as Uid);
      const found = await all(account.contents(inbox, [...wanted, 999 as Uid]));
      const uids = found.map(({ uid }) => Number(uid));
      expect(uids).toEqual([...uids].sort((a, b) => a - b));
      expect(uids).toEqual(expect.arrayContaining([1, 2, 3, 10, 32]));
      expect(uids).not.toContain(8);
      expect(uids).not.toContain(9);
      for (const { uid, bytes } of found)
        expect(Buffer.from(bytes).equals(await bytesOf(await account.raw(inbox, uid)))).toBe(true);
    });

    describe('search', () => {
      const found = async (criteria: SearchCriteria): Promise<number[]> => [
        ...(await account.search(inbox, criteria)),
      ];
      beforeEach(async () => {
        const mail = (header: string, body: string): ReturnType<typeof rawMessage> =>
          rawMessage([Buffer.from(`${header}\r\n\r\n${body}\r\n`)]);
        const at = (day: number, flags: string[] = []) => ({ flags, internalDate: Date.UTC(2026, 0, day) });
        await account.append(
          inbox,
          mail(
            'Subject: =?utf-8?q?Caf=C3=A9?=\r\nFrom: Ann <ann@example.org>\r\nDate: Sat, 3 Jan 2026 23:30:00 -0500',
            'Hello World',
          ),
          at(1, ['\\Seen']),
        );
        await account.append(
          inbox,
          mail('Subject: Plans\r\nX-Empty: \r\nDate: Mon, 5 Jan 2026 00:10:00 +0900', 'the cafe is closed'),
          at(2, ['\\Flagged', 'Work']),
        );
        await account.append(inbox, mail('Subject: nothing', `${'long '.repeat(500)}`), at(3));
      });

      test.each<[string, SearchCriteria, number[]]>([
        ['all', { all: [] }, [1, 2, 3]],
        ['none', { any: [] }, []],
        ['flag', { flag: '\\seen' }, [1]],
        ['keyword', { flag: 'work' }, [2]],
        ['unknown keyword', { not: { flag: 'other' } }, [1, 2, 3]],
        ['uid', { uid: [{ first: 2, last: '*' }] }, [2, 3]],
        ['header, encoded words decoded', { header: 'Subject', contains: 'CAFÉ' }, [1]],
        ['header that is there', { header: 'x-empty', contains: '' }, [2]],
        ['from', { header: 'from', contains: 'ann@' }, [1]],
        ['body', { text: 'cafe', in: 'body' }, [2]],
        ['text', { text: 'café', in: 'message' }, [1]],
        ['text without accents', { text: 'café', in: 'message', accents: 'ignored' }, [1, 2]],
        ['header without accents', { header: 'Subject', contains: 'CAFÈ', accents: 'ignored' }, [1]],
        ['header with others', { header: 'Subject', contains: 'CAFÈ' }, []],
        ['size', { size: 'larger', bytes: 1000 }, [3]],
        ['smaller', { size: 'smaller', bytes: 1000 }, [1, 2]],
        [
          'internal date',
          { date: 'internal', from: Date.UTC(2026, 0, 2), before: Date.UTC(2026, 0, 3) },
          [2],
        ],
        [
          'sent, zone left out (RFC 9051 6.4.4)',
          { date: 'sent', from: Date.UTC(2026, 0, 5), before: Date.UTC(2026, 0, 6) },
          [2],
        ],
        ['sent before', { date: 'sent', before: Date.UTC(2026, 0, 4) }, [1, 3]],
        [
          'and, or, not',
          {
            all: [
              { any: [{ flag: '\\Seen' }, { flag: '\\Flagged' }] },
              { not: { text: 'hello', in: 'body' } },
            ],
          },
          [2],
        ],
      ])('%s', async (_name, criteria, expected) => {
        expect(await found(criteria)).toEqual(expected);
        expect(await found(criteria)).toEqual(expected);
      });

      test('changed since', async () => {
        const since = (await mailbox('INBOX')).highestModSeq;
        await account.setFlags(inbox, [3 as Uid], { mode: 'add', flags: ['\\Answered'] });
        expect(await found({ changedSince: since })).toEqual([3]);
      });

      test('by email id, also what was copied (RFC 8474)', async () => {
        const sent = await mailbox('Sent');
        await account.copy(inbox, [2 as Uid], sent.id);
        const [, second] = await all(account.messages(inbox, [{ first: 1, last: '*' }]));
        if (!second) throw new Error('no message');
        expect(await found({ emailId: second.emailId })).toEqual([2]);
        expect([...(await account.search(sent.id, { emailId: second.emailId }))]).toEqual([1]);
        expect(await found({ emailId: 'E0' as EmailId })).toEqual([]);
      });
    });

    describe('sort and thread', () => {
      const put = (lines: readonly string[], day: number): Promise<Message> =>
        account.append(
          inbox,
          rawMessage([Buffer.from(`${lines.join('\r\n')}\r\n\r\n${'x'.repeat(day)}\r\n`)]),
          {
            flags: day === 1 ? ['\\Seen'] : [],
            internalDate: Date.UTC(2026, 0, day),
          },
        );
      beforeEach(async () => {
        await put(
          [
            'Subject: lunch',
            'From: Zoe <a@example.org>',
            'To: Ann <n@x>',
            'Date: 4 Jan 2026 10:00:00 +0000',
            'Message-ID: <1@x>',
          ],
          3,
        );
        await put(
          [
            'Subject: Re: Lunch',
            'From: Ann <z@example.org>',
            'To: m@x',
            'Date: 2 Jan 2026 23:30:00 -0500',
            'Message-ID: <2@x>',
            'References: <1@x>',
          ],
          1,
        );
        await put(
          [
            'Subject: [list] agenda',
            'From: b@example.org',
            'Cc: Q <q@x>',
            'Date: nonsense',
            'Message-ID: <3@x>',
          ],
          2,
        );
        await put(
          [
            'Subject: re: agenda',
            'From: =?utf-8?q?=C3=84nne?= <c@example.org>',
            'Date: 5 Jan 2026 10:00:00 +0000',
            'Message-ID: <4@x>',
          ],
          4,
        );
        await put(
          ['Subject: lunch', 'Date: 1 Jan 2026 00:00:00 +0000', 'In-Reply-To: <2@x>', 'Message-ID: <5@x>'],
          5,
        );
      });

      test.each<[string, number[]]>([
        ['arrival', [2, 3, 1, 4, 5]],
        ['-arrival', [5, 4, 1, 3, 2]],
        ['date', [5, 3, 2, 1, 4]],
        ['-date', [4, 1, 2, 3, 5]],
        ['size', [3, 4, 5, 1, 2]],
        ['subject', [3, 4, 1, 2, 5]],
        ['subject,-date', [4, 3, 1, 2, 5]],
        ['from', [5, 1, 3, 4, 2]],
        ['to', [3, 4, 5, 2, 1]],
        ['cc', [1, 2, 4, 5, 3]],
        ['displayfrom', [5, 2, 4, 3, 1]],
        ['displayto', [3, 4, 5, 1, 2]],
      ])('sort by %s (RFC 5256, RFC 5957)', async (named, expected) => {
        const keys = named.split(',').map(
          (key): SortKey => ({
            by: key.replace('-', '') as SortKey['by'],
            order: key.startsWith('-') ? 'descending' : 'ascending',
          }),
        );
        if (named === 'size') {
          const sizes = await all(account.messages(inbox, [{ first: 1, last: '*' }]));
          const bySize = [...sizes].sort((a, b) => a.size - b.size || a.uid - b.uid).map(({ uid }) => uid);
          expect(await account.sort(inbox, { all: [] }, keys)).toEqual(bySize);
          return;
        }
        expect(await account.sort(inbox, { all: [] }, keys)).toEqual(expected);
        expect(await account.sort(inbox, { not: { flag: '\\Seen' } }, keys)).toEqual(
          expected.filter((uid) => uid !== 2),
        );
      });

      test.each<[ThreadAlgorithm, string, string]>([
        ['references', '3 .4 1 .2 ..5', '0 .5 .1 3 .4'],
        ['refs', '3 1 .2 ..5 4', '5 3 1 4'],
        ['orderedsubject', '5 .2 .1 3 .4', '5 .1 3 .4'],
      ])('thread by %s (RFC 5256)', async (algorithm, expected, unseen) => {
        const shown = async (criteria: SearchCriteria): Promise<string> => {
          const { uids, levels } = await account.thread(inbox, criteria, algorithm);
          return [...uids].map((uid, at) => '.'.repeat(levels[at] ?? 0) + uid).join(' ');
        };
        expect(await shown({ all: [] })).toBe(expected);
        expect(await shown({ not: { flag: '\\Seen' } })).toBe(unseen);
        expect(await shown({ any: [] })).toBe('');
      });

      test('thread ids: one for each thread, the same for a copy, gone with the message (RFC 8474)', async () => {
        const uids = [1, 2, 3, 4, 5, 99] as Uid[];
        const ids = await account.threadIds(inbox, uids);
        expect([...ids.keys()].sort()).toEqual([1, 2, 3, 4, 5]);
        const of = (uid: number): ThreadId | undefined => ids.get(uid as Uid);
        expect([of(2), of(5)]).toEqual([of(1), of(1)]);
        expect(of(4)).toBe(of(3));
        expect(of(3)).not.toBe(of(1));
        const wanted = of(1);
        if (!wanted) throw new Error('no thread id');
        expect(await account.search(inbox, { threadId: wanted })).toEqual([1, 2, 5]);
        expect(await account.search(inbox, { not: { threadId: wanted } })).toEqual([3, 4]);
        const sent = await mailbox('Sent');
        await account.move(inbox, [2 as Uid], sent.id);
        expect(await account.threadIds(sent.id, [1 as Uid])).toEqual(new Map([[1, wanted]]));
        expect((await account.threadIds(inbox, uids)).size).toBe(4);
        expect(await account.search(inbox, { threadId: wanted })).toEqual([1, 5]);
      });
    });

    test('watch tells each committed change once, in order, until it is stopped', async () => {
      const changes: Change[] = [];
      const stop = account.watch((change) => changes.push(change));
      const box = await account.create('watched');
      const uid = await append('a', [], box.id);
      await account.setFlags(box.id, [uid], { mode: 'add', flags: ['\\Seen'] });
      await account.setFlags(box.id, [uid], { mode: 'add', flags: ['\\Seen'] });
      await account.move(box.id, [uid], inbox);
      await store.deliver({
        account: account.account,
        mailbox: 'watched',
        key: 'w',
        flags: [],
        internalDate: DATE,
        content: message('b').pieces,
      });
      await account.expunge(box.id, [2 as Uid]);
      await account.rename(box.id, 'renamed');
      await account.subscribe('renamed', 'yes');
      await account.delete(box.id);
      const told = changes.filter((change) => change.mailbox === box.id);
      expect(told.map((change) => (change.type === 'mailbox' ? change.what : change.type))).toEqual([
        'created',
        'added',
        'flags',
        'expunged',
        'added',
        'expunged',
        'renamed',
        'subscribed',
        'deleted',
      ]);
      const modSeqs = told.flatMap((change) =>
        change.type === 'mailbox' || change.type === 'annotated' || change.type === 'acl'
          ? []
          : change.type === 'expunged'
            ? [change.modSeq]
            : change.messages.map((m) => m.modSeq),
      );
      expect(modSeqs).toEqual([...modSeqs].sort((a, b) => a - b));
      expect(changes.some((change) => change.type === 'added' && change.mailbox === inbox)).toBe(true);
      stop();
      const heard = changes.length;
      await append('c');
      expect(changes).toHaveLength(heard);
    });

    test('a watch of one mailbox hears of that one, its end included, and of no other', async () => {
      const box = await account.create('watched');
      const other = await account.create('other');
      const changes: Change[] = [];
      const stop = account.watch((change) => changes.push(change), box.id);
      await append('a', [], box.id);
      await append('b', [], other.id);
      await append('c');
      await account.move(other.id, [1 as Uid], box.id);
      await account.rename(box.id, 'still watched');
      await account.delete(other.id);
      await account.delete(box.id);
      expect(changes.map((change) => (change.type === 'mailbox' ? change.what : change.type))).toEqual([
        'added',
        'added',
        'renamed',
        'deleted',
      ]);
      expect(changes.every((change) => change.mailbox === box.id)).toBe(true);
      stop();
    });

    test('a removed account begins anew', async () => {
      await append('x');
      await store.remove(account.account);
      account = await store.account(account.account);
      const box = await mailbox('INBOX');
      expect(box.total).toBe(0);
      expect(box.id).not.toBe(inbox);
    });

    test('accounts with hostile names are apart and stay in their place', async () => {
      const names = [
        '../../evil@example.org',
        'a/b@example.org',
        '"félix le [chat]"@exämple.org',
        'A@example.org',
        'a@example.org',
        '@example.org',
        '.@..',
      ];
      for (const name of names) {
        account = await store.account(name as AccountId);
        inbox = (await mailbox('INBOX')).id;
        await append(name);
      }
      for (const name of names) {
        account = await store.account(name as AccountId);
        inbox = (await mailbox('INBOX')).id;
        expect(await uids()).toEqual([1]);
        expect((await bytesOf(await account.raw(inbox, 1 as Uid))).toString()).toContain(`\r\n${name}\r\n`);
      }
    });

    const notes = (...entries: [string, string | null][]): AnnotationChange => ({
      entries: new Map(entries),
      by: 'me',
    });
    const noted = async (id: MailboxId): Promise<[string, string][]> => [...(await account.annotations(id))];

    test('annotations of mailboxes and of the account: set, changed, removed (RFC 5464 4.3)', async () => {
      const { id } = await account.create('Notes');
      expect(await noted(id)).toEqual([]);
      const binary = String.fromCharCode(...Array.from({ length: 256 }, (_, at) => at));
      await account.annotate(id, notes(['/private/comment', 'a\r\nb'], ['/shared/x "%', binary]));
      await account.annotate(ACCOUNT, notes(['/private/vendor/x/y', '']));
      expect(await noted(ACCOUNT)).toEqual([['/private/vendor/x/y', '']]);
      expect(await noted(inbox)).toEqual([]);
      // Names have no case, and stay as they were first written.
      await account.annotate(
        id,
        notes(['/PRIVATE/Comment', 'c'], ['/shared/x "%', null], ['/shared/none', null]),
      );
      expect(await noted(id)).toEqual([['/private/comment', 'c']]);
      await account.annotate(id, notes(['/private/COMMENT', null]));
      expect(await noted(id)).toEqual([]);
      expect(await refused(account.annotations('Mnone' as MailboxId))).toBe('not-found');
      expect(await refused(account.annotate('Mnone' as MailboxId, notes(['/private/a', 'b'])))).toBe(
        'not-found',
      );
    });

    test('annotations follow a rename, are copied from INBOX, and go with the mailbox (RFC 5464 4.1)', async () => {
      const { id } = await account.create('Here/below');
      await account.annotate(id, notes(['/shared/comment', 'x']));
      await account.rename((await mailbox('Here')).id, 'There');
      expect(await noted((await mailbox('There/below')).id)).toEqual([['/shared/comment', 'x']]);
      await account.delete(id);
      expect(await noted((await account.create('There/below')).id)).toEqual([]);
      await account.annotate(inbox, notes(['/shared/comment', 'in']));
      await append();
      await account.rename(inbox, 'Old');
      expect(await noted(inbox)).toEqual([['/shared/comment', 'in']]);
      expect(await noted((await mailbox('Old')).id)).toEqual([['/shared/comment', 'in']]);
    });

    test('annotations have bounds, and a change that goes beyond one changes nothing (RFC 5464 4.3)', async () => {
      const big = 'x'.repeat(MAX_ANNOTATION);
      await account.annotate(inbox, notes(['/private/a', big], ['/private/b', big]));
      const before = await noted(inbox);
      expect(
        await refused(account.annotate(inbox, notes(['/private/a', null], ['/private/c', `${big}x`]))),
      ).toBe('limit');
      expect(
        await refused(
          account.annotate(inbox, notes(['/private/c', big], ['/private/d', big], ['/private/e', big])),
        ),
      ).toBe('limit');
      expect(await noted(inbox)).toEqual(before);
      const many = Array.from({ length: MAX_ANNOTATIONS }, (_, at): [string, string] => [
        `/shared/${at}`,
        '',
      ]);
      await account.annotate(ACCOUNT, notes(...many));
      expect(await refused(account.annotate(ACCOUNT, notes(['/shared/more', ''])))).toBe('limit');
      expect(await noted(ACCOUNT)).toHaveLength(MAX_ANNOTATIONS);
      await account.annotate(ACCOUNT, notes(['/shared/7', 'same number'], ['/shared/8', null]));
    });

    test('a special use can be given to a mailbox, and leaves the one that had it (RFC 6154 4, 5.4)', async () => {
      const { id } = await account.create('Saved');
      const use = (specialUse: SpecialUse | null): AnnotationChange => ({
        entries: new Map(),
        specialUse,
        by: 'me',
      });
      const changes: Change[] = [];
      const stop = account.watch((change) => changes.push(change));
      await account.annotate(id, { ...use('drafts'), entries: new Map([['/private/comment', 'x']]) });
      expect((await mailbox('Saved')).specialUse).toBe('drafts');
      expect((await mailbox('Drafts')).specialUse).toBe(null);
      expect(await noted(id)).toEqual([['/private/comment', 'x']]);
      await expect.poll(() => changes.filter(({ type }) => type === 'annotated')).toHaveLength(2);
      expect(changes).toContainEqual({
        type: 'annotated',
        mailbox: id,
        path: 'Saved',
        entries: ['/private/comment', '/private/specialuse'],
        by: 'me',
      });
      expect(changes).toContainEqual(
        expect.objectContaining({ path: 'Drafts', entries: ['/private/specialuse'], by: '' }),
      );
      stop();
      await account.annotate(id, use(null));
      expect((await mailbox('Saved')).specialUse).toBe(null);
      expect(await refused(account.annotate(inbox, use('junk')))).toBe('invalid-name');
      expect(await refused(account.annotate(ACCOUNT, use('junk')))).toBe('invalid-name');
    });
  });
}
