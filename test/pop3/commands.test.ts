import { readdirSync } from 'node:fs';
import { resolve } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { commands } from '../../src/pop3/commands/index.ts';
import { UIDL_FORMATS, uidlFormatOf } from '../../src/pop3/uidl.ts';
import { type Client, Pop3World } from './world.ts';

test('every file in commands/ is in the list', () => {
  const files = readdirSync(resolve(import.meta.dirname, '../../src/pop3/commands'));
  const names = files.filter((file) => file !== 'index.ts').map((file) => file.replace('.ts', ''));
  expect(commands.map((command) => command.name.toLowerCase()).sort()).toEqual(names.sort());
});

test('unique ids are 1 to 70 printable characters and tell all messages apart (RFC 1939 7)', () => {
  const number = fc.integer({ min: 1, max: 0xffff_ffff });
  const servers = Object.keys(UIDL_FORMATS) as (keyof typeof UIDL_FORMATS)[];
  fc.assert(
    fc.property(fc.constantFrom(...servers), number, number, number, (server, one, other, uidValidity) => {
      const format = uidlFormatOf(server);
      const id = format.expand({ uid: one, uidValidity });
      expect(id).toMatch(/^[\x21-\x7e]{1,70}$/);
      expect(id === format.expand({ uid: other, uidValidity })).toBe(one === other);
    }),
  );
});

let world: Pop3World;
let client: Client;
beforeAll(async () => {
  world = await Pop3World.start({ settings: { maxErrors: 1_000_000 } });
  for (let i = 0; i < 3; i++) world.inbox().add(`Subject: ${i}\r\n\r\n.\r\nbody\r\n`);
  client = await world.login();
  client.socket.setNoDelay();
});
afterAll(() => world.close());

test('no line is a bug: each gets +OK or -ERR', async () => {
  const verb = fc.constantFrom(
    ...commands.map((command) => command.name).filter((name) => name !== 'QUIT'),
    'XYZ',
    '',
  );
  const argument = fc.oneof(
    fc.string({ maxLength: 20, unit: 'binary' }),
    fc.constantFrom('1', '2', '0', '-1', '1 1', '99999999999', '1e3', ' 1', '1 ', '\0', '\xff'),
  );
  await fc.assert(
    fc.asyncProperty(verb, argument, async (name, args) => {
      const line = Buffer.from(`${name} ${args}`.replace(/[\r\n]/g, ''), 'latin1');
      client.socket.write(line);
      const answer = await client.ask('');
      expect(answer).toMatch(/^(\+OK|-ERR)( |$)/);
      // Whatever the response was, the session is in step after it.
      client.send('LIST 77');
      await client.until('-ERR no such message\r\n').catch(() => client.until('is marked as deleted\r\n'));
    }),
    { numRuns: 300 },
  );
  expect(world.lines.filter((line) => line.level === 'error')).toEqual([]);
});
