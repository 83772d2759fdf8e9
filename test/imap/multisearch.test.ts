import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Uid } from '../../src/store/store.ts';
import { play } from './dialogue.ts';
import { type Client, ImapWorld } from './world.ts';

let world: ImapWorld;
let client: Client;
beforeAll(async () => {
  world = await ImapWorld.start();
  const store = await world.account();
  const chad = 'Subject: Chad\n\n';
  const other = 'Subject: x\n\n';
  const seen = async (path: string, uids: number[]): Promise<void> => {
    const mailbox = await store.mailbox(path);
    if (mailbox) await store.setFlags(mailbox.id, uids as Uid[], { mode: 'add', flags: ['\\Seen'] });
  };
  await world.fill('folder1', [other, chad, chad, other]);
  await seen('folder1', [2, 3]);
  await world.fill('folder2', [other]);
  await seen('folder2', [1]);
  await world.fill('folder2/banana', [other, other]);
  await world.fill('folder2/peach', [other]);
  await world.fill('folder2/salmon', [chad, chad]);
  await seen('folder2/salmon', [1, 2]);
  await world.fill('folder2/banana/split', [chad]);
  await world.fill('Été', [chad]);
  await store.subscribe('folder2/peach', 'yes');
  await store.subscribe('nowhere', 'yes');
  client = await world.login();
});
afterAll(() => world.close());

/** Which mailboxes are told of, and what. */
async function told(command: string): Promise<Record<string, string>> {
  const lines = await client.ok(command);
  return Object.fromEntries(
    lines.map((line) => {
      const match = /^ESEARCH \(TAG "t\d+" MAILBOX (\S+) UIDVALIDITY \d+\) UID (.*)$/.exec(line);
      return [match?.[1] ?? line, match?.[2] ?? ''];
    }),
  );
}

