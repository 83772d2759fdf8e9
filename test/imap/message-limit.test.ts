import { afterEach, describe, expect, test } from 'vitest';
import { imapOptions } from '../../src/imap/options.ts';
import type { Uid } from '../../src/store/store.ts';
import { play } from './dialogue.ts';
import { type Client, ImapWorld } from './world.ts';

/** MESSAGELIMIT and SAVELIMIT (RFC 9738). In the examples the limit is 1000 and the mailbox long; here both are short. */

let world: ImapWorld;

afterEach(() => world.close());

interface Limits {
  readonly messageLimit?: number;
  readonly saveLimit?: number;
}

/** Messages with UIDs 1 to `messages`, of which those in `gone` are not there any more. */
async function opened(limits: Limits, messages: number, gone: readonly number[] = []): Promise<Client> {
  world = await ImapWorld.start({ settings: limits });
  const inbox = await world.fill('INBOX', new Array(messages).fill('Subject: x\n\ntext\n'));
  const account = await world.account();
  await account.expunge(inbox, gone as readonly Uid[]);
  await account.create('Trash');
  await account.create('Archive/2021/2021-12');
  const client = await world.login('INBOX');
  return client;
}

test('the capabilities say what is set, and nothing otherwise (3)', async () => {
  const client = await opened({}, 0);
  expect((await client.ok('CAPABILITY'))[0]).not.toMatch(/MESSAGELIMIT|SAVELIMIT/);
  await world.close();
  const limited = await opened({ messageLimit: 2000, saveLimit: 1000 }, 0);
  expect((await limited.ok('CAPABILITY'))[0]).toMatch(/ MESSAGELIMIT=2000 SAVELIMIT=1000\b/);
  await world.close();
  const saving = await opened({ saveLimit: 1000 }, 0);
  expect((await saving.ok('CAPABILITY'))[0]).toMatch(/^(?!.*MESSAGELIMIT).* SAVELIMIT=1000\b/);
});

test('a limit is 1000 at least (3), and there is none by itself', () => {
  expect(imapOptions.parse({})).toMatchObject({ messageLimit: null, saveLimit: null });
  expect(imapOptions.safeParse({ messageLimit: 999 }).success).toBe(false);
  expect(imapOptions.safeParse({ saveLimit: 1000 }).success).toBe(true);
});

test('the examples of RFC 9738 3.1 that change nothing', async () => {
  const client = await opened({ messageLimit: 3 }, 10, [4, 8]);
  await client.ok('UID STORE 10 +FLAGS.SILENT (\\Seen)');
  await client.ok('UID STORE 7 +FLAGS.SILENT (\\Answered)');
  await play(
    client,
    `
    C: 03 FETCH 2:8 (UID FLAGS)
    S: * 8 FETCH (UID 10 FLAGS (\\Seen \\Recent))
    S: * 7 FETCH (UID 9 FLAGS (\\Recent))
    S: * 6 FETCH (UID 7 FLAGS (\\Answered \\Recent))
    S: 03 OK [MESSAGELIMIT 3 7] FETCH completed with 3 partial results
    // What counts is what is searched, not what is found; SEARCH answers in ascending order
    C: 04 UID SEARCH UID 2:10 UNSEEN
    S: * SEARCH 7 9
    S: 04 OK [MESSAGELIMIT 3 7] SEARCH completed with 3 partial results
    C: 04b UID SEARCH UID 1:3 UNSEEN
    S: * SEARCH 1 2 3
    S: 04b OK SEARCH completed
    C: 05 UID COPY 1:10 "Trash"
    S: 05 NO [MESSAGELIMIT 3 7] Too many messages to copy,
        try a smaller subset
    C: 05b STATUS Trash (MESSAGES)
    S: * STATUS Trash (MESSAGES 0)
    S: 05b OK none was copied
    C: 10 UID FETCH 2:10 (UID FLAGS MODSEQ)
        (PARTIAL -1:-4)
    S: 10 NO [MESSAGELIMIT 3] FETCH exceeds the maximum 3-
        message limit
    C: 10b UID FETCH 2:10 (UID) (PARTIAL -1:-3)
    S: * 6 FETCH (UID 7)
    S: * 7 FETCH (UID 9)
    S: * 8 FETCH (UID 10)
    S: 10b OK FETCH completed
    // 3.2
    C: 12 UID SEARCH UIDAFTER 7 NOT DELETED
    S: * SEARCH 9 10
    S: 12 OK SEARCH completed
    // 3.4
    C: D0004 UID SEARCH RETURN (SAVE) SINCE 1-Jan-2004 NOT FROM "Smith"
        UID 2:10 UNDELETED
    S: D0004 OK [MESSAGELIMIT 3 7] SEARCH completed with 3
        partial results saved
    C: D0005 UID SEARCH RETURN (ALL) $
    S: * ESEARCH (TAG "D0005") UID ALL 7,9:10
    S: D0005 OK done
    `,
  );
});

