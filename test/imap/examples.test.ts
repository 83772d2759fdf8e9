import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { MailboxId, Uid } from '../../src/store/store.ts';
import { play } from './dialogue.ts';
import type { MemoryAccount } from './memory-mail.ts';
import { ALICE, type Client, ImapWorld, PASSWORD } from './world.ts';

/**
 * Examples of the small extensions, with numbers that fit mailboxes which are made for them. Those of bigger ones are in
 * files of their own. What is not played, and why:
 *
 * - RFC 2971 3.1: the server's ID here is not NIL.
 * - RFC 3691: below, with what it leaves out.
 * - RFC 4315 3, the last one: no mailbox here has UIDs that do not stay (UIDNOTSTICKY).
 * - RFC 4466 2.6: ANNOTATE is not known here; its third example is played.
 * - RFC 4959: EXTERNAL needs a certificate, its empty response is in test/sasl.
 * - RFC 4978: the second one; no TLS library compresses any more.
 * - RFC 5256 4: the mailbox of its THREAD examples is not known; how such threads are written is in sort-thread.test.ts.
 * - RFC 5957: prints none.
 * - RFC 7889 4: limits of one mailbox are not there, so APPENDLIMIT always has its number.
 * - RFC 8437, RFC 8457: print no dialogue; \Important is not there.
 * - RFC 8474 5.2, THREADID NIL: threads are always known.
 */

let world: ImapWorld;
let store: MemoryAccount;
let client: Client;

const MAIL = 'Subject: afternoon meeting\nFrom: Fred Foobar <foobar@example.com>\n\nHello\n';

beforeEach(async () => {
  world = await ImapWorld.start({ mail: { now: () => Date.now() } });
  store = await world.account();
  client = await world.login();
});
afterEach(() => world.close());

async function idOf(path: string): Promise<MailboxId> {
  return (await store.mailbox(path))?.id ?? ('' as MailboxId);
}

async function validity(path: string): Promise<number> {
  return (await store.mailbox(path))?.uidValidity ?? 0;
}

test('RFC 2177 3', async () => {
  const inbox = await world.fill('INBOX', [MAIL, MAIL, MAIL]);
  await client.ok('ENABLE IMAP4rev2');
  await client.ok('SELECT INBOX');
  await play(
    client,
    `C: A002 IDLE
     S: + idling`,
  );
  // Time passes; new mail arrives.
  await world.fill('INBOX', [MAIL]);
  await play(
    client,
    `S: * 4 EXISTS
     C: DONE
     S: A002 OK IDLE terminated`,
  );
  // Another client expunges message 2 now.
  await store.expunge(inbox, [2 as Uid]);
  await play(
    client,
    `C: A003 FETCH 4 ALL
     S: * 4 FETCH ([...])
     S: A003 OK FETCH completed
     C: A004 IDLE
     S: + idling
     // Untagged responses may come after it as well as before.
     S: * 2 EXPUNGE`,
  );
  // Time passes; another client expunges message 3. EXISTS is not said where EXPUNGE says it (RFC 3501 7.4.1).
  await store.expunge(inbox, [4 as Uid]);
  await play(client, 'S: * 3 EXPUNGE');
  await world.fill('INBOX', [MAIL]);
  await play(
    client,
    `S: * 3 EXISTS
     C: DONE
     S: A004 OK IDLE terminated
     C: A005 FETCH 3 ALL
     S: * 3 FETCH ([...])
     S: A005 OK FETCH completed
     C: A006 IDLE
     S: + idling`,
  );
});

test('RFC 2971 3.1, 3.2', () =>
  play(
    client,
    `C: a023 ID ("name" "sodr" "version" "19.34" "vendor" "Pink Floyd Music Limited")
     S: * ID ([...])
     S: a023 OK ID completed
     C: a042 ID NIL
     S: * ID ("name" "Facteur" [...])
     S: a042 OK ID command completed`,
  ));

test('RFC 3348 3', async () => {
  for (const name of ['ITEM_1', 'ITEM_1/ITEM_1A', 'ITEM_2', 'ITEM_2/TEST']) await store.create(name);
  await play(
    client,
    `C: A001 LIST "" *
     S: * LIST (\\HasNoChildren) "/" INBOX
     S: * LIST (\\HasChildren) "/" ITEM_1
     S: * LIST (\\HasNoChildren) "/" ITEM_1/ITEM_1A
     S: * LIST (\\HasChildren) "/" ITEM_2
     // The name that the user of the example may not see.
     S: * LIST (\\HasNoChildren) "/" ITEM_2/TEST
     S: A001 OK LIST Completed`,
  );
});

