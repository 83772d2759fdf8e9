import { afterEach, beforeEach, expect, test } from 'vitest';
import type { MailboxId, Uid } from '../../src/store/store.ts';
import { play } from './dialogue.ts';
import type { MemoryAccount } from './memory-mail.ts';
import { type Client, ImapWorld } from './world.ts';

/**
 * The examples of RFC 7162 (those of RFC 4551 and RFC 5162 are among them), by their numbers where they have some. UIDs
 * are told with every MODSEQ (3.2.4). What is not played, and why:
 *
 * - 2: there is no mailbox without mod-sequences (NOMODSEQ).
 * - 5, and the NOOP after 8: what stands in the way is told at once, as in 6 and 10.
 * - 11 and 12 are of servers with a mod-sequence for each flag.
 * - 3.2.10.1's VANISHED one by one: here they are told together.
 * - 7: message sequence match data of 10,003 messages is in condstore.test.ts with fewer.
 */

let world: ImapWorld;
let store: MemoryAccount;
let client: Client;
let id: MailboxId;

/** Message n has the UID n and the MODSEQ n + 1. */
beforeEach(async () => {
  world = await ImapWorld.start();
  store = await world.account();
  id = await world.fill('INBOX', Array(12).fill('Subject: x\n\n'));
  client = await world.login();
});
afterEach(() => world.close());

const add = (uid: number, ...flags: string[]): Promise<unknown> =>
  store.setFlags(id, [uid as Uid], { mode: 'add', flags });
const drop = (...uids: number[]): Promise<unknown> => store.expunge(id, uids as Uid[]);

test('1, 17 and 18: SELECT, STATUS', async () => {
  const uidValidity = (await store.mailbox('INBOX'))?.uidValidity;
  const told = `S: * FLAGS (\\Answered \\Flagged \\Deleted \\Draft \\Seen)
     S: * OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Draft \\Seen \\*)] [...]
     S: * 12 EXISTS
     S: * 12 RECENT
     S: * OK [UNSEEN 1] Message 1 is first unseen
     S: * OK [UIDVALIDITY ${uidValidity}] UIDs valid
     S: * OK [UIDNEXT 13] Predicted next UID
     S: * OK [HIGHESTMODSEQ 13]
     S: * OK [MAILBOXID (${id})]`;
  await play(
    client,
    `C: A042 STATUS INBOX (UIDNEXT MESSAGES HIGHESTMODSEQ)
     S: * STATUS INBOX (UIDNEXT 13 MESSAGES 12 HIGHESTMODSEQ 13)
     S: A042 OK STATUS completed
     C: A142 SELECT INBOX
     ${told}
     S: A142 OK [READ-WRITE] SELECT completed
     C: A143 SELECT INBOX (CONDSTORE)
     S: * OK [CLOSED]
     ${told.replace('12 RECENT', '0 RECENT')}
     S: A143 OK [READ-WRITE] SELECT completed, CONDSTORE is now enabled`,
  );
});

test('3 and 4: conditional STORE', async () => {
  await client.ok('SELECT INBOX');
  await play(
    client,
    `C: c101 STORE 12 (UNCHANGEDSINCE 13) -FLAGS.SILENT (\\Deleted)
     S: * OK [HIGHESTMODSEQ 13]
     S: * 12 FETCH (UID 12 MODSEQ (13))
     S: c101 OK Store (conditional) completed
     C: a103 UID STORE 6,4,8 (UNCHANGEDSINCE 13) +FLAGS.SILENT (\\Deleted)
     S: * 4 FETCH (UID 4 MODSEQ (14))
     S: * 6 FETCH (UID 6 MODSEQ (15))
     S: * 8 FETCH (UID 8 MODSEQ (16))
     S: a103 OK Conditional Store completed
     C: a104 STORE * (UNCHANGEDSINCE 16) +FLAGS.SILENT (\\Deleted $Processed)
     S: * 12 FETCH (UID 12 MODSEQ (17))
     S: a104 OK Store (conditional) completed`,
  );
});

