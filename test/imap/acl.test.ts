import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { play } from './dialogue.ts';
import { ALICE, BOB, type Client, ImapWorld } from './world.ts';

/** The commands of RFC 4314 and the examples of RFC 4314, RFC 8440 and RFC 2342. */

let world: ImapWorld;
let client: Client;
beforeEach(async () => {
  world = await ImapWorld.start();
  client = await world.login();
});
afterEach(() => world.close());

test('CAPABILITY (RFC 4314 5.1.1)', async () => {
  const [capabilities] = await client.ok('CAPABILITY');
  expect(capabilities).toMatch(/ ACL .* RIGHTS=texk( |$)/);
  expect(capabilities).toContain(' LIST-MYRIGHTS ');
});

/*
 * The examples name users of one word; here they are addresses, and the order of rights is ours. What the owner may do is
 * told first while the list says nothing of it. Those of 2.1.1:
 */
test('SETACL with "d" and "c" (RFC 4314 2.1.1)', async () => {
  await world.fill('INBOX/Drafts', []);
  await play(
    client,
    `
      C: A001 SeTacl INBOX/Drafts David@example.org lrswida
      S: A001 OK Setacl complete
      C: A002 getacl INBOX/Drafts
      S: * ACL INBOX/Drafts alice@example.org lrswipkxteacd david@example.org lrswitead
      S: A002 OK Getacl complete
      C: A003 Setacl INBOX/Drafts Byron@example.org lrswikda
      S: A003 OK Setacl complete
      C: A004 getAcl INBOX/Drafts
      S: * ACL INBOX/Drafts alice@example.org lrswipkxteacd david@example.org lrswitead
         byron@example.org lrswikteacd
      S: A004 OK Getacl complete
    `,
  );
});

test('SETACL adds, takes away, replaces (RFC 4314 3.1)', async () => {
  await world.fill('INBOX/Drafts', []);
  await client.ok('SETACL INBOX/Drafts Chris lrswi');
  await play(
    client,
    `
      C: A001 GETACL INBOX/Drafts
      S: * ACL INBOX/Drafts alice@example.org lrswipkxteacd chris@example.org lrswi
      S: A001 OK Getacl complete
      C: A002 SETACL INBOX/Drafts Chris +cda
      S: A002 OK Setacl complete
      C: A003 GETACL INBOX/Drafts
      S: * ACL INBOX/Drafts alice@example.org lrswipkxteacd chris@example.org lrswikxteacd
      S: A003 OK Getacl complete
      C: A004 SETACL INBOX/Drafts Chris -wite
      S: A004 OK
      C: A005 GETACL INBOX/Drafts
      S: * ACL INBOX/Drafts alice@example.org lrswipkxteacd chris@example.org lrskxac
      S: A005 OK
      C: A035 SETACL INBOX/Drafts John lrQswicda
      S: A035 BAD Uppercase rights are not allowed
      C: A036 SETACL INBOX/Drafts John lrqswicda
      S: A036 BAD The q right is not supported
      C: A037 SETACL INBOX/Drafts Chris ""
      S: A037 OK
      C: A038 GETACL INBOX/Drafts
      S: * ACL INBOX/Drafts alice@example.org lrswipkxteacd
      S: A038 OK
    `,
  );
});

/* There is no "$team": the directory knows no groups. Without an entry of their own, owners have all rights. */
test('DELETEACL, and what is taken away with a dash (RFC 4314 3.2)', async () => {
  await client.ok('SETACL INBOX alice rwipslxetad');
  await client.ok('SETACL INBOX -alice wetd');
  await client.ok('SETACL INBOX bob w');
  await play(
    client,
    `
      C: B001 getacl INBOX
      S: * ACL INBOX alice@example.org lrswipxteacd -alice@example.org wted bob@example.org w
      S: B001 OK Getacl complete
      C: B002 DeleteAcl INBOX alice
      S: B002 OK Deleteacl complete
      C: B003 GETACL INBOX
      S: * ACL INBOX alice@example.org lrswipkxteacd -alice@example.org wted bob@example.org w
      S: B003 OK Getacl complete
      C: B004 MYRIGHTS INBOX
      S: * MYRIGHTS INBOX lrsipkxac
      S: B004 OK
      C: B005 SETACL INBOX $team w
      S: B005 NO [CANNOT]
    `,
  );
});

