import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { getMetadata, setMetadata } from '../../src/imap/commands/metadata.ts';
import { ImapBad, ImapNo } from '../../src/imap/errors.ts';
import { Parser } from '../../src/imap/parser.ts';
import { play } from './dialogue.ts';
import { type Client, ImapWorld } from './world.ts';

let world: ImapWorld;
let client: Client;
beforeEach(async () => {
  world = await ImapWorld.start({ settings: { adminContact: 'mailto:root@example.org' } });
  client = await world.login();
});
afterEach(() => world.close());

/** Quotes are there where an atom would not do; the RFC's examples have more of them. */
describe('dialogues of RFC 5464', () => {
  test('4.2 GETMETADATA', async () => {
    await client.ok('SETMETADATA "" (/shared/comment "Shared comment")');
    await client.ok('SETMETADATA INBOX (/private/comment "My own comment" /shared/comment "Shared comment")');
    await play(
      client,
      `C: a GETMETADATA "" /shared/comment
       S: * METADATA "" (/shared/comment "Shared comment")
       S: a OK GETMETADATA complete
       C: a GETMETADATA "INBOX" /private/comment
       S: * METADATA INBOX (/private/comment "My own comment")
       S: a OK GETMETADATA complete
       C: a GETMETADATA "INBOX" (/shared/comment /private/comment)
       S: * METADATA INBOX (/shared/comment "Shared comment"
            /private/comment "My own comment")
       S: a OK GETMETADATA complete`,
    );
  });

  test('4.2.1 MAXSIZE', async () => {
    await client.ok(`SETMETADATA INBOX (/shared/comment {2199+}\r\n${'x'.repeat(2199)})`);
    await client.ok('SETMETADATA INBOX (/private/comment "My own comment")');
    await play(
      client,
      `C: a GETMETADATA "INBOX" (MAXSIZE 1024)
            (/shared/comment /private/comment)
       S: * METADATA INBOX (/private/comment "My own comment")
       S: a OK [METADATA LONGENTRIES 2199] GETMETADATA complete
       // As the grammar has it.
       C: a GETMETADATA (MAXSIZE 2199 DEPTH 0) INBOX /private/comment
       S: * METADATA INBOX (/private/comment "My own comment")
       S: a OK GETMETADATA complete
       C: a GETMETADATA (MAXSIZE 5) INBOX (/shared/comment /private/comment)
       S: a OK [METADATA LONGENTRIES 2199] GETMETADATA complete`,
    );
  });

  test('4.2.2 DEPTH', async () => {
    await client.ok('SETMETADATA INBOX (/private/filters/values/small "SMALLER 5000")');
    await client.ok('SETMETADATA INBOX (/private/filters/values/boss "FROM \\"boss@example.com\\"")');
    await client.ok('SETMETADATA INBOX (/private/filters/values/a/b "c" /private/filters "x")');
    await play(
      client,
      `C: a GETMETADATA "INBOX" (DEPTH 1)
            (/private/filters/values)
       S: * METADATA INBOX (/private/filters/values/small
            "SMALLER 5000" /private/filters/values/boss
            "FROM \\"boss@example.com\\"")
       S: a OK GETMETADATA complete
       C: a GETMETADATA (DEPTH 0) INBOX /private/filters/values
       S: * METADATA INBOX (/private/filters/values NIL)
       S: a OK GETMETADATA complete
       C: a GETMETADATA (DEPTH infinity) INBOX /PRIVATE
       S: * METADATA INBOX (/private/filters/values/small "SMALLER 5000" /private/filters/values/boss
            "FROM \\"boss@example.com\\"" /private/filters/values/a/b "c" /private/filters "x")
       S: a OK GETMETADATA complete
       C: a GETMETADATA (DEPTH infinity) INBOX /shared
       S: a OK GETMETADATA complete`,
    );
  });

  test('4.3 SETMETADATA', async () => {
    client.send('a SETMETADATA INBOX (/private/comment {33}\r\n');
    expect(await client.response()).toMatch(/^\+ /);
    client.send('My new comment across\r\ntwo lines.)\r\n');
    expect(await client.response()).toMatch(/^a OK/);
    expect(await client.ok('GETMETADATA INBOX /private/comment')).toEqual([
      'METADATA INBOX (/private/comment {33}\r\nMy new comment across\r\ntwo lines.)',
    ]);
    await play(
      client,
      `C: a SETMETADATA INBOX (/private/comment NIL)
       S: a OK SETMETADATA complete
       C: a GETMETADATA INBOX /private/comment
       S: * METADATA INBOX (/private/comment NIL)
       S: a OK GETMETADATA complete
       C: a SETMETADATA INBOX (/private/comment "My new comment"
                               /shared/comment "This one is for you!")
       S: a OK SETMETADATA complete
       C: a GETMETADATA INBOX (/private/comment /shared/comment)
       S: * METADATA INBOX (/private/comment "My new comment" /shared/comment "This one is for you!")
       S: a OK GETMETADATA complete`,
    );
  });

  test('4.3 METADATA TOOMANY and MAXSIZE; what fails changes nothing', async () => {
    const many = Array.from({ length: 200 }, (_, at) => `/private/${at} ""`).join(' ');
    await client.ok(`SETMETADATA INBOX (${many})`);
    await play(
      client,
      `C: a SETMETADATA INBOX (/private/comment "My new comment")
       S: a NO [METADATA TOOMANY] SETMETADATA failed`,
    );
    // Refused before it is sent.
    expect(await client.tagged('SETMETADATA "" (/private/a {65537}')).toMatch(
      /^NO \[METADATA MAXSIZE 65536\]/,
    );
    expect(await client.tagged(`SETMETADATA "" (/private/a "b" /private/b "${'x'.repeat(65537)}")`)).toMatch(
      /^NO \[METADATA MAXSIZE 65536\]/,
    );
    expect(await client.ok('GETMETADATA "" /private/a')).toEqual(['METADATA "" (/private/a NIL)']);
    expect(await client.tagged(`SETMETADATA "" (/private/a {70000+}\r\n${'x'.repeat(70000)})`)).toMatch(
      /^NO \[METADATA MAXSIZE 65536\]/,
    );
    await client.ok(`SETMETADATA "" (/private/a {65536+}\r\n${'x'.repeat(65536)})`);
  });

  test('4.4.2 unsolicited responses, to who has enabled them', async () => {
    const other = await world.login();
    await client.ok('CREATE Work');
    await other.ok('SETMETADATA INBOX (/shared/comment "a")');
    expect(await client.ok('NOOP')).toEqual([]);
    expect(await client.ok('ENABLE METADATA')).toEqual(['ENABLED METADATA']);
    await other.ok('SETMETADATA "" (/shared/comment "a")');
    await play(
      client,
      `C: a NOOP
       S: * METADATA "" /shared/comment
       S: a OK NOOP complete`,
    );
    await other.ok('SETMETADATA INBOX (/shared/comment "b" /private/comment NIL)');
    await play(
      client,
      `C: a NOOP
       S: * METADATA INBOX /shared/comment /private/comment
       S: a OK NOOP complete`,
    );
    // Each once, and nothing of what this session does itself.
    await other.ok('SETMETADATA Work (/shared/a "1" /shared/b "1")');
    await other.ok('SETMETADATA Work (/SHARED/A "2")');
    expect(await client.ok('SETMETADATA INBOX (/shared/own "d")')).toEqual([
      'METADATA Work /SHARED/A /shared/b',
    ]);
    expect(await client.ok('NOOP')).toEqual([]);
    client.send('i IDLE\r\n');
    await client.response();
    await other.ok('SETMETADATA Work (/shared/b NIL)');
    expect(await client.response()).toBe('* METADATA Work /shared/b');
    client.send('DONE\r\n');
    expect(await client.response()).toMatch(/^i OK/);
    // Under its new name; and not of what is gone.
    await other.ok('SETMETADATA Work (/shared/b "x")');
    await other.ok('DELETE Work');
    expect(await client.ok('NOOP')).toEqual([]);
  });

  test('METADATA-SERVER alone is about the server', async () => {
    const other = await world.login('INBOX');
    expect(await other.ok('ENABLE metadata-server')).toEqual(['ENABLED METADATA-SERVER']);
    await client.ok('SETMETADATA INBOX (/private/a "1")');
    await client.ok('SETMETADATA "" (/private/b "1")');
    expect(await other.ok('NOOP')).toEqual(['METADATA "" /private/b']);
    expect(await other.ok('ENABLE METADATA METADATA-SERVER')).toEqual(['ENABLED METADATA']);
    await client.ok('SETMETADATA INBOX (/private/a "2")');
    expect(await other.ok('NOOP')).toEqual(['METADATA INBOX /private/a']);
  });

  test('many changes that wait take bounded memory', async () => {
    await client.ok('ENABLE METADATA');
    const other = await world.login();
    for (let round = 0; round < 8; round++) {
      const entries = Array.from({ length: 150 }, (_, at) => `/private/${round}/${at}`);
      await other.ok(`SETMETADATA INBOX (${entries.map((name) => `${name} ""`).join(' ')})`);
      await other.ok(`SETMETADATA INBOX (${entries.map((name) => `${name} NIL`).join(' ')})`);
    }
    expect(await client.ok('NOOP')).toEqual(['METADATA INBOX /private /shared']);
  });
});

