import { afterEach, beforeEach, expect, test } from 'vitest';
import type { MailboxId, Uid } from '../../src/store/store.ts';
import { play } from './dialogue.ts';
import type { MemoryAccount } from './memory-mail.ts';
import { type Client, ImapWorld } from './world.ts';

/**
 * The examples of RFC 9051, which are those of RFC 3501 but for what IMAP4rev2 tells in another way. In other files:
 * LIST (list-examples), NAMESPACE (acl, shared), SEARCH and $ (search-examples), COPY, APPENDUID, IDLE, ENABLE, MOVE,
 * UNSELECT, UID EXPUNGE, AUTHENTICATE PLAIN (examples), STARTTLS and LOGIN (login). What is not played, and why:
 *
 * - 6.2.2: GSSAPI is not there.
 * - 6.3.2, the example with NonNormalized: a name that is not NFC is refused once the client speaks UTF-8 (README).
 * - 7.1: ALERT, BADCHARSET of KOI8-R (which is known), CLIENTBUG, CONTACTADMIN, CORRUPTION, EXPIRED, PRIVACYREQUIRED after
 *   login and a soft quota are nothing that happens here; SERVERBUG and UNAVAILABLE are in login.test.ts and others.
 * - 7.1.2, 7.1.4: the disk of the examples; PREAUTH is not there.
 */

let world: ImapWorld;
let store: MemoryAccount;
let client: Client;

const MAIL =
  'From: Terry Gray <gray@cac.washington.edu>\nSubject: IMAP4rev2 WG mtg summary and minutes\n\nHello\n';

beforeEach(async () => {
  world = await ImapWorld.start();
  store = await world.account();
  client = await world.login();
  await client.ok('ENABLE IMAP4rev2');
});
afterEach(() => world.close());

async function idOf(path: string): Promise<MailboxId> {
  return (await store.mailbox(path))?.id ?? ('' as MailboxId);
}

async function validity(path: string): Promise<number> {
  return (await store.mailbox(path))?.uidValidity ?? 0;
}

test('6.1.2 NOOP', async () => {
  const inbox = await world.fill('INBOX', Array(23).fill(MAIL));
  await client.ok('SELECT INBOX');
  await play(
    client,
    `C: a002 NOOP
     S: a002 OK NOOP completed`,
  );
  await store.expunge(inbox, [22 as Uid]);
  await world.fill('INBOX', [MAIL]);
  await store.setFlags(inbox, [14 as Uid], { mode: 'set', flags: ['\\Seen', '\\Deleted'] });
  await play(
    client,
    `C: a047 NOOP
     S: * 22 EXPUNGE
     S: * 23 EXISTS
     S: * 14 FETCH (UID 14 FLAGS (\\Seen \\Deleted))
     S: a047 OK NOOP completed`,
  );
});

test('6.1.3 LOGOUT', () =>
  play(
    client,
    `C: A023 LOGOUT
     S: * BYE [...]
     S: A023 OK LOGOUT completed`,
  ));

test('6.3.2 SELECT, 6.3.3 EXAMINE', async () => {
  await world.fill('INBOX', Array(172).fill(MAIL));
  await world.fill('Drafts', Array(5).fill(MAIL));
  await world.fill('blurdybloop', Array(17).fill(MAIL));
  const told = async (path: string, access: string): Promise<string> => {
    const mailbox = await store.mailbox(path);
    return `S: * FLAGS (\\Answered \\Flagged \\Deleted \\Draft \\Seen[...]
      S: * OK [PERMANENTFLAGS (${access === 'READ-WRITE' ? '[...]' : ')] [...]'}
      S: * ${mailbox?.total} EXISTS
      S: * LIST (\\HasNoChildren) "/" ${path}
      S: * OK [UIDVALIDITY ${mailbox?.uidValidity}] UIDs valid
      S: * OK [UIDNEXT ${mailbox?.uidNext}] Predicted next UID
      S: * OK [HIGHESTMODSEQ ${mailbox?.highestModSeq}]
      S: * OK [MAILBOXID (${mailbox?.id})]`;
  };
  await play(
    client,
    `C: A142 SELECT INBOX
     ${await told('INBOX', 'READ-WRITE')}
     S: A142 OK [READ-WRITE] SELECT completed
     C: A143 SELECT Drafts
     S: * OK [CLOSED] Previous mailbox is now closed
     ${await told('Drafts', 'READ-WRITE')}
     S: A143 OK [READ-WRITE] SELECT completed
     C: A932 EXAMINE blurdybloop
     S: * OK [CLOSED] Previous mailbox is now closed
     ${await told('blurdybloop', 'READ-ONLY')}
     S: A932 OK [READ-ONLY] EXAMINE completed`,
  );
});