test('the examples of RFC 9738 3.1 that change something', async () => {
  const client = await opened({ messageLimit: 3 }, 16, [12]);
  const archive = await (await world.account()).mailbox('Archive/2021/2021-12');
  await play(
    client,
    `
    C: 06 UID MOVE 11:16 "Archive/2021/2021-12"
    S: * OK [COPYUID ${archive?.uidValidity} 14:16 1:3] Some messages were not moved
    S: * 13 EXPUNGE
    S: * 13 EXPUNGE
    S: * 13 EXPUNGE
    S: 06 OK [MESSAGELIMIT 3 14] MOVE completed for the last 3 messages
    // Repeated, it is done for the rest
    C: 06b UID MOVE 11:16 "Archive/2021/2021-12"
    S: * OK [COPYUID ${archive?.uidValidity} 11,13 4:5] moved
    S: * 11 EXPUNGE
    S: * 11 EXPUNGE
    S: 06b OK MOVE completed
    C: 07 UID STORE 5:10 +FLAGS (\\Deleted)
    S: * 10 FETCH (UID 10 FLAGS (\\Deleted \\Recent))
    S: * 9 FETCH (UID 9 FLAGS (\\Deleted \\Recent))
    S: * 8 FETCH (UID 8 FLAGS (\\Deleted \\Recent))
    S: 07 OK [MESSAGELIMIT 3 8] STORE completed for the last 3 messages
    C: 07b UID STORE 5:7 +FLAGS.SILENT (\\Deleted)
    S: 07b OK STORE completed
    // Those that are not \\Deleted do not count
    C: 08 UID EXPUNGE 1:10
    S: * 8 EXPUNGE
    S: * 8 EXPUNGE
    S: * 8 EXPUNGE
    S: 08 OK [MESSAGELIMIT 3 8] UID EXPUNGE completed for the last 3 messages
    C: 08b UID STORE 2:4 +FLAGS.SILENT (\\Deleted)
    S: 08b OK STORE completed
    // Never limited
    C: 09 EXPUNGE
    S: * 2 EXPUNGE
    S: * 2 EXPUNGE
    S: * 2 EXPUNGE
    S: * 2 EXPUNGE
    S: * 2 EXPUNGE
    S: * 2 EXPUNGE
    S: 09 OK EXPUNGE completed
    `,
  );
});

test('EXPUNGEISSUED goes before, MESSAGELIMIT is told by a NO (3.1)', async () => {
  const client = await opened({ messageLimit: 3 }, 6);
  const account = await world.account();
  const inbox = await account.mailbox('INBOX');
  if (inbox) await account.expunge(inbox.id, [5] as unknown as Uid[]);
  await play(
    client,
    `
    C: 11 FETCH 2:6 (UID)
    S: * 6 FETCH (UID 6)
    S: * 4 FETCH (UID 4)
    S: * NO [MESSAGELIMIT 3 4] FETCH completed with 3 partial results
    S: 11 OK [EXPUNGEISSUED] Some messages were also expunged
    `,
  );
});

test('CLOSE and STATUS know no limit (3.1)', async () => {
  const client = await opened({ messageLimit: 3 }, 8);
  for (const set of ['1:3', '4:6', '7:8']) await client.ok(`UID STORE ${set} +FLAGS.SILENT (\\Deleted)`);
  expect(await client.ok('STATUS INBOX (UNSEEN)')).toContain('STATUS INBOX (UNSEEN 8)');
  await client.ok('CLOSE');
  expect(await client.ok('STATUS INBOX (MESSAGES)')).toEqual(['STATUS INBOX (MESSAGES 0)']);
});

