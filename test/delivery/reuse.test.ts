import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { unstuffed } from './peer.ts';
import { ONE, world } from './world.ts';

const MODERN = ['PIPELINING', '8BITMIME'];
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe('a connection is used again', () => {
  test.each([[MODERN], [[]]])('for the next message to the host, after RSET (%j)', async (extensions) => {
    const { peers, send } = await world({ '127.0.0.2': { extensions } }, ONE);
    for (let i = 0; i < 3; i++) expect(await send()).toEqual(['delivered 250 2.0.0 taken']);
    const peer = peers['127.0.0.2'];
    expect(peer.sessions).toHaveLength(1);
    expect(peer.messages).toHaveLength(3);
    expect(peer.lines.filter((line) => line === 'RSET')).toHaveLength(2);
  });

  test('after refusals too: nothing of the transaction before is left', async () => {
    const rcpt = { 'no@remote.test': '550 no', 'yes@remote.test': '250 ok' };
    const { peers, send } = await world({ '127.0.0.2': { extensions: MODERN, rcpt } }, ONE);
    expect(await send({ to: ['no@remote.test'] })).toEqual(['failed 550 no']);
    expect(await send({ to: ['yes@remote.test'] })).toEqual(['delivered 250 2.0.0 taken']);
    expect(peers['127.0.0.2'].sessions).toHaveLength(1);
    expect(peers['127.0.0.2'].messages[0]?.rcpts).toEqual(['RCPT TO:<yes@remote.test>']);
  });

  test('by one message at a time', async () => {
    const { peers, send } = await world({ '127.0.0.2': { extensions: MODERN } }, ONE);
    await Promise.all([send(), send(), send()]);
    expect(peers['127.0.0.2'].sessions).toHaveLength(3);
    await send();
    expect(peers['127.0.0.2'].sessions).toHaveLength(3);
  });

  test('but not for ever', async () => {
    const settings = { reuse: { maxDeliveries: 2 } };
    const { peers, send } = await world({ '127.0.0.2': { extensions: MODERN } }, ONE, settings);
    for (let i = 0; i < 5; i++) await send();
    expect(peers['127.0.0.2'].sessions.map(({ messages }) => messages.length)).toEqual([2, 2, 1]);
  });

  test('and left with QUIT when nothing comes', async () => {
    const settings = { reuse: { idle: '50ms' } };
    const { peers, send } = await world({ '127.0.0.2': { extensions: MODERN } }, ONE, settings);
    await send();
    await expect.poll(() => peers['127.0.0.2'].sessions[0]?.ended).toBe('yes');
    expect(peers['127.0.0.2'].lines.at(-1)).toBe('QUIT');
  });

  test('not at all with idle: 0s', async () => {
    const { peers, send } = await world({ '127.0.0.2': {} }, ONE, { reuse: { idle: '0s' } });
    await send();
    await send();
    expect(peers['127.0.0.2'].sessions).toHaveLength(2);
  });

  test('by no more than the limit over all hosts', async () => {
    const settings = { reuse: { maxIdle: 1 } };
    const { peers, send } = await world({ '127.0.0.2': { extensions: MODERN } }, ONE, settings);
    await Promise.all([send(), send(), send()]);
    const ended = (): number =>
      peers['127.0.0.2'].sessions.filter((session) => session.ended === 'yes').length;
    await expect.poll(ended).toBe(2);
  });

  test('close() says good-bye', async () => {
    const { peers, send, agent } = await world({ '127.0.0.2': { extensions: MODERN } }, ONE);
    await send();
    agent.close();
    await expect.poll(() => peers['127.0.0.2'].sessions[0]?.ended).toBe('yes');
    expect(peers['127.0.0.2'].lines.at(-1)).toBe('QUIT');
  });
});

describe('a connection that the host has closed meanwhile', () => {
  test.each([
    ['at RSET', { rset: 'CLOSE' as const }],
    ['with 421', { rset: { last: '421 4.4.2 idle too long' } }],
    ['or that does not like RSET', { rset: '500 what' }],
  ])('%s is replaced by a new one', async (_, script) => {
    for (const extensions of [MODERN, []]) {
      const { peers, send } = await world({ '127.0.0.2': { extensions, ...script } }, ONE);
      expect(await send()).toEqual(['delivered 250 2.0.0 taken']);
      expect(await send()).toEqual(['delivered 250 2.0.0 taken']);
      expect(peers['127.0.0.2'].sessions).toHaveLength(2);
      expect(peers['127.0.0.2'].messages).toHaveLength(2);
    }
  });

  test('in silence is not taken', async () => {
    const { peers, send } = await world({ '127.0.0.2': { dot: { last: '250 taken, and bye' } } }, ONE);
    await send();
    await pause(50);
    expect(await send()).toEqual(['delivered 250 taken, and bye']);
    expect(peers['127.0.0.2'].sessions).toHaveLength(2);
  });
});

describe('nothing in a message can look like its end (RFC 5321 4.5.2)', () => {
  test.each([
    ['a dot alone', 'a\r\n.\r\nMAIL FROM:<x@y>\r\n'],
    ['a dot between bare LF', 'a\n.\nMAIL FROM:<x@y>\r\n'],
    ['a dot between bare CR', 'a\r.\rMAIL FROM:<x@y>\r\n'],
    ['LF dot CRLF', 'a\n.\r\nMAIL FROM:<x@y>\r\n'],
    ['CRLF dot LF', 'a\r\n.\nMAIL FROM:<x@y>\r\n'],
    ['CR CRLF dot', 'a\r\r\n.\r\nMAIL FROM:<x@y>\r\n'],
    ['CRLF dot CR CRLF', 'a\r\n.\r\r\nMAIL FROM:<x@y>\r\n'],
    ['a dot first', '.\r\nMAIL FROM:<x@y>\r\n'],
    ['no line end at the end', 'a'],
    ['CR at the end', 'a\r'],
    ['nothing', ''],
  ])('%s', async (_, body) => {
    const { peers, send } = await world({ '127.0.0.2': { extensions: MODERN } }, ONE);
    const content = `Subject: x\r\n\r\n${body}`;
    expect(await send({ content })).toEqual(['delivered 250 2.0.0 taken']);
    const peer = peers['127.0.0.2'];
    expect(peer.lines.filter((line) => line.startsWith('MAIL'))).toHaveLength(1);
    const wire = peer.messages[0]?.wire.toString('latin1') ?? '';
    expect(wire).not.toMatch(/(?<!\r)\n|\r(?!\n)/);
    expect(wire.indexOf('\r\n.\r\n')).toBe(wire.length - 5);
  });

  test('any bytes arrive as they are, but for line ends', async () => {
    const { peers, send } = await world({ '127.0.0.2': { extensions: MODERN } }, ONE);
    const body = fc.array(fc.constantFrom('.', '\r', '\n', '\r\n', '\r\n.', 'a', '\0', '\xff', '..'), {
      maxLength: 60,
    });
    await fc.assert(
      fc.asyncProperty(body, async (tokens) => {
        const content = `Subject: x\r\n\r\n${tokens.join('')}`;
        expect(await send({ content })).toEqual(['delivered 250 2.0.0 taken']);
        const received = peers['127.0.0.2'].messages.at(-1);
        const clean = content.replace(/\r\n|\r|\n/g, '\r\n');
        const expected = clean.endsWith('\r\n') ? clean : `${clean}\r\n`;
        expect(received && unstuffed(received)).toBe(expected);
      }),
      { numRuns: 300 },
    );
    expect(peers['127.0.0.2'].messages.length).toBeGreaterThanOrEqual(300);
  });
});
