import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Client } from './world.ts';
import { ImapWorld } from './world.ts';

let world: ImapWorld;
let client: Client;
beforeEach(async () => {
  world = await ImapWorld.start();
  client = await world.login();
});
afterEach(() => world.close());

test('CREATE, RENAME, DELETE (RFC 9051 6.3.4 to 6.3.6)', async () => {
  expect(await client.tagged('CREATE owatagusiam/')).toMatch(/^OK \[MAILBOXID \(\S+\)\]/);
  expect(await client.tagged('CREATE owatagusiam/blurdybloop')).toMatch(/^OK/);
  expect(await client.tagged('CREATE owatagusiam')).toMatch(/^NO \[ALREADYEXISTS\]/);
  expect(await client.tagged('CREATE inbox')).toMatch(/^NO \[ALREADYEXISTS\]/);
  expect(await client.tagged('CREATE a//b')).toMatch(/^NO \[CANNOT\]/);
  expect(await client.tagged('CREATE "&Jjo!"')).toMatch(/^NO \[CANNOT\]/);
  expect(await client.tagged('RENAME owatagusiam top')).toMatch(/^OK/);
  expect(await client.tagged('RENAME owatagusiam x')).toMatch(/^NO \[NONEXISTENT\]/);
  expect(await client.ok('LIST "" *')).toEqual([
    'LIST (\\HasNoChildren) "/" INBOX',
    'LIST (\\HasChildren) "/" top',
    'LIST (\\HasNoChildren) "/" top/blurdybloop',
  ]);
  expect(await client.tagged('DELETE top')).toMatch(/^OK/);
  expect(await client.ok('LIST "" top')).toEqual(['LIST (\\NoSelect \\HasChildren) "/" top']);
  expect(await client.ok('LIST "" top RETURN ()')).toEqual(['LIST (\\NonExistent \\HasChildren) "/" top']);
  expect(await client.tagged('SELECT top')).toMatch(/^NO \[NONEXISTENT\]/);
  expect(await client.tagged('DELETE top')).toMatch(/^NO \[HASCHILDREN\]/);
  expect(await client.tagged('DELETE INBOX')).toMatch(/^NO \[CANNOT\]/);
  expect(await client.tagged('DELETE gone')).toMatch(/^NO \[NONEXISTENT\]/);
});

test('RENAME of INBOX moves its messages and leaves it (RFC 9051 6.3.6)', async () => {
  await world.fill('INBOX', ['A: 1\n\n', 'A: 2\n\n']);
  await client.ok('RENAME INBOX old');
  expect(await client.ok('STATUS INBOX (MESSAGES)')).toEqual(['STATUS INBOX (MESSAGES 0)']);
  expect(await client.ok('STATUS old (MESSAGES)')).toEqual(['STATUS old (MESSAGES 2)']);
});

test('names are modified UTF-7 on the wire (RFC 3501 5.1.3)', async () => {
  await client.ok('CREATE "~peter/mail/&U,BTFw-/&ZeVnLIqe-"');
  await client.ok('CREATE "a &- b"');
  await client.ok(`CREATE {${Buffer.byteLength('Été')}+}\r\n${Buffer.from('Été').toString('latin1')}`);
  const store = await world.account();
  expect((await store.mailboxes()).map((mailbox) => mailbox.path).sort()).toEqual(
    ['INBOX', 'a & b', '~peter', '~peter/mail', '~peter/mail/台北', '~peter/mail/台北/日本語', 'Été'].sort(),
  );
  expect(await client.ok('LIST "" "&AMk-%"')).toEqual(['LIST (\\HasNoChildren) "/" &AMk-t&AOk-']);
  expect(await client.ok('LIST "~peter/mail/" %/*')).toEqual([
    'LIST (\\HasNoChildren) "/" ~peter/mail/&U,BTFw-/&ZeVnLIqe-',
  ]);
  expect(await client.ok('LIST "" "a*"')).toEqual(['LIST (\\HasNoChildren) "/" "a &- b"']);
});

test('a literal at the end of a command keeps its spaces (RFC 9051 4.3)', async () => {
  await client.ok('CREATE {6+}\r\ndone  ');
  const store = await world.account();
  expect((await store.mailboxes()).map((mailbox) => mailbox.path)).toContain('done  ');
});

