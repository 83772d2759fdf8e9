import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ControlClient, controlPath } from '../../src/admin/control.ts';
import { bansCommand } from '../../src/cli/bans.ts';
import { startWorld, type World } from '../world.ts';

let world: World;
beforeAll(async () => {
  world = await startWorld();
  writeFileSync(join(world.dir, 'facteur.yaml'), `dataDir: ${join(world.dir, 'data')}\n`);
});
afterAll(() => world.close());

async function run(...args: string[]): Promise<{ code: number; out: string }> {
  let out = '';
  const write = (text: string): void => {
    out += text;
  };
  const io = { out: write, err: write } as unknown as Parameters<typeof bansCommand.run>[1]['io'];
  const code = await bansCommand.run(args, { io, configFile: join(world.dir, 'facteur.yaml') });
  return { code, out };
}

test('the command line asks the running daemon for bans, and lifts them', async () => {
  expect(await run('list')).toEqual({ code: 0, out: 'No bans.\n' });
  expect(await run('list', '--json')).toEqual({ code: 0, out: '' });
  expect(await run('remove', '192.0.2.1')).toEqual({ code: 1, out: '192.0.2.1 is not banned\n' });
  const client = await ControlClient.connect(controlPath(join(world.dir, 'data')));
  expect(await client?.call('bans.list', null)).toEqual([]);
  client?.close();
});

test('and says what is wrong with its arguments', async () => {
  await expect(run()).rejects.toThrow('bans needs a verb');
  await expect(run('ban')).rejects.toThrow('bans does not know "ban"');
  await expect(run('remove')).rejects.toThrow('which ban?');
  await expect(run('list', 'x')).rejects.toThrow('unexpected argument "x"');
});