test('6 and 7: what fails', async () => {
  await client.ok('SELECT INBOX (CONDSTORE)');
  await add(7, '\\Seen');
  await add(9, '\\Answered');
  await client.ok('NOOP');
  await play(
    client,
    `C: d105 STORE 7,5,9 (UNCHANGEDSINCE 13) +FLAGS.SILENT (\\Deleted)
     S: * 5 FETCH (UID 5 MODSEQ (16))
     S: * 7 FETCH (UID 7 FLAGS (\\Seen \\Recent) MODSEQ (14))
     S: * 9 FETCH (UID 9 FLAGS (\\Answered \\Recent) MODSEQ (15))
     S: d105 OK [MODIFIED 7,9] Conditional STORE failed
     C: a102 STORE 12 (UNCHANGEDSINCE 0) +FLAGS.SILENT ($MDNSent)
     S: * 12 FETCH (UID 12 FLAGS (\\Recent) MODSEQ (13))
     S: a102 OK [MODIFIED 12] Conditional STORE failed`,
  );
});

test('8: what has changed is told, and then the command can be given again', async () => {
  await client.ok('SELECT INBOX (CONDSTORE)');
  await add(3, '\\Deleted', '\\Answered');
  await play(
    client,
    `C: a106 STORE 2:4 (UNCHANGEDSINCE 13) +FLAGS.SILENT ($Processed)
     S: * 2 FETCH (UID 2 MODSEQ (15))
     S: * 4 FETCH (UID 4 MODSEQ (16))
          S: * 3 FETCH (UID 3 FLAGS (\\Deleted \\Answered \\Recent) MODSEQ (14))
     S: a106 OK [MODIFIED 3] Conditional STORE failed
     C: b107 NOOP
     S: b107 OK
     C: b108 STORE 3 (UNCHANGEDSINCE 14) +FLAGS.SILENT ($Processed)
     S: * 3 FETCH (UID 3 MODSEQ (17))
     S: b108 OK Conditional Store completed`,
  );
});

test('9: some are gone', async () => {
  await client.ok('SELECT INBOX (CONDSTORE)');
  await drop(4, 5, 6, 7);
  await add(2, '\\Deleted', '\\Answered');
  await play(
    client,
    `C: B001 STORE 1:7 (UNCHANGEDSINCE 13) +FLAGS (\\SEEN)
     S: * 1 FETCH (UID 1 FLAGS (\\Seen \\Recent) MODSEQ (16))
     S: * 3 FETCH (UID 3 FLAGS (\\Seen \\Recent) MODSEQ (17))
     S: * 2 FETCH (UID 2 FLAGS (\\Deleted \\Answered \\Recent) MODSEQ (15))
     // OK, as programs show people a NO as an error (README); which they are is told the same.
     S: B001 OK [MODIFIED 2] Some of the messages no longer exist.
     C: B002 NOOP
     S: * 4 EXPUNGE
     S: * 4 EXPUNGE
     S: * 4 EXPUNGE
     S: * 4 EXPUNGE
     S: B002 OK NOOP Completed.
     C: b003 STORE 2 (UNCHANGEDSINCE 15) +FLAGS (\\Seen)
     S: * 2 FETCH (UID 2 FLAGS (\\Deleted \\Answered \\Seen \\Recent) MODSEQ (18))
     S: b003 OK Conditional Store completed`,
  );
});

test('13 and 14: FETCH', async () => {
  await client.ok('SELECT INBOX (CONDSTORE)');
  await add(4, '\\Seen');
  await add(6, '\\Deleted');
  await add(8, '$NoJunk', '$AutoJunk');
  await client.ok('NOOP');
  await play(
    client,
    `C: s100 UID FETCH 1:* (FLAGS) (CHANGEDSINCE 13)
     S: * 4 FETCH (UID 4 FLAGS (\\Seen \\Recent) MODSEQ (14))
     S: * 6 FETCH (UID 6 FLAGS (\\Deleted \\Recent) MODSEQ (15))
     S: * 8 FETCH (UID 8 FLAGS ($NoJunk $AutoJunk \\Recent) MODSEQ (16))
     S: s100 OK FETCH completed
     C: a FETCH 1:3 (MODSEQ)
     S: * 1 FETCH (MODSEQ (2))
     S: * 2 FETCH (MODSEQ (3))
     S: * 3 FETCH (MODSEQ (4))
     S: a OK Fetch complete`,
  );
});

