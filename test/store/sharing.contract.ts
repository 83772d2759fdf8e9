import { expect, test } from 'vitest';
import type { AccountId } from '../../src/directory/directory.ts';
import {
  type Acl,
  type AclChange,
  formatRights,
  MAX_IDENTIFIER,
  parseRights,
  rightsOf,
} from '../../src/store/acl.ts';
import {
  type AccountStore,
  type Change,
  type Mailbox,
  type MailboxId,
  type MailStore,
  type ModSeq,
  StoreError,
  type Uid,
} from '../../src/store/store.ts';
import { all, message } from './surroundings.ts';

export const rights = (text: string): AclChange['rights'] => {
  const parsed = parseRights(text);
  if (!parsed) throw new Error(`no rights: ${text}`);
  return parsed;
};

export const told = (acl: Acl): Record<string, string> =>
  Object.fromEntries([...acl].map(([identifier, granted]) => [identifier, formatRights(granted)]));

const EVERYTHING = [{ first: 1, last: '*' as const }];

/** What every mail store must do for those who are not the owner; part of its contract. */
export function sharingContract(store: () => MailStore): void {
  let count = 0;
  const reader = 'reader@example.org' as AccountId;
  const fresh = async (): Promise<AccountStore> =>
    store().account(`shared${count++}@example.org` as AccountId);
  const mailbox = async (account: AccountStore, path: string): Promise<Mailbox> => {
    const found = await account.mailbox(path);
    if (!found) throw new Error(`no mailbox ${path}`);
    return found;
  };
  const refused = async (work: Promise<unknown>): Promise<string> =>
    work.then(
      () => 'done',
      (error: unknown) => (error instanceof StoreError ? error.kind : String(error)),
    );
  const set = (
    account: AccountStore,
    id: MailboxId,
    identifier: string,
    text: string,
    mode: AclChange['mode'] = 'set',
  ): Promise<void> => account.setAcl(id, identifier, { mode, rights: rights(text) });
  const filled = async (messages: number): Promise<{ account: AccountStore; id: MailboxId; uids: Uid[] }> => {
    const account = await fresh();
    const { id } = await account.create('Work');
    const uids: Uid[] = [];
    for (let at = 0; at < messages; at++)
      uids.push((await account.append(id, message(`Message ${at}`), { flags: [], internalDate: 0 })).uid);
    return { account, id, uids };
  };
  const modSeqs = async (account: AccountStore, id: MailboxId): Promise<number[]> =>
    (await all(account.messages(id, EVERYTHING))).map(({ modSeq }) => modSeq);

  test('an access control list: set, added to, taken from, removed (RFC 4314 3.1, 3.2)', async () => {
    const account = await fresh();
    const { id } = await account.create('Work');
    expect(told(await account.acl(id))).toEqual({});
    await set(account, id, 'bob@example.org', 'lr');
    await set(account, id, '-bob@example.org', 'w');
    await set(account, id, 'anyone', 'l');
    await set(account, id, 'bob@example.org', 'cda', 'add');
    await set(account, id, 'anyone', 'lrswipkxtea', 'remove');
    const list = { 'bob@example.org': 'lrkxteacd', '-bob@example.org': 'w' };
    expect(told(await account.acl(id))).toEqual(list);
    const visitor = { account: 'bob@example.org', is: 'other' as const };
    expect(formatRights(rightsOf(await account.acl(id), visitor))).toBe('lrkxteacd');
    const lists = [...(await account.acls())].map(([each, acl]) => [each, told(acl)]);
    expect(lists).toEqual([[id, list]]);
    await set(account, id, 'bob@example.org', '');
    await set(account, id, 'nobody', '');
    expect(told(await account.acl(id))).toEqual({ '-bob@example.org': 'w' });
    await set(account, id, '-bob@example.org', '');
    expect((await account.acls()).size).toBe(0);
  });

  test('a list of a mailbox that is not there, or for what is no identifier, or without an end', async () => {
    const account = await fresh();
    const { id } = await mailbox(account, 'INBOX');
    const none = 'Mnone' as MailboxId;
    expect(await refused(account.acl(none))).toBe('not-found');
    expect(await refused(set(account, none, 'bob', 'l'))).toBe('not-found');
    for (const identifier of ['', '-', 'a\nb', '\ud800'])
      expect(await refused(set(account, id, identifier, 'l'))).toBe('invalid-name');
    expect(await refused(set(account, id, 'é'.repeat(MAX_IDENTIFIER / 2), 'l'))).toBe('done');
    expect(await refused(set(account, id, `${'é'.repeat(MAX_IDENTIFIER / 2)}x`, 'l'))).toBe('limit');
    expect(told(await account.acl(id))).toEqual({ ['é'.repeat(MAX_IDENTIFIER / 2)]: 'l' });
  });

  test('a new mailbox has the list of the one above it, as it is then', async () => {
    const account = await fresh();
    const { id } = await account.create('Work');
    const inbox = await mailbox(account, 'INBOX');
    await set(account, id, 'bob', 'lrk');
    await set(account, inbox.id, 'carol', 'l');
    const below = await account.create('Work/a/b/c');
    expect(told(await account.acl(below.id))).toEqual({ bob: 'lrkc' });
    expect(told(await account.acl((await mailbox(account, 'Work/a')).id))).toEqual({ bob: 'lrkc' });
    await set(account, id, 'bob', '');
    expect(told(await account.acl(below.id))).toEqual({ bob: 'lrkc' });
    expect(told(await account.acl((await account.create('Work/x')).id))).toEqual({});
    expect(told(await account.acl((await account.create('INBOX/x')).id))).toEqual({ carol: 'l' });
    expect(told(await account.acl((await account.create('Else')).id))).toEqual({});
  });

  test('a list goes where its mailbox goes, and with it', async () => {
    const account = await fresh();
    const { id } = await account.create('Work/below');
    await account.create('Top');
    await set(account, (await mailbox(account, 'Top')).id, 'carol', 'l');
    await set(account, id, 'bob', 'lr');
    await account.rename(id, 'Top/moved');
    expect(told(await account.acl(id))).toEqual({ bob: 'lr' });
    await account.delete(id);
    expect(await refused(account.acl(id))).toBe('not-found');
    expect(told(await account.acl((await account.create('Top/moved')).id))).toEqual({ carol: 'l' });
  });

  test('a changed list is announced, one that stays as it is is not', async () => {
    const account = await fresh();
    const { id } = await account.create('Work');
    const changes: Change[] = [];
    const stop = account.watch((change) => changes.push(change));
    await set(account, id, 'bob', 'lr');
    await set(account, id, 'bob', 'rl');
    await set(account, id, 'carol', '');
    await set(account, id, 'bob', '');
    await account.subscribe('Work', 'yes');
    await expect.poll(() => changes.at(-1)?.type).toBe('mailbox');
    const news = changes.filter(({ type }) => type === 'acl');
    expect(news).toEqual([
      { type: 'acl', mailbox: id, path: 'Work' },
      { type: 'acl', mailbox: id, path: 'Work' },
    ]);
    stop();
  });

  test('who shares with whom', async () => {
    const [one, two] = [await fresh(), await fresh()];
    const who = async (...identifiers: string[]): Promise<readonly string[]> => store().sharers(identifiers);
    const name = `visitor${count}@example.org`;
    expect(await who(name, `-${name}`)).toEqual([]);
    const { id } = await mailbox(two, 'INBOX');
    const { id: other } = await one.create('Work');
    const { id: second } = await one.create('Else');
    await set(two, id, name, 'l');
    await set(one, other, name, 'l');
    await set(one, second, `group ${name}`, 'l');
    await set(one, second, name, 'l');
    expect(await who(name)).toEqual([one.account, two.account]);
    expect(await who(`group ${name}`, 'x')).toEqual([one.account]);
    await set(one, second, name, '');
    expect(await who(name)).toEqual([one.account, two.account]);
    await one.delete(other);
    await set(two, id, name, '');
    expect(await who(name)).toEqual([]);
    await store().remove(one.account);
    expect(await who(`group ${name}`)).toEqual([]);
  });

  test('what a reader has seen is theirs: the owner sees it not, nor does another', async () => {
    const { account, id, uids } = await filled(5);
    const [a, b, c, d, e] = uids as [Uid, Uid, Uid, Uid, Uid];
    await account.setFlags(id, [a], { mode: 'add', flags: ['\\Seen'] });
    expect([...(await account.seenBy(id, reader))]).toEqual([]);
    const { messages, conflicts } = await account.setSeenBy(id, reader, [d, b, 999 as Uid], 'yes');
    expect(conflicts).toEqual([]);
    expect(messages.map(({ uid, flags }) => [uid, flags])).toEqual([
      [b, []],
      [d, []],
    ]);
    expect([...(await account.seenBy(id, reader))]).toEqual([b, d]);
    expect([...(await account.seenBy(id, 'other@example.org' as AccountId))]).toEqual([]);
    expect((await mailbox(account, 'Work')).unseen).toBe(4);
    await account.setSeenBy(id, reader, [a, b, c, e], 'yes');
    expect([...(await account.seenBy(id, reader))]).toEqual(uids);
    await account.setSeenBy(id, reader, [c], 'no');
    await account.expunge(id, [b]);
    expect([...(await account.seenBy(id, reader))]).toEqual([a, d, e]);
    await account.setSeenBy(id, reader, [a, d, e], 'no');
    expect([...(await account.seenBy(id, reader))]).toEqual([]);
    expect(await refused(account.seenBy('Mnone' as MailboxId, reader))).toBe('not-found');
    expect(await refused(account.setSeenBy('Mnone' as MailboxId, reader, [a], 'yes'))).toBe('not-found');
  });

  test('the MODSEQs of exactly those that changed are raised, and announced (RFC 7162 3.1)', async () => {
    const { account, id, uids } = await filled(4);
    const [a, b, c] = uids as [Uid, Uid, Uid, Uid];
    const changes: Change[] = [];
    const stop = account.watch((change) => changes.push(change), id);
    const before = await modSeqs(account, id);
    await account.setSeenBy(id, reader, [a, b], 'yes');
    const first = await modSeqs(account, id);
    expect(first.map((modSeq, at) => modSeq > (before[at] ?? 0))).toEqual([true, true, false, false]);
    expect((await mailbox(account, 'Work')).highestModSeq).toBe(Math.max(...first));
    const { messages } = await account.setSeenBy(id, reader, [b, c], 'yes');
    const second = await modSeqs(account, id);
    expect(second.map((modSeq, at) => modSeq > (first[at] ?? 0))).toEqual([false, false, true, false]);
    expect(messages.map(({ modSeq }) => modSeq as number)).toEqual(second.slice(1, 3));
    await expect.poll(() => changes).toHaveLength(2);
    const news = changes.map((change) => change.type === 'flags' && change.messages.map(({ uid }) => uid));
    expect(news).toEqual([[a, b], [c]]);
    stop();
  });

  test('unless they were changed since (RFC 7162 3.1.3)', async () => {
    const { account, id, uids } = await filled(3);
    const [a, b, c] = uids as [Uid, Uid, Uid];
    const { highestModSeq } = await mailbox(account, 'Work');
    await account.setFlags(id, [b], { mode: 'add', flags: ['\\Flagged'] });
    await account.setSeenBy(id, reader, [c], 'yes');
    const result = await account.setSeenBy(id, reader, [a, b, c], 'yes', highestModSeq as ModSeq);
    expect(result.messages.map(({ uid }) => uid)).toEqual([a]);
    expect(result.conflicts).toEqual([b, c]);
    expect([...(await account.seenBy(id, reader))]).toEqual([a, c]);
  });

  test('COPY, MOVE and RENAME of INBOX take along what was seen', async () => {
    const { account, id, uids } = await filled(5);
    const [a, b, c, d, e] = uids as [Uid, Uid, Uid, Uid, Uid];
    const { id: to } = await account.create('Else');
    await account.setSeenBy(id, reader, [a, c, e], 'yes');
    const copies = await account.copy(id, [a, b, c], to);
    expect([...(await account.seenBy(to, reader))]).toEqual([copies[0]?.to, copies[2]?.to]);
    const moved = await account.move(id, [d, e], to);
    expect([...(await account.seenBy(to, reader))]).toEqual([copies[0]?.to, copies[2]?.to, moved[1]?.to]);
    expect([...(await account.seenBy(id, reader))]).toEqual([a, c]);
    const inbox = await mailbox(account, 'INBOX');
    const [one] = await account.copy(id, [b], inbox.id);
    await account.copy(id, [a], inbox.id);
    expect([...(await account.seenBy(inbox.id, reader))]).toEqual([(one?.to ?? 0) + 1]);
    await account.rename(inbox.id, 'Old');
    const old = await mailbox(account, 'Old');
    expect([...(await account.seenBy(old.id, reader))]).toHaveLength(1);
    expect([...(await account.seenBy(inbox.id, reader))]).toEqual([]);
  });

  test('an account that is removed leaves its name in no list, and what it had seen nowhere', async () => {
    const { account, id, uids } = await filled(2);
    const { account: gone } = await fresh();
    await set(account, id, gone, 'lrs');
    await set(account, id, `-${gone}`, 'w');
    await set(account, id, 'bob', 'l');
    await account.setSeenBy(id, gone, uids, 'yes');
    await store().remove(gone);
    expect(told(await account.acl(id))).toEqual({ bob: 'l' });
    expect([...(await account.seenBy(id, gone))]).toEqual([]);
    expect(await store().sharers([gone, `-${gone}`])).toEqual([]);
  });
}
