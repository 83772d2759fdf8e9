import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { MailboxId, Uid } from '../../src/store/store.ts';
import { ManualClock } from '../clock.ts';
import { playTranscript } from '../transcript.ts';
import type { MemoryAccount } from './memory-mail.ts';
import { ALICE, type Client, ImapWorld, PASSWORD } from './world.ts';

let world: ImapWorld;
let store: MemoryAccount;
let id: MailboxId;
const clock = new ManualClock();
beforeEach(async () => {
  world = await ImapWorld.start({ clock });
  store = await world.account();
  id = await world.fill(
    'INBOX',
    Array.from({ length: 4 }, (_, i) => `Subject: ${i + 1}\n\n`),
  );
});
afterEach(() => world.close());

const enter = `
  C: a LOGIN ${ALICE} "${PASSWORD}"
  S: * OK *
  S: a OK *
  C: b SELECT INBOX
  S: * 4 EXISTS
  S: b OK [READ-WRITE] *
  C2: a LOGIN ${ALICE} "${PASSWORD}"
  S2: * OK *
  S2: a OK *
  C2: b SELECT INBOX
  S2: * 4 EXISTS
  S2: b OK *
`;

test('session 2 hears of an EXPUNGE only when it may (RFC 9051 7.5.1)', async () => {
  await playTranscript(
    `${enter}
    C: c STORE 1 +FLAGS.SILENT (\\Deleted)
    S: c OK *
    C: d EXPUNGE
    S: * 1 EXPUNGE
    S: d OK *
    C2: e FETCH 2 (UID)
    S2: * 2 FETCH (UID 2)
    S2: e OK *
    C2: f SEARCH UID 2
    S2: * SEARCH 2
    S2: f OK *
    C2: g STORE 2 +FLAGS (\\Flagged)
    S2: * 2 FETCH (FLAGS (\\Flagged*))
    S2: g OK *
    C2: h NOOP
    S2: * 1 EXPUNGE
    S2: h OK *
    C2: i FETCH 1 (UID FLAGS)
    S2: * 1 FETCH (UID 2 FLAGS (\\Flagged*))
    S2: i OK *
    `,
    world.connectTls,
  );
});

describe('IDLE (RFC 2177)', () => {
  test('new mail, flags and expunges are told as they happen', async () => {
    await playTranscript(
      `${enter}
      C2: c IDLE
      S2: + idling
      C: c APPEND INBOX {13+}
      C: Subject: 5
      C:
      S: * 5 EXISTS
      S: c OK *
      S2: * 5 EXISTS
      S2: * * RECENT
      C: d STORE 2 +FLAGS ($Work)
      S: d OK *
      S2: * FLAGS (\\Answered \\Flagged \\Deleted \\Draft \\Seen $Work)
      S2: * OK [PERMANENTFLAGS *
      S2: * 2 FETCH (FLAGS ($Work))
      C: e UID EXPUNGE 2
      S: e OK *
      C: f STORE 2:3 +FLAGS.SILENT (\\Deleted)
      S: f OK *
      S2: * 2 FETCH (FLAGS ($Work \\Deleted))
      S2: * 3 FETCH (FLAGS (\\Deleted))
      C: g UID EXPUNGE 3
      S: * 3 EXPUNGE
      S: g OK *
      S2: * 3 EXPUNGE
      C2: DONE
      S2: c OK IDLE completed
      `,
      world.connectTls,
    );
  });

  test('many changes at once are told together, and the connection is kept alive', async () => {
    const client = await world.login('INBOX');
    client.send('x IDLE\r\n');
    expect(await client.response()).toBe('+ idling');
    for (let i = 0; i < 50; i++) store.put(id, Buffer.from('A: b\r\n\r\n'));
    expect(await client.response()).toBe('* 54 EXISTS');
    expect(await client.response()).toMatch(/^\* \d+ RECENT$/);
    await clock.advance(2 * 60_000);
    expect(await client.response()).toBe('* OK Still here');
    client.send('DONE\r\n');
    expect(await client.response()).toBe('x OK IDLE completed');
    expect(clock.sleeping).toBe(0);
  });

  test('is possible without a mailbox, ends with DONE alone, pipelined too', async () => {
    const client = await world.login();
    client.send('x IDLE\r\ndone\r\ny NOOP\r\n');
    expect(await client.response()).toBe('+ idling');
    expect(await client.response()).toBe('x OK IDLE completed');
    expect(await client.response()).toBe('y OK NOOP completed');
    client.send('x IDLE\r\nLOGOUT\r\n');
    expect(await client.response()).toBe('+ idling');
    expect(await client.response()).toBe('x BAD IDLE ends with DONE');
    expect(await client.tagged('NOOP')).toBe('OK NOOP completed');
  });
});

