import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ControlClient, ControlError, ControlServer, controlPath } from '../../src/admin/control.ts';
import type { Logger } from '../../src/lib/logger.ts';
import { Lines } from '../lines.ts';

const errors: string[] = [];
const log: Logger = {
  child: () => log,
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: (_, message) => errors.push(message),
};

let dir = '';
let path = '';
let server: ControlServer;
beforeEach(async () => {
  errors.length = 0;
  dir = mkdtempSync(join(tmpdir(), 'facteur-control-'));
  path = controlPath(dir);
  server = new ControlServer(
    path,
    {
      twice: async (argument) => Number(argument) * 2,
      nothing: async () => undefined,
      count: async function* (argument) {
        for (let i = 0; i < Number(argument); i++) yield { i, padding: 'x'.repeat(1000) };
      },
      breaks: async function* () {
        yield 1;
        throw new Error('in the middle');
      },
      fails: async () => {
        throw new Error('no such message');
      },
    },
    log,
  );
  await server.listen();
});
afterEach(async () => {
  await server.close();
  rmSync(dir, { recursive: true, force: true });
});

async function client(): Promise<ControlClient> {
  const made = await ControlClient.connect(path);
  if (!made) throw new Error('nobody listens');
  return made;
}

async function all(items: AsyncIterable<unknown>): Promise<unknown[]> {
  const list: unknown[] = [];
  for await (const item of items) list.push(item);
  return list;
}

test('only its owner may open the socket, and the umask is as it was', () => {
  const before = process.umask();
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(process.umask()).toBe(before);
});

test('several calls over one connection, answers in order', async () => {
  const one = await client();
  expect(await one.call('twice', 21)).toBe(42);
  expect(await one.call('nothing', null)).toBeNull();
  expect(await one.call('twice', 4)).toBe(8);
  one.close();
});

test('a stream longer than any buffer comes whole, and the connection goes on', async () => {
  const one = await client();
  const items = await all(one.stream('count', 5000));
  expect(items).toHaveLength(5000);
  expect(items.at(-1)).toMatchObject({ i: 4999 });
  expect(await all(one.stream('count', 0))).toEqual([]);
  expect(await one.call('twice', 1)).toBe(2);
  one.close();
});

test('errors come as words, also in the middle of a stream', async () => {
  const one = await client();
  await expect(one.call('fails', null)).rejects.toThrow(new ControlError('no such message'));
  await expect(all(one.stream('breaks', null))).rejects.toThrow(new ControlError('in the middle'));
  expect(await one.call('twice', 1)).toBe(2);
  one.close();
});

test.each(['unknown', 'toString', '__proto__'])(
  'an unknown method, %s, says what may be the reason',
  async (method) => {
    const one = await client();
    await expect(one.call(method, null)).rejects.toThrow(/does not know ".*"; is it an older version\?/);
    one.close();
  },
);

test.each(['', 'no JSON', '42', 'null', '[]', '{"argument":1}'])(
  'a request that is none, %j, gets an error',
  async (line) => {
    const lines = new Lines(connect(path));
    lines.write(`${line}\n{"method":"twice","argument":3}\n`);
    expect(await lines.until(/^\{"done":6\}/)).toMatch(/^\{"error":"a request is a JSON object/);
    lines.close();
    expect(errors).toEqual([]);
  },
);

test('a request without an end is cut off', async () => {
  const lines = new Lines(connect(path));
  lines.write('x'.repeat(200_000));
  expect(await lines.until(/^\{"error"/)).toContain('a request has at most 65536 octets');
  await lines.closed();
  expect(errors).toEqual([]);
});

test('a client that goes away in the middle of a stream does no harm', async () => {
  const lines = new Lines(connect(path));
  lines.write('{"method":"count","argument":100000}\n');
  await lines.until(/^\{"item"/);
  lines.close();
  const one = await client();
  expect(await one.call('twice', 1)).toBe(2);
  one.close();
});

test('where nobody listens there is no client: no socket, or a dead daemon’s', async () => {
  expect(await ControlClient.connect(join(dir, 'other.sock'))).toBeUndefined();
  await server.close();
  writeFileSync(path, '');
  expect(await ControlClient.connect(path)).toBeUndefined();
  // A new daemon takes the place of what lies there.
  await server.listen();
  (await client()).close();
});

test('a call under way fails in words when the daemon stops', async () => {
  const one = await client();
  const call = all(one.stream('count', 1_000_000));
  call.catch(() => {});
  await server.close();
  await expect(call).rejects.toThrow(/closed the connection|ECONNRESET|aborted/);
});

test('a data directory whose name is too long for a socket has it elsewhere', () => {
  const long = `/${'x'.repeat(120)}`;
  expect(Buffer.byteLength(controlPath(long))).toBeLessThanOrEqual(100);
  expect(controlPath(long)).toBe(controlPath(long));
  expect(controlPath(long)).not.toBe(controlPath(`${long}y`));
});