test('special uses (RFC 6154)', async () => {
  expect(await client.tagged('CREATE Sent (USE (\\Sent))')).toMatch(/^OK/);
  expect(await client.tagged('CREATE All (USE (\\All))')).toMatch(/^NO \[USEATTR\]/);
  expect(await client.tagged('CREATE Two (USE (\\Junk \\Trash))')).toMatch(/^NO \[USEATTR\]/);
  expect(await client.tagged('CREATE None (USE ())')).toMatch(/^OK/);
  expect(await client.ok('LIST (SPECIAL-USE) "" *')).toEqual(['LIST (\\HasNoChildren \\Sent) "/" Sent']);
  expect(await client.ok('LIST "" % RETURN (SPECIAL-USE)')).toContain(
    'LIST (\\HasNoChildren \\Sent) "/" Sent',
  );
});

test('the separator is asked for with an empty name (RFC 9051 6.3.9)', async () => {
  expect(await client.ok('LIST "" ""')).toEqual(['LIST (\\NoSelect) "/" ""']);
  expect(await client.ok('LIST anything ""')).toEqual(['LIST (\\NoSelect) "/" ""']);
  expect(await client.ok('LIST () "" ""')).toEqual([]);
});

test('subscriptions (RFC 9051 6.3.7, RFC 3501 6.3.9, RFC 5258 3.1)', async () => {
  await client.ok('CREATE foo/bar');
  await client.ok('CREATE foo/baz');
  for (const name of ['INBOX', 'foo/bar', 'gone/too']) await client.ok(`SUBSCRIBE ${name}`);
  expect(await client.ok('LSUB "" *')).toEqual([
    'LSUB () "/" INBOX',
    'LSUB () "/" foo/bar',
    'LSUB (\\NoSelect) "/" gone/too',
  ]);
  expect(await client.ok('LSUB "" %')).toEqual([
    'LSUB () "/" INBOX',
    'LSUB (\\NoSelect) "/" foo',
    'LSUB (\\NoSelect) "/" gone',
  ]);
  expect(await client.ok('LIST (SUBSCRIBED) "" *')).toEqual([
    'LIST (\\HasNoChildren \\Subscribed) "/" INBOX',
    'LIST (\\HasNoChildren \\Subscribed) "/" foo/bar',
    'LIST (\\NonExistent \\HasNoChildren \\Subscribed) "/" gone/too',
  ]);
  expect(await client.ok('LIST "" foo/* RETURN (SUBSCRIBED CHILDREN)')).toEqual([
    'LIST (\\HasNoChildren \\Subscribed) "/" foo/bar',
    'LIST (\\HasNoChildren) "/" foo/baz',
  ]);
  await client.ok('UNSUBSCRIBE gone/too');
  expect((await client.ok('LSUB "" gone*')).length).toBe(0);
});

test('RECURSIVEMATCH names the parents of what is subscribed (RFC 5258 3.5, 5)', async () => {
  for (const name of ['foo1/bar1', 'foo1/bar2', 'foo2/bar1', 'baz']) await client.ok(`CREATE ${name}`);
  await client.ok('SUBSCRIBE foo1/bar1');
  await client.ok('SUBSCRIBE baz');
  expect(await client.ok('LIST (RECURSIVEMATCH SUBSCRIBED) "" %')).toEqual([
    'LIST (\\HasNoChildren \\Subscribed) "/" baz',
    'LIST (\\HasChildren) "/" foo1 ("CHILDINFO" ("SUBSCRIBED"))',
  ]);
  expect(await client.tagged('LIST (RECURSIVEMATCH) "" %')).toMatch(/^BAD/);
  expect(await client.tagged('LIST (RECURSIVEMATCH REMOTE) "" %')).toMatch(/^BAD/);
});

test('several patterns, and STATUS with LIST (RFC 5258 3, RFC 5819)', async () => {
  await world.fill('work', ['A: 1\n\n']);
  await client.ok('CREATE play/chess');
  expect(await client.ok('LIST "" (INBOX w*) RETURN (STATUS (MESSAGES UNSEEN))')).toEqual([
    'LIST (\\HasNoChildren) "/" INBOX',
    'STATUS INBOX (MESSAGES 0 UNSEEN 0)',
    'LIST (\\HasNoChildren) "/" work',
    'STATUS work (MESSAGES 1 UNSEEN 1)',
  ]);
  expect(await client.tagged('LIST "" * RETURN (NONSENSE)')).toMatch(/^BAD .*\(byte 22\)/);
  expect(await client.tagged('LIST (NONSENSE) "" *')).toMatch(/^BAD/);
});

