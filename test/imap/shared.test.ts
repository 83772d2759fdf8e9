import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { AccountId } from '../../src/directory/directory.ts';
import { type MailStore, StoreError } from '../../src/store/store.ts';
import { maildirStore, temporaryDirectory } from '../store/surroundings.ts';
import { play } from './dialogue.ts';
import { MemoryMail } from './memory-mail.ts';
import { ALICE, BOB, CAROL, type Client, ImapWorld } from './world.ts';

/** Mailboxes of other users and public ones: what RFC 4314 4 lets somebody do there, right by right, and \Seen. */

const THEIRS = `Other Users/${ALICE}`;
const MESSAGE = 'From: a@example.org\r\nSubject: hello\r\n\r\nWorld\r\n';

let world: ImapWorld;
let store: MailStore;
let tidy: () => Promise<void>;
let alice: Client;
let bob: Client;

async function begin(kind: 'memory' | 'Maildir', settings: object = {}): Promise<void> {
  const { path, remove } = temporaryDirectory();
  store = kind === 'Maildir' ? maildirStore(path) : new MemoryMail();
  world = await ImapWorld.start({ settings, store });
  tidy = async () => {
    await world.close();
    await store.close();
    remove();
    expect(world.lines.filter((line) => line.level === 'error')).toEqual([]);
  };
  alice = await world.login();
  bob = await world.login(undefined, BOB);
}

async function append(client: Client, mailbox: string, flags = '', message = MESSAGE): Promise<string> {
  return client.tagged(`APPEND "${mailbox}" (${flags}) {${message.length}+}\r\n${message}`);
}

/** What alice lets bob do with a mailbox of hers, which is made with two messages in it. */
async function share(rights: string, mailbox = 'box'): Promise<void> {
  await alice.ok(`CREATE ${mailbox}`);
  await append(alice, mailbox, '\\Flagged');
  await append(alice, mailbox, '\\Deleted');
  await alice.ok(`SETACL ${mailbox} bob ${rights === '' ? '""' : rights}`);
}