test('RFC 3691 2', async () => {
  await world.fill('INBOX', [MAIL]);
  await client.ok('SELECT INBOX');
  await client.ok('STORE 1 +FLAGS.SILENT (\\Deleted)');
  await play(
    client,
    `C: A341 UNSELECT
     S: A341 OK Unselect completed`,
  );
  expect(await client.ok('STATUS INBOX (MESSAGES)')).toEqual(['STATUS INBOX (MESSAGES 1)']);
});

describe('RFC 4315', () => {
  test('section 2.1', async () => {
    await world.fill('INBOX', Array(10).fill(MAIL));
    await client.ok('SELECT INBOX');
    await client.ok('STORE 3:5,8 +FLAGS.SILENT (\\Deleted)');
    await play(
      client,
      `C: A003 UID EXPUNGE 3:6
       S: * 3 EXPUNGE
       S: * 3 EXPUNGE
       S: * 3 EXPUNGE
       S: A003 OK UID EXPUNGE completed`,
    );
  });

  test('section 3', async () => {
    await store.create('saved-messages');
    await store.create('meeting');
    const text =
      'Date: Mon, 7 Feb 1994 21:52:25 -0800 (PST)\r\nFrom: Fred Foobar <foobar@example.com>\r\n' +
      'Subject: afternoon meeting\r\nTo: mooch@example.com\r\nMessage-Id: <B27397-0100000@example.com>\r\n' +
      'MIME-Version: 1.0\r\nContent-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\r\n' +
      'Hello Joe, do you think we can meet at 3:30 tomorrow?\r\n\r\n';
    // The example is about 297 octets of a message that has more.
    client.send(`A003 APPEND saved-messages (\\Seen) {${text.length}}\r\n`);
    await play(client, 'S: + Go ahead');
    client.send(`${text}\r\n`);
    await play(client, `S: A003 OK [APPENDUID ${await validity('saved-messages')} 1] APPEND completed`);
    const inbox = await world.fill('INBOX', Array(20).fill(MAIL));
    await store.expunge(inbox, [2, 3, 5, 6, 7, 8] as Uid[]);
    await client.ok('SELECT INBOX');
    await play(
      client,
      `C: A004 COPY 2:4 meeting
       S: A004 OK [COPYUID ${await validity('meeting')} 4,9:10 1:3] Done
       C: A005 UID COPY 305:310 meeting
       S: A005 OK No matching messages, so nothing copied`,
    );
  });
});

test('RFC 2087 4.2, 4.3; RFC 9208 4.1.1, 4.1.2, 4.1.4: quota', async () => {
  const small = await ImapWorld.start({ mail: { quotaBytes: 512 * 1024, quotaMessages: 1000 } });
  try {
    await small.fill('INBOX', Array(12).fill(`A: b\n\n${'x'.repeat(1012)}\n`));
    const other = await small.login('INBOX');
    await other.ok('STORE 1:4 +FLAGS.SILENT (\\Deleted)');
    // The root "" of RFC 2087, with the resources of RFC 9208 5; in units of 1024 octets, begun ones counted.
    await play(
      other,
      `C: A003 GETQUOTA ""
       S: * QUOTA "" (STORAGE 12 512 MESSAGE 12 1000)
       S: A003 OK Getquota completed
       C: G0002 GETQUOTAROOT INBOX
       S: * QUOTAROOT INBOX ""
       S: * QUOTA "" (STORAGE 12 512 MESSAGE 12 1000)
       S: G0002 OK Getquotaroot complete
       // DELETED-STORAGE is in octets (section 4.1.4).
       C: S0003 STATUS INBOX (MESSAGES DELETED DELETED-STORAGE)
       S: * STATUS INBOX (MESSAGES 12 DELETED 4 DELETED-STORAGE 4088)
       S: S0003 OK Status complete.
       C: G0001 GETQUOTA "!partition/sda4"
       S: G0001 NO [NONEXISTENT] No such quota root`,
    );
  } finally {
    await small.close();
  }
});

