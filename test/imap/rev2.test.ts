import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Uid } from '../../src/store/store.ts';
import { type Client, ImapWorld } from './world.ts';

let world: ImapWorld;
let client: Client;
beforeEach(async () => {
  world = await ImapWorld.start();
  await world.fill('INBOX', ['A: 1\n\n', 'A: 2\n\n']);
  client = await world.login();
  expect(await client.ok('ENABLE imap4rev2')).toEqual(['ENABLED IMAP4rev2']);
});
afterEach(() => world.close());

const utf8 = (text: string): string => Buffer.from(text).toString('latin1');

test('both are announced, rev1 is spoken until rev2 is enabled (RFC 9051 appendix A)', async () => {
  const [announced = ''] = await client.ok('CAPABILITY');
  expect(announced.split(' ')).toEqual(expect.arrayContaining(['IMAP4rev1', 'IMAP4rev2']));
  const old = await world.login();
  expect(await old.ok('SELECT INBOX')).toContain('2 RECENT');
});

test('SELECT tells LIST, and nothing of RECENT and UNSEEN (RFC 9051 6.3.2, appendix E 10 to 12)', async () => {
  await client.ok('CREATE INBOX/below');
  expect(await client.ok('SELECT INBOX')).toEqual([
    'FLAGS (\\Answered \\Flagged \\Deleted \\Draft \\Seen)',
    expect.stringMatching(/^OK \[PERMANENTFLAGS/),
    '2 EXISTS',
    'LIST (\\HasChildren) "/" INBOX',
    expect.stringMatching(/^OK \[UIDVALIDITY/),
    expect.stringMatching(/^OK \[UIDNEXT 3\]/),
    expect.stringMatching(/^OK \[HIGHESTMODSEQ/),
    expect.stringMatching(/^OK \[MAILBOXID/),
  ]);
  expect(await client.ok('FETCH 1 FLAGS')).toEqual(['1 FETCH (FLAGS ())']);
  await world.fill('INBOX', ['A: 3\n\n']);
  expect(await client.ok('NOOP')).toEqual(['3 EXISTS']);
});

test('SEARCH answers with ESEARCH (RFC 9051 6.4.4, 7.3.4)', async () => {
  await client.ok('SELECT INBOX');
  expect(await client.ok('SEARCH UNSEEN')).toEqual([
    expect.stringMatching(/^ESEARCH \(TAG "t\d+"\) ALL 1:2$/),
  ]);
  expect(await client.ok('UID SEARCH FLAGGED')).toEqual([
    expect.stringMatching(/^ESEARCH \(TAG "t\d+"\) UID$/),
  ]);
});

test('changes by others come with their UID (RFC 9051 7.5.2)', async () => {
  await client.ok('SELECT INBOX');
  const store = await world.account();
  const { id } = (await store.mailbox('INBOX')) ?? { id: '' as never };
  await store.setFlags(id, [2 as Uid], { mode: 'add', flags: ['\\Flagged'] });
  expect(await client.ok('NOOP')).toEqual(['2 FETCH (UID 2 FLAGS (\\Flagged))']);
});

test('mailbox names are UTF-8, quoted (RFC 9051 5.1)', async () => {
  await client.ok(utf8('CREATE "Été & cie"'));
  await client.ok('CREATE "&AMk-"');
  expect((await (await world.account()).mailboxes()).map((box) => box.path)).toEqual([
    'INBOX',
    'Été & cie',
    '&AMk-',
  ]);
  expect(await client.ok(utf8('LIST "" "É%"'))).toEqual([utf8('LIST (\\HasNoChildren) "/" "Été & cie"')]);
  expect(await client.ok(utf8('STATUS "Été & cie" (MESSAGES)'))).toEqual([
    utf8('STATUS "Été & cie" (MESSAGES 0)'),
  ]);
  expect(await client.tagged('CREATE "\xe9"')).toMatch(/^BAD/);
  expect(await client.tagged(utf8('CREATE "E\u0301"'))).toMatch(/^NO \[CANNOT\]/);
  const old = await world.login();
  expect(await old.ok('LIST "" "&AMk-%"')).toEqual(['LIST (\\HasNoChildren) "/" "&AMk-t&AOk- &- cie"']);
  expect(await old.ok('LIST "" "&-*"')).toEqual(['LIST (\\HasNoChildren) "/" &-AMk-']);
});
