import { afterEach, describe, expect, test } from 'vitest';
import type { MailboxId, Uid } from '../../src/store/store.ts';
import { play } from './dialogue.ts';
import { ALICE, type Client, ImapWorld, PASSWORD } from './world.ts';

/** UIDONLY (RFC 9586): no sequence number goes either way. */

let world: ImapWorld;

afterEach(() => world.close());

/** Messages with UIDs 1 to `messages`, of which those in `gone` are not there any more. */
async function mailbox(messages: number, gone: readonly number[] = []): Promise<MailboxId> {
  world = await ImapWorld.start();
  const inbox = await world.fill('INBOX', new Array(messages).fill('Subject: x\n\ntext\n'));
  await (await world.account()).expunge(inbox, gone as readonly Uid[]);
  return inbox;
}

async function uidOnly(path?: string, also = ''): Promise<Client> {
  const client = await world.login();
  await client.ok(`ENABLE UIDONLY${also}`);
  if (path !== undefined) await client.ok(`SELECT ${path}`);
  return client;
}

test('the examples of RFC 9586', async () => {
  await mailbox(12, [1, 2, 4]);
  await (await world.account()).create('Archives/2023/2023-05');
  const client = await world.login();
  const archive = await (await world.account()).mailbox('Archives/2023/2023-05');
  await play(
    client,
    `
    // 3.1
    C: 01 ENABLE UIDONLY
    S: * ENABLED UIDONLY
    S: 01 OK ENABLE completed
    `,
  );
  await client.ok('SELECT INBOX');
  await client.ok('UID STORE 5 +FLAGS.SILENT (\\Seen)');
  await client.ok('UID STORE 6 +FLAGS.SILENT (\\Flagged \\Answered)');
  await play(
    client,
    `
    // 3
    C: 07 FETCH 10000:14589 (UID FLAGS)
    S: 07 BAD [UIDREQUIRED] Message numbers are not allowed
        once UIDONLY is enabled
    // 3.3
    C: 10 UID FETCH 4:7 (FLAGS)
    S: * 5 UIDFETCH (FLAGS (\\Seen \\Recent))
    S: * 6 UIDFETCH (FLAGS (\\Flagged \\Answered \\Recent))
    S: * 7 UIDFETCH (FLAGS (\\Recent))
    S: 10 OK FETCH completed
    // The order of the items is ours
    C: 11 UID FETCH 5:6 (UID FLAGS)
    S: * 5 UIDFETCH (UID 5 FLAGS (\\Seen \\Recent))
    S: * 6 UIDFETCH (UID 6 FLAGS (\\Flagged \\Answered \\Recent))
    S: 11 OK FETCH completed
    C: 11a UID STORE 5,7,8,10 +FLAGS.SILENT (\\Deleted)
    S: 11a OK STORE completed
    // 3.4
    C: 12 EXPUNGE
    S: * VANISHED 5,7:8,10
    S: 12 OK expunged
    // 3.6
    C: 15 UID move 9 "Archives/2023/2023-05"
    S: * OK [COPYUID ${archive?.uidValidity} 9 1] UID MOVE
    S: * VANISHED 9
    S: 15 OK UID MOVE Completed
    `,
  );
});

test('SELECT tells no UNSEEN, which is a sequence number (3)', async () => {
  await mailbox(2);
  const plain = await world.login();
  expect((await plain.ok('SELECT INBOX')).join('\n')).toContain('[UNSEEN 1]');
  const client = await uidOnly();
  expect((await client.ok('SELECT INBOX')).join('\n')).not.toContain('UNSEEN');
});

test.each([
  'FETCH 1 FLAGS',
  'FETCH * FLAGS',
  'STORE 1 +FLAGS (\\Seen)',
  'COPY 1 Other',
  'MOVE 1 Other',
  'SEARCH ALL',
  'SEARCH RETURN (COUNT) ALL',
  'SORT (DATE) UTF-8 ALL',
  'THREAD REFERENCES UTF-8 ALL',
  'REPLACE 1 INBOX {1000}',
  'REPLACE 1 INBOX {3+}\r\nabc',
  'UID SEARCH 1',
  'UID SEARCH NOT (OR SEEN 1:*)',
  'UID SEARCH *',
  'UID SORT (DATE) UTF-8 1:2',
  'UID THREAD REFS UTF-8 1:2',
  'ESEARCH IN (selected) 1',
  'SELECT INBOX (QRESYNC (1 1 1:5 (1 1)))',
  'SELECT INBOX (QRESYNC (1 1 (1 1)))',
])('%s is BAD [UIDREQUIRED]', async (command) => {
  await mailbox(3);
  const client = await uidOnly('INBOX', ' QRESYNC');
  expect(await client.tagged(command)).toMatch(/^BAD \[UIDREQUIRED\] Message numbers are not allowed/);
  // It says so before anything is done, and goes on.
  expect(await client.ok('UID FETCH 1:* (FLAGS)')).toHaveLength(3);
});

