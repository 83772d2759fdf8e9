import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { QueueAdmin } from '../../src/admin/queue.ts';
import { type CliIo, UsageError } from '../../src/cli/io.ts';
import { runQueue } from '../../src/cli/queue.ts';
import { parseAddress } from '../../src/mail/address.ts';
import type { QueuedMessage, QueueId } from '../../src/queue/queue.ts';

const QUEUED = Date.UTC(2026, 0, 2, 3, 4, 5, 678);
let zone: string | undefined;
beforeAll(() => {
  zone = process.env['TZ'];
  process.env['TZ'] = 'UTC';
});
afterAll(() => {
  if (zone === undefined) delete process.env['TZ'];
  else process.env['TZ'] = zone;
});

function address(text: string): NonNullable<ReturnType<typeof parseAddress>> {
  const parsed = parseAddress(text);
  if (!parsed) throw new Error(text);
  return parsed;
}

const MESSAGE: QueuedMessage = {
  id: 'abc123' as QueueId,
  from: address('ann@here.test'),
  body: '8bitmime',
  smtputf8: false,
  requireTls: false,
  source: 'submission',
  account: 'ann@here.test',
  queuedAt: QUEUED,
  expiresAt: QUEUED + 1000,
  size: 1234,
  recipients: [
    {
      index: 0,
      address: address('far@there.test'),
      state: {
        is: 'waiting',
        attempts: 1,
        nextAttempt: QUEUED + 60_000,
        last: { code: 451, enhanced: '4.7.1', text: 'Come back later' },
      },
    },
    { index: 1, address: address('"félix le [chat]"@there.test'), state: { is: 'held', reason: 'by hand' } },
    {
      index: 2,
      address: address('gone@there.test'),
      state: { is: 'failed', at: QUEUED, reply: { code: 550, text: 'No' } },
    },
  ],
} as unknown as QueuedMessage;
const BOUNCE: QueuedMessage = {
  ...MESSAGE,
  id: 'b0' as QueueId,
  from: null,
  source: 'dsn',
  account: null,
  recipients: [
    { index: 0, address: address('x@y.test'), state: { is: 'waiting', attempts: 0, nextAttempt: QUEUED } },
  ],
} as unknown as QueuedMessage;

const asked: string[] = [];
function admin(messages: readonly QueuedMessage[]): QueueAdmin {
  const has = (id?: QueueId): boolean => messages.some((message) => message.id === id);
  return {
    async *list({ domain }) {
      asked.push(`list ${domain}`);
      yield* messages;
    },
    show: async (id) => messages.find((message) => message.id === id),
    retry: async (id) => (id === undefined ? 3 : Number(has(id))),
    hold: async (id) => has(id),
    release: async (id) => has(id),
    remove: async (id) => has(id),
  };
}

async function queue(
  line: string,
  messages: readonly QueuedMessage[] = [MESSAGE, BOUNCE],
): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  let out = '';
  let err = '';
  const io: CliIo = {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    stdin: Readable.from([]),
    isTTY: false,
  };
  const code = await runQueue(line.split(' '), io, admin(messages));
  return { code, out, err };
}

describe('facteur queue', () => {
  test('list is a table: one line a recipient, what they share once', async () => {
    const { out } = await queue('list');
    expect(out.split('\n')).toEqual([
      'ID      SIZE  QUEUED               FROM             TO                            STATE',
      'abc123  1234  2026-01-02 03:04:05  <ann@here.test>  far@there.test                attempt 2 at 2026-01-02 03:05:05: 451 4.7.1 Come back later',
      '                                                    "félix le [chat]"@there.test  held (by hand)',
      '                                                    gone@there.test               failed 2026-01-02 03:04:05',
      'b0      1234  2026-01-02 03:04:05  <>               x@y.test                      attempt 1 at 2026-01-02 03:04:05',
      '',
    ]);
    expect((await queue('list', [])).out).toBe('The queue is empty.\n');
    expect((await queue('list --json', [])).out).toBe('');
    await queue('list --domain there.test');
    expect(asked.at(-1)).toBe('list there.test');
  });

  test('show says all about one', async () => {
    const { out } = await queue('show abc123');
    expect(out).toBe(
      [
        'Id      abc123',
        'From    <ann@here.test>',
        'Size    1234 bytes',
        'Queued  2026-01-02 03:04:05',
        'Source  submission (ann@here.test)',
        'To      far@there.test: attempt 2 at 2026-01-02 03:05:05: 451 4.7.1 Come back later',
        'To      "félix le [chat]"@there.test: held (by hand)',
        'To      gone@there.test: failed 2026-01-02 03:04:05',
        '',
      ].join('\n'),
    );
    expect((await queue('show b0')).out).toContain('Source  dsn\n');
  });

  test('--json is one object a line', async () => {
    const lines = (await queue('list --json')).out.trim().split('\n');
    expect(lines.map((line) => JSON.parse(line))).toEqual(JSON.parse(JSON.stringify([MESSAGE, BOUNCE])));
    expect(JSON.parse((await queue('show b0 --json')).out)).toMatchObject({ id: 'b0', from: null });
    expect((await queue('hold b0 --json')).out).toBe('{"id":"b0","done":"hold"}\n');
    expect((await queue('retry --all --json')).out).toBe('{"retried":3}\n');
  });

  test.each([
    ['retry b0', 'b0: will be tried now\n'],
    ['retry --all', '3 recipient(s) will be tried now\n'],
    ['hold b0', 'b0: held\n'],
    ['release b0', 'b0: released\n'],
    ['remove b0', 'b0: removed\n'],
  ])('%s', async (line, said) => expect(await queue(line)).toEqual({ code: 0, out: said, err: '' }));

  test.each(['show', 'retry', 'hold', 'release', 'remove'])(
    '%s of a message that is gone: exit code 1',
    async (verb) => {
      const { code, out, err } = await queue(`${verb} none`);
      expect([code, out]).toEqual([1, '']);
      expect(err).toMatch(
        /^No message none (is held )?in the queue; it may have been delivered meanwhile\.\n$/,
      );
    },
  );

  test.each(['list extra more', 'hold', 'hold a b', 'frob x', 'show ../x', `show ${'x'.repeat(65)}`])(
    '%s is a usage error',
    async (line) => {
      await expect(queue(line)).rejects.toThrow(UsageError);
    },
  );
});
