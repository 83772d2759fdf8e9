import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { aclAdmin } from '../../src/admin/acl.ts';
import { ControlClient, controlPath } from '../../src/admin/control.ts';
import { runAcl } from '../../src/cli/acl.ts';
import { aclCommand } from '../../src/cli/acl-command.ts';
import { type CliIo, UsageError } from '../../src/cli/io.ts';
import type { AccountId } from '../../src/directory/directory.ts';
import { maildirStore, temporaryDirectory } from '../store/surroundings.ts';
import { startWorld } from '../world.ts';

let base: ReturnType<typeof temporaryDirectory>;
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

beforeEach(async () => {
  base = temporaryDirectory();
  const store = maildirStore(base.path);
  await (await store.account('ann@example.org' as AccountId)).create('Work');
  await store.close();
});
afterEach(() => base.remove());

async function run(...args: string[]): Promise<number> {
  out = '';
  err = '';
  return runAcl(args, {
    io,
    dataDir: base.path,
    async withAdmin(work) {
      const store = maildirStore(base.path);
      try {
        return await work(aclAdmin(store));
      } finally {
        await store.close();
      }
    },
  });
}

test('a list is shown, set, added to, taken from and emptied', async () => {
  expect(await run('list', 'ann@example.org')).toBe(0);
  expect(out).toBe('ann@example.org: nobody but the owner\n');
  expect(await run('set', 'Ann@EXAMPLE.org', 'Work', 'Bob@Example.org', 'lrc')).toBe(0);
  expect(out).toBe('Work: bob@example.org has lrkx\n');
  expect(await run('set', 'ann@example.org', 'Work', 'bob@example.org', '-k')).toBe(0);
  expect(await run('set', 'ann@example.org', 'Work', '-bob@example.org', '+w')).toBe(0);
  expect(await run('set', 'ann@example.org', 'inbox', 'anyone', 'l', '--json')).toBe(0);
  expect(JSON.parse(out)).toEqual({
    account: 'ann@example.org',
    mailbox: 'inbox',
    identifier: 'anyone',
    rights: 'l',
  });
  expect(await run('list', 'ann@example.org')).toBe(0);
  expect(out).toBe(
    'MAILBOX  IDENTIFIER        RIGHTS\n' +
      'INBOX    anyone            l\n' +
      'Work     -bob@example.org  w\n' +
      'Work     bob@example.org   lrx\n',
  );
  expect(await run('list', 'ann@example.org', 'INBOX', '--json')).toBe(0);
  expect(out).toBe('{"account":"ann@example.org","mailbox":"INBOX","identifier":"anyone","rights":"l"}\n');
  expect(await run('remove', 'ann@example.org', 'Work', 'bob@example.org')).toBe(0);
  expect(out).toBe('Work: bob@example.org is not in the list\n');
  expect(await run('list', 'ann@example.org', 'Work')).toBe(0);
  expect(out).not.toContain(' bob@example.org');
});

test('what is not there is refused, and not made', async () => {
  expect(await run('list', 'gone@example.org')).toBe(1);
  expect(err).toBe('gone@example.org has no mail\n');
  expect(existsSync(join(base.path, 'mail/example.org/gone'))).toBe(false);
  expect(await run('set', 'ann@example.org', 'None', 'anyone', 'l')).toBe(1);
  expect(err).toBe('ann@example.org has no mailbox "None"\n');
});

test('what is not understood is said', async () => {
  const usage = async (...args: string[]): Promise<string> => {
    try {
      await run(...args);
    } catch (error) {
      if (error instanceof UsageError) return error.message;
      if (error instanceof Error) return `${error.name}: ${error.message}`;
    }
    return 'nothing';
  };
  expect(await usage()).toBe('acl needs a verb');
  expect(await usage('show')).toBe('acl does not know "show"');
  expect(await usage('list')).toBe('acl list needs an account');
  expect(await usage('list', 'ann@example.org', 'Work', 'x')).toBe('unexpected argument "x"');
  expect(await usage('list', '--all')).toBe('acl does not know the option --all');
  expect(await usage('set', 'ann@example.org', 'Work', 'anyone')).toContain('needs an account, a mailbox');
  expect(await usage('set', 'ann@example.org', 'Work', 'anyone', 'lq')).toContain('not "lq"');
  expect(await usage('set', 'ann@example.org', 'Work', 'everybody', 'l')).toContain('DirectoryError');
  expect(await usage('set', 'ann@example.org', 'Work', '-', 'l')).toContain('DirectoryError');
});

test('beside a running daemon it is the daemon that does it', async () => {
  const world = await startWorld();
  try {
    const configFile = join(world.dir, 'facteur.yaml');
    writeFileSync(configFile, `dataDir: ${join(world.dir, 'data')}\n`);
    const client = await ControlClient.connect(controlPath(join(world.dir, 'data')));
    expect(
      await client?.call('acl.change', {
        account: 'ann@example.org',
        mailbox: 'Nope',
        identifier: 'anyone',
        mode: 'set',
        rights: 'l',
      }),
    ).toBe(null);
    client?.close();
    out = '';
    expect(
      await aclCommand.run(['set', 'ann@example.org', 'INBOX', 'anyone', 'lr'], { io, configFile }),
    ).toBe(0);
    expect(await aclCommand.run(['list', 'ann@example.org'], { io, configFile })).toBe(0);
    expect(out).toContain('INBOX    anyone      lr\n');
    await expect(
      aclCommand.run(['set', 'ann@example.org', 'INBOX', `-${'x'.repeat(64)}@${'y.'.repeat(110)}org`, 'l'], {
        io,
        configFile,
      }),
    ).resolves.toBe(0);
  } finally {
    await world.close();
  }
});
