import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Uid } from '../../src/store/store.ts';
import { play } from './dialogue.ts';
import type { MemoryAccount } from './memory-mail.ts';
import { type Client, ImapWorld } from './world.ts';

/**
 * The examples of RFC 3502 (MULTIAPPEND), RFC 8508 (REPLACE) and RFC 4469 (CATENATE), with our UIDs and UIDVALIDITY, and
 * our words after the continuation's plus. RFC 3516 has none.
 */

let world: ImapWorld;
let store: MemoryAccount;
let client: Client;
beforeEach(async () => {
  world = await ImapWorld.start({ mail: { quotaBytes: 30_000 } });
  store = await world.account();
  client = await world.login();
});
afterEach(() => world.close());

const MAIL = 'Subject: x\n\nbody\n';

/** Its UIDVALIDITY. */
async function has(path: string, messages: readonly string[]): Promise<number> {
  await world.fill(path, messages);
  return (await store.mailbox(path))?.uidValidity ?? 0;
}

async function text(path: string, uid: number): Promise<string> {
  const mailbox = await store.mailbox(path);
  if (!mailbox) throw new Error(`no ${path}`);
  const chunks: Uint8Array[] = [];
  for await (const chunk of (await store.raw(mailbox.id, uid as Uid)).read()) chunks.push(chunk);
  return Buffer.concat(chunks).toString('latin1');
}

test('RFC 3502 6.3.11', async () => {
  const validity = await has('saved-messages', []);
  await has('test', []);
  await play(
    client,
    `
    C: A003 APPEND saved-messages (\\Seen) {329}
    S: + Go ahead
    C: Date: Mon, 7 Feb 1994 21:52:25 -0800 (PST)
    C: From: Fred Foobar <foobar@Blurdybloop.example.COM>
    C: Subject: afternoon meeting
    C: To: mooch@owatagu.example.net
    C: Message-Id: <B27397-0100000@Blurdybloop.example.COM>
    C: MIME-Version: 1.0
    C: Content-Type: TEXT/PLAIN; CHARSET=US-ASCII
    C:
    C: Hello Joe, do you think we can meet at 3:30 tomorrow?
    C:  (\\Seen) " 7-Feb-1994 22:43:04 -0800" {295}
    S: + Go ahead
    C: Date: Mon, 7 Feb 1994 22:43:04 -0800 (PST)
    C: From: Joe Mooch <mooch@OWaTaGu.example.net>
    C: Subject: Re: afternoon meeting
    C: To: foobar@blurdybloop.example.com
    C: Message-Id: <a0434793874930@OWaTaGu.example.net>
    C: MIME-Version: 1.0
    C: Content-Type: TEXT/PLAIN; CHARSET=US-ASCII
    C:
    C: 3:30 is fine with me.
    C:
    // UIDPLUS adds the code.
    S: A003 OK [APPENDUID ${validity} 1:2]
    C: A004 APPEND bogusname (\\Flagged) {1023}
    S: A004 NO [TRYCREATE] No such mailbox as bogusname
    C: A005 APPEND test (\\Flagged) {99}
    S: + Go ahead
    C: Date: Mon, 7 Feb 2000 22:43:04 -0800 (PST)
    C: From: Fred Foobar <fred@example.com>
    C: Subject: hmm...
    C:  {35403}
    // RFC 5530 adds the code.
    S: A005 NO [OVERQUOTA] APPEND failed: Disk quota exceeded
    `,
  );
  expect((await store.mailbox('test'))?.total).toBe(0);
});

