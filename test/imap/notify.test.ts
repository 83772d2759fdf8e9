import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { MailboxId, Uid } from '../../src/store/store.ts';
import { play } from './dialogue.ts';
import type { MemoryAccount } from './memory-mail.ts';
import { ALICE, BOB, type Client, ImapWorld } from './world.ts';

/**
 * NOTIFY. The examples of RFC 5465 are what the server says between two commands, so nothing is sent for it here either.
 * STATUS tells UIDVALIDITY first, always, as the example of section 3.1 has it and those of section 5 leave it to us.
 */

let world: ImapWorld;
let store: MemoryAccount;
let client: Client;

const MAIL = 'Subject: Re: good morning\nFrom: alice@example.org\nTo: bob@example.org\n\nHello\n';
const BOTH = '(MessageNew MessageExpunge)';
const ALL = '(MessageNew MessageExpunge FlagChange)';

beforeEach(async () => {
  world = await ImapWorld.start();
  store = await world.account();
  client = await world.login();
});
afterEach(() => world.close());

async function validity(path: string): Promise<number> {
  return (await store.mailbox(path))?.uidValidity ?? 0;
}

async function idOf(path: string): Promise<MailboxId> {
  return (await store.mailbox(path))?.id ?? ('' as MailboxId);
}

/** Answers a command: nothing else was told before that. */
async function silent(): Promise<void> {
  expect(await client.ok('CAPABILITY')).toHaveLength(1);
}

