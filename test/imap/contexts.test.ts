import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { AccountId } from '../../src/directory/directory.ts';
import { rawMessage } from '../../src/mail/raw-message.ts';
import type { MailboxId, Uid } from '../../src/store/store.ts';
import { maildirStore, temporaryDirectory } from '../store/surroundings.ts';
import { play } from './dialogue.ts';
import { type MemoryAccount, MemoryMail } from './memory-mail.ts';
import { ALICE, type Client, ImapWorld } from './world.ts';

let world: ImapWorld;
let client: Client;
let store: MemoryAccount;
let id: MailboxId;
beforeAll(async () => {
  world = await ImapWorld.start();
  store = await world.account();
});
afterAll(() => world.close());

let count = 0;
beforeEach(async () => {
  const path = `Box${++count}`;
  // UIDs 1 to 4; by subject they are 3, 1, 4, 2.
  id = await world.fill(path, ['Subject: b\n\n', 'Subject: d\n\n', 'Subject: a\n\n', 'Subject: c\n\n']);
  client = await world.login(path);
});

function put(subject: string): void {
  store.put(id, Buffer.from(`Subject: ${subject}\r\n\r\n`), { internalDate: 0 });
}

async function flag(uids: readonly number[], mode: 'add' | 'remove' = 'add'): Promise<void> {
  await store.setFlags(id, uids as Uid[], { mode, flags: ['\\Flagged'] });
}

describe('the examples of RFC 5267', () => {
  test('a hint, updates, tag reuse, cancelled updates (4.2, 4.3)', async () => {
    await play(
      client,
      `C: A01 SEARCH RETURN (CONTEXT COUNT) UNDELETED UNKEYWORD $Junk
       S: * ESEARCH (TAG "A01") COUNT 4
       S: A01 OK Search completed.
       C: B01 UID SEARCH RETURN (UPDATE COUNT) DELETED KEYWORD $Junk
       S: * ESEARCH (TAG "B01") UID COUNT 0
       S: B01 OK Search completed, will notify.
       // Note that the following is rejected, and has no effect:
       C: B01 SORT RETURN (UPDATE) (DATE) UTF-8 FLAGGED
       S: B01 BAD Tag reuse`,
    );
    await store.setFlags(id, [3, 4] as Uid[], { mode: 'add', flags: ['\\Deleted', '$Junk'] });
    await play(
      client,
      `C: x NOOP
       S: * FLAGS (\\Answered \\Flagged \\Deleted \\Draft \\Seen $Junk)
       S: * OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Draft \\Seen $Junk \\*)] Permanent flags
       S: * 3 FETCH (FLAGS (\\Deleted $Junk \\Recent))
       S: * 4 FETCH (FLAGS (\\Deleted $Junk \\Recent))
       S: * ESEARCH (TAG "B01") UID ADDTO (0 3:4)
       S: x OK`,
    );
    await store.expunge(id, [3 as Uid]);
    // The RFC has REMOVEFROM come at once; ours comes with the next command (4.3.2 lets us choose).
    await play(
      client,
      `C: B03 NOOP
       S: * ESEARCH (TAG "B01") UID REMOVEFROM (0 3)
       S: * 3 EXPUNGE
       S: B03 OK Nothing done.
       C: B04 CANCELUPDATE "B01"
       S: B04 OK No further updates.
       C: B05 STORE 1 +FLAGS.SILENT (\\Deleted $Junk)
       S: B05 OK
       C: B06 CANCELUPDATE "B01"
       S: B06 BAD`,
    );
  });

  test('too many contexts (4.3.1)', async () => {
    for (let at = 0; at < 16; at++) await client.ok('SEARCH RETURN (UPDATE) ALL');
    await play(
      client,
      `C: B02 UID SORT RETURN (UPDATE COUNT) (DATE) UTF-8 KEYWORD $Junk
       S: * ESEARCH (TAG "B02") UID COUNT 0
       S: * NO [NOUPDATE "B02"] Too many contexts
       S: B02 OK Search completed, will not notify.
       C: B03 CANCELUPDATE "t5" "t6"
       S: B03 OK
       C: B02 UID SORT RETURN (UPDATE COUNT) (DATE) UTF-8 KEYWORD $Junk
       S: * ESEARCH (TAG "B02") UID COUNT 0
       S: B02 OK`,
    );
  });
});