describe('RFC 8508', () => {
  test('3.2 and 3.3', async () => {
    const validity = await has('Drafts', [MAIL, MAIL, MAIL, MAIL]);
    // No RECENT.
    await client.ok('ENABLE IMAP4rev2');
    await client.ok('SELECT Drafts');
    await play(
      client,
      `
      C: A003 REPLACE 4 Drafts (\\Seen \\Draft) {312}
      S: + Go ahead
      C: Date: Thu, 1 Jan 2015 00:05:00 -0500 (EST)
      C: From: Fritz Schmidt <fritz.ze@example.org>
      C: Subject: happy new year !!
      C: To: miss.mitzy@example.org
      C: Message-Id: <B238822388-0100000@example.org>
      C: MIME-Version: 1.0
      C: Content-Type: TEXT/PLAIN; CHARSET=US-ASCII
      C:
      C: Just saw the best fireworks show. Wish you were here.
      C:
      // The RFC leaves out the line end of the command.
      C:
      S: * OK [APPENDUID ${validity} 5] Replacement Message ready
      S: * 5 EXISTS
      S: * 4 EXPUNGE
      S: A003 OK Replace completed
      C: A004 UID REPLACE 5 Drafts (\\Seen \\Draft) {350}
      S: + Go ahead
      C: Date: Thu, 1 Jan 2015 00:06:00 -0500 (EST)
      C: From: Fritz Schmidt <fritz.ze@example.org>
      C: Subject: happy new year !!
      C: To: miss.mitzy@example.org
      C: Message-Id: <B238822389-0100000@example.org>
      C: MIME-Version: 1.0
      C: Content-Type: TEXT/PLAIN; CHARSET=US-ASCII
      C:
      C: Just saw the best fireworks show. Wish you were here.
      C: Hopefully next year you can join us.
      C:
      C:
      S: * OK [APPENDUID ${validity} 6] Replacement Message ready
      S: * 5 EXISTS
      S: * 4 EXPUNGE
      S: A004 OK Replace completed
      `,
    );
  });

  test('4.2: with CATENATE', async () => {
    const validity = await has('Drafts', [MAIL, MAIL, MAIL]);
    await client.ok('ENABLE IMAP4rev2');
    await play(
      client,
      `
      // The picture is smaller.
      C: A010 APPEND Drafts (\\Seen \\Draft) {684}
      S: + Go ahead
      C: Date: Thu, 1 Jan 2015 00:10:00 -0500 (EST)
      C: From: Fritz Schmidt <fritz.ze@example.org>
      C: Message-ID: <B238822388-0100003@example.org>
      C: MIME-Version: 1.0
      C: Content-Type: multipart/mixed;
      C:         boundary="------------030305060306060609050804"
      C:
      C: --------------030305060306060609050804
      C: Content-Type: text/plain; charset=utf-8; format=flowed
      C: Content-Transfer-Encoding: 7bit
      C:
      C: Here is picture from the fireworks
      C:
      C: Yours...
      C: Fritz
      C:
      C: --------------030305060306060609050804
      C: Content-Type: image/jpeg;
      C:         name="Fireworks.jpg"
      C: Content-Transfer-Encoding: base64
      C: Content-Disposition: attachment;
      C:         filename="Fireworks.jpg"
      C:
      C: AAAA
      C:
      C: --------------030305060306060609050804--
      C:
      S: A010 OK [APPENDUID ${validity} 4] APPEND complete
      `,
    );
    await client.ok('SELECT Drafts');
    const draft = await text('Drafts', 4);
    await play(
      client,
      `
      C: A011 UID REPLACE 4 Drafts CATENATE (TEXT {71}
      S: + Go ahead
      C: To: Mitzy <miss.mitzy@example.org>
      C: Subject: My view of the fireworks
      C:  URL "/Drafts/;UID=4")
      S: * OK [APPENDUID ${validity} 5] Replacement Message ready
      S: * 5 EXISTS
      S: * 4 EXPUNGE
      S: A011 OK REPLACE completed
      `,
    );
    expect(await text('Drafts', 5)).toBe(
      `To: Mitzy <miss.mitzy@example.org>\r\nSubject: My view of the fireworks\r\n${draft}`,
    );
  });
});

