import { afterEach, beforeEach, test } from 'vitest';
import { play } from './dialogue.ts';
import { type Client, ImapWorld } from './world.ts';

/**
 * What Thunderbird 153 says, as `npm run clients:thunderbird -- --record` keeps it; shortened where it repeats itself.
 * Compression is left out here: it is on from the login, and test/imap/compress.test.ts plays that.
 */

let world: ImapWorld;
let client: Client;

const MAIL = 'Subject: One\nFrom: Bob <bob@example.org>\n\nA quokka\n';
const HEADERS =
  'From To Cc Bcc Subject Date Message-ID Priority X-Priority References Newsgroups In-Reply-To Content-Type Reply-To Received';

beforeEach(async () => {
  world = await ImapWorld.start();
  await world.fill('INBOX', [MAIL, MAIL]);
  await world.fill('Sent', []);
  client = await world.login();
});
afterEach(() => world.close());

test('first sync: namespaces, ID, UTF-8, language, folders, headers', async () => {
  await play(
    client,
    `C: 3 namespace
     S: * NAMESPACE [...]
     S: 3 OK
     C: 5 ID ("name" "Thunderbird" "version" "153.7.0")
     S: * ID [...]
     S: 5 OK
     C: 6 ENABLE UTF8=ACCEPT
     S: * ENABLED UTF8=ACCEPT
     S: 6 OK
     C: 7 LANGUAGE en-US
     S: * LANGUAGE [...]
     S: * NAMESPACE [...]
     S: 7 OK
     C: 8 list (subscribed) "" "*" return (special-use)
     S: 8 OK
     C: 10 list "" "INBOX"
     S: * LIST ([...]) "/" INBOX
     S: 10 OK
     C: 26 select "INBOX"
     S: * FLAGS [...]
     S: * OK [PERMANENTFLAGS [...]
     S: * 2 EXISTS`,
  );
});

test('SELECT, new flags, headers, the first words, all of a message', async () => {
  await client.ok('ENABLE UTF8=ACCEPT');
  await client.ok('SELECT "INBOX"');
  await play(
    client,
    `C: 30 UID fetch 1:* (FLAGS)
     S: * 1 FETCH (UID 1 FLAGS ([...]))
     S: * 2 FETCH (UID 2 FLAGS ([...]))
     S: 30 OK
     C: 31 UID fetch 2 (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (${HEADERS})])
     S: * 2 FETCH (UID 2 RFC822.SIZE [...] FLAGS ([...]) BODY[HEADER.FIELDS (${HEADERS})] {[...]Subject: One[...])
     S: 31 OK
     C: 32 UID fetch 1 (UID BODY.PEEK[HEADER.FIELDS (Content-Type Content-Transfer-Encoding)] BODY.PEEK[TEXT]<0.2048>)
     S: * 1 FETCH (UID 1 BODY[HEADER.FIELDS (Content-Type Content-Transfer-Encoding)] {2}[...] BODY[TEXT]<0> {[...]A quokka[...])
     S: 32 OK
     C: 33 UID fetch 1 (UID RFC822.SIZE BODY.PEEK[]<0.65536>)
     S: * 1 FETCH (UID 1 RFC822.SIZE [...] BODY[]<0> {[...]A quokka[...])
     S: 33 OK
     C: 34 UID fetch 1:* (FLAGS) (CHANGEDSINCE 0)
     S: [...]HIGHESTMODSEQ[...]
     S: * 1 FETCH (UID 1 FLAGS ([...]) MODSEQ ([...]))
     S: * 2 FETCH (UID 2 FLAGS ([...]) MODSEQ ([...]))
     S: 34 OK`,
  );
});

test('search, marks, a move', async () => {
  await client.ok('ENABLE UTF8=ACCEPT');
  await client.ok('SELECT "INBOX"');
  await play(
    client,
    `C: 45 uid SEARCH UNDELETED BODY "quokka"
     S: * SEARCH 1 2
     S: 45 OK
     C: 48 uid store 2 +FLAGS ($label1)
     S: * FLAGS [...]
     S: * OK [PERMANENTFLAGS [...]
     S: * 2 FETCH (UID 2 FLAGS ([...]$label1[...]))
     S: 48 OK
     C: 52 uid move 2 "Sent"
     S: * OK [COPYUID [...]
     S: * 2 EXPUNGE
     S: 52 OK`,
  );
});

test('a copy into Sent in the UTF8 data item, and a check of it out of IDLE', async () => {
  await client.ok('ENABLE UTF8=ACCEPT');
  const mail = 'Subject: Sent\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n';
  client.send(`55 append "Sent" (\\Seen) UTF8 (~{${mail.length}+}\r\n${mail})\r\n`);
  await play(client, 'S: 55 OK [APPENDUID [...]');
  await client.ok('SELECT "Sent" (CONDSTORE)');
  await play(
    client,
    `C: 56 IDLE
     S: + [...]
     C: DONE
     S: 56 OK
     C: 57 noop
     S: 57 OK
     C: 59 UID fetch 1:* (FLAGS)
     S: * 1 FETCH (UID 1 FLAGS (\\Seen[...]
     S: 59 OK`,
  );
});
