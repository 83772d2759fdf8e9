import { expect, test } from 'vitest';
import { Input } from '../../src/smtp/input.ts';

test('a thousand lines in one piece leave others their turn, also when each is answered at once', async () => {
  let lines = 0;
  const input = new Input({
    ready: true,
    lineLimit: () => 100,
    line: () => {
      lines++;
      return Promise.resolve();
    },
    badLine: () => undefined,
    content: () => undefined,
    contentEnd: () => undefined,
    idle: () => undefined,
    earlyTalk: () => expect.unreachable(),
    broken: (error) => expect.unreachable(String(error)),
  });
  const written = new Promise((resolve) => input.write('NOOP\r\n'.repeat(1000), resolve));
  await new Promise((resolve) => setImmediate(resolve));
  expect(lines).toBeLessThan(1000);
  await written;
  expect(lines).toBe(1000);
});