test.each([
  'UID FETCH 1:* (FLAGS)',
  'UID SEARCH UID 1:*',
  'UID SEARCH ALL',
  'UID SEARCH RETURN (SAVE) ALL',
  'UID SEARCH $',
  'UID STORE $ +FLAGS (a)',
  'UID SORT (DATE) UTF-8 UID 1:*',
  'UID THREAD REFS UTF-8 ALL',
  'ESEARCH IN (personal) ALL',
  'EXPUNGE',
  'UID EXPUNGE 1:*',
  'UID COPY 1 Other',
])('%s is fine', async (command) => {
  await mailbox(3);
  await (await world.account()).create('Other');
  const client = await uidOnly('INBOX');
  for (const line of await client.ok(command)) expect(line).not.toMatch(/^\d+ (FETCH|EXPUNGE)/);
});

test('a filter with sequence numbers is no search any more', async () => {
  await mailbox(3);
  const client = await world.login('INBOX');
  await client.ok('SETMETADATA "" (/private/filters/values/first "1")');
  expect(await client.ok('SEARCH FILTER first')).toEqual(['SEARCH 1']);
  await client.ok('ENABLE UIDONLY');
  expect(await client.tagged('UID SEARCH FILTER first')).toMatch(/^NO \[UNDEFINED-FILTER first\]/);
});

test('what others change is told by UID, in IDLE too; EXISTS and RECENT are as ever (3.6)', async () => {
  await mailbox(4, [2]);
  const client = await uidOnly('INBOX');
  const other = await world.login('INBOX');
  await other.ok('STORE 2 +FLAGS (\\Flagged)');
  expect(await client.ok('NOOP')).toEqual(['3 UIDFETCH (FLAGS (\\Flagged \\Recent))']);
  client.send('i IDLE\r\n');
  expect(await client.response()).toMatch(/^\+/);
  await other.ok('STORE 1,3 +FLAGS (\\Deleted)');
  expect(await client.response()).toBe('* 1 UIDFETCH (FLAGS (\\Deleted \\Recent))');
  expect(await client.response()).toBe('* 4 UIDFETCH (FLAGS (\\Deleted \\Recent))');
  await other.ok('EXPUNGE');
  expect(await client.response()).toBe('* VANISHED 1,4');
  await world.fill('INBOX', ['Subject: new\n\n']);
  expect(await client.response()).toBe('* 2 EXISTS');
  expect(await client.response()).toMatch(/^\* \d RECENT$/);
  client.send('DONE\r\n');
  await client.answer('i');
});