test('RFC 9208 5.1.1 (RFC 5530): OVERQUOTA', async () => {
  const small = await ImapWorld.start({ mail: { quotaMessages: 4 } });
  try {
    await small.fill('INBOX', Array(4).fill(MAIL));
    const other = await small.login('INBOX');
    await other.ok('CREATE MEETING');
    // There are no soft quotas, so nothing is told but that.
    await play(
      other,
      `C: A003 APPEND INBOX (\\Seen) {326}
       S: A003 NO [OVERQUOTA] APPEND Failed
       C: A004 COPY 2:4 MEETING
       S: A004 NO [OVERQUOTA] COPY Failed`,
    );
  } finally {
    await small.close();
  }
});

test('RFC 5256 3: SORT', async () => {
  const dated = (day: number, subject: string): string =>
    `Date: ${day} Feb 2020 10:00:00 +0000\nSubject: ${subject}\n\n`;
  await world.fill('INBOX', [dated(1, 'd'), dated(2, 'e'), dated(3, 'b'), dated(4, 'Re: c'), dated(5, 'a')]);
  await client.ok('SELECT INBOX');
  await play(
    client,
    `C: A282 SORT (SUBJECT) UTF-8 SINCE 1-Feb-1994
     S: * SORT 5 3 4 1 2
     S: A282 OK SORT completed
     C: A283 SORT (SUBJECT REVERSE DATE) UTF-8 ALL
     S: * SORT 5 3 4 1 2
     S: A283 OK SORT completed
     C: A284 SORT (SUBJECT) US-ASCII TEXT "not in mailbox"
     S: * SORT
     S: A284 OK SORT completed
     C: A284 THREAD ORDEREDSUBJECT US-ASCII TEXT "gewp"
     S: * THREAD
     S: A284 OK THREAD completed`,
  );
});

test('RFC 4466 2.6: an unknown parameter', () =>
  play(
    client,
    `C: a SELECT INBOX (BLURDYBLOOP)
     S: a BAD Unknown parameter in SELECT command`,
  ));

test('RFC 4959 4', async () => {
  const response = Buffer.from(`\0${ALICE}\0${PASSWORD}`).toString('base64');
  await play(
    await world.client(),
    `C: C01 CAPABILITY
     S: * CAPABILITY IMAP4rev1 [...]SASL-IR[...]AUTH=PLAIN[...]
     S: C01 OK Completed
     C: A01 AUTHENTICATE PLAIN ${response}
     S: A01 OK [CAPABILITY [...]`,
  );
  await play(
    await world.client(),
    `C: A01 AUTHENTICATE PLAIN
     S: + [...]
     C: ${response}
     S: A01 OK [CAPABILITY [...]`,
  );
});

test('RFC 5032 3', async () => {
  const inbox = await idOf('INBOX');
  const old = Date.now() - 300_000_000;
  for (let n = 1; n <= 10; n++)
    store.put(inbox, Buffer.from('A: b\r\n\r\n'), { internalDate: n % 4 === 0 ? Date.now() : old });
  await client.ok('SELECT INBOX');
  await play(
    client,
    `C: a1 SEARCH UNSEEN YOUNGER 259200
     S: * SEARCH 4 8
     S: a1 OK
     C: a2 SEARCH UNSEEN OLDER 259200
     S: * SEARCH 1 2 3 5 6 7 9 10
     S: a2 OK`,
  );
});

test('RFC 5161 3.1', () =>
  play(
    client,
    `C: t1 CAPABILITY
     S: * CAPABILITY IMAP4rev1 [...]ENABLE[...]ID[...]LITERAL+[...]
     S: t1 OK foo
     // What is not known is left out of the answer; the example's server does not know CONDSTORE.
     C: t2 ENABLE METADATA X-GOOD-IDEA
     S: * ENABLED METADATA
     S: t2 OK foo
     C: a1 ENABLE CONDSTORE
     S: * ENABLED CONDSTORE
     S: a1 OK Conditional Store enabled`,
  ));