describe('UPDATE', () => {
  test('sequence numbers: new ones after EXISTS, gone ones before EXPUNGE (4.3.3, 4.3.4)', async () => {
    await client.ok('SEARCH RETURN (UPDATE) ALL');
    await client.ok('NOOP');
    put('e');
    await store.expunge(id, [1, 3] as Uid[]);
    expect(await client.ok('NOOP')).toEqual([
      'ESEARCH (TAG "t3") REMOVEFROM (0 1,3)',
      '1 EXPUNGE',
      '2 EXPUNGE',
      '3 EXISTS',
      '3 RECENT',
      'ESEARCH (TAG "t3") ADDTO (0 3)',
    ]);
  });

  test('where EXPUNGE must wait, the results need not (A.3)', async () => {
    await client.ok('UID SEARCH RETURN (UPDATE) ALL');
    await store.expunge(id, [2 as Uid]);
    expect(await client.ok('FETCH 1 UID')).toEqual([
      '1 FETCH (UID 1)',
      'ESEARCH (TAG "t3") UID REMOVEFROM (0 2)',
    ]);
    expect(await client.ok('NOOP')).toEqual(['2 EXPUNGE']);
  });

  test('our own changes are changes too', async () => {
    await client.ok('UID SEARCH RETURN (UPDATE) FLAGGED');
    expect(await client.ok('UID STORE 2,3 +FLAGS.SILENT (\\Flagged)')).toEqual([
      'ESEARCH (TAG "t3") UID ADDTO (0 2:3)',
    ]);
    expect(await client.ok('STORE 2 -FLAGS.SILENT (\\Flagged)')).toEqual([
      'ESEARCH (TAG "t3") UID REMOVEFROM (0 2)',
    ]);
    expect(await client.ok('NOOP')).toEqual([]);
  });

  test('in the order of SORT, with positions', async () => {
    await flag([1, 2, 3]);
    await client.ok('NOOP');
    expect(await client.ok('UID SORT RETURN (UPDATE ALL) (SUBJECT) UTF-8 FLAGGED')).toEqual([
      'ESEARCH (TAG "t4") UID ALL 3,1:2',
    ]);
    await flag([1], 'remove');
    await flag([4]);
    put('b');
    await flag([5]);
    expect((await client.ok('NOOP')).at(-1)).toBe('ESEARCH (TAG "t4") UID REMOVEFROM (2 1) ADDTO (2 5,4)');
    await flag([3, 5, 2], 'remove');
    expect((await client.ok('NOOP')).at(-1)).toBe('ESEARCH (TAG "t4") UID REMOVEFROM (4 2 1 3,5)');
  });

  test('sequence numbers in the search keep their meaning, UIDs and * go on (4.3)', async () => {
    await client.ok('UID SEARCH RETURN (UPDATE) 2:*');
    await client.ok('UID SEARCH RETURN (UPDATE) UID 2:*');
    put('e');
    const news = await client.ok('NOOP');
    expect(news.filter((line) => line.startsWith('ESEARCH'))).toEqual(['ESEARCH (TAG "t4") UID ADDTO (0 5)']);
  });

  test('in IDLE at once', async () => {
    await client.ok('UID SEARCH RETURN (UPDATE) FLAGGED');
    client.send('i IDLE\r\n');
    expect(await client.response()).toMatch(/^\+/);
    await flag([2]);
    expect(await client.response()).toMatch(/^\* 2 FETCH/);
    expect(await client.response()).toBe('* ESEARCH (TAG "t3") UID ADDTO (0 2)');
    client.send('DONE\r\n');
    expect((await client.answer('i')).tagged).toMatch(/^OK/);
  });

  test('ends with the selection; the tag is free again', async () => {
    await client.ok('SEARCH RETURN (UPDATE) FLAGGED');
    await client.ok(`SELECT Box${count}`);
    await flag([2]);
    expect((await client.ok('NOOP')).join()).not.toContain('ESEARCH');
    expect(await client.tagged('CANCELUPDATE "t3"')).toMatch(/^BAD/);
    expect(await client.tagged('CANCELUPDATE')).toMatch(/^BAD/);
  });

  test('a mailbox that is deleted under us', async () => {
    await client.ok('UID SEARCH RETURN (UPDATE) ALL');
    await store.delete(id);
    expect((await client.ask('NOOP')).untagged[0]).toBe('ESEARCH (TAG "t3") UID REMOVEFROM (0 1:4)');
    expect((await client.ask('NOOP')).untagged).toEqual([]);
  });

  test('SAVE with UPDATE alone is answered by OK alone (RFC 5182 2.1)', async () => {
    expect(await client.ok('SEARCH RETURN (SAVE UPDATE) 1:2')).toEqual([]);
    expect(await client.ok('UID SEARCH $')).toEqual(['SEARCH 1 2']);
  });
});

