import { expect, test } from 'vitest';
import { ThreadPool } from '../../src/lib/thread-pool.ts';

function pool(size: number, onCrash: (error: Error) => void = () => {}): ThreadPool {
  return new ThreadPool(
    new URL('./thread-pool-entry.ts', import.meta.url),
    size,
    { greeting: 'hello' },
    onCrash,
  );
}

test('calls answer, in order of arrival, each with its own result', async () => {
  const threads = pool(1);
  const answers = await Promise.all([1, 2, 3, 4].map((n) => threads.call<number>('x', 'sum.double', n)));
  expect(answers).toEqual([2, 4, 6, 8]);
  expect(await threads.call('x', 'sum.greeting', null)).toBe('hello');
  await threads.close();
});

test('one shard always runs on one thread, different shards spread', async () => {
  const threads = pool(2);
  const shards = Array.from({ length: 20 }, (_, i) => `account-${i}`);
  const ids = await Promise.all(shards.map((shard) => threads.call<number>(shard, 'sum.thread', null)));
  const again = await Promise.all(shards.map((shard) => threads.call<number>(shard, 'sum.thread', null)));
  expect(again).toEqual(ids);
  expect(new Set(ids).size).toBe(2);
  await threads.close();
});

test('an error crosses with its name, words and plain fields, and rooms revive their own class', async () => {
  const threads = pool(1);
  await expect(threads.call('x', 'sum.fail', 'quota')).rejects.toMatchObject({
    name: 'Odd',
    message: 'no',
    kind: 'quota',
  });
  class Odd extends Error {}
  threads.revive((wire) => (wire.name === 'Odd' ? new Odd(wire.message) : undefined));
  await expect(threads.call('x', 'sum.fail', 'quota')).rejects.toBeInstanceOf(Odd);
  await expect(threads.call('x', 'sum.nothing', 1)).rejects.toThrow(/no such service/);
  await threads.close();
});

test('events reach the main thread; buffers that are transferred arrive whole', async () => {
  const threads = pool(1);
  const heard = new Promise((resolve) => threads.on('tick', resolve));
  await threads.call('x', 'sum.emit', 42);
  expect(await heard).toBe(42);
  const bytes = await threads.call<Uint8Array>('x', 'sum.bytes', 5);
  expect([...bytes]).toEqual([0, 1, 2, 3, 4]);
  await threads.close();
});

test('closing waits for calls under way', async () => {
  const threads = pool(1);
  const slow = threads.call('x', 'sum.slow', 50);
  await new Promise((resolve) => setTimeout(resolve, 200));
  await threads.close();
  expect(await slow).toBe('done');
  await expect(threads.call('x', 'sum.double', 1)).rejects.toThrow(/closed/);
});

test('a thread that dies rejects its calls and says so', async () => {
  let crash: Error | undefined;
  const threads = pool(1, (error) => {
    crash = error;
  });
  await expect(threads.call('x', 'sum.die', null)).rejects.toThrow();
  expect(crash).toBeInstanceOf(Error);
  await expect(threads.call('x', 'sum.double', 1)).rejects.toThrow(/has died/);
  await threads.close();
});