describe('the selected mailbox', () => {
  test('EXAMINE changes nothing, not even \\Recent (RFC 9051 6.3.3)', async () => {
    const client = await world.login();
    const opened = await client.ask('EXAMINE INBOX');
    expect(opened.untagged).toContain('4 RECENT');
    expect(opened.untagged).toContainEqual(expect.stringMatching(/^OK \[PERMANENTFLAGS \(\)\]/));
    expect(opened.tagged).toMatch(/^OK \[READ-ONLY\]/);
    for (const command of ['STORE 1 +FLAGS (x)', 'EXPUNGE', 'UID EXPUNGE 1', 'MOVE 1 INBOX'])
      expect(await client.tagged(command), command).toMatch(/^NO \[NOPERM\]/);
    await store.setFlags(id, [1 as Uid], { mode: 'add', flags: ['\\Deleted'] });
    await client.ok('CLOSE');
    expect((await store.uids(id)).length).toBe(4);
    expect(await client.ok('SELECT INBOX')).toContain('4 RECENT');
    const second = await world.login();
    expect(await second.ok('SELECT INBOX')).toContain('0 RECENT');
  });

  test('SELECT tells what a client needs (RFC 9051 6.3.2)', async () => {
    await store.setFlags(id, [1 as Uid], { mode: 'add', flags: ['\\Seen', '$Work'] });
    const client = await world.login();
    expect(await client.ok('SELECT inbox')).toEqual([
      'FLAGS (\\Answered \\Flagged \\Deleted \\Draft \\Seen $Work)',
      'OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Draft \\Seen $Work \\*)] Flags that are kept',
      '4 EXISTS',
      '4 RECENT',
      'OK [UNSEEN 2] First unseen',
      expect.stringMatching(/^OK \[UIDVALIDITY \d+\]/),
      'OK [UIDNEXT 5] Next UID',
      'OK [HIGHESTMODSEQ 6] Highest mod-sequence',
      `OK [MAILBOXID (${id})] Mailbox id`,
    ]);
  });

  test('a SELECT that fails leaves nothing selected (RFC 9051 6.3.2)', async () => {
    const client = await world.login('INBOX');
    expect(await client.ask('SELECT nowhere')).toEqual({
      untagged: [expect.stringMatching(/^OK \[CLOSED\]/)],
      tagged: 'NO [NONEXISTENT] No such mailbox',
    });
    expect(await client.tagged('FETCH 1 UID')).toMatch(/^BAD Select a mailbox/);
    expect(store.watchers).toBe(0);
  });

  test('CLOSE and UNSELECT (RFC 9051 6.4.1, 6.4.2)', async () => {
    const client = await world.login('INBOX');
    await client.ok('STORE 1:2 +FLAGS (\\Deleted)');
    await client.ok('UNSELECT');
    expect(await client.tagged('CLOSE')).toMatch(/^BAD/);
    expect((await store.uids(id)).length).toBe(4);
    await client.ok('SELECT INBOX');
    expect(await client.ok('CLOSE')).toEqual([]);
    expect((await store.uids(id)).length).toBe(2);
    expect(store.watchers).toBe(0);
  });

  test('EXPUNGE and UID EXPUNGE (RFC 9051 6.4.3, 6.4.9)', async () => {
    const client = await world.login('INBOX');
    await client.ok('STORE 1,3:4 +FLAGS.SILENT (\\Deleted)');
    expect(await client.ok('UID EXPUNGE 2:3')).toEqual(['3 EXPUNGE']);
    expect(await client.ok('EXPUNGE')).toEqual(['1 EXPUNGE', '2 EXPUNGE']);
    expect(await client.ok('EXPUNGE')).toEqual([]);
  });

  test('COPY and MOVE tell where the messages went (RFC 4315 3, RFC 6851 3)', async () => {
    const client = await world.login('INBOX');
    await client.ok('CREATE Other');
    expect(await client.tagged('COPY 2:4 Other')).toMatch(/^OK \[COPYUID \d+ 2:4 1:3\]/);
    expect(await client.tagged('UID COPY 77 Other')).toBe('OK UID COPY completed');
    expect(await client.tagged('COPY 1 Nowhere')).toMatch(/^NO \[TRYCREATE\]/);
    expect(await client.tagged('MOVE 1 Nowhere')).toMatch(/^NO \[TRYCREATE\]/);
    expect(await client.ok('MOVE 1,3 Other')).toEqual([
      expect.stringMatching(/^OK \[COPYUID \d+ 1,3 4:5\]/),
      '1 EXPUNGE',
      '2 EXPUNGE',
    ]);
    expect(await client.ok('UID MOVE 4 INBOX')).toEqual([
      expect.stringMatching(/^OK \[COPYUID \d+ 4 5\]/),
      '2 EXPUNGE',
      '2 EXISTS',
      '2 RECENT',
    ]);
  });

  test('STORE in all its forms (RFC 9051 6.4.6)', async () => {
    const client = await world.login('INBOX');
    await client.ok('STORE 1 FLAGS (\\Seen)');
    expect((await client.ok('STORE 1 +FLAGS \\Flagged \\Draft')).at(-1)).toBe(
      '1 FETCH (FLAGS (\\Seen \\Flagged \\Draft \\Recent))',
    );
    expect(await client.ok('STORE 1 -FLAGS.SILENT (\\Draft)')).toEqual([]);
    expect(await client.ok('UID STORE 1 FLAGS ()')).toEqual(['1 FETCH (UID 1 FLAGS (\\Recent))']);
    for (const bad of ['STORE 1 FLAGS (\\Recent)', 'STORE 1 FLAGS', 'STORE 1 =FLAGS ()', 'STORE 9 FLAGS ()'])
      expect(await client.tagged(bad), bad).toMatch(/^BAD .*\(byte \d+\)$/);
  });

  test('a mailbox that another session deletes is empty from then on', async () => {
    const other = await world.fill('Doomed', ['A: 1\n\n', 'A: 2\n\n']);
    const client = await world.login('Doomed');
    await store.delete(other);
    expect(await client.tagged('FETCH 1 BODY[]')).toMatch(/^NO \[NONEXISTENT\]/);
    expect((await client.ask('UID FETCH 1 UID')).untagged).toEqual(['1 EXPUNGE', '1 EXPUNGE']);
    expect(await client.tagged('UID SEARCH ALL')).toBe('OK UID SEARCH completed');
  });
});

