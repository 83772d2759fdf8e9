import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { StrictImap } from '../strict-imap.ts';
import { startWorld, type World } from '../world.ts';

/** Shared mailboxes in a whole Facteur: accounts in threads of their own, on a disk, before and after it is stopped. */

const PASSWORD = 'a pass word.1';
const accounts = {
  'alice@example.org': PASSWORD,
  'bob@example.org': PASSWORD,
  'carol@example.org': PASSWORD,
};
const BOX = '"Other Users/alice@example.org/box"';

let dir: string;
let world: World;
const open = async (): Promise<void> => {
  world = await startWorld({
    dir,
    accounts,
    settings: { store: { quota: { storage: '2600KB' }, quotaGrace: 0, quotaWarnings: [] } },
  });
};
const login = (user: string): Promise<StrictImap> =>
  StrictImap.login(world.port('imaps'), `${user}@example.org`, PASSWORD);
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'facteur-shared-'));
  await open();
});
afterAll(async () => {
  await world.close();
  rmSync(dir, { recursive: true, force: true });
});

const text = (lines: readonly Buffer[]): string => lines.map(String).join('\n');

test('big and small messages go between accounts; quota is the owner’s; what was seen and granted stays', async () => {
  const big = Buffer.from(`Subject: big\r\n\r\n${'0123456789abcdef\r\n'.repeat(40_000)}`);
  const small = Buffer.from('Subject: small\r\n\r\nhello\r\n');
  const alice = await login('alice');
  await alice.ok('CREATE box');
  for (const message of [big, small, big]) expect((await alice.append('box', message)).status).toBe('OK');
  await alice.ok('SETACL box bob lrswite');
  const bob = await login('bob');
  await bob.ok(`SELECT ${BOX}`);
  await bob.ok('STORE 1:2 +FLAGS (\\Seen Work)');
  expect((await bob.ok('COPY 1:2 INBOX')).text).toMatch(/^\[COPYUID \d+ 1:2 1:2\]/);
  // 2.1 MB of 2.6 MB are in use: two more are too much, and then none is there.
  await bob.ok('SELECT INBOX');
  expect((await bob.ask(`COPY 1 ${BOX}`)).status).toBe('OK');
  expect((await bob.ask(`COPY 1:2 ${BOX}`)).text).toMatch(/^\[OVERQUOTA\]/);
  expect((await bob.append(BOX, big)).text).toMatch(/^\[OVERQUOTA\]/);
  expect(text((await alice.ok('STATUS box (MESSAGES UNSEEN)')).untagged)).toContain('(MESSAGES 4 UNSEEN 4)');
  expect(text((await bob.ok(`GETQUOTAROOT ${BOX}`)).untagged)).toMatch(
    /QUOTA "Other Users\/alice@example\.org" \(STORAGE 21\d\d 2600\)/,
  );
  expect(text((await bob.ok('FETCH 1 (FLAGS RFC822.SIZE)')).untagged)).toContain(`RFC822.SIZE ${big.length}`);
  await bob.ok(`SELECT ${BOX}`);
  await bob.ok('MOVE 3 INBOX');
  alice.close();
  bob.close();

  await world.close();
  await open();
  const again = await login('bob');
  await again.ok(`SELECT ${BOX}`);
  expect(text((await again.ok('UID SEARCH SEEN')).untagged)).toBe('* SEARCH 1 2 4');
  expect(text((await again.ok(`MYRIGHTS ${BOX}`)).untagged)).toBe(`* MYRIGHTS ${BOX} lrswited`);
  expect(text((await again.ok(`STATUS ${BOX} (MESSAGES UNSEEN)`)).untagged)).toContain(
    '(MESSAGES 3 UNSEEN 0)',
  );
  again.close();
  expect(world.lines.filter(({ level }) => level === 'error')).toEqual([]);
});

test('copies while flags change: files get other names, and no copy fails', async () => {
  const carol = await login('carol');
  await carol.ok('CREATE box');
  for (let i = 0; i < 10; i++)
    await carol.append('box', Buffer.from(`Subject: ${i}\r\n\r\n${'x'.repeat(70_000)}\r\n`));
  await carol.ok('SETACL box bob lr');
  await carol.ok('SELECT box');
  const bob = await login('bob');
  const before = await bob.ok('CREATE copies');
  expect(before.status).toBe('OK');
  await bob.ok('SELECT "Other Users/carol@example.org/box"');
  const copying = bob.ok('COPY 1:10 copies');
  for (let i = 0; i < 30; i++) await carol.ok(`STORE 1:10 ${i % 2 ? '-' : '+'}FLAGS.SILENT (\\Flagged)`);
  expect((await copying).text).toMatch(/^\[COPYUID \d+ 1:10 \S+\]/);
  expect(text((await bob.ok('STATUS copies (MESSAGES)')).untagged)).toContain('(MESSAGES 10)');
  carol.close();
  bob.close();
});