describe('ESEARCH (RFC 7377)', () => {
  test('the example, one search after the other (section 3)', async () => {
    const uidValidity = async (path: string): Promise<string> => {
      const [line] = await client.ok(`STATUS ${path} (UIDVALIDITY)`);
      return /UIDVALIDITY (\d+)/.exec(line ?? '')?.[1] ?? '';
    };
    await play(
      client,
      `C: tag1 ESEARCH IN (mailboxes "folder1" subtree "folder2") unseen
       C: tag2 ESEARCH IN (mailboxes "folder1" subtree-one "folder2") subject "chad"
       S: * ESEARCH (TAG "tag1" MAILBOX folder1 UIDVALIDITY ${await uidValidity('folder1')}) UID ALL 1,4
       S: * ESEARCH (TAG "tag1" MAILBOX folder2/banana UIDVALIDITY ${await uidValidity('folder2/banana')}) UID ALL 1:2
       S: * ESEARCH (TAG "tag1" MAILBOX folder2/peach UIDVALIDITY ${await uidValidity('folder2/peach')}) UID ALL 1
       S: * ESEARCH (TAG "tag1" MAILBOX folder2/banana/split UIDVALIDITY ${await uidValidity('folder2/banana/split')})
         UID ALL 1
       S: tag1 OK done
       S: * ESEARCH (TAG "tag2" MAILBOX folder1 UIDVALIDITY ${await uidValidity('folder1')}) UID ALL 2:3
       S: * ESEARCH (TAG "tag2" MAILBOX folder2/salmon UIDVALIDITY ${await uidValidity('folder2/salmon')}) UID ALL 1:2
       S: tag2 OK done`,
    );
  });

  test.each<[string, Record<string, string>]>([
    ['ESEARCH IN (mailboxes (folder1 nowhere folder2)) ALL', { folder1: 'ALL 1:4', folder2: 'ALL 1' }],
    [
      'ESEARCH IN (subtree folder2/banana) ALL',
      { 'folder2/banana': 'ALL 1:2', 'folder2/banana/split': 'ALL 1' },
    ],
    ['ESEARCH IN (subscribed) ALL', { 'folder2/peach': 'ALL 1' }],
    ['ESEARCH IN (mailboxes folder1 mailboxes folder1) RETURN () SEEN', { folder1: 'ALL 2:3' }],
    ['ESEARCH IN (mailboxes folder1) RETURN (MIN MAX COUNT) ALL', { folder1: 'MIN 1 MAX 4 COUNT 4' }],
    ['ESEARCH IN (mailboxes (folder1 folder2)) RETURN (COUNT) UNSEEN', { folder1: 'COUNT 2' }],
    ['ESEARCH IN (mailboxes folder1) RETURN (PARTIAL -1:-2) ALL', { folder1: 'PARTIAL (-1:-2 3:4)' }],
    ['ESEARCH IN (mailboxes folder1) 2:100', { folder1: 'ALL 2:4' }],
    ['ESEARCH IN (mailboxes folder1) 101:200', {}],
    ['ESEARCH IN (mailboxes folder1) UID 3:*', { folder1: 'ALL 3:4' }],
    ['ESEARCH IN (mailboxes &AMk-t&AOk-) ALL', { '&AMk-t&AOk-': 'ALL 1' }],
    ['ESEARCH IN (mailboxes folder1) RETURN (COUNT) CHARSET UTF-8 SUBJECT chad', { folder1: 'COUNT 2' }],
  ])('%s', async (command, answer) => {
    expect(await told(command)).toEqual(answer);
  });

  test('personal is all, and so is inboxes', async () => {
    const all = Object.keys(await told('ESEARCH IN (personal) RETURN (COUNT) ALL'));
    expect(all).toHaveLength(7);
    expect(Object.keys(await told('ESEARCH IN (inboxes) RETURN (COUNT) ALL'))).toEqual(all);
  });

  test.each([
    'ESEARCH ALL',
    'ESEARCH IN (selected) ALL',
    'ESEARCH IN () ALL',
    'ESEARCH IN (selected-delayed) ALL',
    'ESEARCH IN (mailboxes) ALL',
    'ESEARCH IN (mailboxes ()) ALL',
    'ESEARCH IN (personal (scope)) ALL',
    'ESEARCH IN personal ALL',
    'ESEARCH IN (personal)',
    'ESEARCH IN (personal) RETURN (SAVE) ALL',
    'ESEARCH IN (selected personal) RETURN (SAVE) ALL',
    'ESEARCH IN (personal) RETURN (UPDATE) ALL',
  ])('%s is BAD while nothing is selected', async (command) => {
    expect(await client.tagged(command)).toMatch(/^BAD .*\(byte \d+\)$/);
  });

  test('an unknown charset is NO', async () => {
    expect(await client.tagged('ESEARCH IN (personal) CHARSET X-KLINGON SUBJECT x')).toMatch(
      /^NO \[BADCHARSET/,
    );
  });

  test('MODSEQ where it is asked for', async () => {
    expect(await told('ESEARCH IN (mailboxes folder2) MODSEQ 1')).toEqual({
      folder2: expect.stringMatching(/^ALL 1 MODSEQ \d+$/),
    });
  });
});

describe('with a mailbox selected', () => {
  test('it is the default; the others do not disturb it; $ and updates are its own', async () => {
    const one = await world.login('folder1');
    const answer = /^ESEARCH \(TAG "t\d+" MAILBOX folder1 UIDVALIDITY \d+\) UID ALL 2:3$/;
    expect(await one.ok('ESEARCH SUBJECT chad')).toEqual([expect.stringMatching(answer)]);
    expect(await one.ok('UID ESEARCH 1:100 SUBJECT chad')).toEqual([expect.stringMatching(answer)]);
    expect(await one.ok('ESEARCH IN (mailboxes folder2/salmon) SUBJECT chad')).toHaveLength(1);
    expect(await one.ok('ESEARCH RETURN (SAVE) SUBJECT chad')).toEqual([]);
    expect(await one.ok('UID SEARCH $')).toEqual(['SEARCH 2 3']);
    expect(await one.ok('ESEARCH IN (mailboxes folder2) $')).toEqual([]);
    await one.ok('ESEARCH IN (selected personal) RETURN (UPDATE COUNT) FLAGGED');
    expect(await one.ok('STORE 1 +FLAGS.SILENT (\\Flagged)')).toEqual([
      expect.stringMatching(/^ESEARCH \(TAG "t9" MAILBOX folder1 UIDVALIDITY \d+\) UID ADDTO \(0 1\)$/),
    ]);
    expect(await one.ok('ESEARCH IN (mailboxes folder2) RETURN (UPDATE COUNT) FLAGGED')).toEqual([
      expect.stringMatching(/^NO \[NOUPDATE "t11"\]/),
    ]);
  });

  test('what the client does not know of yet is not found in it', async () => {
    const one = await world.login('folder2/peach');
    await world.fill('folder2/peach', ['Subject: new\n\n']);
    expect(await one.ok('ESEARCH IN (personal) RETURN (COUNT) SUBJECT new')).toEqual([
      '2 EXISTS',
      '2 RECENT',
    ]);
  });
});

test('SEARCH may ask beyond the last message, FETCH may not (section 2)', async () => {
  const one = await world.login('folder1');
  expect(await one.ok('SEARCH 3:100')).toEqual(['SEARCH 3 4']);
  expect(await one.ok('SEARCH 101:200')).toEqual(['SEARCH']);
  expect(await one.ok('SEARCH 101:*')).toEqual(['SEARCH 4']);
  expect(await one.ok('SEARCH 5')).toEqual(['SEARCH']);
  expect(await one.tagged('FETCH 3:100 UID')).toMatch(/^BAD/);
});