test('6.3.4 CREATE', () =>
  play(
    client,
    `C: A003 CREATE owatagusiam/
     S: A003 OK [MAILBOXID ([...]
     C: A004 CREATE owatagusiam/blurdybloop
     S: A004 OK [MAILBOXID ([...]`,
  ));

test('6.3.5 DELETE', async () => {
  for (const name of ['blurdybloop', 'foo', 'foo/bar']) await store.create(name);
  await play(
    client,
    `C: A82 LIST "" *
     S: * LIST (\\HasNoChildren) "/" INBOX
     S: * LIST (\\HasNoChildren) "/" blurdybloop
     S: * LIST (\\HasChildren) "/" foo
     S: * LIST (\\HasNoChildren) "/" foo/bar
     S: A82 OK LIST completed
     C: A83 DELETE blurdybloop
     S: A83 OK DELETE completed
     C: A84 DELETE foo
     S: A84 OK DELETE Completed
     C: A682 LIST "" *
     S: * LIST (\\HasNoChildren) "/" INBOX
     S: * LIST (\\NoSelect \\HasChildren) "/" foo
     S: * LIST (\\HasNoChildren) "/" foo/bar
     S: A682 OK LIST completed
     C: A684 DELETE foo
     S: A684 NO [HASCHILDREN] Name "foo" has inferior hierarchical names
     C: A685 DELETE foo/bar
     S: A685 OK DELETE Completed`,
  );
});

test('6.3.6 RENAME', async () => {
  for (const name of ['blurdybloop', 'foo', 'foo/bar']) await store.create(name);
  await store.delete(await idOf('foo'));
  await world.fill('INBOX', [MAIL]);
  await store.create('INBOX/bar');
  await play(
    client,
    `C: A683 RENAME blurdybloop sarasoop
     S: A683 OK RENAME completed
     C: A684 RENAME foo zowie
     S: A684 OK RENAME Completed
     C: Z433 RENAME INBOX old-mail
     S: Z433 OK RENAME completed
     C: Z434 LIST "" *
     S: * LIST (\\HasChildren) "/" INBOX
     S: * LIST (\\HasNoChildren) "/" INBOX/bar
     S: * LIST (\\HasNoChildren) "/" old-mail
     S: * LIST (\\HasNoChildren) "/" sarasoop
     S: * LIST (\\NoSelect \\HasChildren) "/" zowie
     S: * LIST (\\HasNoChildren) "/" zowie/bar
     S: Z434 OK LIST completed
     C: Z435 STATUS old-mail (MESSAGES)
     S: * STATUS old-mail (MESSAGES 1)
     S: Z435 OK done`,
  );
});

test('6.3.6, 6.3.7, 6.3.8: subscriptions', () =>
  play(
    client,
    `C: 1000 CREATE X
     S: 1000 OK [MAILBOXID ([...]
     C: 1001 RENAME X Y
     S: 1001 OK done
     C: 1002 SUBSCRIBE Y
     S: 1002 OK done
     C: 1003 UNSUBSCRIBE X
     S: 1003 OK done
     C: A002 SUBSCRIBE #news.comp.mail.mime
     S: A002 OK SUBSCRIBE completed
     C: A003 UNSUBSCRIBE #news.comp.mail.mime
     S: A003 OK UNSUBSCRIBE completed`,
  ));

test('6.3.9 LIST: the separator; there are no roots but one', () =>
  play(
    client,
    `C: A101 LIST "" ""
     S: * LIST (\\NoSelect) "/" ""
     S: A101 OK LIST Completed
     C: A102 LIST #news.comp.mail.misc ""
     S: * LIST (\\NoSelect) "/" ""
     S: A102 OK LIST Completed
     C: A103 LIST /usr/staff/jones ""
     S: * LIST (\\NoSelect) "/" ""
     S: A103 OK LIST Completed
     C: A202 LIST ~/Mail/ %
     S: A202 OK LIST completed`,
  ));