test('pipelined commands are answered in their order, each on its own', async () => {
  const client: Client = await world.login('INBOX');
  client.send('p1 STORE 1 +FLAGS (\\Deleted)\r\np2 EXPUNGE\r\np3 FETCH 1 UID\r\np4 FOO\r\np5 NOOP\r\n');
  expect((await client.answer('p1')).untagged.at(-1)).toMatch(/^1 FETCH/);
  expect((await client.answer('p2')).untagged).toEqual(['1 EXPUNGE']);
  expect((await client.answer('p3')).untagged).toEqual(['1 FETCH (UID 2)']);
  expect((await client.answer('p4')).tagged).toMatch(/^BAD/);
  expect((await client.answer('p5')).tagged).toMatch(/^OK/);
});

test('numbers in commands that are already here mean what the client knows: no EXPUNGE before them', async () => {
  const client: Client = await world.login('INBOX');
  await store.expunge(id, [1 as Uid]);
  client.send('p1 NOOP\r\np2 UID FETCH 2 UID\r\np3 FETCH 2 UID\r\np4 NOOP\r\n');
  expect((await client.answer('p1')).untagged).toEqual([]);
  expect((await client.answer('p2')).untagged).toEqual(['2 FETCH (UID 2)']);
  expect((await client.answer('p3')).untagged).toEqual(['2 FETCH (UID 2)']);
  expect((await client.answer('p4')).untagged).toEqual(['1 EXPUNGE']);
});
