import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { AccountId } from '../../src/directory/directory.ts';
import { rawMessage } from '../../src/mail/raw-message.ts';
import {
  type AccountStore,
  type Change,
  type MailboxId,
  type MailStore,
  type NewMessage,
  StoreError,
  type Uid,
} from '../../src/store/store.ts';
import type { Implementation } from './mail-store.contract.ts';
import { all, bytesOf, message, temporaryDirectory } from './surroundings.ts';

const DATE = Date.UTC(2026, 0, 2, 3, 4, 5);

/** Several messages at once, and in place of another: what every mail store must do. */
export function appendAllContract(name: string, make: () => Promise<Implementation>): void {
  describe(`${name}: appendAll`, () => {
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
    beforeEach(() => use('user'));

    async function use(kind: 'user' | 'small' | 'few'): Promise<void> {
      account = await store.account(`${kind}all${count++}@example.org` as AccountId);
      inbox = await idOf('INBOX');
    }
    async function idOf(path: string): Promise<MailboxId> {
      const found = await account.mailbox(path);
      if (!found) throw new Error(`no mailbox ${path}`);
      return found.id;
    }
    const one = (text: string, flags: readonly string[] = []): NewMessage => ({
      raw: message(text),
      flags,
      internalDate: DATE,
    });
    const uids = async (id = inbox): Promise<number[]> => [...(await account.uids(id))];
    const textOf = async (uid: number, id = inbox): Promise<string> =>
      (await bytesOf(await account.raw(id, uid as Uid))).toString('latin1').split('\r\n').at(-2) ?? '';
    const refused = async (work: Promise<unknown>): Promise<string> => {
      const error = await work.then(
        () => undefined,
        (reason: unknown) => reason,
      );
      return error instanceof StoreError ? error.kind : String(error);
    };

    test('several messages get ascending UIDs, each its own flags and date; all are announced', async () => {
      const changes: Change[] = [];
      const stop = account.watch((change) => changes.push(change), inbox);
      const path = join(files.path, `big-${count}`);
      const big = Buffer.alloc(300_000, 'A line of text.\r\n');
      writeFileSync(path, big);
      const stored = await account.appendAll(inbox, [
        one('first', ['\\Seen', 'Work']),
        { ...one('second'), internalDate: DATE + 1000 },
        { raw: rawMessage([{ path, start: 0, end: big.length }]), flags: ['Play'], internalDate: DATE },
        {
          raw: rawMessage([Buffer.from('A: b\r\n\r\n'), { path, start: 17, end: 51 }]),
          flags: [],
          internalDate: DATE,
        },
      ]);
      expect(stored.map(({ uid }) => uid)).toEqual([1, 2, 3, 4]);
      expect(stored.map(({ flags }) => [...flags].sort())).toEqual([['Work', '\\Seen'], [], ['Play'], []]);
      expect(stored[1]).toMatchObject({ mailbox: inbox, internalDate: DATE + 1000 });
      expect(await uids()).toEqual([1, 2, 3, 4]);
      expect(await textOf(1)).toBe('first');
      expect((await bytesOf(await account.raw(inbox, 3 as Uid))).equals(big)).toBe(true);
      expect((await bytesOf(await account.raw(inbox, 4 as Uid))).toString()).toBe(
        'A: b\r\n\r\nA line of text.\r\nA line of text.\r\n',
      );
      expect(new Set(stored.map(({ emailId }) => emailId)).size).toBe(4);
      const box = await account.mailbox('INBOX');
      expect(box).toMatchObject({ total: 4, unseen: 3, uidNext: 5 });
      expect(box?.size).toBe(stored.reduce((sum, { size }) => sum + size, 0));
      expect(box?.highestModSeq).toBe(Math.max(...stored.map(({ modSeq }) => modSeq)));
      await expect
        .poll(() =>
          changes.flatMap((change) => (change.type === 'added' ? change.messages.map(({ uid }) => uid) : [])),
        )
        .toEqual([1, 2, 3, 4]);
      stop();
    });

    test('one alone, and none', async () => {
      expect((await account.appendAll(inbox, [one('x', ['\\Draft'])])).map(({ flags }) => flags)).toEqual([
        ['\\Draft'],
      ]);
      expect(await account.appendAll(inbox, [])).toEqual([]);
      expect(await uids()).toEqual([1]);
    });

    test('one takes the place of another, in the same mailbox or elsewhere', async () => {
      const before = await account.append(inbox, message('old'), one('old', ['\\Flagged']));
      const { highestModSeq } = (await account.mailbox('INBOX')) ?? {};
      const changes: string[] = [];
      const stop = account.watch((change) => changes.push(change.type), inbox);
      const [after] = await account.appendAll(inbox, [one('new')], { mailbox: inbox, uid: before.uid });
      expect(after).toMatchObject({ uid: 2, flags: [] });
      expect(after?.emailId).not.toBe(before.emailId);
      expect(await uids()).toEqual([2]);
      expect(await textOf(2)).toBe('new');
      expect(await account.vanished(inbox, highestModSeq as never)).toEqual([1]);
      expect(await refused(account.raw(inbox, before.uid))).toBe('expunged');
      await expect.poll(() => changes).toEqual(['added', 'expunged']);
      stop();

      const sent = await idOf('Sent');
      const [gone] = await account.appendAll(sent, [one('sent')], { mailbox: inbox, uid: 2 as Uid });
      expect(gone).toMatchObject({ mailbox: sent, uid: 1 });
      expect([await uids(), await uids(sent)]).toEqual([[], [1]]);
      expect(await account.quota()).toMatchObject({ messages: 1, usedBytes: gone?.size });
    });

    test('what is gone cannot be replaced, and nothing is stored then', async () => {
      const { uid } = await account.append(inbox, message('old'), one(''));
      await account.expunge(inbox, [uid]);
      expect(await refused(account.appendAll(inbox, [one('new')], { mailbox: inbox, uid }))).toBe('expunged');
      expect(await refused(account.appendAll('Mx' as MailboxId, [one('1'), one('2')]))).toBe('not-found');
      const strange = { mailbox: 'Mx' as MailboxId, uid };
      expect(await refused(account.appendAll(inbox, [one('new')], strange))).toBe('not-found');
      expect(await uids()).toEqual([]);
      expect((await account.append(inbox, message('next'), one(''))).uid).toBeGreaterThan(uid);
    });

    test('over quota: all or nothing, and what goes counts off (RFC 8508 3.4)', async () => {
      await use('small');
      const half = 'x'.repeat(world.smallQuota / 2 - 200);
      expect(await refused(account.appendAll(inbox, [one(half), one(half), one(half)]))).toBe('over-quota');
      expect(await uids()).toEqual([]);
      const [first] = await account.appendAll(inbox, [one(half), one(half)]);
      if (!first) throw new Error('nothing stored');
      expect(await refused(account.append(inbox, message(half), one('')))).toBe('over-quota');
      const replaces = { mailbox: inbox, uid: first.uid };
      await account.admit(inbox, first.size, { replaces });
      expect(await refused(account.admit(inbox, first.size))).toBe('over-quota');
      expect(await refused(account.appendAll(inbox, [one('y'.repeat(world.smallQuota))], replaces))).toBe(
        'over-quota',
      );
      expect(await uids()).toHaveLength(2);
      await account.appendAll(inbox, [one(half)], replaces);
      expect(await uids()).toHaveLength(2);
      expect(await textOf((await uids())[1] ?? 0)).toBe(half);
    });

    test('a quota of messages, and the limits of a mailbox', async () => {
      await use('few');
      const many = Array.from({ length: world.fewMessages }, (_, at) => one(`${at}`));
      expect(await refused(account.appendAll(inbox, [...many, one('more')]))).toBe('over-quota');
      expect(await refused(account.admit(inbox, 1, { messages: world.fewMessages + 1 }))).toBe('over-quota');
      await account.admit(inbox, 1, { messages: world.fewMessages });
      await account.appendAll(inbox, many);
      await account.appendAll(inbox, [one('instead')], { mailbox: inbox, uid: 1 as Uid });
      expect(await account.quota()).toMatchObject({ messages: world.fewMessages });
      await use('user');
      const limited = (await account.create('Limited/box')).id;
      const text = 'x'.repeat(600);
      await account.appendAll(limited, [one(text)]);
      await account.appendAll(limited, [one(text)], { mailbox: limited, uid: 1 as Uid });
      const { uid } = await account.append(inbox, message(text), one(''));
      // It makes room in the account, not in that mailbox.
      expect(await refused(account.appendAll(limited, [one(text)], { mailbox: inbox, uid }))).toBe(
        'over-quota',
      );
      expect([await uids(), await uids(limited)]).toEqual([[uid], [2]]);
    });

    test('one that cannot be read takes the others with it', async () => {
      const old = await account.append(inbox, message('old'), one(''));
      const lost = {
        ...one(''),
        raw: rawMessage([{ path: join(files.path, 'nowhere'), start: 0, end: 10 }]),
      };
      await expect(account.appendAll(inbox, [one('1'), lost, one('2')])).rejects.toThrow();
      const replaces = { mailbox: inbox, uid: old.uid };
      await expect(account.appendAll(inbox, [lost], replaces)).rejects.toThrow();
      expect(await uids()).toEqual([old.uid]);
      expect(await account.quota()).toMatchObject({ messages: 1, usedBytes: old.size });
      const stored = await account.appendAll(inbox, [one('3'), one('4', ['Work'])], replaces);
      expect(await uids()).toEqual(stored.map(({ uid }) => uid));
    });

    test('hundreds at once keep their order', async () => {
      const texts = Array.from({ length: 230 }, (_, at) => `number ${at}`);
      const stored = await account.appendAll(
        inbox,
        texts.map((text, at) => one(text, at % 2 === 0 ? ['\\Seen'] : [])),
      );
      expect(stored.map(({ uid }) => uid)).toEqual(texts.map((_, at) => at + 1));
      for (const at of [0, 99, 100, 199, 200, 229]) expect(await textOf(at + 1)).toBe(texts[at]);
      expect(await account.mailbox('INBOX')).toMatchObject({ total: 230, unseen: 115 });
    });

    test('many at the same time, with others in between', async () => {
      const work = Array.from({ length: 12 }, (_, at) =>
        at % 3 === 0
          ? account.append(inbox, message(`${at}`), one('')).then(({ uid }) => [uid])
          : account
              .appendAll(inbox, [one(`${at}a`), one(`${at}b`)])
              .then((some) => some.map(({ uid }) => uid)),
      );
      const given = await Promise.all(work);
      for (const some of given) expect([...some].sort((a, b) => a - b)).toEqual(some);
      expect(given.flat().sort((a, b) => a - b)).toEqual(await uids());
      expect(await uids()).toHaveLength(20);
      expect(await all(account.messages(inbox, [{ first: 1, last: '*' }]))).toHaveLength(20);
    });
  });
}
