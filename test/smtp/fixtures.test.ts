import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { smtpWorld, type World } from './world.ts';

/** The dialogues that users of a mail server type and see. */
const folder = resolve(import.meta.dirname, '../../../shared/fixtures');
const present = existsSync(folder);
if (!present) console.log('no ../shared/fixtures beside the checkout: the sample dialogues are not replayed');
const dialogues = present ? readdirSync(folder).filter((name) => /^smtp-.*\.txt$/.test(name)) : [];

let world: World;
beforeAll(async () => {
  world = await smtpWorld();
});
afterAll(() => world.close());

test.runIf(present)('there are dialogues', () => expect(dialogues.length).toBeGreaterThan(2));

test.each(dialogues)('%s replays', (name) => world.play(readFileSync(resolve(folder, name), 'utf8')));

test.runIf(present)('and their messages are in the queue', () => {
  expect(world.queue.kept.map(({ content }) => content)).toEqual([
    expect.stringContaining('Salut Alice,\r\n'),
    expect.stringMatching(/Demo\r\n\.a line that begins with a dot\r\n$/),
  ]);
  expect(world.queue.open.size).toBe(0);
});