describe('RFC 6154 5', () => {
  beforeEach(async () => {
    for (const name of ['ToDo', 'Projects', 'Projects/A']) await store.create(name);
    await store.create('SentMail', 'sent');
    await store.create('MyDrafts', 'drafts');
    await store.create('Trash', 'trash');
  });

  test('5.1 and 5.2', () =>
    play(
      client,
      `C: t1 LIST "" "%"
       S: * LIST (\\HasNoChildren) "/" INBOX
       S: * LIST (\\HasNoChildren \\Drafts) "/" MyDrafts
       S: * LIST (\\HasChildren) "/" Projects
       S: * LIST (\\HasNoChildren \\Sent) "/" SentMail
       S: * LIST (\\HasNoChildren) "/" ToDo
       S: * LIST (\\HasNoChildren \\Trash) "/" Trash
       S: t1 OK done
       C: t3 LIST (SPECIAL-USE) "" "%"
       S: * LIST (\\HasNoChildren \\Drafts) "/" MyDrafts
       S: * LIST (\\HasNoChildren \\Sent) "/" SentMail
       S: * LIST (\\HasNoChildren \\Trash) "/" Trash
       S: t3 OK done`,
    ));

  test('5.3', () =>
    play(
      client,
      `C: t1 CREATE MySent (USE (\\Sent))
       S: t1 OK [MAILBOXID ([...]
       // Here there are no mailboxes of all messages, and one use a mailbox.
       C: t2 CREATE Everything (USE (\\All))
       S: t2 NO [USEATTR] \\All not supported
       C: t3 CREATE MyDrafts2 (USE (\\Drafts \\Sent))
       S: t3 NO [USEATTR] one use a mailbox`,
    ));
});

test('RFC 6851 3.3', async () => {
  const inbox = await world.fill('INBOX', Array(6).fill(MAIL));
  await store.expunge(inbox, [1 as Uid]);
  await store.create('foo');
  await client.ok('SELECT INBOX');
  await play(
    client,
    `C: a UID MOVE 3:5 foo
     S: * OK [COPYUID ${await validity('foo')} 3:5 1:3]
     S: * 2 EXPUNGE
     S: * 2 EXPUNGE
     S: * 2 EXPUNGE
     S: a OK Done`,
  );
});

test('RFC 7888 3', async () => {
  const each = await world.client();
  each.send(`A001 LOGIN {${ALICE.length}+}\r\n${ALICE} {${PASSWORD.length}+}\r\n${PASSWORD}\r\n`);
  await play(each, 'S: A001 OK [CAPABILITY [...]');
});

test('RFC 7889 4, 5', async () => {
  await client.ok('STATUS INBOX (MESSAGES)');
  const limit = /APPENDLIMIT=(\d+)/.exec((await client.ok('CAPABILITY'))[0] ?? '')?.[1];
  await play(
    client,
    `C: t1 STATUS INBOX (APPENDLIMIT)
     S: * STATUS INBOX (APPENDLIMIT ${limit})
     S: t1 OK STATUS completed
     C: t1 LIST "" % RETURN (STATUS (APPENDLIMIT))
     S: * LIST (\\HasNoChildren) "/" INBOX
     S: * STATUS INBOX (APPENDLIMIT ${limit})
     S: t1 OK List completed.`,
  );
});

test('RFC 8438 3', async () => {
  await world.fill('frop', Array(8).fill(MAIL));
  const each = MAIL.replace(/\n/g, '\r\n').length;
  await play(
    client,
    `C: A01 STATUS frop (MESSAGES SIZE UIDNEXT)
     S: * STATUS frop (MESSAGES 8 SIZE ${8 * each} UIDNEXT 9)
     S: A01 OK STATUS completed
     C: A02 SELECT "frop"
     S: * FLAGS [...]
     S: * OK [PERMANENTFLAGS [...]
     S: * 8 EXISTS
     S: * 8 RECENT
     S: * OK [UNSEEN 1] First unseen.
     S: * OK [UIDVALIDITY ${await validity('frop')}] UIDs valid
     S: * OK [UIDNEXT 9] Predicted next UID
     S: * OK [HIGHESTMODSEQ 9] Highest
     S: * OK [MAILBOXID (${await idOf('frop')})]
     S: A02 OK [READ-WRITE] Select completed.
     C: A03 FETCH 1:2 (RFC822.SIZE)
     S: * 1 FETCH (RFC822.SIZE ${each})
     S: * 2 FETCH (RFC822.SIZE ${each})
     S: A03 OK Fetch completed.
     C: A04 LIST "" % RETURN (STATUS (MESSAGES SIZE))
     S: * LIST (\\HasNoChildren) "/" INBOX
     S: * STATUS INBOX (MESSAGES 0 SIZE 0)
     S: * LIST (\\HasNoChildren) "/" frop
     S: * STATUS frop (MESSAGES 8 SIZE ${8 * each})
     S: A04 OK List completed.`,
  );
});