test('capabilities', async () => {
  const [line = ''] = await client.ok('CAPABILITY');
  expect(line.split(' ')).toEqual(expect.arrayContaining(['METADATA', 'METADATA-SERVER', 'LIST-METADATA']));
});

test('values are any octets, with NUL as literal8; names are in any case', async () => {
  const value = '\0\xff"\\\r\n';
  await client.ok(`SETMETADATA INBOX (/private/bin ~{${value.length}+}\r\n${value} "/private/a b" "")`);
  expect(await client.ok('GETMETADATA INBOX (/Private/BIN /private/bin)')).toEqual([
    `METADATA INBOX (/private/bin ~{${value.length}}\r\n${value})`,
  ]);
  expect(await client.ok('GETMETADATA INBOX {12+}\r\n/private/a b')).toEqual([
    'METADATA INBOX ("/private/a b" "")',
  ]);
});

test('entry names that are none are BAD (RFC 5464 3.2)', async () => {
  for (const name of [
    '/private//a',
    '/private/a/',
    '"/private/*"',
    '"/private/%"',
    '/other/a',
    'private/a',
    '"/private/\x01"',
    '"/private/\xe9"',
    '/privates/a',
    `/private/${'x'.repeat(1020)}`,
  ])
    expect(await client.tagged(`GETMETADATA INBOX ${name}`)).toMatch(/^BAD .*\(byte 2\d\)/);
  expect(await client.tagged('SETMETADATA INBOX (/private "a")')).toMatch(/^BAD/);
  expect(await client.tagged('SETMETADATA INBOX (/private/vendor/x "a")')).toMatch(/^BAD/);
  expect(await client.tagged('SETMETADATA INBOX (/private/vendor/x/y "a")')).toMatch(/^OK/);
  for (const wrong of [
    'INBOX',
    'INBOX ()',
    '(DEPTH 2) INBOX /private/a',
    '(FOO 1) INBOX /private/a',
    'INBOX (DEPTH 1)',
    '(MAXSIZE x) INBOX /private/a',
  ])
    expect(await client.tagged(`GETMETADATA ${wrong}`)).toMatch(/^BAD/);
  for (const wrong of ['INBOX ()', 'INBOX (/private/a)', 'INBOX (/private/a b)', 'INBOX /private/a "b"'])
    expect(await client.tagged(`SETMETADATA ${wrong}`)).toMatch(/^BAD/);
  const entries = Array.from({ length: 201 }, (_, at) => `/private/${at}`).join(' ');
  expect(await client.tagged(`GETMETADATA INBOX (${entries})`)).toMatch(/^BAD Too many/);
  const values = entries.replaceAll(/(?= |$)/g, ' NIL');
  expect(await client.tagged(`SETMETADATA INBOX (${values})`)).toMatch(/^BAD Too many/);
});