test('GETACL, MYRIGHTS, LISTRIGHTS (RFC 4314 3.3 to 3.5)', async () => {
  await world.fill('archive/imap', []);
  await play(
    client,
    `
      C: A002 GETACL INBOX
      S: * ACL INBOX alice@example.org lrswipkxteacd
      S: A002 OK Getacl complete
      C: A003 MYRIGHTS inbox
      S: * MYRIGHTS INBOX lrswipkxteacd
      S: A003 OK Myrights complete
      // Nothing is tied to anything; the identifier comes back as it was given.
      C: a001 LISTRIGHTS archive/imap Smith
      S: * LISTRIGHTS archive/imap Smith "" l r s w i p k x t e a c d
      S: a001 OK Listrights completed
      C: a005 listrights archive/imap anyone
      S: * LISTRIGHTS archive/imap anyone "" l r s w i p k x t e a c d
      S: a005 OK Listrights successful
      C: a006 listrights archive/imap ALICE@example.org
      S: * LISTRIGHTS archive/imap ALICE@example.org la r s w i p k x t e c d
      S: a006 OK
    `,
  );
});

test('identifiers are prepared; what is none is BAD (RFC 4314 3)', async () => {
  // IX in one character, a soft hyphen: SASLprep makes letters of the one and nothing of the other (RFC 4013 3).
  const text = Buffer.from('\u2168\u00ad@example.org');
  await client.ok(`SETACL INBOX {${text.length}+}\r\n${text.toString('latin1')} lr`);
  expect(await client.ok('GETACL INBOX')).toEqual([
    'ACL INBOX alice@example.org lrswipkxteacd ix@example.org lr',
  ]);
  expect(await client.tagged('SETACL INBOX "" lr')).toMatch(/^BAD/);
  expect(await client.tagged('SETACL INBOX - lr')).toMatch(/^BAD/);
  expect(await client.tagged('SETACL INBOX {2+}\r\n\xc3\x28 lr')).toMatch(/^BAD/);
  expect(await client.tagged('SETACL INBOX "a\x07" lr')).toMatch(/^BAD/);
  expect(await client.tagged('SETACL INBOX "no address@" lr')).toMatch(/^NO \[CANNOT\]/);
  expect(await client.tagged(`SETACL INBOX ${'x'.repeat(400)}@example.org lr`)).toMatch(/^NO/);
  expect(await client.tagged('SETACL INBOX bob')).toMatch(/^BAD/);
  expect(await client.tagged('SETACL nowhere bob lr')).toMatch(/^NO \[NONEXISTENT\]/);
});