describe.each(['memory', 'Maildir'] as const)('in %s', (kind) => {
  beforeEach(() => begin(kind));
  afterEach(() => tidy());

  test('who shares is listed, and what is shared (RFC 2342 5, example 5.7)', async () => {
    await share('lr');
    await alice.ok(`SETACL INBOX bob r`);
    await play(
      bob,
      `
        C: A001 NAMESPACE
        S: * NAMESPACE (("" "/")) (("Other Users/" "/")) NIL
        S: A001 OK NAMESPACE command completed
        C: A002 LIST "" "Other Users/%"
        S: * LIST (\\NoSelect \\HasChildren) "/" "Other Users/alice@example.org"
        S: A002 OK LIST command completed
        C: A003 LIST "" "Other*"
        S: * LIST (\\NoSelect \\HasChildren) "/" "Other Users"
        S: * LIST (\\NoSelect \\HasChildren) "/" "Other Users/alice@example.org"
        S: * LIST (\\HasNoChildren) "/" "Other Users/alice@example.org/box"
        S: A003 OK
      `,
    );
    for (const pattern of ['%', '*'])
      expect(await bob.ok(`LIST "" ${pattern}`)).toContain(
        'LIST (\\NoSelect \\HasChildren) "/" "Other Users"',
      );
    // INBOX is not listed, but who has been told its name may read it.
    expect(await bob.tagged(`EXAMINE "${THEIRS}/INBOX"`)).toMatch(/^OK/);
    await alice.ok('DELETEACL box bob');
    expect(await bob.ok('LIST "" "Other Users/*"')).toEqual([]);
  });

  test('flags of a copy are those that may be set there (RFC 4314 4)', async () => {
    for (const [mailbox, rights] of [
      ['one', 'rwis'],
      ['two', 'rsti'],
    ] as const) {
      await alice.ok(`CREATE ${mailbox}`);
      await alice.ok(`SETACL ${mailbox} bob ${rights}`);
    }
    await append(bob, 'INBOX', '\\Draft \\Deleted');
    await append(bob, 'INBOX', '\\Answered');
    await append(bob, 'INBOX', '$Forwarded \\Seen');
    await bob.ok('SELECT INBOX');
    const flagsIn = async (mailbox: string): Promise<readonly string[]> => {
      expect(await bob.tagged(`COPY 1:3 "${THEIRS}/${mailbox}"`)).toMatch(/^OK \[COPYUID \d+ 1:3 1:3\]/);
      await bob.ok(`SELECT "${THEIRS}/${mailbox}"`);
      const found = await bob.ok('FETCH 1:3 (FLAGS)');
      await bob.ok('SELECT INBOX');
      return found;
    };
    expect(await bob.ok(`MYRIGHTS "${THEIRS}/one"`)).toEqual([`MYRIGHTS "${THEIRS}/one" rswi`]);
    expect(await flagsIn('one')).toEqual([
      '1 FETCH (FLAGS (\\Draft))',
      '2 FETCH (FLAGS (\\Answered))',
      '3 FETCH (FLAGS (\\Seen $Forwarded))',
    ]);
    expect(await flagsIn('two')).toEqual([
      '1 FETCH (FLAGS (\\Deleted))',
      '2 FETCH (FLAGS ())',
      '3 FETCH (FLAGS (\\Seen))',
    ]);
    // What bob has seen is nothing to alice.
    await alice.ok('EXAMINE one');
    expect((await alice.ok('FETCH 3 (FLAGS)')).join()).not.toContain('\\Seen');
  });

  test('FLAGS, PERMANENTFLAGS and READ-WRITE are as the rights are (RFC 4314 5.1.1, 5.2)', async () => {
    await share('lrwis');
    await play(
      bob,
      `
        C: A142 SELECT "${THEIRS}/box"
        S: * FLAGS (\\Answered \\Flagged \\Deleted \\Draft \\Seen)
        S: * OK [PERMANENTFLAGS (\\Answered \\Flagged \\Draft \\Seen \\*)] L
        S: * 2 EXISTS
        S: * 0 RECENT
        S: * OK [UNSEEN 1]
      `,
    );
    for (;;) if ((await bob.response()).startsWith('A142 OK [READ-WRITE]')) break;
    expect(await bob.ok(`MYRIGHTS "${THEIRS}/box"`)).toEqual([`MYRIGHTS "${THEIRS}/box" lrswi`]);
    for (const [rights, code, permanent] of [
      ['lr', 'READ-ONLY', ''],
      ['lrs', 'READ-ONLY', '\\Seen'],
      ['lrt', 'READ-WRITE', '\\Deleted'],
      ['lri', 'READ-WRITE', ''],
      ['lre', 'READ-WRITE', ''],
      ['rset', 'READ-WRITE', '\\Deleted \\Seen'],
      ['lrw', 'READ-WRITE', '\\Answered \\Flagged \\Draft \\*'],
    ]) {
      await bob.ok('UNSELECT');
      await alice.ok(`SETACL box bob ${rights}`);
      const { untagged, tagged } = await bob.ask(`SELECT "${THEIRS}/box"`);
      expect(tagged, rights).toContain(`OK [${code}]`);
      expect(untagged.join('\n'), rights).toContain(`[PERMANENTFLAGS (${permanent})]`);
      expect(await bob.tagged(`EXAMINE "${THEIRS}/box"`)).toContain('OK [READ-ONLY]');
    }
  });

  // Hundreds of mailboxes: on a disk they take half a minute, and say the same.
  test.runIf(kind === 'memory')(
    'each right alone, and all but one (RFC 4314 4)',
    async () => {
      // What succeeds with which right; what needs more than one has all of them.
      const trials: readonly (readonly [needs: string, command: string])[] = [
        ['r', `EXAMINE "${THEIRS}/box"`],
        ['r', `STATUS "${THEIRS}/box" (MESSAGES UNSEEN)`],
        ['i', `APPEND "${THEIRS}/box" {${MESSAGE.length}+}\r\n${MESSAGE}`],
        ['i', `COPY 1 "${THEIRS}/box"`],
        ['i', `MOVE 1 "${THEIRS}/box"`],
        ['k', `CREATE "${THEIRS}/box/new"`],
        ['a', `GETACL "${THEIRS}/box"`],
        ['a', `LISTRIGHTS "${THEIRS}/box" carol`],
        ['a', `SETACL "${THEIRS}/box" carol lr`],
        ['a', `DELETEACL "${THEIRS}/box" carol`],
        ['x', `DELETE "${THEIRS}/box"`],
      ];
      for (const right of 'lrswipkxtea') {
        for (const [needs, command] of trials) {
          for (const rights of [right, 'lrswipkxtea'.replace(right, '')]) {
            await share(rights);
            await bob.ok('SELECT INBOX');
            await append(bob, 'INBOX');
            const answer = await bob.tagged(command);
            const expected = rights.includes(needs)
              ? /^OK/
              : rights.includes('l')
                ? /^NO \[NOPERM\]/
                : command.startsWith('CREATE')
                  ? /^NO \[NOPERM\]/
                  : /^NO \[(NONEXISTENT|TRYCREATE)\]/;
            expect(answer, `${command} with ${rights}`).toMatch(expected);
            await bob.ok('SELECT INBOX');
            await alice.tagged('DELETE box/new');
            await alice.tagged('DELETE box');
          }
        }
        // MYRIGHTS: any of six. Whoever has none of them hears what whoever has no mailbox hears.
        await share(right);
        const answer = await bob.tagged(`MYRIGHTS "${THEIRS}/box"`);
        expect(answer, right).toMatch('lrikxa'.includes(right) ? /^OK/ : /^NO \[NONEXISTENT\]/);
        const listed = await bob.ok(`LIST "" "${THEIRS}/*"`);
        expect(listed.length, right).toBe(right === 'l' ? 1 : 0);
        await alice.ok('DELETE box');
      }
    },
    60_000,
  );

  test('STORE does what it may, and fails when that is nothing (RFC 4314 4)', async () => {
    const flags = ['\\Seen', '\\Deleted', '\\Answered', 'Work'];
    const needs: Readonly<Record<string, string>> = {
      '\\Seen': 's',
      '\\Deleted': 't',
      '\\Answered': 'w',
      Work: 'w',
    };
    for (const rights of ['s', 't', 'w', 'st', 'tw', 'sw', 'stw', '']) {
      await share(`lr${rights}`);
      await bob.ok(`SELECT "${THEIRS}/box"`);
      const kept = flags.filter((flag) => rights.includes(needs[flag] ?? ''));
      for (const flag of flags) {
        const answer = await bob.tagged(`STORE 1 +FLAGS (${flag})`);
        expect(answer, `${flag} with ${rights}`).toMatch(kept.includes(flag) ? /^OK/ : /^NO \[NOPERM\]/);
      }
      if (rights !== '') {
        expect(await bob.tagged('STORE 1 FLAGS ()')).toMatch(/^OK/);
        await bob.ok(`STORE 1 +FLAGS (${flags.join(' ')})`);
        const [shown = ''] = await bob.ok('FETCH 1 (FLAGS)');
        // \Flagged is alice's; who may not change it does not take it away either.
        const also = rights.includes('w') ? [] : ['\\Flagged'];
        expect(names(shown), rights).toEqual([...kept, ...also].sort());
        // .SILENT is not silent of what it did not do.
        const told = await bob.ok(`STORE 2 +FLAGS.SILENT (${flags.join(' ')})`);
        if (rights !== 'stw') expect(told.length, rights).toBe(1);
        await bob.ok('STORE 1 -FLAGS (\\Seen Work \\Deleted)');
      } else expect(await bob.tagged('STORE 1 FLAGS ()')).toMatch(/^NO \[NOPERM\]/);
      await bob.ok('UNSELECT');
      await alice.ok('DELETE box');
    }
  });

  test('FETCH sets \\Seen with "s", EXPUNGE wants "e", CLOSE does without (RFC 4314 4)', async () => {
    await share('lr');
    await bob.ok(`SELECT "${THEIRS}/box"`);
    expect(await bob.ok('FETCH 1 (BODY[TEXT])')).toEqual([`1 FETCH (BODY[TEXT] {7}\r\nWorld\r\n)`]);
    expect(await bob.tagged('EXPUNGE')).toMatch(/^NO \[NOPERM\]/);
    expect(await bob.tagged('CLOSE')).toMatch(/^OK/);
    await alice.ok('SETACL box bob lrse');
    await bob.ok(`SELECT "${THEIRS}/box"`);
    expect(await bob.ok('FETCH 1 (BODY[TEXT])')).toEqual([
      `1 FETCH (BODY[TEXT] {7}\r\nWorld\r\n FLAGS (\\Seen \\Flagged))`,
    ]);
    expect(await bob.ok('SEARCH SEEN')).toEqual(['SEARCH 1']);
    expect(await bob.ok('SEARCH UNSEEN')).toEqual(['SEARCH 2']);
    expect(await bob.ok('SEARCH NOT SEEN DELETED')).toEqual(['SEARCH 2']);
    expect(await bob.ok('SEARCH OR SEEN DELETED')).toEqual(['SEARCH 1 2']);
    expect(await bob.ok('SEARCH SEEN UNSEEN')).toEqual(['SEARCH']);
    expect(await bob.ok('SEARCH NOT (SEEN FLAGGED)')).toEqual(['SEARCH 2']);
    expect(await bob.ok('SEARCH SEEN FLAGGED')).toEqual(['SEARCH 1']);
    expect(await bob.ok('SORT (SUBJECT) UTF-8 UNSEEN')).toEqual(['SORT 2']);
    expect(await bob.ok('THREAD REFERENCES UTF-8 SEEN')).toEqual(['THREAD (1)']);
    expect(await bob.ok(`STATUS "${THEIRS}/box" (UNSEEN RECENT)`)).toEqual([
      `STATUS "${THEIRS}/box" (UNSEEN 1 RECENT 0)`,
    ]);
    expect(await alice.ok('STATUS box (UNSEEN)')).toEqual(['STATUS box (UNSEEN 2)']);
    expect(await bob.tagged('MOVE 1 INBOX')).toMatch(/^NO \[NOPERM\]/);
    expect(await bob.ok('EXPUNGE')).toEqual(['2 EXPUNGE']);
    expect(await alice.ok('STATUS box (MESSAGES)')).toEqual(['STATUS box (MESSAGES 1)']);
  });

  test('each has seen what they have seen', async () => {
    await alice.ok('SETACL INBOX bob lrs');
    await alice.ok('SETACL INBOX carol lrs');
    for (let i = 0; i < 3; i++) await append(alice, 'INBOX', i === 0 ? '\\Seen' : '');
    const carol = await world.login(undefined, CAROL);
    await alice.ok('SELECT INBOX');
    for (const client of [bob, carol]) await client.ok(`SELECT "${THEIRS}/INBOX"`);
    await bob.ok('STORE 2 +FLAGS (\\Seen)');
    expect(await bob.tagged('STORE 2 +FLAGS (\\Flagged)')).toMatch(/^NO \[NOPERM\]/);
    await carol.ok('STORE 3 +FLAGS.SILENT (\\Seen)');
    await alice.ok('STORE 3 +FLAGS (\\Flagged)');
    const seen = async (client: Client): Promise<readonly string[]> => {
      await client.ok('NOOP');
      return client.ok('SEARCH SEEN');
    };
    expect(await seen(alice)).toEqual(['SEARCH 1']);
    expect(await seen(bob)).toEqual(['SEARCH 2']);
    expect(await seen(carol)).toEqual(['SEARCH 3']);
    expect(await carol.ok('FETCH 3 (FLAGS)')).toEqual(['3 FETCH (FLAGS (\\Seen \\Flagged))']);
    // It is kept.
    const again = await world.login(undefined, BOB);
    await again.ok(`EXAMINE "${THEIRS}/INBOX"`);
    expect(await again.ok('FETCH 1:3 (FLAGS)')).toEqual([
      '1 FETCH (FLAGS ())',
      '2 FETCH (FLAGS (\\Seen))',
      '3 FETCH (FLAGS (\\Flagged))',
    ]);
    // And told to the other session of the same user.
    await bob.ok('STORE 2 -FLAGS (\\Seen)');
    await expect.poll(() => again.ok('NOOP')).toContain('2 FETCH (FLAGS ())');
  });

  test('what was missed is told by MODSEQ, \\Seen too (RFC 7162 3.2.5)', async () => {
    await share('lrswite');
    await bob.ok('ENABLE QRESYNC');
    const { untagged } = await bob.ask(`SELECT "${THEIRS}/box"`);
    const numberIn = (code: string): string =>
      new RegExp(`\\[${code} (\\d+)\\]`).exec(untagged.join())?.[1] ?? '';
    const [validity, modSeq] = [numberIn('UIDVALIDITY'), numberIn('HIGHESTMODSEQ')];
    const again = await world.login(undefined, BOB);
    await again.ok(`SELECT "${THEIRS}/box"`);
    await again.ok('STORE 1 +FLAGS (\\Seen)');
    await again.ok('EXPUNGE');
    await expect.poll(() => bob.ok('NOOP')).toContain('VANISHED 2');
    const since = await bob.ok(`SELECT "${THEIRS}/box" (QRESYNC (${validity} ${modSeq}))`);
    expect(since).toContain('VANISHED (EARLIER) 2');
    expect(since.join('\n')).toMatch(/1 FETCH \(UID 1 FLAGS \(\\Seen \\Flagged\) MODSEQ \(\d+\)\)/);
    expect((await alice.ok('EXAMINE box')).join()).toContain('1 EXISTS');
    expect(await alice.ok('FETCH 1 (FLAGS)')).toEqual(['1 FETCH (FLAGS (\\Flagged \\Recent))']);
  });

  test('SELECT and MYRIGHTS may come together (RFC 4314 5.1.1)', async () => {
    await share('lrwis');
    bob.send(`A142 SELECT "${THEIRS}/box"\r\nA143 MYRIGHTS "${THEIRS}/box"\r\n`);
    expect((await bob.answer('A142')).tagged).toMatch(/^OK \[READ-WRITE\]/);
    expect(await bob.answer('A143')).toMatchObject({ untagged: [`MYRIGHTS "${THEIRS}/box" lrswi`] });
    alice.send(`x SETACL box bob lr\r\ny SETACL box bob +s\r\nz GETACL box\r\n`);
    await alice.answer('x');
    await alice.answer('y');
    expect((await alice.answer('z')).untagged.join()).toContain(`${BOB} lrs`);
  });

  test('messages go from account to account, with flags and dates, and none is lost', async () => {
    await share('lrswite');
    await alice.ok('CREATE drop');
    await alice.ok('SETACL drop bob li');
    await bob.ok(`SELECT "${THEIRS}/box"`);
    await bob.ok('STORE 1 +FLAGS (\\Seen Work)');
    expect(await bob.tagged('COPY 1:2 INBOX')).toMatch(/^OK \[COPYUID \d+ 1:2 1:2\]/);
    const date = (line: string | undefined): string => /INTERNALDATE "([^"]+)"/.exec(line ?? '')?.[1] ?? '';
    const [there] = await bob.ok('FETCH 1 (INTERNALDATE)');
    expect(await bob.tagged('MOVE 1 INBOX')).toMatch(/^OK/);
    // Which UIDs there are is not told to who may not look (RFC 4315 3).
    expect(await bob.tagged(`UID COPY 2 "${THEIRS}/drop"`)).toMatch(/^OK UID/);
    expect(await bob.tagged(`MOVE 1 "${THEIRS}/drop"`)).toMatch(/^OK/);
    await bob.ok('SELECT INBOX');
    const copies = await bob.ok('FETCH 1:* (FLAGS INTERNALDATE)');
    expect(copies.map((line) => names(line).filter((flag) => flag !== '\\Recent'))).toEqual([
      ['Work', '\\Flagged', '\\Seen'],
      ['\\Deleted'],
      ['Work', '\\Flagged', '\\Seen'],
    ]);
    expect(date(copies[0])).toBe(date(there));
    expect(await alice.ok('STATUS box (MESSAGES)')).toEqual(['STATUS box (MESSAGES 0)']);
    expect(await alice.ok('STATUS drop (MESSAGES UNSEEN)')).toEqual(['STATUS drop (MESSAGES 2 UNSEEN 2)']);
    expect(await bob.tagged(`COPY 1 "${THEIRS}/nowhere"`)).toMatch(/^NO \[TRYCREATE\]/);
    expect(await bob.tagged(`RENAME "${THEIRS}/box" mine`)).toMatch(/^NO/);
    expect(await bob.tagged(`RENAME INBOX "${THEIRS}/box/mine"`)).toMatch(/^NO \[CANNOT\]/);
  });

  test('REPLACE and CATENATE go from account to account (RFC 8508 4.1)', async () => {
    await share('lrs');
    await bob.ok(`SELECT "${THEIRS}/box"`);
    const replace = (to: string): string => `REPLACE 1 "${to}" {${MESSAGE.length}+}\r\n${MESSAGE}`;
    expect(await bob.tagged(replace('INBOX'))).toMatch(/^NO \[NOPERM\]/);
    await alice.ok('SETACL box bob +te');
    await expect.poll(async () => (await bob.ok('NOOP')).length).toBeGreaterThan(0);
    expect(await bob.tagged(replace(`${THEIRS}/box`))).toMatch(/^NO \[NOPERM\]/);
    const { untagged, tagged } = await bob.ask(replace('INBOX'));
    expect(tagged).toMatch(/^OK/);
    expect(untagged.join()).toContain('1 EXPUNGE');
    expect(await bob.ok('STATUS INBOX (MESSAGES)')).toEqual(['STATUS INBOX (MESSAGES 1)']);
    expect(await alice.ok('STATUS box (MESSAGES)')).toEqual(['STATUS box (MESSAGES 1)']);
    const url = `/Other%20Users/${ALICE}/box/;UID=2`;
    expect(await bob.tagged(`APPEND INBOX CATENATE (URL "${url}")`)).toMatch(/^OK/);
    await alice.ok('SETACL box bob l');
    const other = await world.login(undefined, BOB);
    expect(await other.tagged(`APPEND INBOX CATENATE (URL "${url}")`)).toMatch(/^NO/);
  });

  test('mailboxes are made, renamed and deleted where that is allowed', async () => {
    await share('lrk');
    expect(await bob.tagged(`CREATE "${THEIRS}/box/a/b"`)).toMatch(/^OK \[MAILBOXID/);
    expect(await bob.tagged(`CREATE "${THEIRS}/other"`)).toMatch(/^NO \[NOPERM\]/);
    expect(await bob.tagged(`CREATE "${THEIRS}/box/t" (USE (\\Trash))`)).toMatch(/^NO/);
    expect(await bob.tagged(`CREATE "Other Users/mine"`)).toMatch(/^NO \[NOPERM\]/);
    // It has the list of the one above it.
    expect(await bob.ok(`MYRIGHTS "${THEIRS}/box/a/b"`)).toEqual([`MYRIGHTS "${THEIRS}/box/a/b" lrkc`]);
    expect(await bob.tagged(`RENAME "${THEIRS}/box/a" "${THEIRS}/box/c"`)).toMatch(/^NO \[NOPERM\]/);
    await alice.ok('SETACL box/a bob +x');
    // What is below moves too, and bob may not.
    expect(await bob.tagged(`RENAME "${THEIRS}/box/a" "${THEIRS}/box/c"`)).toMatch(/^NO \[NOPERM\]/);
    await alice.ok('SETACL box/a/b bob +x');
    expect(await bob.tagged(`RENAME "${THEIRS}/box/a" "${THEIRS}/c"`)).toMatch(/^NO \[NOPERM\]/);
    expect(await bob.tagged(`RENAME "${THEIRS}/box/a" "${THEIRS}/box/c"`)).toMatch(/^OK/);
    expect(await alice.ok('LIST "" box/*')).toEqual([
      'LIST (\\HasChildren) "/" box/c',
      'LIST (\\HasNoChildren) "/" box/c/b',
    ]);
    expect(await bob.tagged(`DELETE "${THEIRS}/box/c/b"`)).toMatch(/^OK/);
    await alice.ok('SETACL INBOX bob lrswipkxtea');
    expect(await bob.tagged(`DELETE "${THEIRS}/INBOX"`)).toMatch(/^NO/);
    expect(await bob.tagged(`RENAME "${THEIRS}/INBOX" "${THEIRS}/INBOX/x"`)).toMatch(/^NO \[NOPERM\]/);
  });

  test('a right that is taken away is gone at once; without "r" the session ends (RFC 4314 5.1.1)', async () => {
    await share('lrswit');
    await bob.ok(`SELECT "${THEIRS}/box"`);
    await alice.ok('SETACL box bob lrs');
    await expect.poll(() => bob.ok('NOOP')).toContain('OK [PERMANENTFLAGS (\\Seen)] Flags that are kept');
    expect(await bob.tagged('STORE 1 +FLAGS (\\Flagged)')).toMatch(/^NO \[NOPERM\]/);
    const idle = await world.login(undefined, BOB);
    await idle.ok(`SELECT "${THEIRS}/box"`);
    idle.send('x IDLE\r\n');
    expect(await idle.response()).toMatch(/^\+/);
    await alice.ok('SETACL box bob l');
    expect(await idle.closed()).toMatch(/^\* BYE You may no longer read this mailbox\r\n/);
    expect(await bob.tagged('FETCH 1 (BODY[])')).toMatch(/^NO \[NOPERM\]/);
    expect(await bob.closed()).toMatch(/^\* BYE You may no longer read this mailbox\r\n/);
    // With the mailbox itself it is as with one's own.
    const other = await world.login(undefined, BOB);
    await alice.ok('SETACL box bob lrs');
    await other.ok(`SELECT "${THEIRS}/box"`);
    await alice.ok('DELETE box');
    await expect.poll(async () => (await other.ask('NOOP')).untagged).toContain('1 EXPUNGE');
    expect(await other.tagged(`SELECT "${THEIRS}/box"`)).toMatch(/^NO \[NONEXISTENT\]/);
  });

  test('subscriptions are the reader’s; annotations and quota the owner’s', async () => {
    await share('lrw');
    await bob.ok(`SUBSCRIBE "${THEIRS}/box"`);
    expect(await bob.ok('LIST (SUBSCRIBED) "" O*')).toEqual([
      `LIST (\\HasNoChildren \\Subscribed) "/" "${THEIRS}/box"`,
    ]);
    expect(await bob.ok('LSUB "" O*')).toEqual([`LSUB () "/" "${THEIRS}/box"`]);
    expect(await alice.ok('LIST (SUBSCRIBED) "" box')).toEqual([]);
    await alice.ok('SETMETADATA box (/private/comment "mine" /shared/comment "ours")');
    expect(await bob.ok(`GETMETADATA (DEPTH infinity) "${THEIRS}/box" (/private /shared)`)).toEqual([
      `METADATA "${THEIRS}/box" (/shared/comment "ours")`,
    ]);
    expect(await bob.tagged(`SETMETADATA "${THEIRS}/box" (/private/comment "his")`)).toMatch(
      /^NO \[METADATA NOPRIVATE\]/,
    );
    expect(await bob.tagged(`SETMETADATA "${THEIRS}/box" (/shared/comment "new")`)).toMatch(/^OK/);
    expect((await bob.ok(`GETQUOTAROOT "${THEIRS}/box"`))[0]).toBe(`QUOTAROOT "${THEIRS}/box" "${THEIRS}"`);
    expect(await bob.tagged(`GETQUOTA "${THEIRS}"`)).toMatch(/^OK/);
    await alice.ok('SETACL box bob l');
    expect(await bob.tagged(`GETQUOTA "${THEIRS}"`)).toMatch(/^NO/);
    expect(await bob.tagged(`SETMETADATA "${THEIRS}/box" (/shared/comment "new")`)).toMatch(/^NO \[NOPERM\]/);
  });

  test('a search in many mailboxes is of those that may be read (RFC 7377 2.2)', async () => {
    await share('lr');
    await share('l', 'closed');
    await append(bob, 'INBOX');
    const places = async (filter: string): Promise<string[]> =>
      (await bob.ok(`ESEARCH IN (${filter}) RETURN (COUNT) ALL`)).map(
        (line) => /MAILBOX ("[^"]*"|\S+)/.exec(line)?.[1] ?? '',
      );
    expect(await places('personal')).toEqual(['INBOX']);
    expect(await places('inboxes')).toEqual(['INBOX']);
    expect(await places('subtree "Other Users"')).toEqual([`"${THEIRS}/box"`]);
    expect(await places(`mailboxes ("${THEIRS}/box" "${THEIRS}/closed" "${THEIRS}/none")`)).toEqual([
      `"${THEIRS}/box"`,
    ]);
    // Whose name is given needs not be listed.
    await share('r', 'hidden');
    expect(await places('subtree "Other Users"')).toEqual([`"${THEIRS}/box"`]);
    expect(await places(`mailboxes ("${THEIRS}/hidden" "${THEIRS}/closed" "${THEIRS}/none" INBOX)`)).toEqual([
      'INBOX',
      `"${THEIRS}/hidden"`,
    ]);
    await bob.ok(`SUBSCRIBE "${THEIRS}/box"`);
    expect(await places('subscribed')).toContain(`"${THEIRS}/box"`);
  });

  test('a mailbox of one’s own stays, whatever its name', async () => {
    const own = await store.account(BOB as AccountId);
    await own.create(`${THEIRS}/box`);
    await share('lr');
    expect(await bob.ok(`STATUS "${THEIRS}/box" (MESSAGES)`)).toEqual([
      `STATUS "${THEIRS}/box" (MESSAGES 0)`,
    ]);
    expect(await bob.ok(`LIST "" "${THEIRS}/*"`)).toHaveLength(1);
    await bob.ok(`DELETE "${THEIRS}/box"`);
    expect(await bob.ok(`STATUS "${THEIRS}/box" (MESSAGES)`)).toEqual([
      `STATUS "${THEIRS}/box" (MESSAGES 2)`,
    ]);
  });

  test('a name may be longer than one’s own could be', async () => {
    const long = 'x'.repeat(220);
    await share('lrswi', long);
    expect(await bob.ok(`STATUS "${THEIRS}/${long}" (MESSAGES)`)).toEqual([
      `STATUS "${THEIRS}/${long}" (MESSAGES 2)`,
    ]);
    expect(await bob.tagged(`SELECT "${THEIRS}/${long}"`)).toMatch(/^OK/);
    expect(await append(bob, `${THEIRS}/${long}`)).toMatch(/^OK/);
    expect(await bob.tagged(`STATUS "${THEIRS}/${'y'.repeat(300)}" (MESSAGES)`)).toMatch(
      /^NO \[NONEXISTENT\]/,
    );
  });

  test('an account that goes takes what it shared along', async () => {
    await share('lrswite');
    await bob.ok(`SELECT "${THEIRS}/box"`);
    await alice.ok('LOGOUT');
    await store.remove(ALICE as AccountId);
    expect(await bob.tagged('FETCH 1 (BODY[])')).toMatch(/^(NO|OK)/);
    expect(await bob.ok('LIST "" "Other Users/*"')).toEqual([]);
    expect(await bob.tagged(`SELECT "${THEIRS}/box"`)).toMatch(/^NO \[NONEXISTENT\]/);
  });
});