test('mailboxes that are not there, and names above others', async () => {
  await client.ok('CREATE top/below');
  await client.ok('DELETE top');
  for (const name of ['nope', 'top'])
    for (const rest of [`GETMETADATA ${name} /private/a`, `SETMETADATA ${name} (/private/a "b")`])
      expect(await client.tagged(rest)).toMatch(/^NO \[NONEXISTENT\]/);
});

test("/shared/admin is the configuration's, and read-only (RFC 5464 3.2.1.1)", async () => {
  expect(await client.ok('GETMETADATA "" (/shared/admin /shared/comment)')).toEqual([
    'METADATA "" (/shared/admin "mailto:root@example.org" /shared/comment NIL)',
  ]);
  expect(await client.tagged('SETMETADATA "" (/private/a "b" /Shared/Admin "x")')).toMatch(/^NO \[NOPERM\]/);
  expect(await client.ok('GETMETADATA "" /private/a')).toEqual(['METADATA "" (/private/a NIL)']);
});

test('RFC 6154 5.4: special uses by metadata', async () => {
  await client.ok('ENABLE METADATA');
  await client.ok('CREATE SentMail (USE (\\Sent))');
  await client.ok('CREATE MyDrafts (USE (\\Drafts))');
  await client.ok('CREATE SavedDrafts');
  await client.ok('CREATE Trash (USE (\\Trash))');
  // What changes by itself is told by its name alone: RFC 5464 4.4.2 forbids values there.
  await play(
    client,
    `C: t1 LIST "" "%" RETURN (SPECIAL-USE)
     S: * LIST (\\HasNoChildren) "/" INBOX
     S: * LIST (\\HasNoChildren \\Drafts) "/" MyDrafts
     S: * LIST (\\HasNoChildren) "/" SavedDrafts
     S: * LIST (\\HasNoChildren \\Sent) "/" SentMail
     S: * LIST (\\HasNoChildren \\Trash) "/" Trash
     S: t1 OK done
     C: t2 GETMETADATA "MyDrafts" /private/specialuse
     S: * METADATA MyDrafts (/private/specialuse "\\\\Drafts")
     S: t2 OK done
     C: t3 SETMETADATA "SavedDrafts" (/private/specialuse "\\\\Drafts")
     S: * METADATA MyDrafts /private/specialuse
     S: t3 OK SETMETADATA complete
     C: t4 SETMETADATA "SentMail" (/private/specialuse NIL)
     S: t4 OK SETMETADATA complete
     C: t5 LIST "" "%" RETURN (SPECIAL-USE)
     S: * LIST (\\HasNoChildren) "/" INBOX
     S: * LIST (\\HasNoChildren) "/" MyDrafts
     S: * LIST (\\HasNoChildren \\Drafts) "/" SavedDrafts
     S: * LIST (\\HasNoChildren) "/" SentMail
     S: * LIST (\\HasNoChildren \\Trash) "/" Trash
     S: t5 OK done`,
  );
  for (const value of ['"\\\\All"', '"\\\\Sent \\\\Junk"', '"nonsense"'])
    expect(await client.tagged(`SETMETADATA SentMail (/private/specialuse ${value})`)).toMatch(
      /^NO \[USEATTR\]/,
    );
  expect(await client.tagged('SETMETADATA INBOX (/private/specialuse "\\\\Junk")')).toMatch(
    /^NO \[USEATTR\]/,
  );
});