test('whatever stands for an identifier or rights is OK, NO or BAD, and told as it is kept', async () => {
  const other = await world.login();
  const octets = fc.oneof(
    fc.uint8Array({ maxLength: 30 }).map((bytes) => Buffer.from(bytes)),
    fc.string({ unit: 'grapheme', maxLength: 20 }).map((text) => Buffer.from(`${text}@example.org`)),
    fc
      .constantFrom('anyone', '-anyone', 'owner', '-owner', 'OWNER', '"', '-', '--bob')
      .map((text) => Buffer.from(text)),
  );
  const rights = fc.string({ unit: fc.constantFrom(...'lrswipkxteacd+-Qn0'), maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(octets, rights, async (who, what) => {
      const argument = Buffer.concat([Buffer.from(`{${who.length}+}\r\n`), who]);
      const command = Buffer.concat([Buffer.from('SETACL INBOX '), argument, Buffer.from(` "${what}"`)]);
      const answer = await client.tagged(command);
      expect(answer).toMatch(/^(OK|NO \[(CANNOT|LIMIT)\]|BAD)/);
      if (/[Qn0]|.[+-]/.test(what)) expect(answer).toMatch(/^BAD/);
      const [acl = ''] = await other.ok('GETACL INBOX');
      expect(acl).toMatch(/^ACL INBOX( (\S+|"[^"]*"|\{\d+\}\r\n[\s\S]*?) [lrswipkxteacd]+)*$/);
      const gone = await client.tagged(Buffer.concat([Buffer.from('DELETEACL INBOX '), argument]));
      expect(gone).toMatch(answer.startsWith('BAD') ? /^(OK|NO|BAD)/ : new RegExp(`^${answer.slice(0, 2)}`));
    }),
    { numRuns: 150 },
  );
  expect(world.lines.filter((line) => line.level === 'error')).toEqual([]);
});

test('a new mailbox has the list of the one above it, a deleted one none (RFC 4314 4)', async () => {
  await client.ok('CREATE a');
  await client.ok(`SETACL a ${BOB} lrs`);
  await client.ok('CREATE a/b');
  expect(await client.ok('GETACL a/b')).toEqual([`ACL a/b ${ALICE} lrswipkxteacd ${BOB} lrs`]);
  await client.ok('RENAME a/b c');
  expect(await client.ok('GETACL c')).toEqual([`ACL c ${ALICE} lrswipkxteacd ${BOB} lrs`]);
  await client.ok('DELETE c');
  await client.ok('CREATE c');
  expect(await client.ok('GETACL c')).toEqual([`ACL c ${ALICE} lrswipkxteacd`]);
});

test('an owner keeps "l" and "a", and may take the rest away from themselves', async () => {
  await world.fill('old', ['A: 1\n\n']);
  const other = await world.login();
  await client.ok('SETACL old alice -xtewi');
  expect(await client.ok('MYRIGHTS old')).toEqual(['MYRIGHTS old lrspkac']);
  expect(await client.tagged('DELETE old')).toMatch(/^NO \[NOPERM\]/);
  expect(await client.tagged('RENAME old new')).toMatch(/^NO \[NOPERM\]/);
  expect(await client.tagged('APPEND old {5+}\r\nA: 2\n')).toMatch(/^NO \[NOPERM\]/);
  expect(await client.tagged('SELECT old')).toMatch(/^OK \[READ-ONLY\]/);
  expect(await client.tagged('STORE 1 +FLAGS (\\Deleted)')).toMatch(/^NO \[NOPERM\]/);
  expect(await client.ok('STORE 1 +FLAGS.SILENT (\\Deleted \\Seen)')).toEqual([
    '1 FETCH (FLAGS (\\Seen \\Recent))',
  ]);
  // Another session is as careful.
  expect(await other.tagged('DELETE old')).toMatch(/^NO \[NOPERM\]/);
  await client.ok('UNSELECT');
  await client.ok('SETACL old alice ""');
  expect(await client.ok('MYRIGHTS old')).toEqual(['MYRIGHTS old la']);
  expect(await other.tagged('SELECT old')).toMatch(/^NO \[NOPERM\]/);
  await client.ok('DELETEACL old owner');
  await client.ok('DELETEACL old alice');
  expect(await client.ok('MYRIGHTS old')).toEqual(['MYRIGHTS old lrswipkxteacd']);
  await other.ok('DELETE old');
});

/* RFC 8440 4 with "/" and our mailboxes. */
test('LIST RETURN (MYRIGHTS) (RFC 8440 4)', async () => {
  await world.fill('foo', []);
  await world.fill('bar/child', []);
  await (await world.account()).delete((await (await world.account()).mailbox('bar'))?.id as never);
  await client.ok('SETACL foo alice rs');
  await client.ok('SUBSCRIBE INBOX');
  await client.ok('SUBSCRIBE foo/child');
  await play(
    client,
    `
      C: A01 LIST "" % RETURN (MYRIGHTS)
      S: * LIST (\\HasNoChildren) "/" INBOX
      S: * MYRIGHTS INBOX lrswipkxteacd
      S: * LIST (\\NonExistent \\HasChildren) "/" bar
      S: * LIST (\\HasNoChildren) "/" foo
      S: * MYRIGHTS foo lrsa
      S: A01 OK List completed.
      C: A02 LIST (SUBSCRIBED RECURSIVEMATCH) "" % RETURN (MYRIGHTS)
      S: * LIST (\\HasNoChildren \\Subscribed) "/" INBOX
      S: * MYRIGHTS INBOX lrswipkxteacd
      S: * LIST (\\HasChildren) "/" foo ("CHILDINFO" ("SUBSCRIBED"))
      S: A02 OK List completed.
    `,
  );
});

/*
 * RFC 2342 5. Of its examples, 5.2 (anonymous), 5.5 (all below INBOX), 5.6 (two personal namespaces), 5.8 (others are not
 * listed) and 5.9 (`~mark`) are about servers that are arranged otherwise.
 */
test('NAMESPACE, with nothing public (RFC 2342 5, example 5.1)', async () => {
  expect(await client.ok('NAMESPACE')).toEqual(['NAMESPACE (("" "/")) (("Other Users/" "/")) NIL']);
});