describe('with CONDSTORE and QRESYNC (3.7)', () => {
  test('MODSEQ comes in UIDFETCH, and UID only where it was asked for', async () => {
    await mailbox(3);
    const client = await uidOnly('INBOX', ' CONDSTORE');
    const other = await world.login('INBOX');
    await other.ok('STORE 2 +FLAGS (\\Flagged)');
    expect((await client.ok('NOOP'))[0]).toMatch(
      /^2 UIDFETCH \(FLAGS \(\\Flagged \\Recent\) MODSEQ \(\d+\)\)$/,
    );
    expect((await client.ok('UID STORE 1 +FLAGS.SILENT (\\Seen)'))[0]).toMatch(
      /^1 UIDFETCH \(MODSEQ \(\d+\)\)$/,
    );
    expect((await client.ok('UID STORE 1 -FLAGS (\\Seen)'))[0]).toMatch(/^1 UIDFETCH \(FLAGS \(\S+\) MODSEQ/);
    const { untagged, tagged } = await client.ask('UID STORE 1:3 (UNCHANGEDSINCE 1) FLAGS (x)');
    expect(tagged).toMatch(/^OK \[MODIFIED 1:3\]/);
    expect(untagged.filter((line) => /^\d UIDFETCH \(FLAGS/.test(line))).toHaveLength(3);
    // \Seen is set on the way (RFC 9051 6.4.5).
    expect((await client.ok('UID FETCH 3 BODY[TEXT]'))[0]).toMatch(
      /^3 UIDFETCH \(BODY\[TEXT\] \{6\}\r\ntext\r\n FLAGS \(\\Seen \\Recent\) MODSEQ \(\d+\)\)$/,
    );
    expect(await client.ok('UID FETCH 1:* (UID) (CHANGEDSINCE 1)')).toHaveLength(3);
  });

  test('what was missed is told by UIDFETCH and VANISHED (EARLIER)', async () => {
    await mailbox(5);
    const before = await world.login('INBOX');
    const [validity, modSeq] = await facts(before);
    await before.ok('STORE 2 +FLAGS (\\Flagged)');
    await before.ok('STORE 4 +FLAGS (\\Deleted)');
    await before.ok('EXPUNGE');
    const client = await uidOnly(undefined, ' QRESYNC');
    const told = await client.ok(`SELECT INBOX (QRESYNC (${validity} ${modSeq} 1:5))`);
    expect(told.slice(-2)).toEqual([
      'VANISHED (EARLIER) 4',
      expect.stringMatching(/^2 UIDFETCH \(FLAGS \(\\Flagged\) MODSEQ \(\d+\)\)$/),
    ]);
    expect(await client.ok(`UID FETCH 1:5 (FLAGS) (CHANGEDSINCE ${modSeq} VANISHED)`)).toEqual([
      'VANISHED (EARLIER) 4',
      expect.stringMatching(/^2 UIDFETCH \(FLAGS \(\\Flagged\) MODSEQ \(\d+\)\)$/),
    ]);
  });
});

async function facts(client: Client): Promise<readonly [string, string]> {
  const text = (await client.ok('SELECT INBOX')).join('\n');
  return [/UIDVALIDITY (\d+)/.exec(text)?.[1] ?? '', /HIGHESTMODSEQ (\d+)/.exec(text)?.[1] ?? ''];
}

describe('with the rest', () => {
  test('PARTIAL, SAVE and MULTISEARCH', async () => {
    await mailbox(6, [3]);
    const client = await uidOnly('INBOX');
    expect(await client.ok('UID FETCH 1:* (FLAGS) (PARTIAL -1:-2)')).toEqual([
      '5 UIDFETCH (FLAGS (\\Recent))',
      '6 UIDFETCH (FLAGS (\\Recent))',
    ]);
    expect(await client.ok('UID SEARCH RETURN (PARTIAL 3:4 MIN MAX SAVE) ALL')).toEqual([
      'ESEARCH (TAG "t5") UID MIN 1 MAX 6 PARTIAL (3:4 4:5)',
    ]);
    expect(await client.ok('UID FETCH $ (UID)')).toHaveLength(4);
    expect((await client.ok('ESEARCH IN (selected) RETURN (ALL) ALL'))[0]).toMatch(/UID ALL 1:2,4:6$/);
  });

  test('results are kept up to date by UID; those by number end', async () => {
    await mailbox(4, [1]);
    const client = await world.login('INBOX');
    await client.ok('SEARCH RETURN (UPDATE COUNT) UNSEEN');
    await client.ok('UID SEARCH RETURN (UPDATE COUNT) UNSEEN');
    expect(await client.ok('ENABLE UIDONLY')).toEqual([
      'NO [NOUPDATE "t3"] There are no message numbers any more',
      'ENABLED UIDONLY',
    ]);
    const other = await world.login('INBOX');
    await other.ok('STORE 2 +FLAGS (\\Seen)');
    const told = await client.ok('NOOP');
    expect(told.map((line) => line.replace(' \\Recent', ''))).toEqual([
      '3 UIDFETCH (FLAGS (\\Seen))',
      'ESEARCH (TAG "t4") UID REMOVEFROM (0 3)',
    ]);
  });

  test('what NOTIFY and UPDATE fetch of new messages comes as UIDFETCH', async () => {
    await mailbox(3, [1]);
    const client = await uidOnly('INBOX');
    await client.ok('NOTIFY SET (SELECTED (MessageNew (UID PREVIEW) MessageExpunge FlagChange))');
    await world.fill('INBOX', ['Subject: new\n\nHello\n']);
    const told = [await client.response(), await client.response(), await client.response()];
    expect(told[0]).toBe('* 3 EXISTS');
    expect(told[2]).toBe('* 4 UIDFETCH (UID 4 PREVIEW "Hello")');
    const other = await world.login('INBOX');
    await other.ok('STORE 1 +FLAGS (\\Deleted)');
    expect(await client.response()).toBe('* 2 UIDFETCH (FLAGS (\\Deleted \\Recent))');
    await other.ok('EXPUNGE');
    expect(await client.ok('NOOP')).toEqual(['VANISHED 2']);
  });

  test('UID REPLACE tells VANISHED; IMAP4rev2 changes nothing in it', async () => {
    await mailbox(3, [1]);
    const client = await uidOnly('INBOX', ' IMAP4rev2');
    const told = await client.ok('UID REPLACE 2 INBOX {12+}\r\nSubject: y\r\n');
    expect(told.slice(1)).toEqual(['3 EXISTS', 'VANISHED 2']);
    expect(await client.ok('UID STORE 3 +FLAGS (\\Seen)')).toEqual(['3 UIDFETCH (FLAGS (\\Seen))']);
  });

  test('commands behind ENABLE in the same packet are read by it; UNAUTHENTICATE ends it', async () => {
    await mailbox(2);
    const client = await world.login('INBOX');
    client.send(
      'a FETCH 1 FLAGS\r\nb ENABLE UIDONLY\r\nc FETCH 1 FLAGS\r\nd UID FETCH 1 FLAGS\r\ne UNAUTHENTICATE\r\n',
    );
    expect((await client.answer('a')).untagged).toEqual(['1 FETCH (FLAGS (\\Recent))']);
    await client.answer('b');
    expect((await client.answer('c')).tagged).toMatch(/^BAD \[UIDREQUIRED\]/);
    expect((await client.answer('d')).untagged).toEqual(['1 UIDFETCH (FLAGS (\\Recent))']);
    await client.answer('e');
    await client.ok(`LOGIN ${ALICE} "${PASSWORD}"`);
    await client.ok('SELECT INBOX');
    expect(await client.ok('FETCH 1 UID')).toEqual(['1 FETCH (UID 1)']);
  });
});