test('RFC 9590: METADATA with LIST', async () => {
  await client.ok('SETMETADATA INBOX (/shared/vendor/cmu/cyrus-imapd/color "#b71c1c")');
  await client.ok('CREATE foo');
  await client.ok('CREATE bar/below');
  await client.ok('DELETE bar');
  await play(
    client,
    `C: A01 LIST "" % RETURN (METADATA ("/shared/vendor/cmu/cyrus-imapd/color"))
     S: * LIST (\\HasNoChildren) "/" INBOX
     S: * METADATA INBOX (/shared/vendor/cmu/cyrus-imapd/color "#b71c1c")
     S: * LIST (\\NonExistent \\HasChildren) "/" bar
     S: * LIST (\\HasNoChildren) "/" foo
     S: * METADATA foo (/shared/vendor/cmu/cyrus-imapd/color NIL)
     S: A01 OK List completed.`,
  );
  // Not of what is listed for the sake of what is below it; beside STATUS.
  await client.ok('CREATE foo/sub');
  await client.ok('SUBSCRIBE foo/sub');
  expect(await client.ok('LIST (SUBSCRIBED RECURSIVEMATCH) "" % RETURN (METADATA (/shared/a))')).toEqual([
    'LIST (\\HasChildren) "/" foo ("CHILDINFO" ("SUBSCRIBED"))',
  ]);
  expect(await client.ok('LIST "" foo RETURN (METADATA (/shared/a /private/b) STATUS (MESSAGES))')).toEqual([
    'LIST (\\HasChildren) "/" foo',
    'STATUS foo (MESSAGES 0)',
    'METADATA foo (/shared/a NIL /private/b NIL)',
  ]);
  for (const wrong of ['METADATA', 'METADATA ()', 'METADATA /shared/a', 'METADATA (x)'])
    expect(await client.tagged(`LIST "" % RETURN (${wrong})`)).toMatch(/^BAD/);
});

