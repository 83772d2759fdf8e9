import { readdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { rawMessage } from '../../src/mail/raw-message.ts';
import type { MaildirStore } from '../../src/store/maildir-store.ts';
import type { AccountStore, MailboxId, Uid } from '../../src/store/store.ts';
import { type FreshInbox, freshInbox } from './fresh-inbox.ts';
import { all, bytesOf, message } from './surroundings.ts';

/** Many messages in one answer, when the files are not what the index has in mind. */

let base: FreshInbox['base'];
let store: MaildirStore;
let account: AccountStore;
let inbox: MailboxId;
let maildir: string;

beforeEach(async () => {
  ({ base, store, account, inbox, maildir } = await freshInbox());
});
afterEach(async () => {
  await store.close();
  base.remove();
});

async function append(...texts: readonly string[]): Promise<void> {
  for (const text of texts) await account.append(inbox, message(text), { flags: [], internalDate: 0 });
}

/** In cur/ or new/. */
function fileOf(text: string): string {
  for (const place of ['cur', 'new'])
    for (const name of readdirSync(`${maildir}/${place}`)) {
      const path = `${maildir}/${place}/${name}`;
      if (readFileSync(path, 'latin1').includes(text)) return path;
    }
  throw new Error(`no file has ${text}`);
}

async function contents(...uids: readonly number[]): Promise<[number, string][]> {
  const found = await all(account.contents(inbox, uids as Uid[]));
  return found.map(({ uid, bytes }) => [uid, Buffer.from(bytes).toString('latin1')]);
}

test('renamed, removed, edited, replaced by a link: nobody gets other octets than `raw` has', async () => {
  await append('one', 'two', 'three', 'four', 'five');
  const renamed = fileOf('one');
  renameSync(renamed, `${renamed.replace(/\/(cur|new)\//, '/cur/').replace(/:2,.*/, '')}:2,S`);
  rmSync(fileOf('two'));
  const edited = 'A: b\r\n\r\nlonger than it was, by a good deal: '.repeat(20);
  writeFileSync(fileOf('three'), edited);
  const linked = fileOf('four');
  rmSync(linked);
  symlinkSync(fileOf('five'), linked);
  const found = await contents(1, 2, 3, 4, 5);
  expect(found.map(([uid]) => uid)).toEqual([1, 3, 5]);
  for (const [uid, text] of found)
    expect(text).toBe((await bytesOf(await account.raw(inbox, uid as Uid))).toString('latin1'));
  expect(found[0]?.[1]).toContain('\r\n\r\none\r\n');
  expect(found[1]?.[1]).toBe(edited);
});

test('a file with bare LFs goes out with CRLF', async () => {
  await append('one');
  writeFileSync(`${maildir}/new/1.2.x`, 'Subject: x\n\nbare\nlines\r\n');
  await account.refresh(inbox);
  expect(await contents(2)).toEqual([[2, 'Subject: x\r\n\r\nbare\r\nlines\r\n']]);
  const [fields] = await all(account.headerFields(inbox, [2 as Uid], { mode: 'only', names: ['subject'] }));
  expect(fields?.fields).toBe('Subject: x\r\n\r\n');
});

test('more than one answer holds: all of them, in order', async () => {
  for (let i = 0; i < 45; i++) await append(`${i}.`.padEnd(50_000, 'x'));
  await append('big '.repeat(50_000), 'last');
  const found = await contents(...Array.from({ length: 47 }, (_, i) => 47 - i));
  expect(found.map(([uid]) => uid)).toEqual([...Array.from({ length: 45 }, (_, i) => i + 1), 47]);
  found.slice(0, 45).forEach(([, text], i) => {
    expect(text).toContain(`\r\n\r\n${i}.xxx`);
  });
});

test('fields of headers with any octets, in the index or not, near each other or far apart', async () => {
  const names = ['\0\xff\xc3', '\xa9\0', '', 'plain'];
  for (const name of names) {
    const raw = rawMessage([Buffer.from(`X: ${name}\r\nY: z\r\n\r\n${name}`, 'latin1')]);
    await account.append(inbox, raw, { flags: [], internalDate: 0 });
  }
  await append(...Array.from({ length: 20 }, (_, i) => `${i}`));
  const fields = (uids: readonly number[]) =>
    all(account.headerFields(inbox, uids as Uid[], { mode: 'only', names: ['x'] }));
  const expected = names.map((name, i) => ({ uid: i + 1, fields: `X: ${name}\r\n\r\n` }));
  expect(await fields([3])).toEqual([expected[2]]);
  for (let round = 0; round < 3; round++) expect(await fields([1, 2, 3, 4])).toEqual(expected);
  const far = await fields([2, 24]);
  expect(far).toEqual([expected[1], { uid: 24, fields: '\r\n' }]);
});
