import { ImapFlow } from 'imapflow';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ALICE, ImapWorld, PASSWORD } from './world.ts';

/** A client that nobody here wrote, over the real wire. */

let world: ImapWorld;
const open: ImapFlow[] = [];
beforeAll(async () => {
  world = await ImapWorld.start();
  await world.fill('INBOX', [
    'From: =?utf-8?q?J=C3=B6rg?= <j@example.org>\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\n\nHallo\n',
    'Subject: second\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\ntext\n--x\nContent-Type: text/csv; name="a.csv"\nContent-Disposition: attachment; filename="a.csv"\nContent-Transfer-Encoding: base64\n\nMTsyCg==\n--x--\n',
  ]);
});
afterAll(async () => {
  for (const client of open) client.close();
  await world.close();
});

async function connect(options: { qresync?: boolean } = {}): Promise<ImapFlow> {
  const client = new ImapFlow({
    host: '127.0.0.1',
    port: world.tls.port,
    secure: true,
    auth: { user: ALICE, pass: PASSWORD },
    tls: { rejectUnauthorized: false },
    logger: false,
    ...options,
  });
  client.on('error', () => {});
  open.push(client);
  await client.connect();
  return client;
}

test('reads: list, status, fetch, download, search', async () => {
  const client = await connect();
  await client.mailboxCreate(['Flow', 'Ünter', '日本']);
  const list = await client.list({ statusQuery: { messages: true, unseen: true } });
  expect(list.map((box) => box.path)).toEqual(['INBOX', 'Flow', 'Flow/Ünter', 'Flow/Ünter/日本']);
  expect(list[0]?.status).toMatchObject({ messages: 2, unseen: 2 });
  await client.mailboxOpen('INBOX');
  const messages = await client.fetchAll('1:*', {
    envelope: true,
    bodyStructure: true,
    internalDate: true,
    size: true,
    flags: true,
    source: true,
    headers: ['subject'],
    threadId: true,
  });
  expect(messages.map((message) => message.envelope?.subject)).toEqual(['Grüße', 'second']);
  expect(messages[0]?.envelope?.from?.[0]).toMatchObject({ name: 'Jörg', address: 'j@example.org' });
  expect(messages[1]?.bodyStructure?.childNodes?.[1]?.type).toBe('text/csv');
  expect(messages[0]?.emailId).toBeDefined();
  const { content = [], meta } = await client.download('2', '2');
  const chunks: Buffer[] = [];
  for await (const chunk of content) chunks.push(chunk);
  expect([Buffer.concat(chunks).toString(), meta?.filename]).toEqual(['1;2\n', 'a.csv']);
  expect(await client.search({ or: [{ subject: 'grüße' }, { body: 'nothing' }] })).toEqual([1]);
  expect(await client.getQuota('INBOX')).toBeTruthy();
});

test('writes: append, flags, copy, move, delete, with UIDs told', async () => {
  const client = await connect();
  await client.mailboxCreate('Work');
  const appended = await client.append(
    'Work',
    'Subject: new\r\n\r\nx\r\n',
    ['\\Flagged'],
    new Date('2024-03-01T10:00:00Z'),
  );
  expect(appended).toMatchObject({ destination: 'Work', uid: 1 });
  await client.mailboxOpen('Work');
  await client.messageFlagsAdd('1', ['\\Seen', '$Work']);
  expect([...(((await client.fetchOne('1', { flags: true })) || { flags: [] }).flags ?? [])].sort()).toEqual(
    ['$Work', '\\Flagged', '\\Seen'].sort(),
  );
  const copied = await client.messageCopy('1', 'INBOX');
  expect(copied && [...(copied.uidMap ?? [])]).toEqual([[1, 3]]);
  const moved = await client.messageMove('1', 'INBOX');
  expect(moved && [...(moved.uidMap ?? [])]).toEqual([[1, 4]]);
  await client.mailboxOpen('INBOX');
  expect(await client.messageDelete('3:4', { uid: true })).toBe(true);
  expect(await client.search({ all: true })).toEqual([1, 2]);
  await client.mailboxDelete('Work');
});

test('changedSince', async () => {
  const client = await connect();
  await client.mailboxOpen('INBOX');
  const status = await client.status('INBOX', { highestModseq: true });
  if (!status) throw new Error('no status');
  await client.messageFlagsAdd('2', ['\\Answered']);
  const changed = await client.fetchAll('1:*', { flags: true }, { changedSince: status.highestModseq ?? 0n });
  expect(changed.map((message) => message.seq)).toEqual([2]);
});

describe.each([{ qresync: false }, { qresync: true }])('events while it waits, %o', (options) => {
  test('new mail, flags, expunge', async () => {
    const watcher = await connect(options);
    await watcher.mailboxOpen('INBOX');
    expect(watcher.enabled.has('QRESYNC')).toBe(options.qresync);
    const event = (name: string): Promise<Record<string, unknown>> =>
      new Promise((resolve) => watcher.once(name as 'exists', (data) => resolve(data as never)));
    void watcher.idle();
    const other = await connect();
    const exists = event('exists');
    await other.append('INBOX', 'Subject: news\r\n\r\n');
    expect(await exists).toMatchObject({ count: 3, prevCount: 2 });
    const flags = event('flags');
    await other.mailboxOpen('INBOX');
    await other.messageFlagsAdd('3', ['$evt']);
    expect((await flags)['flags']).toContain('$evt');
    const expunge = event('expunge');
    await other.messageDelete('3');
    expect(await expunge).toMatchObject(options.qresync ? { vanished: true } : { seq: 3 });
  });
});