test('in IMAP4rev2 names are UTF-8, and changes come under them', async () => {
  const utf8 = (text: string): string => Buffer.from(text).toString('latin1');
  await client.ok('ENABLE IMAP4rev2 METADATA');
  await client.ok(utf8('CREATE "Été"'));
  const other = await world.login();
  await other.ok('SETMETADATA "&AMk-t&AOk-" (/private/comment "x")');
  expect(await client.ok('NOOP')).toEqual([utf8('METADATA "Été" /private/comment')]);
  expect(await client.ok(utf8('GETMETADATA "Été" /private/comment'))).toEqual([
    utf8('METADATA "Été" (/private/comment "x")'),
  ]);
});

test('whatever comes is parsed, or refused with BAD or NO', () => {
  const words = [
    'INBOX',
    '""',
    '(',
    ')',
    ' ',
    '/private/a',
    '/shared',
    '"/private/a b"',
    'NIL',
    '"x"',
    'MAXSIZE',
    'DEPTH',
    '1',
    'infinity',
  ];
  const piece = fc.oneof(
    fc.constantFrom(...words, '{1}\r\nx', '~{2}\r\n\0\xff', '{9}\r\n', '*'),
    fc.string({ unit: 'binary', maxLength: 3 }),
  );
  const rest = fc.array(piece, { maxLength: 14 }).map((pieces) => ` ${pieces.join('')}`);
  fc.assert(
    fc.property(rest, fc.constantFrom(getMetadata, setMetadata), (text, command) => {
      try {
        command.prepare(new Parser({ bytes: Buffer.from(text, 'latin1') }));
      } catch (error) {
        if (!(error instanceof ImapBad || error instanceof ImapNo)) throw error;
      }
    }),
    { numRuns: 5000 },
  );
});
