import { afterEach, expect, test } from 'vitest';
import type { Uid } from '../../src/store/store.ts';
import { play } from './dialogue.ts';
import { ALICE, type Client, ImapWorld, PASSWORD } from './world.ts';

/** UIDBATCHES (RFC 10022). */

let world: ImapWorld;

afterEach(() => world.close());

/** As many messages; those whose UID `isGone` says are gone. */
async function opened(messages: number, isGone: (uid: number) => boolean = () => false): Promise<Client> {
  world = await ImapWorld.start();
  const inbox = await world.fill('INBOX', new Array(messages).fill('Subject: x\n\n'));
  const account = await world.account();
  await account.expunge(inbox, (await all(inbox)).filter(isGone) as unknown as Uid[]);
  return world.login('INBOX');
}

async function all(
  inbox: Parameters<Awaited<ReturnType<ImapWorld['account']>>['uids']>[0],
): Promise<number[]> {
  return [...(await (await world.account()).uids(inbox))];
}

test('batches from the newest on, without gaps, the last one down to 1 (3.1.1, 3.1.4)', async () => {
  const client = await opened(2200, (uid) => uid % 2 === 0 || uid <= 20);
  const uids = await world.account().then(async (account) => {
    const inbox = await account.mailbox('INBOX');
    return inbox ? [...(await account.uids(inbox.id))].reverse() : [];
  });
  const [told] = await client.ok('UIDBATCHES 500');
  const ranges = (told ?? '').replace(/^UIDBATCHES \(TAG "t\d+"\) /, '').split(',');
  expect(ranges.length).toBe(Math.ceil(uids.length / 500));
  let next = uids[0] ?? 0;
  for (const [at, range] of ranges.entries()) {
    const [high = 0, low = 0] = range.split(':').map(Number);
    expect(high).toBe(next);
    next = low - 1;
    expect(uids.filter((uid) => uid <= high && uid >= low)).toEqual(uids.slice(at * 500, at * 500 + 500));
  }
  expect(next).toBe(0);
});

test('the examples of RFC 10022', async () => {
  const client = await opened(1400);
  await play(
    client,
    `
    // 3.1.1, with batches of 500
    C: A143 UIDBATCHES 500
    S: * UIDBATCHES (TAG "A143") 1400:901,900:401,400:1
    S: A143 OK UIDBATCHES Completed
    // 3.1.3.2
    C: A302 UIDBATCHES 499
    S: A302 NO [TOOFEW] Minimum batch size is 500
    // 3.1.5: only some of them; those that there are; from low to high; not too many
    C: A303 UIDBATCHES 500 2:3
    S: * UIDBATCHES (TAG "A303") 900:401,400:1
    S: A303 OK UIDBATCHES Completed
    C: A304 UIDBATCHES 500 3:5
    S: * UIDBATCHES (TAG "A304") 400:1
    S: A304 OK UIDBATCHES Completed
    C: A305 UIDBATCHES 2000 4:1
    S: A305 BAD [CLIENTBUG] Invalid batch range
    C: A306 UIDBATCHES 2000 1:100
    S: A306 NO [TOOMANY] Too many messages
    C: A307 UIDBATCHES 2000 1:50
    S: * UIDBATCHES (TAG "A307") 1400:1
    S: A307 OK UIDBATCHES Completed
    // 3.1.6
    C: A308 UIDBATCHES 2000 6:8
    S: * UIDBATCHES (TAG "A308")
    S: A308 OK UIDBATCHES Completed
    // 3.3, 3.4
    C: A309 ENABLE UIDONLY
    S: * ENABLED UIDONLY
    S: A309 OK ENABLE completed
    C: A310 UID SEARCH RETURN (SAVE) UID 1:3
    S: A310 OK done
    C: A311 UIDBATCHES 1000
    S: * UIDBATCHES (TAG "A311") 1400:401,400:1
    S: A311 OK UIDBATCHES Completed
    C: A312 UID SEARCH RETURN (COUNT) $
    S: * ESEARCH (TAG "A312") UID COUNT 3
    S: A312 OK done
    // A syntax error is one
    C: A313 UIDBATCHES 0
    S: A313 BAD no
    C: A314 UIDBATCHES 500 3
    S: A314 BAD no
    C: A315 UID UIDBATCHES 500
    S: A315 BAD no
    `,
  );
  // 3.1.7, Large Mailboxes: all of them are told here, however many there are.
});

test('of an empty mailbox there is no batch (3.1.6); of one message there is one', async () => {
  const client = await opened(0);
  expect(await client.ok('UIDBATCHES 500')).toEqual(['UIDBATCHES (TAG "t3")']);
  await world.fill('INBOX', ['Subject: x\n\n']);
  // What the client has not been told of is in no batch.
  expect((await client.ok('UIDBATCHES 500'))[0]).toBe('UIDBATCHES (TAG "t4")');
  expect(await client.ok('UIDBATCHES 500')).toEqual(['UIDBATCHES (TAG "t5") 1:1']);
  const other = await world.client();
  expect(await other.tagged('UIDBATCHES 500')).toMatch(/^BAD/);
  await other.ok(`LOGIN ${ALICE} "${PASSWORD}"`);
  expect(await other.tagged('UIDBATCHES 500')).toMatch(/^BAD Select/);
});