describe('examples of RFC 5465', () => {
  test('section 3.1, its groups as section 8 and 5 have them', async () => {
    await world.fill('INBOX', Array(126).fill(MAIL));
    await store.create('Lists');
    await world.fill('Lists/Lemonade', [MAIL]);
    await world.fill('Lists/Im2000', []);
    await world.fill('misc', [MAIL]);
    const [lists, lemonade, im2000] = await Promise.all(
      ['Lists', 'Lists/Lemonade', 'Lists/Im2000', 'misc'].map(validity),
    );
    await play(
      client,
      `C: b notify set status (selected (MessageNew (uid
          body.peek[header.fields (from to subject)]) MessageExpunge))
          (subtree Lists (MessageNew MessageExpunge))
       S: * STATUS Lists (UIDVALIDITY ${lists} UIDNEXT 1 MESSAGES 0)
       S: * STATUS Lists/Lemonade (UIDVALIDITY ${lemonade} UIDNEXT 2 MESSAGES 1)
       S: * STATUS Lists/Im2000 (UIDVALIDITY ${im2000} UIDNEXT 1 MESSAGES 0)
       S: b OK done`,
    );
    await client.ok('select inbox');
    // Time passes. A new message is delivered to mailbox Lists/Lemonade.
    await world.fill('Lists/Lemonade', [MAIL]);
    await play(client, `S: * STATUS Lists/Lemonade (UIDVALIDITY ${lemonade} UIDNEXT 3 MESSAGES 2)`);
    // Time passes. A new message is delivered to inbox.
    await world.fill('INBOX', [MAIL]);
    expect(await client.response()).toBe('* 127 EXISTS');
    expect(await client.response()).toBe('* 127 RECENT');
    expect(await client.response()).toBe(
      '* 127 FETCH (UID 127 BODY[HEADER.FIELDS (from to subject)] {75}\r\n' +
        'Subject: Re: good morning\r\nFrom: alice@example.org\r\nTo: bob@example.org\r\n\r\n)',
    );
    await play(
      client,
      `C: d STATUS misc (UIDNEXT MESSAGES)
       S: * STATUS misc (UIDNEXT 2 MESSAGES 1)
       S: d STATUS completed
       C: e notify set (selected (MessageNew (uid
         body.peek[header.fields (from to subject)]) MessageExpunge))
         (subtree Lists (MessageNew MessageExpunge)) (mailboxes misc (MessageNew MessageExpunge))
       S: e OK done`.replace('S: d STATUS completed', 'S: d OK completed'),
    );
    await world.fill('misc', [MAIL]);
    expect(await client.response()).toMatch(/^\* STATUS misc /);
  });

  test('section 3.1, without parentheses around the events, as it is printed', async () => {
    const groups = '(selected MessageNew (uid) MessageExpunge) (subtree Lists MessageNew MessageExpunge)';
    await client.ok(`notify set status ${groups}`);
    expect(await client.tagged('notify set (subtree Lists MessageNew)')).toMatch(/^BAD MessageNew and/);
  });

  test('section 5.1: FlagChange', async () => {
    const inbox = await world.fill('INBOX', [MAIL]);
    const lemonade = await world.fill('Lists/Lemonade', [MAIL]);
    await client.ok('ENABLE CONDSTORE');
    await client.ok('SELECT INBOX');
    await client.ok(`NOTIFY SET (selected ${ALL}) (mailboxes Lists/Lemonade ${ALL})`);
    await store.setFlags(inbox, [1 as Uid], { mode: 'set', flags: ['$Junk'] });
    expect(await client.response()).toMatch(/^\* FLAGS /);
    expect(await client.response()).toMatch(/^\* OK \[PERMANENTFLAGS /);
    await play(client, 'S: * 1 FETCH (UID 1 FLAGS ($Junk \\Recent) MODSEQ (3))');
    await store.setFlags(lemonade, [1 as Uid], { mode: 'set', flags: ['$Junk'] });
    const uidValidity = await validity('Lists/Lemonade');
    await play(client, `S: * STATUS Lists/Lemonade (UIDVALIDITY ${uidValidity} HIGHESTMODSEQ 3)`);
    await store.setFlags(lemonade, [1 as Uid], { mode: 'add', flags: ['\\Seen'] });
    await play(client, `S: * STATUS Lists/Lemonade (UIDVALIDITY ${uidValidity} UNSEEN 0 HIGHESTMODSEQ 4)`);
  });

  test('section 5.1, without CONDSTORE: what STATUS has no item for is not told', async () => {
    const id = await world.fill('Lists/Lemonade', [MAIL]);
    await client.ok(`NOTIFY SET (mailboxes Lists/Lemonade ${ALL})`);
    await store.setFlags(id, [1 as Uid], { mode: 'set', flags: ['$Junk'] });
    await silent();
    await store.setFlags(id, [1 as Uid], { mode: 'set', flags: ['\\Seen'] });
    const uidValidity = await validity('Lists/Lemonade');
    await play(client, `S: * STATUS Lists/Lemonade (UIDVALIDITY ${uidValidity} UNSEEN 0)`);
  });

  test('section 5.2: MessageNew', async () => {
    await world.fill('INBOX', Array(443).fill(MAIL));
    await world.fill('Lists/Lemonade', Array(502).fill(MAIL));
    await client.ok('ENABLE IMAP4rev2');
    await client.ok('SELECT INBOX');
    await client.ok(`NOTIFY SET (selected (MessageNew (UID) MessageExpunge)) (personal ${BOTH})`);
    await world.fill('INBOX', [MAIL]);
    await play(
      client,
      `S: * 444 EXISTS
       S: * 444 FETCH (UID 444)`,
    );
    await world.fill('Lists/Lemonade', [MAIL]);
    const uidValidity = await validity('Lists/Lemonade');
    await play(client, `S: * STATUS Lists/Lemonade (UIDVALIDITY ${uidValidity} UIDNEXT 504 MESSAGES 503)`);
  });

  test('section 5.3: MessageExpunge', async () => {
    const inbox = await world.fill('INBOX', Array(444).fill(MAIL));
    const misc = await world.fill('misc', Array(3).fill(MAIL));
    const other = await world.login();
    await other.ok('ENABLE QRESYNC');
    for (const each of [client, other]) {
      await each.ok('SELECT INBOX');
      await each.ok(`NOTIFY SET (selected ${BOTH}) (mailboxes misc ${BOTH})`);
    }
    await store.expunge(inbox, [444 as Uid]);
    await play(client, 'S: * 444 EXPUNGE');
    await play(other, 'S: * VANISHED 444');
    await store.expunge(misc, [2 as Uid]);
    const uidValidity = await validity('misc');
    await play(client, `S: * STATUS misc (UIDVALIDITY ${uidValidity} UIDNEXT 4 MESSAGES 2)`);
    await play(other, `S: * STATUS misc (UIDVALIDITY ${uidValidity} UIDNEXT 4 MESSAGES 2 HIGHESTMODSEQ 5)`);
  });

  test('section 5.4: MailboxName', async () => {
    await client.ok('NOTIFY SET (personal (MailboxName))');
    const other = await world.login();
    await other.ok('CREATE NewMailbox');
    await play(client, 'S: * LIST (\\HasNoChildren) "/" NewMailbox');
    await other.ok('CREATE INBOX/DeletedMailbox');
    await play(
      client,
      `S: * LIST (\\HasNoChildren) "/" INBOX/DeletedMailbox
       S: * LIST (\\HasChildren) "/" INBOX`,
    );
    await other.ok('DELETE INBOX/DeletedMailbox');
    await play(
      client,
      `S: * LIST (\\NonExistent \\HasNoChildren) "/" INBOX/DeletedMailbox
       S: * LIST (\\HasNoChildren) "/" INBOX`,
    );
    await other.ok('RENAME NewMailbox OldMailbox');
    await client.response();
    await other.ok('CREATE OldMailbox/below');
    await client.response();
    await client.response();
    await other.ok('RENAME OldMailbox NewMailbox');
    await play(client, 'S: * LIST (\\HasChildren) "/" NewMailbox ("OLDNAME" (OldMailbox))');
    // What is below it has moved along, and is not told.
    await silent();
  });

  test('section 5.5: SubscriptionChange', async () => {
    await store.create('SubscribedMailbox');
    await client.ok('NOTIFY SET (personal (SubscriptionChange))');
    await store.subscribe('SubscribedMailbox', 'yes');
    await play(client, 'S: * LIST (\\HasNoChildren \\Subscribed) "/" SubscribedMailbox');
    await store.subscribe('SubscribedMailbox', 'no');
    await play(client, 'S: * LIST (\\HasNoChildren) "/" SubscribedMailbox');
    await store.subscribe('nowhere', 'yes');
    await play(client, 'S: * LIST (\\NonExistent \\HasNoChildren \\Subscribed) "/" nowhere');
  });

  test('sections 5.6 and 5.7: metadata', async () => {
    await client.ok('NOTIFY SET (mailboxes INBOX (MailboxMetadataChange ServerMetadataChange))');
    await store.create('Other');
    const other = await world.login();
    await other.ok('SETMETADATA Other (/shared/comment "not watched")');
    await other.ok('SETMETADATA INBOX (/shared/comment "watched")');
    await other.ok('SETMETADATA "" (/shared/comment "server")');
    await play(
      client,
      `S: * METADATA INBOX /shared/comment
       S: * METADATA "" /shared/comment`,
    );
    await client.ok('NOTIFY NONE');
    await other.ok('SETMETADATA INBOX (/shared/comment "no more")');
    await silent();
  });

  test('section 5.8: overflow', async () => {
    await client.ok(`NOTIFY SET (personal (MailboxName))`);
    for (let n = 0; n < 1001; n++) void store.create(`m${n}`);
    await play(client, 'S: * OK [NOTIFICATIONOVERFLOW]');
    await store.create('later');
    await silent();
    await client.ok('SELECT INBOX');
    await world.fill('INBOX', [MAIL]);
    expect(await client.ok('NOOP')).toEqual([]);
  });

  test('section 6: several groups are of one mailbox; SELECTED is above all others', async () => {
    await client.ok(
      'notify set (mailboxes INBOX (Messagenew messageExpunge)) (personal (SubscriptionChange))',
    );
    await world.fill('INBOX', [MAIL]);
    await store.subscribe('INBOX', 'yes');
    const lines = [await client.response(), await client.response()].sort();
    expect(lines[0]).toBe('* LIST (\\HasNoChildren \\Subscribed) "/" INBOX');
    expect(lines[1]).toMatch(/^\* STATUS INBOX /);
    await client.ok(
      'notify set (selected (Messagenew (uid flags) messageExpunge)) (personal (MessageNew FlagChange MessageExpunge))',
    );
    await client.ok('SELECT INBOX');
    await store.setFlags(await idOf('INBOX'), [1 as Uid], { mode: 'add', flags: ['\\Seen'] });
    await silent();
    await world.fill('INBOX', [MAIL]);
    await play(
      client,
      `S: * 2 EXISTS
       S: * 2 RECENT
       S: * 2 FETCH (UID 2 FLAGS (\\Recent))`,
    );
  });

  test('section 7: UPDATE with items to fetch', async () => {
    await world.fill('INBOX', Array(92).fill('From: boss\n\n'));
    await client.ok('ENABLE IMAP4rev2');
    await client.ok('SELECT INBOX');
    await client.ok(`NOTIFY SET (selected (MessageNew (UID) MessageExpunge))`);
    await play(
      client,
      `C: a00 SEARCH RETURN (COUNT UPDATE (UID BODY.PEEK[HEADER.FIELDS (TO
         FROM SUBJECT)])) FROM "boss"
       S: * ESEARCH (TAG "a00") COUNT 92
       S: a00 OK`,
    );
    await world.fill('INBOX', [MAIL.replace('alice', 'myboss'), MAIL]);
    expect(await client.response()).toBe('* 94 EXISTS');
    // One FETCH response for both who want it (section 5.2).
    expect(await client.response()).toBe(
      '* 93 FETCH (UID 93 BODY[HEADER.FIELDS (TO FROM SUBJECT)] {76}\r\n' +
        'Subject: Re: good morning\r\nFrom: myboss@example.org\r\nTo: bob@example.org\r\n\r\n)',
    );
    await play(
      client,
      `S: * ESEARCH (TAG "a00") ADDTO (0 93)
       S: * 94 FETCH (UID 94)`,
    );
  });
});

describe('what is not asked for, or cannot be', () => {
  test.each([
    ['NOTIFY', 'BAD'],
    ['NOTIFY SET', 'BAD'],
    ['NOTIFY SET STATUS', 'BAD'],
    ['NOTIFY NONE now', 'BAD'],
    ['NOTIFY SET (selected)', 'BAD'],
    ['NOTIFY SET (selected ())', 'BAD'],
    ['NOTIFY SET (selected (MessageNew))', 'BAD'],
    ['NOTIFY SET (personal (FlagChange))', 'BAD'],
    ['NOTIFY SET (personal (MessageExpunge FlagChange))', 'BAD'],
    [`NOTIFY SET (selected ${BOTH}) (selected-delayed ${BOTH})`, 'BAD'],
    ['NOTIFY SET (selected (MailboxName))', 'BAD'],
    ['NOTIFY SET (personal (MessageNew (UID) MessageExpunge))', 'BAD'],
    ['NOTIFY SET (selected (MessageNew (WRONG) MessageExpunge))', 'BAD'],
    ['NOTIFY SET (everybody (MailboxName))', 'BAD'],
    ['NOTIFY SET (personal NONE)', 'OK'],
    ['NOTIFY SET (mailboxes nowhere (MailboxName))', 'OK'],
    [`NOTIFY SET (subtree (a b) ${ALL}) (subtree-one a ${BOTH})`, 'OK'],
  ])('%s: %s', async (command, status) => {
    expect(await client.tagged(command)).toMatch(new RegExp(`^${status}`));
  });

  test.each(['(selected (MessageNew MessageExpunge AnnotationChange))', '(personal (Weather))'])(
    'BADEVENT: %s',
    async (group) => {
      expect(await client.tagged(`NOTIFY SET ${group}`)).toMatch(
        /^NO \[BADEVENT \(MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange MailboxMetadataChange ServerMetadataChange\)\]/,
      );
    },
  );

  test('more than 100 groups', async () => {
    expect(await client.tagged(`NOTIFY SET${' (personal NONE)'.repeat(101)}`)).toMatch(/^BAD Too many/);
  });

  test('not before login', async () => {
    expect(await (await world.client()).tagged('NOTIFY NONE')).toMatch(/^BAD Log in/);
  });

  test('NONE in one group is stronger than another group', async () => {
    await store.create('Trash');
    await client.ok(`NOTIFY SET (personal ${BOTH}) (mailboxes Trash NONE)`);
    await world.fill('Trash', [MAIL]);
    await silent();
  });
});

describe('the selected mailbox', () => {
  test('without SELECTED nothing of others is told; what had gathered is told first; own changes always', async () => {
    const id = await world.fill('INBOX', [MAIL, MAIL, MAIL]);
    await client.ok('SELECT INBOX');
    await world.fill('INBOX', [MAIL]);
    expect(await client.ok('NOTIFY SET (selected NONE)')).toEqual(['4 EXISTS', '4 RECENT']);
    await store.expunge(id, [1 as Uid]);
    await store.setFlags(id, [2 as Uid], { mode: 'add', flags: ['\\Seen'] });
    await world.fill('INBOX', [MAIL]);
    expect(await client.ok('NOOP')).toEqual([]);
    // The third is still the third.
    expect(await client.ok('FETCH 3 UID')).toEqual(['3 FETCH (UID 3)']);
    expect(await client.ok('STORE 3 +FLAGS (\\Deleted)')).toHaveLength(1);
    expect(await client.ok('EXPUNGE')).toEqual(['3 EXPUNGE']);
    expect(await client.ok('NOOP')).toEqual([]);
    expect(await client.ok('APPEND INBOX {4+}\r\nA: b')).toEqual([
      '5 EXISTS',
      expect.stringMatching(/RECENT/),
    ]);
    expect(await client.ok(`NOTIFY SET (selected ${ALL})`)).toEqual([
      '1 EXPUNGE',
      expect.stringMatching(/^1 FETCH \((UID 2 )?FLAGS \(.*\\Seen/),
    ]);
    await store.expunge(id, [2 as Uid]);
    await play(client, 'S: * 1 EXPUNGE');
  });

  test('SELECTED-DELAYED: messages leave with a command that allows it', async () => {
    const id = await world.fill('INBOX', [MAIL, MAIL, MAIL]);
    await client.ok('SELECT INBOX');
    await client.ok(`NOTIFY SET (selected-delayed ${ALL})`);
    await store.expunge(id, [1 as Uid]);
    await store.setFlags(id, [2 as Uid], { mode: 'set', flags: ['\\Seen'] });
    await play(client, 'S: * 2 FETCH (UID 2 FLAGS (\\Seen \\Recent))');
    await world.fill('INBOX', [MAIL]);
    expect([await client.response(), await client.response()][0]).toBe('* 4 EXISTS');
    expect(await client.ok('FETCH 3 UID')).toEqual(['3 FETCH (UID 3)']);
    expect(await client.ok('NOOP')).toEqual(['1 EXPUNGE']);
  });

  test('IDLE tells the same', async () => {
    const id = await world.fill('INBOX', [MAIL, MAIL]);
    await client.ok('SELECT INBOX');
    await client.ok(`NOTIFY SET (selected-delayed ${BOTH}) (mailboxes Other ${BOTH})`);
    client.send('i IDLE\r\n');
    await play(client, 'S: + idling');
    await store.setFlags(id, [2 as Uid], { mode: 'set', flags: ['\\Seen'] });
    await store.expunge(id, [1 as Uid]);
    await play(client, 'S: * 1 EXPUNGE');
    await world.fill('Other', [MAIL]);
    expect(await client.response()).toMatch(/^\* STATUS Other /);
    client.send('DONE\r\n');
    await play(client, 'S: i OK done');
  });

  test('nothing is told while a message is uploaded', async () => {
    const id = await world.fill('INBOX', [MAIL, MAIL, MAIL]);
    await store.create('Other');
    await client.ok('SELECT INBOX');
    await client.ok(`NOTIFY SET (selected ${ALL}) (mailboxes Other ${BOTH})`);
    client.send('a APPEND Other {4}\r\n');
    await play(client, 'S: + Go ahead');
    await store.expunge(id, [1 as Uid]);
    client.send('A: ');
    await new Promise((resolve) => setTimeout(resolve, 20));
    client.send('b\r\n');
    await play(
      client,
      `S: * 1 EXPUNGE
       S: a OK [APPENDUID ${await validity('Other')} 1]`,
    );
  });

  test('a message that the session adds itself is not fetched for it', async () => {
    await client.ok('SELECT INBOX');
    await client.ok('NOTIFY SET (selected (MessageNew (UID) MessageExpunge))');
    expect(await client.ok('APPEND INBOX {4+}\r\nA: b')).toEqual(['1 EXISTS', '1 RECENT']);
    await world.fill('INBOX', [MAIL]);
    await play(
      client,
      `S: * 2 EXISTS
       S: * 2 RECENT
       S: * 2 FETCH (UID 2)`,
    );
  });

  test('HIGHESTMODSEQ says nothing of what is kept back', async () => {
    const id = await world.fill('INBOX', [MAIL, MAIL]);
    await client.ok('ENABLE QRESYNC');
    await client.ok('SELECT INBOX');
    await client.ok(`NOTIFY SET (selected ${BOTH})`);
    const before = (await store.mailbox('INBOX'))?.highestModSeq ?? 0;
    await store.setFlags(id, [1 as Uid], { mode: 'set', flags: ['\\Seen'] });
    await client.ok('STORE 2 +FLAGS.SILENT (\\Deleted)');
    expect(await client.tagged('EXPUNGE')).toMatch(`OK [HIGHESTMODSEQ ${before}]`);
  });

  test('a mailbox that is left with untold changes', async () => {
    const id = await world.fill('INBOX', [MAIL, MAIL]);
    await client.ok('SELECT INBOX');
    await client.ok(`NOTIFY SET (selected NONE) (personal ${BOTH})`);
    await store.expunge(id, [1 as Uid]);
    await silent();
    const told = await client.ok('UNSELECT');
    expect(told).toEqual([`STATUS INBOX (UIDVALIDITY ${await validity('INBOX')} UIDNEXT 3 MESSAGES 1)`]);
  });
});

describe('what the client does itself', () => {
  beforeEach(async () => {
    await client.ok(`NOTIFY SET (personal (MessageNew MessageExpunge MailboxName SubscriptionChange))`);
  });

  test('names', async () => {
    for (const command of ['CREATE a/b', 'SUBSCRIBE a/b', 'RENAME a c', 'UNSUBSCRIBE a/b', 'DELETE c/b'])
      expect(await client.ok(command)).toEqual([]);
    await silent();
    await store.create('a/b');
    expect(await client.response()).toMatch(/LIST .* a$/);
    expect(await client.response()).toMatch(/LIST .* a\/b$/);
  });

  test('a refused command hides nothing of others', async () => {
    await store.create('there');
    await client.response();
    expect(await client.tagged('CREATE there')).toMatch(/^NO/);
    await store.delete(await idOf('there'));
    await client.response();
    await store.create('there');
    expect(await client.response()).toMatch(/LIST \(\\HasNoChildren\) "\/" there$/);
  });

  test('messages', async () => {
    await store.create('Sent');
    await client.response();
    expect(await client.ok('APPEND Sent {4+}\r\nA: b')).toEqual([]);
    await world.fill('INBOX', [MAIL]);
    expect(await client.response()).toMatch(/STATUS INBOX/);
    await client.ok('SELECT INBOX');
    expect(await client.ok('COPY 1 Sent')).toEqual([]);
    await world.fill('Sent', [MAIL]);
    expect(await client.response()).toMatch(/STATUS Sent .*MESSAGES 3\)/);
  });
});

describe('sets of mailboxes', () => {
  test('subscribed is what is subscribed at the moment', async () => {
    await store.create('a');
    await client.ok(`NOTIFY SET (subscribed ${BOTH})`);
    await world.fill('a', [MAIL]);
    await silent();
    await store.subscribe('a', 'yes');
    await world.fill('a', [MAIL]);
    expect(await client.response()).toMatch(/STATUS a .*MESSAGES 2/);
    await store.subscribe('a', 'no');
    await world.fill('a', [MAIL]);
    await silent();
  });

  test('a mailbox gets a name that is watched, and another', async () => {
    const id = await world.fill('a', [MAIL]);
    await client.ok(`NOTIFY SET (mailboxes b ${BOTH})`);
    await store.rename(id, 'b');
    await world.fill('b', [MAIL]);
    expect(await client.response()).toMatch(/STATUS b .*MESSAGES 2/);
    await store.rename(id, 'c');
    await world.fill('c', [MAIL]);
    await silent();
  });

  test('a mailbox that is made anew has another UIDVALIDITY', async () => {
    await client.ok(`NOTIFY SET (mailboxes a ${ALL})`);
    await store.create('a');
    expect(await client.response()).toBe(
      `* STATUS a (UIDVALIDITY ${await validity('a')} UIDNEXT 1 MESSAGES 0)`,
    );
  });

  test('what others share is not personal; rights come and go', async () => {
    const bob = await world.login(undefined, BOB);
    await bob.ok('CREATE Team');
    await bob.ok(`SETACL Team ${ALICE} lr`);
    const path = `Other Users/${BOB}/Team`;
    await client.ok(
      `NOTIFY SET (personal (MailboxName)) (subtree "Other Users" (MessageNew MessageExpunge MailboxName))`,
    );
    await bob.ok('APPEND Team {4+}\r\nA: b');
    expect(await client.response()).toMatch(`* STATUS "${path}" (`);
    await bob.ok(`SETACL Team ${ALICE} l`);
    expect(await client.response()).toBe(`* LIST (\\NoAccess \\HasNoChildren) "/" "${path}"`);
    await bob.ok('APPEND Team {4+}\r\nA: b');
    await silent();
    expect(await client.ok('NOTIFY SET (subtree "Other Users" (MailboxName))')).toEqual([
      `LIST (\\NoAccess \\HasNoChildren) "/" "${path}"`,
    ]);
    await bob.ok(`SETACL Team ${ALICE} lr`);
    expect(await client.response()).toBe(`* LIST (\\HasNoChildren) "/" "${path}"`);
    await bob.ok(`DELETEACL Team ${ALICE}`);
    expect(await client.response()).toBe(`* LIST (\\NonExistent \\HasNoChildren) "/" "${path}"`);
    await bob.ok(`SETACL Team ${ALICE} lr`);
    expect(await client.response()).toBe(`* LIST (\\HasNoChildren) "/" "${path}"`);
  });
});

describe('the session', () => {
  test('NOTIFY NONE, another NOTIFY SET, UNAUTHENTICATE and the end leave nobody watching', async () => {
    await client.ok('SELECT INBOX');
    const before = store.watchers;
    await client.ok(`NOTIFY SET (personal ${BOTH})`);
    expect(store.watchers).toBeGreaterThan(before);
    await client.ok(`NOTIFY SET (personal ${BOTH})`);
    await client.ok('NOTIFY NONE');
    expect(store.watchers).toBe(before);
    await client.ok(`NOTIFY SET (personal ${BOTH})`);
    await client.ok('UNAUTHENTICATE');
    expect(store.watchers).toBe(0);
  });

  test('after UNAUTHENTICATE all is told as without NOTIFY', async () => {
    await client.ok('NOTIFY NONE');
    await client.ok('UNAUTHENTICATE');
    await client.ok(`LOGIN ${ALICE} "wonder Land.1"`);
    await client.ok('SELECT INBOX');
    await world.fill('INBOX', [MAIL]);
    expect(await client.ok('NOOP')).toContain('1 EXISTS');
  });

  test('a client that does not read has one entry a mailbox, and big messages wait in the store', async () => {
    await client.ok('SELECT INBOX');
    await client.ok('NOTIFY SET (selected (MessageNew (UID BODY.PEEK[]) MessageExpunge))');
    client.socket.pause();
    const size = 300_000;
    for (let n = 0; n < 40; n++) await world.fill('INBOX', [`A: ${'x'.repeat(size)}\n\n`]);
    await new Promise((resolve) => setTimeout(resolve, 100));
    client.socket.resume();
    const uids = new Set<string>();
    while (uids.size < 40) {
      const uid = /FETCH \(UID (\d+) BODY\[\] \{3000/.exec(await client.response())?.[1];
      if (uid !== undefined) uids.add(uid);
    }
    await client.ok('NOOP');
  });

  test('the server stops: BYE comes after what was being told', async () => {
    await client.ok(`NOTIFY SET (personal ${BOTH})`);
    await world.fill('a', [MAIL]);
    void world.server.close(0);
    expect(await client.closed()).toMatch(/^(\* STATUS a .*\r\n)?\* BYE .*\r\n$/);
  });
});