test('3.1.5 (3.1.4.2): three clients, one of them silent', async () => {
  const [a, c, d] = [client, await world.login(), await world.login()];
  // D does not know of CONDSTORE in the second part; here C does, as A does.
  await a.ok('SELECT INBOX (CONDSTORE)');
  await c.ok('SELECT INBOX (CONDSTORE)');
  await d.ok('SELECT INBOX (CONDSTORE)');
  await add(7, '\\Answered');
  for (const each of [a, c, d]) await each.ok('NOOP');
  await play(
    a,
    `C: A160 STORE 7 +FLAGS.SILENT (\\Deleted)
     S: * 7 FETCH (UID 7 MODSEQ (15))
     S: A160 OK Store completed`,
  );
  for (const [client, tag] of [
    [c, 'C180'],
    [d, 'D210'],
  ] as const)
    await play(
      client,
      `C: ${tag} NOOP
       S: * 7 FETCH (UID 7 FLAGS ([...]) MODSEQ (15))
       S: ${tag} OK Noop completed`,
    );
  await play(
    a,
    `C: A240 STORE 7 +FLAGS.SILENT (\\Seen)
     S: * 7 FETCH (UID 7 MODSEQ (16))
     S: A240 OK Store completed
     C: A330 STORE 7 -FLAGS.SILENT (\\Answered \\Seen)
     S: * 7 FETCH (UID 7 MODSEQ (17))
     S: A330 OK Store completed`,
  );
  await play(
    c,
    `C: C360 NOOP
     S: * 7 FETCH (UID 7 FLAGS (\\Deleted) MODSEQ (17))
     S: C360 OK Noop completed`,
  );
});

test('15, 16, 19 and 20: SEARCH and SORT', async () => {
  await client.ok('SELECT INBOX (CONDSTORE)');
  for (const uid of [2, 5, 6]) await add(uid, '\\Draft');
  await client.ok('NOOP');
  await play(
    client,
    `C: a SEARCH MODSEQ "/flags/\\\\draft" all 14
     S: * SEARCH 2 5 6 (MODSEQ 16)
     S: a OK Search complete
     C: t SEARCH OR NOT MODSEQ 1 LARGER 50000
     S: * SEARCH
     S: t OK Search complete, nothing found
     C: b SEARCH RETURN (ALL) MODSEQ 14
     S: * ESEARCH (TAG "b") ALL 2,5:6 MODSEQ 16
     S: b OK Extended SEARCH completed
     C: c SORT RETURN (ALL) (REVERSE SIZE) UTF-8 MODSEQ 14
     S: * ESEARCH (TAG "c") ALL 2,5:6 MODSEQ 16
     S: c OK Extended SORT completed`,
  );
});