test('STATUS (RFC 9051 6.3.11, RFC 7162 3.1.7, RFC 8438, RFC 9208 4.1.4)', async () => {
  const id = await world.fill('work', ['A: 1\n\n', 'A: 2\n\nxx\n']);
  const store = await world.account();
  await store.setFlags(id, [2 as never], { mode: 'add', flags: ['\\Deleted', '\\Seen'] });
  expect(
    await client.ok(
      'STATUS work (MESSAGES RECENT UIDNEXT UNSEEN SIZE DELETED DELETED-STORAGE MAILBOXID APPENDLIMIT)',
    ),
  ).toEqual([
    `STATUS work (MESSAGES 2 RECENT 2 UIDNEXT 3 UNSEEN 1 SIZE 20 DELETED 1 DELETED-STORAGE 12 MAILBOXID (${id}) APPENDLIMIT 52428800)`,
  ]);
  expect(await client.ok('STATUS work (UIDVALIDITY HIGHESTMODSEQ)')).toEqual([
    expect.stringMatching(/^STATUS work \(UIDVALIDITY \d+ HIGHESTMODSEQ \d+\)$/),
  ]);
  expect(await client.tagged('STATUS nope (MESSAGES)')).toMatch(/^NO \[NONEXISTENT\]/);
  expect(await client.tagged('STATUS work ()')).toMatch(/^BAD/);
  expect(await client.tagged('STATUS work (FOO)')).toMatch(/^BAD .*\(byte/);
});

test('NAMESPACE, ID, quota (RFC 9051 6.3.10, RFC 2971, RFC 9208)', async () => {
  expect(await client.ok('NAMESPACE')).toEqual(['NAMESPACE (("" "/")) (("Other Users/" "/")) NIL']);
  expect(await client.ok('ID ("name" "x" "version" NIL)')).toEqual([
    'ID ("name" "Facteur" "version" "1.2.3")',
  ]);
  expect(await client.tagged(`ID (${'"a" "b" '.repeat(31).trim()})`)).toMatch(/^BAD/);
  expect(await client.ok('GETQUOTAROOT INBOX')).toEqual(['QUOTAROOT INBOX ""', 'QUOTA "" ()']);
  expect(await client.tagged('GETQUOTA other')).toMatch(/^NO \[NONEXISTENT\]/);
});

test('a quota is told in units of 1024 octets (RFC 9208 5.1)', async () => {
  const small = await ImapWorld.start({ mail: { quotaBytes: 4096 } });
  try {
    await small.fill('INBOX', [`A: b\n\n${'x'.repeat(1500)}\n`]);
    const other = await small.login();
    expect(await other.ok('GETQUOTA ""')).toEqual(['QUOTA "" (STORAGE 2 4)']);
    // Refused before it is sent.
    expect(await other.tagged('APPEND INBOX {3000}')).toMatch(/^NO \[OVERQUOTA\]/);
    await small.fill('Other', ['A: b\n\n']);
    await other.ok('SELECT INBOX');
    await other.ok('COPY 1 Other');
    expect(await other.tagged('COPY 1 Other')).toMatch(/^NO \[OVERQUOTA\]/);
  } finally {
    await small.close();
  }
});

test('messages, and mailboxes with limits of their own, which are roots of their own (RFC 9208 3.2, 5.2)', async () => {
  const mail = { quotaMessages: 3, mailboxLimits: { Büro: 2048 } };
  const small = await ImapWorld.start({ mail });
  try {
    await small.fill('Büro', ['A: b\n\n', 'A: c\n\n']);
    const other = await small.login();
    expect(await other.ok('GETQUOTA ""')).toEqual(['QUOTA "" (MESSAGE 2 3)']);
    expect(await other.ok('GETQUOTAROOT "B&APw-ro"')).toEqual([
      'QUOTAROOT B&APw-ro "" B&APw-ro',
      'QUOTA "" (MESSAGE 2 3)',
      'QUOTA B&APw-ro (STORAGE 1 2)',
    ]);
    expect(await other.ok('GETQUOTA "B&APw-ro"')).toEqual(['QUOTA B&APw-ro (STORAGE 1 2)']);
    expect(await other.tagged('GETQUOTA INBOX')).toMatch(/^NO \[NONEXISTENT\]/);
    expect(await other.ok('GETQUOTAROOT nowhere')).toEqual([
      'QUOTAROOT nowhere ""',
      'QUOTA "" (MESSAGE 2 3)',
    ]);
    expect(await other.tagged('APPEND "B&APw-ro" {2040}')).toMatch(/^NO \[OVERQUOTA\]/);
    await small.fill('INBOX', ['A: d\n\n']);
    expect(await other.tagged('APPEND INBOX {1}')).toBe('NO [OVERQUOTA] full');
  } finally {
    await small.close();
  }
});