test('RFC 8474 4, 5', async () => {
  client.send('3 create foo\r\n');
  const foo = /^3 OK \[MAILBOXID \((\S+)\)\]/.exec(await client.response())?.[1];
  client.send('4 create bar\r\n');
  const bar = /^4 OK \[MAILBOXID \((\S+)\)\]/.exec(await client.response())?.[1];
  await play(
    client,
    `C: 5 create foo
     S: 5 NO [ALREADYEXISTS] Mailbox already exists
     C: 6 status foo (mailboxid)
     S: * STATUS foo (MAILBOXID (${foo}))
     S: 6 OK Completed
     C: 7 status bar (mailboxid)
     S: * STATUS bar (MAILBOXID (${bar}))
     S: 7 OK Completed
     C: 8 rename foo renamed
     S: 8 OK Completed
     C: 9 status renamed (mailboxid)
     S: * STATUS renamed (MAILBOXID (${foo}))
     S: 9 OK Completed
     C: 10 status bar (mailboxid)
     S: * STATUS bar (MAILBOXID (${bar}))
     S: 10 OK Completed
     C: 11 list "" "*" return (status (mailboxid))
     S: * LIST (\\HasNoChildren) "/" INBOX
     S: * STATUS INBOX (MAILBOXID (${await idOf('INBOX')}))
     S: * LIST (\\HasNoChildren) "/" bar
     S: * STATUS bar (MAILBOXID (${bar}))
     S: * LIST (\\HasNoChildren) "/" renamed
     S: * STATUS renamed (MAILBOXID (${foo}))
     S: 11 OK Completed (0.001 secs 3 calls)`,
  );
  const ids = [1, 2, 3].map((n) => `Message-ID: <fake.${n}@x>\n`);
  const [one = '', two = '', three = ''] = ids;
  await world.fill('INBOX', [
    `${one}Subject: Email A\n\n`,
    `${two}References: <fake.1@x>\nSubject: Re: Email A\n\n`,
    `${three}Subject: Email C\n\n`,
  ]);
  await client.ok('SELECT INBOX');
  const fetched = (await client.ok('fetch 1:* (emailid threadid)')).map(
    (line) => /EMAILID \(([^)]+)\) THREADID \(([^)]+)\)/.exec(line) ?? [],
  );
  const [a, , c] = fetched;
  // That ids stay, and which messages are one thread, is for the tests of the store.
  await play(
    client,
    `C: 23 move 2 bar
     S: * OK [COPYUID ${await validity('bar')} 2 1] Completed
     S: * 2 EXPUNGE
     S: 23 OK Completed
     C: 24 fetch 1:* (emailid threadid)
     S: * 1 FETCH (EMAILID (${a?.[1]}) THREADID (${a?.[2]}))
     S: * 2 FETCH (EMAILID (${c?.[1]}) THREADID (${c?.[2]}))
     S: 24 OK Completed (0.000 sec)
     C: 27 search emailid ${a?.[1]}
     S: * SEARCH 1
     S: 27 OK Completed (1 msgs in 0.000 secs)
     C: 28 search threadid ${a?.[2]}
     S: * SEARCH 1
     S: 28 OK Completed (2 msgs in 0.000 secs)`,
  );
  await client.ok('select bar');
  await play(
    client,
    `C: 26 fetch 1:* (emailid threadid)
     S: * 1 FETCH (EMAILID ([...]) THREADID ([...]))
     S: 26 OK Completed (0.000 sec)`,
  );
});

test('RFC 8514 4', async () => {
  await world.fill('INBOX', [MAIL]);
  await client.ok('SELECT INBOX');
  const day = new Intl.DateTimeFormat('en-GB', {
    timeZone: 'UTC',
    day: 'numeric',
    month: 'short',
    year: 'numeric',
  });
  const today = day.format(Date.now()).replaceAll(' ', '-').replace('Sept', 'Sep');
  await play(
    client,
    `C: A101 FETCH 1 (SAVEDATE)
     S: * 1 FETCH (SAVEDATE "[...]${today.slice(-8)} [...]")
     S: A101 OK Fetch completed.
     C: A102 SEARCH SAVEDON ${today}
     S: * SEARCH 1
     S: A102 OK Search completed.
     C: A103 SEARCH SAVEDSINCE ${today}
     S: * SEARCH 1
     S: A103 OK Search completed.
     C: A104 SEARCH SAVEDBEFORE 28-Dec-2014
     S: * SEARCH
     S: A104 OK Search completed.`,
  );
});
