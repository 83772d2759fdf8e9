import { expect, test } from 'vitest';
import { submit } from '../../src/delivery/submit.ts';
import type { AccountId, Directory, Route } from '../../src/directory/directory.ts';
import { type Address, formatAddress } from '../../src/mail/address.ts';
import { type NewMessage, QueueFull, type QueueId, type QueueStore } from '../../src/queue/queue.ts';
import { address } from './world.ts';

const ALICE = 'alice@example.test' as AccountId;

const routes: Readonly<Record<string, Route>> = {
  'alice@example.test': { to: 'deliver', destinations: [{ is: 'account', account: ALICE }] },
  'alice+x@example.test': { to: 'deliver', destinations: [{ is: 'account', account: ALICE, detail: 'x' }] },
  'all@example.test': {
    to: 'deliver',
    destinations: [
      { is: 'account', account: ALICE },
      { is: 'remote', address: address('bob@remote.test') },
    ],
  },
  'gone@example.test': { to: 'unknown' },
  'off@example.test': { to: 'disabled' },
  'circle@example.test': { to: 'loop' },
};

const directory = {
  route: async (of: Address) => routes[formatAddress(of)] ?? { to: 'elsewhere' },
} as unknown as Directory;

/** Remembers what became of its one draft. */
function queue(failure?: Error): QueueStore & { written: string; committed: NewMessage[]; aborted: number } {
  const state = {
    written: '',
    committed: [] as NewMessage[],
    aborted: 0,
    draft: () => ({
      id: 'Q7' as QueueId,
      write(chunk: Uint8Array) {
        state.written += Buffer.from(chunk).toString();
        return undefined;
      },
      async commit(message: NewMessage) {
        if (failure) throw failure;
        state.committed.push(message);
      },
      async abort() {
        state.aborted++;
      },
    }),
  };
  return state as unknown as ReturnType<typeof queue>;
}

const to = (...list: string[]): { address: Address }[] => list.map((one) => ({ address: address(one) }));
const content = [Buffer.from('Subject: x\r\n'), Buffer.from('\r\nbody\r\n')];

test('aliases are expanded, everybody gets it once', async () => {
  const store = queue();
  const recipients = to('all@example.test', 'alice@example.test', 'alice+x@example.test', 'x@elsewhere.test');
  const submitted = await submit(directory, store, { from: null, to: recipients, source: 'dsn' }, content);
  expect(submitted).toEqual({ id: 'Q7', refused: [] });
  expect(store.written).toBe('Subject: x\r\n\r\nbody\r\n');
  expect(store.committed).toHaveLength(1);
  expect(store.committed[0]).toMatchObject({ from: null, source: 'dsn', account: null, body: '8bitmime' });
  const got = store.committed[0]?.recipients.map(
    (one) =>
      `${formatAddress(one.original)} > ${formatAddress(one.address)} ${one.account} ${one.detail ?? ''}`,
  );
  expect(got).toEqual([
    'all@example.test > alice@example.test alice@example.test ',
    'all@example.test > bob@remote.test null ',
    'alice+x@example.test > alice@example.test alice@example.test x',
    'x@elsewhere.test > x@elsewhere.test null ',
  ]);
});

test('the wishes of each recipient go along', async () => {
  const store = queue();
  const wishes = { notify: ['failure'], orcpt: 'rfc822;y@z' } as const;
  const recipients = [{ address: address('alice@example.test'), ...wishes }];
  await submit(
    directory,
    store,
    { from: null, to: recipients, source: 'sieve', account: ALICE, envid: 'e' },
    content,
  );
  expect(store.committed[0]).toMatchObject({ account: ALICE, envid: 'e', recipients: [wishes] });
});

test('who is not there is told of; with nobody left nothing is queued', async () => {
  const store = queue();
  const recipients = to('gone@example.test', 'off@example.test', 'circle@example.test');
  const submitted = await submit(directory, store, { from: null, to: recipients, source: 'dsn' }, content);
  expect(submitted.id).toBeUndefined();
  expect(submitted.refused.map(({ reply }) => reply.enhanced)).toEqual(['5.1.1', '5.2.1', '5.4.6']);
  expect(store.written).toBe('');
});

test('a queue without room says so, and keeps nothing', async () => {
  const store = queue(new QueueFull('no room'));
  const submission = { from: null, to: to('alice@example.test'), source: 'dsn' } as const;
  await expect(submit(directory, store, submission, content)).rejects.toBeInstanceOf(QueueFull);
  expect(store.aborted).toBe(1);
});