type Step =
  | { readonly do: 'flag' | 'unflag' | 'expunge' | 'own' | 'ownOff'; readonly uid: number }
  | { readonly do: 'put'; readonly subject: string }
  | { readonly do: 'noop' }
  | { readonly do: 'fetch' };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    do: fc.constantFrom('flag' as const, 'unflag', 'expunge', 'own', 'ownOff'),
    uid: fc.integer({ min: 1, max: 9 }),
  }),
  fc.record({ do: fc.constant('put' as const), subject: fc.constantFrom('a', 'b', 'bb', 'c', 'z') }),
  fc.constantFrom<Step>({ do: 'noop' }, { do: 'fetch' }),
);

test.each([
  { mail: 'memory', numRuns: 50 },
  { mail: 'Maildir', numRuns: 8 },
] as const)(
  'whatever happens, a client that applies the updates has what a new search finds: $mail',
  async ({ mail, numRuns }) => {
    const { path: directory, remove } = temporaryDirectory();
    const kept = mail === 'Maildir' ? maildirStore(directory) : new MemoryMail();
    const other = await ImapWorld.start({ store: kept });
    const account = await kept.account(ALICE as AccountId);
    try {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
          const path = `Run${++count}`;
          const { id: box } = await account.create(path);
          const put = async (subject: string): Promise<void> => {
            const message = rawMessage([Buffer.from(`Subject: ${subject}\r\n\r\n`)]);
            await account.append(box, message, { flags: [], internalDate: 0 });
          };
          for (const subject of ['b', 'd', 'a']) await put(subject);
          const one = await other.login(path);
          const model = new Model();
          const ask = async (command: string): Promise<void> => {
            // A number may be of a message that is gone: what was told all the same counts.
            for (const line of (await one.ask(command)).untagged) model.hear(line);
          };
          model.plain = await tagOf(one, 'UID SEARCH RETURN (UPDATE ALL) FLAGGED');
          model.sorted = await tagOf(one, 'UID SORT RETURN (UPDATE ALL) (SUBJECT) UTF-8 FLAGGED');
          for (const each of steps) {
            if (each.do === 'put') await put(each.subject);
            else if (each.do === 'noop') await ask('NOOP');
            else if (each.do === 'fetch') await ask('FETCH 1 FLAGS');
            else if (each.do === 'own') await ask(`UID STORE ${each.uid} +FLAGS (\\Flagged)`);
            else if (each.do === 'ownOff') await ask(`UID STORE ${each.uid} -FLAGS.SILENT (\\Flagged)`);
            else if (each.do === 'expunge') await account.expunge(box, [each.uid as Uid]);
            else {
              const change = { mode: each.do === 'flag' ? 'add' : 'remove', flags: ['\\Flagged'] } as const;
              await account.setFlags(box, [each.uid as Uid], change);
            }
          }
          await new Promise((resolve) => setTimeout(resolve, 5));
          await ask('NOOP');
          expect(model.lists.get(model.plain) ?? []).toEqual(
            await found(one, 'UID SEARCH RETURN (ALL) FLAGGED'),
          );
          expect(model.lists.get(model.sorted) ?? []).toEqual(
            await found(one, 'UID SORT RETURN (ALL) (SUBJECT) UTF-8 FLAGGED'),
          );
          await one.ok('LOGOUT');
        }),
        { numRuns },
      );
    } finally {
      await other.close();
      await kept.close();
      remove();
    }
  },
);

