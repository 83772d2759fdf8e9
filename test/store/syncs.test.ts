import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { AccountId } from '../../src/directory/directory.ts';
import { alice, maildirStore, message, temporaryDirectory } from './surroundings.ts';

/** A disk that takes its time: who waits for it, and who does not. */

const { fdatasync } = fs;
let base: ReturnType<typeof temporaryDirectory>;
let release: () => void;
/** Somebody waits for the disk. */
let asked: Promise<void>;
let syncs: number;
let failure: Error | null;

beforeEach(() => {
  base = temporaryDirectory();
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  syncs = 0;
  failure = null;
  asked = new Promise((resolve) => {
    fs.fdatasync = ((fd: number, done: (error: Error | null) => void) => {
      resolve();
      syncs++;
      void released.then(() => (failure ? done(failure) : fdatasync(fd, done)));
    }) as typeof fs.fdatasync;
  });
  syncBuiltinESMExports();
});
afterEach(() => {
  fs.fdatasync = fdatasync;
  syncBuiltinESMExports();
  base.remove();
});

test('while messages wait for the disk, nobody sees them and other accounts are served', async () => {
  const store = maildirStore(base.path);
  const hers = await store.account(alice);
  const his = await store.account('bob@example.org' as AccountId);
  const inbox = (await hers.mailbox('INBOX'))?.id ?? '';
  const options = { flags: [], internalDate: 0 };
  const answered: string[] = [];
  const appended = ['one', 'two'].map((text) =>
    hers.appendTo('INBOX', message(text), options).then(({ uid }) => answered.push(`appended ${uid}`)),
  );
  await asked;
  const looked = hers.uids(inbox as never).then((uids) => answered.push(`seen ${[...uids].join()}`));
  expect((await his.mailboxes()).length).toBeGreaterThan(0);
  expect(answered).toEqual([]);
  release();
  await Promise.all([...appended, looked]);
  expect(answered.toSorted()).toEqual(['appended 1', 'appended 2', 'seen 1,2']);
  await store.close();
});

test('what arrives meanwhile for the same account comes in the order in which it was sent', async () => {
  const store = maildirStore(base.path);
  const hers = await store.account(alice);
  const options = { flags: [], internalDate: 0 };
  const append = (text: string): Promise<number> =>
    hers.appendTo('INBOX', message(text), options).then(({ uid }) => uid);
  const first = [append('one'), append('two')];
  await asked;
  const later: Promise<number>[] = [];
  for (let round = 0; round < 5; round++) {
    for (let at = 0; at < 3; at++) later.push(append(`later ${round} ${at}`));
    await new Promise((resolve) => setImmediate(resolve));
  }
  release();
  expect(await Promise.all([...first, ...later])).toEqual(Array.from({ length: 17 }, (_, at) => at + 1));
  await store.close();
});

test('closing waits for the messages that wait for the disk', async () => {
  const store = maildirStore(base.path);
  const hers = await store.account(alice);
  const options = { flags: [], internalDate: 0 };
  const appended = ['one', 'two'].map((text) => hers.appendTo('INBOX', message(text), options));
  await asked;
  const closed = store.close();
  release();
  expect((await Promise.all(appended)).map(({ uid }) => uid)).toEqual([1, 2]);
  await closed;
});

test('flags are answered when they are on the disk; meanwhile other accounts are served, and syncs are shared', async () => {
  const store = maildirStore(base.path);
  const hers = await store.account(alice);
  const his = await store.account('bob@example.org' as AccountId);
  const { mailbox, uid } = await hers.appendTo('INBOX', message('one'), { flags: [], internalDate: 0 });
  const answered: string[] = [];
  const flag = (name: string): Promise<unknown> =>
    hers.setFlags(mailbox, [uid], { mode: 'add', flags: [name] }).then(() => answered.push(name));
  const work = [flag('one')];
  await asked;
  work.push(flag('two'), flag('three'));
  expect((await his.mailboxes()).length).toBeGreaterThan(0);
  expect(answered).toEqual([]);
  release();
  await Promise.all(work);
  expect(answered).toEqual(['one', 'two', 'three']);
  expect(syncs).toBe(2);
  await store.close();
});

test('flags that the disk refuses are not answered for; the next ones are', async () => {
  const store = maildirStore(base.path);
  const hers = await store.account(alice);
  const { mailbox, uid } = await hers.appendTo('INBOX', message('one'), { flags: [], internalDate: 0 });
  const flag = (name: string): Promise<unknown> =>
    hers.setFlags(mailbox, [uid], { mode: 'add', flags: [name] });
  failure = Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });
  release();
  await expect(flag('one')).rejects.toThrow('EIO');
  failure = null;
  await flag('two');
  await store.close();
});