describe('with other extensions', () => {
  test('envelopes and texts come to the right messages, from the last on', async () => {
    world = await ImapWorld.start({ settings: { messageLimit: 600 } });
    const subjects = Array.from({ length: 1300 }, (_, at) => `Subject: number ${at + 1}\n\ntext ${at + 1}`);
    await world.fill('INBOX', subjects);
    const client = await world.login('INBOX');
    const { untagged, tagged } = await client.ask('UID FETCH 1:* (ENVELOPE BODY.PEEK[TEXT])');
    expect(tagged).toMatch(/^OK \[MESSAGELIMIT 600 701\]/);
    const lines = untagged.filter((line) => line.includes('FETCH'));
    expect(lines).toHaveLength(600);
    for (const [at, line] of lines.entries()) {
      const uid = 1300 - at;
      expect(line).toMatch(new RegExp(`^${uid} FETCH \\(UID ${uid} ENVELOPE \\(\\S+ "number ${uid}" `));
      expect(line).toMatch(new RegExp(`text ${uid}\\)$`));
    }
  });

  test('UIDONLY, CHANGEDSINCE, VANISHED, MODIFIED', async () => {
    const client = await opened({ messageLimit: 2 }, 5, [3]);
    await client.ok('ENABLE UIDONLY QRESYNC');
    const { untagged, tagged } = await client.ask('UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)');
    expect(untagged.map((line) => line.replace(/ MODSEQ.*/, ''))).toEqual([
      'VANISHED (EARLIER) 3',
      '5 UIDFETCH (FLAGS (\\Recent)',
      '4 UIDFETCH (FLAGS (\\Recent)',
    ]);
    expect(tagged).toMatch(/^OK \[MESSAGELIMIT 2 4\]/);
    const modified = await client.ask('UID STORE 1:* (UNCHANGEDSINCE 1) FLAGS (x)');
    expect(modified.untagged.at(-1)).toMatch(/^NO \[MESSAGELIMIT 2 4\]/);
    expect(modified.tagged).toMatch(/^OK \[MODIFIED 4:5\]/);
  });

  test('a search with sets that meet; THREAD not, SORT all of it; no news of a limited search', async () => {
    const client = await opened({ messageLimit: 3 }, 8);
    expect((await client.ask('SEARCH UID 1:6 OR UID 2 UID 4:7')).tagged).toMatch(/^OK \[MESSAGELIMIT 3 4\]/);
    expect(await client.ok('SEARCH UID 1:6 OR UID 2 UID 4:7')).toEqual(['SEARCH 4 5 6']);
    expect((await client.ask('SEARCH 1:3')).tagged).toMatch(/^OK SEARCH/);
    expect((await client.ask('SEARCH OR UID 1 SEEN')).tagged).toMatch(/^OK \[MESSAGELIMIT 3 6\]/);
    expect(await client.tagged('SEARCH RETURN (PARTIAL 1:4) 1:3')).toMatch(/^NO \[MESSAGELIMIT 3\]/);
    expect(await client.tagged('THREAD REFERENCES UTF-8 ALL')).toMatch(/^NO \[MESSAGELIMIT 3\]/);
    expect(await client.tagged('THREAD REFERENCES UTF-8 1:3')).toMatch(/^OK/);
    expect(await client.ok('SORT (ARRIVAL) UTF-8 ALL')).toEqual(['SORT 1 2 3 4 5 6 7 8']);
    const { untagged, tagged } = await client.ask('UID SEARCH RETURN (COUNT UPDATE) ALL');
    expect(untagged[0]).toMatch(/ UID COUNT 3$/);
    expect(untagged[1]).toMatch(/^NO \[NOUPDATE "t\d+"\]/);
    expect(tagged).toMatch(/^OK \[MESSAGELIMIT 3 6\]/);
  });

  test('APPEND of too many, which is said before the one too many is sent (3.1)', async () => {
    const client = await opened({ saveLimit: 2 }, 0);
    const one = '{12+}\r\nSubject: y\r\n';
    expect(await client.tagged(`APPEND Trash ${one} ${one} ${one}`)).toMatch(/^NO \[MESSAGELIMIT 2\]/);
    expect(await client.tagged(`APPEND Trash ${one} ${one} {12}`)).toMatch(/^NO \[MESSAGELIMIT 2\]/);
    expect(await client.ok('STATUS Trash (MESSAGES)')).toEqual(['STATUS Trash (MESSAGES 0)']);
    expect(await client.tagged(`APPEND INBOX ${one} ${one}`)).toMatch(/^OK/);
    expect(await client.tagged(`APPEND INBOX ${one}`)).toMatch(/^OK/);
    expect(await client.tagged('COPY 1:3 Trash')).toMatch(/^NO \[MESSAGELIMIT 2 2\]/);
    // Only that is limited.
    expect(await client.ok('FETCH 1:3 UID')).toHaveLength(3);
    expect(await client.tagged('MOVE 1:3 Trash')).toMatch(/^OK/);
  });
});

test('UIDAFTER and UIDBEFORE (3.2), without a limit as well', async () => {
  const client = await opened({}, 5);
  expect(await client.ok('SEARCH UIDAFTER 3')).toEqual(['SEARCH 4 5']);
  expect(await client.ok('SEARCH UIDAFTER 5')).toEqual(['SEARCH']);
  expect(await client.ok('SEARCH UIDAFTER 4294967295')).toEqual(['SEARCH']);
  expect(await client.ok('SEARCH UIDBEFORE 3')).toEqual(['SEARCH 1 2']);
  expect(await client.ok('SEARCH UIDBEFORE 1')).toEqual(['SEARCH']);
  expect(await client.ok('SEARCH NOT UIDBEFORE 1')).toEqual(['SEARCH 1 2 3 4 5']);
  expect(await client.ok('UID SEARCH UIDAFTER 1 UIDBEFORE 5')).toEqual(['SEARCH 2 3 4']);
  expect(await client.tagged('SEARCH UIDAFTER 1:3')).toMatch(/^BAD/);
  expect(await client.tagged('SEARCH UIDAFTER *')).toMatch(/^BAD/);
  expect(await client.tagged('SEARCH UIDBEFORE 0')).toMatch(/^BAD/);
});