test('6.3.11 STATUS', async () => {
  await world.fill('blurdybloop', Array(231).fill(MAIL));
  await play(
    client,
    `C: A042 STATUS blurdybloop (UIDNEXT MESSAGES)
     S: * STATUS blurdybloop (UIDNEXT 232 MESSAGES 231)
     S: A042 OK STATUS completed`,
  );
});

test('6.3.12 APPEND', async () => {
  await store.create('saved-messages');
  const text = (host: string): string =>
    `Date: Mon, 7 Feb 1994 21:52:25 -0800 (PST)\r\nFrom: Fred Foobar <foobar@${host}>\r\n` +
    `Subject: afternoon meeting\r\nTo: mooch@${host === 'example.com' ? host : 'owatagu.siam.edu.example'}\r\n` +
    `Message-Id: <B27397-0100000@${host}>\r\nMIME-Version: 1.0\r\n` +
    'Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\r\nHello Joe, do you think we can meet at 3:30 tomorrow?\r\n';
  const first = text('Blurdybloop.example');
  client.send(`A003 APPEND saved-messages (\\Seen) {${first.length}}\r\n`);
  await play(client, 'S: + Go ahead');
  client.send(`${first}\r\n`);
  await play(client, `S: A003 OK [APPENDUID ${await validity('saved-messages')} 1] APPEND completed`);
  // Its 297 octets are these.
  const second = text('example.com');
  client.send(`A003 APPEND saved-messages (\\Seen) {${second.length}+}\r\n${second}\r\n`);
  await play(client, `S: A003 OK [APPENDUID ${await validity('saved-messages')} 2] APPEND completed`);
});

test('6.4.1 CLOSE, 6.4.3 EXPUNGE', async () => {
  await world.fill('INBOX', Array(11).fill(MAIL));
  await client.ok('SELECT INBOX');
  await client.ok('STORE 3,4,7,11 +FLAGS.SILENT (\\Deleted)');
  await play(
    client,
    `C: A202 EXPUNGE
     S: * 3 EXPUNGE
     S: * 3 EXPUNGE
     S: * 5 EXPUNGE
     S: * 8 EXPUNGE
     S: A202 OK EXPUNGE completed
     C: A341 CLOSE
     S: A341 OK CLOSE completed`,
  );
});

test('6.4.4 SEARCH: charsets', async () => {
  await world.fill('INBOX', [MAIL, `${MAIL}отпуск\n`]);
  await client.ok('SELECT INBOX');
  client.send('A285 SEARCH CHARSET UTF-8 TEXT {12}\r\n');
  await play(client, 'S: + Go ahead');
  client.send(Buffer.from('отпуск\r\n'));
  await play(
    client,
    `S: * ESEARCH (TAG "A285") ALL 2
     S: A285 OK SEARCH completed
     C: A284 SEARCH TEXT "string not in mailbox"
     S: * ESEARCH (TAG "A284")
     S: A284 OK SEARCH completed
     C: B283 SEARCH RETURN (SAVE) CHARSET X-NONE TEXT "x"
     S: B283 NO [BADCHARSET ([...]`,
  );
});

test('6.4.5 FETCH, 6.4.6 STORE, 6.4.9 UID', async () => {
  const inbox = await world.fill('INBOX', Array(25).fill(MAIL));
  await store.setFlags(inbox, [2 as Uid], { mode: 'set', flags: ['\\Seen'] });
  await store.setFlags(inbox, [4 as Uid], { mode: 'set', flags: ['\\Flagged', '\\Seen'] });
  await client.ok('SELECT INBOX');
  await play(
    client,
    `C: A654 FETCH 2:4 (FLAGS BODY[HEADER.FIELDS (DATE FROM)])
     S: * 2 FETCH (FLAGS (\\Seen) BODY[HEADER.FIELDS (DATE FROM)] {[...]
     S: * 3 FETCH (FLAGS ([...]) BODY[HEADER.FIELDS (DATE FROM)] {[...]
     S: * 4 FETCH (FLAGS ([...]) BODY[HEADER.FIELDS (DATE FROM)] {[...]
     S: A654 OK FETCH completed
     C: A003 STORE 2:4 +FLAGS (\\Deleted)
     S: * 2 FETCH (UID 2 FLAGS (\\Seen \\Deleted))
     S: * 3 FETCH (UID 3 FLAGS ([...]\\Deleted[...]))
     S: * 4 FETCH (UID 4 FLAGS ([...]\\Deleted[...]))
     S: A003 OK STORE completed
     C: A999 UID FETCH 4:6 FLAGS
     S: * 4 FETCH (UID 4 FLAGS ([...]\\Deleted[...]))
     S: * 5 FETCH (UID 5 FLAGS ())
     S: * 6 FETCH (UID 6 FLAGS ())
     S: A999 OK UID FETCH completed`,
  );
});