describe('RFC 4469, appendix A', () => {
  const DRAFT =
    'From: Bob Ar <bar@example.org>\nMIME-Version: 1.0\nContent-Type: multipart/mixed;\n' +
    ' boundary="------------030308070208000400050907"\n\n' +
    '--------------030308070208000400050907\nContent-Type: text/plain\n\nThe text.\n' +
    '--------------030308070208000400050907\nContent-Type: application/x-zip-compressed\n' +
    'Content-Transfer-Encoding: base64\n\nAAAA\n--------------030308070208000400050907--\n';
  const crlf = (lines: string): string => lines.replaceAll('\n', '\r\n');
  const HEADER = crlf(DRAFT.slice(0, DRAFT.indexOf('\n\n') + 2));

  test('1: an attachment is replaced', async () => {
    const validity = await has('Drafts', [DRAFT, 'Content-Type: image/png\n\nOther\n']);
    await play(
      client,
      `
      C: A003 APPEND Drafts (\\Seen \\Draft $MDNSent) CATENATE
        (URL "/Drafts;UIDVALIDITY=${validity}/;UID=1/;section=HEADER"
        TEXT {42}
      S: + Go ahead
      C:
      C: --------------030308070208000400050907
      C:  URL "/Drafts;UIDVALIDITY=${validity}/;UID=1/;section=1.MIME"
        URL "/Drafts;UIDVALIDITY=${validity}/;UID=1/;section=1" TEXT {42}
      S: + Go ahead
      C:
      C: --------------030308070208000400050907
      C:  URL "/Drafts;UIDVALIDITY=${validity}/;UID=2" TEXT {44}
      S: + Go ahead
      C:
      C: --------------030308070208000400050907--
      C: )
      S: A003 OK [APPENDUID ${validity} 3] catenate append completed
      `,
    );
    const boundary = '\r\n--------------030308070208000400050907';
    expect(await text('Drafts', 3)).toBe(
      `${HEADER}${boundary}\r\nContent-Type: text/plain\r\n\r\nThe text.${boundary}\r\n` +
        `Content-Type: image/png\r\n\r\nOther\r\n${boundary}--\r\n`,
    );
    await client.ok('SELECT Drafts');
    expect(await client.ok('FETCH 1:3 FLAGS')).toEqual([
      '1 FETCH (FLAGS (\\Recent))',
      '2 FETCH (FLAGS (\\Recent))',
      '3 FETCH (FLAGS (\\Seen \\Draft $MDNSent \\Recent))',
    ]);
  });

  test('2: the text is replaced, and the header', async () => {
    const validity = await has('Drafts', [DRAFT]);
    await client.ok('SELECT Drafts');
    await play(
      client,
      `
      // The RFC counts 738; its lines have 721 octets.
      C: A003 APPEND Drafts (\\Seen \\Draft $MDNSent) CATENATE (TEXT {721}
      S: + Go ahead
      C: Return-Path: <bar@example.org>
      C: Received: from [127.0.0.2]
      C:           by rufus.example.org via TCP (internal) with ESMTPA;
      C:           Thu, 11 Nov 2004 16:57:07 +0000
      C: Message-ID: <419399E1.6000505@example.org>
      C: Date: Thu, 12 Nov 2004 16:57:05 +0000
      C: From: Bob Ar <bar@example.org>
      C: X-Accept-Language: en-us, en
      C: MIME-Version: 1.0
      C: To: foo@example.net
      C: Subject: About our holiday trip
      C: Content-Type: multipart/mixed;
      C:               boundary="------------030308070208000400050907"
      C:
      C: --------------030308070208000400050907
      C: Content-Type: text/plain; charset=us-ascii; format=flowed
      C: Content-Transfer-Encoding: 7bit
      C:
      C: Our travel agent has sent the updated schedule.
      C:
      C: Cheers,
      C: Bob
      C: --------------030308070208000400050907
      C:  URL "/Drafts;UIDVALIDITY=${validity}/;UID=1/;Section=2.MIME"
        URL "/Drafts;UIDVALIDITY=${validity}/;UID=1/;Section=2" TEXT {44}
      S: + Go ahead
      C:
      C: --------------030308070208000400050907--
      C: )
      S: * 2 EXISTS
      S: * 2 RECENT
      S: A003 OK [APPENDUID ${validity} 2] append Completed
      C: A004 UID STORE 1 +FLAGS.SILENT (\\Deleted)
      S: A004 OK STORE completed
      `,
    );
    expect(await text('Drafts', 2)).toContain(
      'Bob\r\n--------------030308070208000400050907\r\nContent-Type: application/',
    );
  });

  test('3: an attachment is taken out', async () => {
    const validity = await has('Drafts', [DRAFT]);
    await play(
      client,
      `
      C: A003 APPEND Drafts (\\Seen \\Draft $MDNSent) CATENATE
        (URL "/Drafts;UIDVALIDITY=${validity}/;UID=1/;section=HEADER"
        TEXT {42}
      S: + Go ahead
      C:
      C: --------------030308070208000400050903
      C:  URL "/Drafts;UIDVALIDITY=${validity}/;UID=1/;section=1.MIME"
        URL "/Drafts;UIDVALIDITY=${validity}/;UID=1/;section=1" TEXT {255}
      S: + Go ahead
      C:
      C: --------------030308070208000400050903
      C: Content-type: text/plain; charset="us-ascii"
      C: Content-transfer-encoding: 7bit
      C:
      C: This body part contained a Power Point presentation that was
      C: deleted upon your request.
      C: --------------030308070208000400050903--
      C: )
      S: A003 OK [APPENDUID ${validity} 2] append Completed
      `,
    );
  });

  test('4: a digest, and a message that is gone', async () => {
    const validity = await has('INBOX', [MAIL, MAIL, MAIL]);
    await has('Sent', []);
    await play(
      client,
      `
      // The RFC counts 541; its lines have 540 octets.
      C: A003 APPEND Sent (\\Seen $MDNSent) CATENATE (TEXT {540}
      S: + Go ahead
      C: Return-Path: <foo@example.org>
      C: Received: from [127.0.0.2]
      C:           by rufus.example.org via TCP (internal) with ESMTPA;
      C:           Thu, 11 Nov 2004 16:57:07 +0000
      C: Message-ID: <419399E1.6000505@example.org>
      C: Date: Thu, 21 Nov 2004 16:57:05 +0000
      C: From: Farren Oo <foo@example.org>
      C: X-Accept-Language: en-us, en
      C: MIME-Version: 1.0
      C: To: bar@example.org
      C: Subject: Digest of the mailing list for today
      C: Content-Type: multipart/digest;
      C:               boundary="------------030308070208000400050904"
      C:
      C: --------------030308070208000400050904
      C:  URL "/INBOX;UIDVALIDITY=${validity}/;UID=1" TEXT {42}
      S: + Go ahead
      C:
      C: --------------030308070208000400050904
      C:  URL "/INBOX;UIDVALIDITY=${validity}/;UID=2/;section=1.5.9"
        TEXT {42}
      S: + Go ahead
      C:
      C: --------------030308070208000400050904
      C:  URL "/INBOX;UIDVALIDITY=${validity}/;UID=3" TEXT {44}
      S: + Go ahead
      C:
      C: --------------030308070208000400050904--
      C: )
      // The RFC quotes the URL, which its grammar does not ask for (section 5, url-resp-text).
      S: A003 NO [BADURL /INBOX;UIDVALIDITY=${validity}/;UID=2/;section=1.5.9] CATENATE append has failed
      `,
    );
  });
});