test('the other searches find the same on a disk', async () => {
  const { path, remove } = temporaryDirectory();
  const kept = maildirStore(path);
  const other = await ImapWorld.start({ store: kept });
  try {
    const account = await kept.account(ALICE as AccountId);
    for (const [name, subject] of [
      ['INBOX', 'Hello world'],
      ['INBOX', 'help'],
      ['Work', 'a helo command'],
    ] as const) {
      const box = (await account.mailbox(name)) ?? (await account.create(name));
      const message = rawMessage([Buffer.from(`Subject: ${subject}\r\n\r\n`)]);
      await account.append(box.id, message, { flags: [], internalDate: 0 });
    }
    const one = await other.login('INBOX');
    await one.ok('SETMETADATA "" (/private/filters/values/helo "FUZZY SUBJECT helo")');
    expect(await one.ok('SEARCH RETURN (PARTIAL -1:-1 RELEVANCY) FUZZY SUBJECT helo')).toEqual([
      expect.stringMatching(/ PARTIAL \(-1:-1 2\) RELEVANCY \(54\)$/),
    ]);
    expect(await one.ok('SORT RETURN () (RELEVANCY SUBJECT) UTF-8 FUZZY SUBJECT "hello world"')).toEqual([
      expect.stringMatching(/ ALL 1$/),
    ]);
    expect(await one.ok('ESEARCH IN (personal) FILTER helo')).toEqual([
      expect.stringMatching(/MAILBOX INBOX UIDVALIDITY \d+\) UID ALL 1:2$/),
      expect.stringMatching(/MAILBOX Work UIDVALIDITY \d+\) UID ALL 1$/),
    ]);
  } finally {
    await other.close();
    await kept.close();
    remove();
  }
});

async function tagOf(one: Client, command: string): Promise<string> {
  const [line] = await one.ok(command);
  return /TAG "(\w+)"/.exec(line ?? '')?.[1] ?? '';
}

async function found(one: Client, command: string): Promise<number[]> {
  const [line] = await one.ok(command);
  return expand(/ALL (\S+)/.exec(line ?? '')?.[1] ?? '');
}

function expand(set: string): number[] {
  if (set === '') return [];
  return set.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split(':').map(Number);
    return Array.from({ length: last - first + 1 }, (_, at) => first + at);
  });
}

/** The client of RFC 5267 4.3.3 and 4.3.4. */
class Model {
  readonly lists = new Map<string, number[]>();
  plain = '';
  sorted = '';

  hear(line: string): void {
    const tag = /^ESEARCH \(TAG "(\w+)"\)/.exec(line)?.[1];
    if (tag === undefined) return;
    const list = this.lists.get(tag) ?? [];
    this.lists.set(tag, list);
    for (const [, what, pairs = ''] of line.matchAll(/(ADDTO|REMOVEFROM) \(([^)]*)\)/g)) {
      const words = pairs.split(' ');
      for (let at = 0; at < words.length; at += 2) {
        const position = Number(words[at]);
        const uids = expand(words[at + 1] ?? '');
        if (what === 'ADDTO' && position > 0) list.splice(position - 1, 0, ...uids);
        else if (what === 'ADDTO') list.push(...uids);
        else if (position > 0) expect(list.splice(position - 1, uids.length)).toEqual(uids);
        else for (const uid of uids) list.splice(list.indexOf(uid), 1);
      }
    }
    if (tag === this.plain) list.sort((a, b) => a - b);
  }
}