test('6.5: an experimental command is not known', () =>
  play(
    client,
    `C: A442 XPIG-LATIN
     S: A442 BAD`,
  ));

test('7.1: response codes', async () => {
  for (const name of ['this', 'that', 'Notes', 'Notes/2021']) await store.create(name);
  await client.ok('DELETE Notes');
  await play(
    client,
    `C: o356 RENAME this that
     S: o356 NO [ALREADYEXISTS] Mailbox "that" already exists
     C: l create "///////"
     S: l NO [CANNOT] Adjacent slashes are not supported
     C: m356 DELETE Notes
     S: m356 NO [HASCHILDREN] Mailbox "Notes" has children that need to be deleted first
     C: p RENAME nothing that2
     S: p NO [NONEXISTENT] No such mailbox
     C: A443
     S: A443 BAD Command line without a command`,
  );
  await play(
    await world.client(),
    `C: b LOGIN "fred" "foo"
     S: b NO [AUTHENTICATIONFAILED] Authentication failed`,
  );
  const plain = await world.client('plain');
  await play(
    plain,
    `C: d login "fred" "foo"
     S: d NO [PRIVACYREQUIRED] Connection offers no privacy`,
  );
});

test('8: sample connection', async () => {
  const header =
    'Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\nFrom: Terry Gray <gray@cac.washington.edu>\n' +
    'Subject: IMAP4rev2 WG mtg summary and minutes\nTo: imap@cac.washington.edu\n' +
    'cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\n' +
    'Message-Id: <B27397-0100000@cac.washington.edu>\nMIME-Version: 1.0\n' +
    'Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\n\n';
  const inbox = await world.fill('INBOX', Array(18).fill(`${header}${'Text of 3028 octets.\n'.repeat(92)}`));
  await store.setFlags(inbox, [12 as Uid], { mode: 'set', flags: ['\\Seen'] });
  await client.ok('select inbox');
  await play(
    client,
    `C: a003 fetch 12 full
     S: * 12 FETCH (FLAGS (\\Seen) INTERNALDATE " 1-Mar-2024 10:00:00 +0000" RFC822.SIZE 2366 ENVELOPE
       ("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" "IMAP4rev2 WG mtg summary and minutes"
       (("Terry Gray" NIL "gray" "cac.washington.edu")) (("Terry Gray" NIL "gray" "cac.washington.edu"))
       (("Terry Gray" NIL "gray" "cac.washington.edu")) ((NIL NIL "imap" "cac.washington.edu"))
       ((NIL NIL "minutes" "CNRI.Reston.VA.US")("John Klensin" NIL "KLENSIN" "MIT.EDU")) NIL NIL
       "<B27397-0100000@cac.washington.edu>") BODY ("text" "plain" ("charset" "US-ASCII") NIL NIL "7bit" 2024 92))
     S: a003 OK FETCH completed
     C: a004 fetch 12 body[header]
     S: * 12 FETCH (BODY[HEADER] {342}[...]
     S: a004 OK FETCH completed
     C: a005 store 12 +flags \\deleted
     S: * 12 FETCH (UID 12 FLAGS (\\Seen \\Deleted))
     S: a005 OK +FLAGS completed
     C: a006 logout
     S: * BYE [...]
     S: a006 OK LOGOUT completed`,
  );
  expect(header.replace(/\n/g, '\r\n')).toHaveLength(342);
});