describe('when no more readers are kept', () => {
  beforeEach(() => begin('memory'));
  afterEach(() => tidy());

  test('mail is read and put there all the same', async () => {
    await share('lrswi');
    (await store.account(ALICE as AccountId)).setSeenBy = async () => {
      throw new StoreError('limit', 'too many readers');
    };
    expect(await append(bob, `${THEIRS}/box`, '\\Seen \\Answered')).toMatch(/^OK \[APPENDUID/);
    await bob.ok(`SELECT "${THEIRS}/box"`);
    expect(await bob.ok('FETCH 3 (BODY[TEXT] FLAGS)')).toEqual([
      '3 FETCH (BODY[TEXT] {7}\r\nWorld\r\n FLAGS (\\Answered))',
    ]);
    expect(await bob.tagged('STORE 3 +FLAGS (\\Seen)')).toMatch(/^NO \[LIMIT\]/);
  });
});

describe('a public account', () => {
  beforeEach(() => begin('memory', { publicAccount: CAROL }));
  afterEach(() => tidy());

  test('has its mailboxes below Public/ (RFC 2342 5, examples 5.3 and 5.4)', async () => {
    const carol = await world.login(undefined, CAROL);
    await carol.ok('CREATE News');
    await carol.ok('CREATE News/Local');
    await carol.ok('SETACL News anyone lrs');
    await carol.ok('SETACL News/Local anyone lrsi');
    await carol.ok('SETACL News/Local -bob r');
    await append(carol, 'News');
    await share('lr');
    await play(
      bob,
      `
        C: A001 NAMESPACE
        S: * NAMESPACE (("" "/")) (("Other Users/" "/")) (("Public/" "/"))
        S: A001 OK NAMESPACE command completed
        C: A002 LIST "" "*" RETURN (MYRIGHTS)
        S: * LIST (\\HasNoChildren) "/" INBOX
        S: * MYRIGHTS INBOX lrswipkxteacd
        S: * LIST (\\NonExistent \\HasChildren) "/" "Other Users"
        S: * LIST (\\NonExistent \\HasChildren) "/" "Other Users/alice@example.org"
        S: * LIST (\\HasNoChildren) "/" "Other Users/alice@example.org/box"
        S: * MYRIGHTS "Other Users/alice@example.org/box" lr
        S: * LIST (\\NonExistent \\HasChildren) "/" Public
        S: * LIST (\\HasChildren) "/" Public/News
        S: * MYRIGHTS Public/News lrs
        S: * LIST (\\HasNoChildren) "/" Public/News/Local
        S: * MYRIGHTS Public/News/Local lsi
        S: A002 OK
        C: A003 STATUS Public/News (MESSAGES UNSEEN)
        S: * STATUS Public/News (MESSAGES 1 UNSEEN 1)
        S: A003 OK
        C: A004 SELECT Public/News/Local
        S: A004 NO [NOPERM]
        C: A005 CREATE Public/Mine
        S: A005 NO [NOPERM]
        C: A006 GETQUOTAROOT Public/News
        S: * QUOTAROOT Public/News Public
        S: * QUOTA Public ()
        S: A006 OK
      `,
    );
    expect(await append(bob, 'Public/News/Local')).toMatch(/^OK APPEND/);
    expect(await carol.ok('STATUS News/Local (MESSAGES)')).toEqual(['STATUS News/Local (MESSAGES 1)']);
    // To itself it is an account like others.
    expect(await carol.ok('NAMESPACE')).toEqual(['NAMESPACE (("" "/")) (("Other Users/" "/")) NIL']);
    expect(await carol.ok('CREATE Public/x')).toEqual([]);
    // In IMAP4rev2 too (RFC 9051 6.3.10).
    await bob.ok('ENABLE IMAP4rev2');
    const { untagged } = await bob.ask('EXAMINE Public/News');
    expect(untagged.join('\n')).toContain('LIST (\\HasChildren) "/" Public/News');
  });
});

function names(line: string): string[] {
  return (/FLAGS \(([^)]*)\)/.exec(line)?.[1] ?? '')
    .split(' ')
    .filter((flag) => flag !== '')
    .sort();
}