test('3.2.5: QRESYNC of SELECT, with a UIDVALIDITY that is past, and without', async () => {
  const uidValidity = (await store.mailbox('INBOX'))?.uidValidity ?? 0;
  await client.ok('ENABLE QRESYNC');
  await drop(4, 5, 8);
  await add(7, '\\Seen', '\\Answered');
  await add(9, '\\Draft', '$MDNSent');
  const told = `S: * FLAGS [...]
     S: * OK [PERMANENTFLAGS [...]
     S: * 9 EXISTS
     S: * [...] RECENT
     S: * OK [UNSEEN 1] Message 1 is first unseen
     S: * OK [UIDVALIDITY ${uidValidity}] UIDVALIDITY
     S: * OK [UIDNEXT 13] Predicted next UID
     S: * OK [HIGHESTMODSEQ 16] Highest mailbox mod-sequence
     S: * OK [MAILBOXID (${id})]`;
  await play(
    client,
    `C: A02 SELECT INBOX (QRESYNC (${uidValidity - 1} 13 1:9))
     ${told}
     S: A02 OK [READ-WRITE] Sorry, UIDVALIDITY mismatch
     C: A03 SELECT INBOX (QRESYNC (${uidValidity} 13 1:9))
     S: * OK [CLOSED]
     ${told}
     S: * VANISHED (EARLIER) 4:5,8
     S: * 5 FETCH (UID 7 FLAGS (\\Seen \\Answered) MODSEQ (15))
     S: * 6 FETCH (UID 9 FLAGS (\\Draft $MDNSent) MODSEQ (16))
     S: A03 OK [READ-WRITE] mailbox selected`,
  );
});

test('3.2.6: UID FETCH with VANISHED', async () => {
  await client.ok('ENABLE QRESYNC');
  await client.ok('SELECT INBOX');
  await drop(5, 11);
  await add(4, '\\Seen');
  await add(6, '\\Deleted');
  await client.ok('NOOP');
  await play(
    client,
    `C: s101 UID SEARCH 3:7
     S: * SEARCH 3 4 6 7 8
     S: s101 OK search completed
     C: s100 UID FETCH 3:11 (FLAGS) (CHANGEDSINCE 13 VANISHED)
     S: * VANISHED (EARLIER) 5,11
     S: * 4 FETCH (UID 4 FLAGS (\\Seen \\Recent) MODSEQ (15))
     S: * 5 FETCH (UID 6 FLAGS (\\Deleted \\Recent) MODSEQ (16))
     S: s100 OK FETCH completed`,
  );
});

test('3.2.7 to 3.2.10: EXPUNGE, CLOSE, UID EXPUNGE', async () => {
  const other = await world.login();
  await other.ok('ENABLE QRESYNC');
  await other.ok('SELECT INBOX');
  await client.ok('SELECT INBOX (CONDSTORE)');
  await client.ok('STORE 3,4,7,11 +FLAGS.SILENT (\\Deleted)');
  await other.ok('NOOP');
  await play(
    client,
    `C: A202 EXPUNGE
     S: * 3 EXPUNGE
     S: * 3 EXPUNGE
     S: * 5 EXPUNGE
     S: * 8 EXPUNGE
     S: A202 OK EXPUNGE completed`,
  );
  await play(
    other,
    `C: A210 NOOP
     S: * VANISHED 3:4,7,11
     S: A210 OK NOOP completed`,
  );
  await other.ok('UID STORE 5,6,8,9 +FLAGS.SILENT (\\Deleted)');
  await play(
    other,
    `C: . UID EXPUNGE 5:6
     S: * VANISHED 5:6
     S: . OK [HIGHESTMODSEQ 23] Ok
     C: B202 EXPUNGE
     S: * VANISHED 8:9
     S: B202 OK [HIGHESTMODSEQ 24] expunged
     C: A203 CLOSE
     S: A203 OK done`,
  );
});

test('6: an expunge that may not be told yet holds HIGHESTMODSEQ back', async () => {
  await client.ok('ENABLE QRESYNC');
  await client.ok('SELECT INBOX');
  await drop(3);
  await play(
    client,
    `C: A150 STORE 1:2 (UNCHANGEDSINCE 13) +FLAGS.SILENT (\\Seen)
     S: * 1 FETCH (UID 1 MODSEQ (15))
     S: * 2 FETCH (UID 2 MODSEQ (16))
     // In the tagged answer, where the example's second command has it.
     S: A150 OK [HIGHESTMODSEQ 13] done
     C: A152 NOOP
     S: * VANISHED 3
     S: A152 OK done`,
  );
  expect((await client.ok('STATUS INBOX (HIGHESTMODSEQ)'))[0]).toContain('HIGHESTMODSEQ 16');
});
