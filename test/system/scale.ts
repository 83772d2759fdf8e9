import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import type { AccountId } from '../../src/directory/directory.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { MaildirStore } from '../../src/store/maildir-store.ts';
import { storeOptions } from '../../src/store/options.ts';
import type { MailboxId, Uid } from '../../src/store/store.ts';
import { all, message, silent, temporaryDirectory } from '../store/surroundings.ts';
import { StrictImap } from '../strict-imap.ts';
import { startWorld } from '../world.ts';

/** Very many folders, very many accounts: that all of it works, and what it costs. */

export type Figures = Readonly<Record<string, number>>;

const ALICE = 'alice@example.org';
const PASSWORD = 'wonder Land.1';

/** Half of them made by IMAP below one parent, half by hand. Throws when anything is not as it should be. */
export async function manyFolders(count: number): Promise<Figures> {
  const figures: Record<string, number> = {};
  const half = count >> 1;
  const dir = temporaryDirectory();
  const settings = { accounts: { [ALICE]: PASSWORD }, dir: dir.path };
  let world = await startWorld(settings);
  try {
    let client = await StrictImap.login(world.port('imaps'), ALICE, PASSWORD);
    const timed = async (what: string, command: string): Promise<readonly Buffer[]> => {
      const begin = performance.now();
      const { untagged } = await client.ok(command);
      figures[`${what} ms`] = Math.round(performance.now() - begin);
      return untagged;
    };
    const listed = async (what: string, wanted: number): Promise<void> => {
      const found = (await timed(what, 'LIST "" "*"')).length;
      if (found !== wanted) throw new Error(`${what}: ${found} folders, not ${wanted}`);
    };
    const before = (await client.ok('LIST "" "*"')).untagged.length;
    const begin = performance.now();
    await client.ok('CREATE Parent');
    const made = Array.from({ length: half }, (_, at) => client.ok(`CREATE "Parent/child ${at}"`));
    await Promise.all(made);
    figures['create each ms'] = Number(((performance.now() - begin) / half).toFixed(2));
    const maildir = join(dir.path, 'data/mail/example.org/alice/Maildir');
    for (let at = 0; at < half; at++) mkdirSync(join(maildir, `.Hand.${at}`, 'cur'), { recursive: true });
    // The tree is looked at once a second.
    await new Promise((resolve) => setTimeout(resolve, 1100));
    // `Hand` itself is only a name.
    const total = before + 1 + half + half + 1;
    await listed('list, half of them new by hand', total);
    await listed('list', total);
    await listed('list again', total);
    await timed('list with status', 'LIST "" "*" RETURN (STATUS (MESSAGES UNSEEN UIDNEXT))');
    await timed('list %', 'LIST "" "%"');
    await timed('status', `STATUS "Parent/child ${half - 1}" (MESSAGES)`);
    await timed('select', `SELECT "Hand/${half - 1}"`);
    await client.ok('ENABLE IMAP4rev2');
    await timed('select with a LIST response', `SELECT "Hand/${half - 2}"`);
    await timed('create one more', 'CREATE "Parent/one more"');
    await timed('subscribe', 'SUBSCRIBE "Parent/one more"');
    await timed('rename a parent', 'RENAME Parent Elsewhere/Parent');
    await listed('list after rename', total + 2);
    await timed('status after rename', `STATUS "Elsewhere/Parent/child ${half - 1}" (MESSAGES)`);
    const done = await client.idle(() => {});
    await done();
    const again = async (what: string): Promise<void> => {
      client.close();
      await world.close();
      if (what === 'without an index') rmSync(join(maildir, '../index.sqlite'));
      world = await startWorld(settings);
      const opening = performance.now();
      client = await StrictImap.login(world.port('imaps'), ALICE, PASSWORD);
      figures[`login ${what} ms`] = Math.round(performance.now() - opening);
      await listed(`list ${what}`, total + 2);
    };
    await again('after a restart');
    await again('without an index');
    await timed('delete', 'DELETE "Elsewhere/Parent/one more"');
    await client.ok('CREATE "Elsewhere/Parent/one more"');
    const deleting = performance.now();
    await Promise.all(
      Array.from({ length: half }, (_, at) => client.ok(`DELETE "Elsewhere/Parent/child ${at}"`)),
    );
    figures['delete each ms'] = Number(((performance.now() - deleting) / half).toFixed(2));
    await listed('list after delete', total + 2 - half);
    client.close();
    figures['resident MB'] = Math.round(process.memoryUsage.rss() / 1e6);
    return figures;
  } finally {
    await world.close();
    dir.remove();
  }
}

/** Each gets mail, is read, changed and asked again; more than are kept open, with one of them searched meanwhile. */
export async function manyAccounts(count: number): Promise<Figures> {
  const dir = temporaryDirectory();
  const options = { directory: dir.path, clock: systemClock, log: silent, host: 'mx', pid: process.pid };
  // Of what a fresh account costs, nothing but its INBOX: the test is of many.
  const settings = storeOptions.parse({ defaultFolders: [] });
  const store = new MaildirStore({ ...options, settings }, async () => null);
  const ids = Array.from({ length: count }, (_, at) => `user${at}@example.org` as AccountId);
  try {
    globalThis.gc?.();
    const before = process.memoryUsage.rss();
    const handles = descriptors();
    const begin = performance.now();
    let most = 0;
    let highest = 0;
    for (let first = 0; first < count; first += TOGETHER) {
      const some = ids.slice(first, first + TOGETHER);
      await Promise.all(
        some.map((account, at) =>
          store.deliver({
            account,
            mailbox: 'INBOX',
            key: `k-${first + at}`,
            flags: [],
            internalDate: 0,
            content: message('x').pieces,
          }),
        ),
      );
      most = Math.max(most, descriptors() - handles);
      highest = Math.max(highest, process.memoryUsage.rss());
    }
    const delivered = performance.now();
    const opened = await Promise.all(ids.map((id) => store.account(id)));
    const inboxes: MailboxId[] = [];
    for (const account of opened) inboxes.push((await account.mailbox('INBOX'))?.id ?? ('' as MailboxId));
    // Sessions in use while others push their accounts out.
    const found = await Promise.all(
      opened.map(async (account, at) => {
        const id = inboxes[at] ?? ('' as MailboxId);
        await account.setFlags(id, [1 as Uid], { mode: 'add', flags: ['\\Seen'] });
        const [one] = await all(account.messages(id, [{ first: 1, last: '*' }]));
        const hits = await account.search(id, { text: 'x', in: 'body' });
        return one?.flags.includes('\\Seen') === true && hits.length === 1;
      }),
    );
    if (found.includes(false)) throw new Error('an account does not say what was done');
    globalThis.gc?.();
    return {
      'KB an open account': Math.round((highest - before) / 1024 / Math.min(count, MAX_OPEN)),
      'descriptors an open account': Number((most / Math.min(count, MAX_OPEN)).toFixed(1)),
      'first delivery to each ms': Number(((delivered - begin) / count).toFixed(2)),
      'all of them in use, each ms': Number(((performance.now() - delivered) / count).toFixed(2)),
      'resident MB': Math.round(process.memoryUsage.rss() / 1e6),
    };
  } finally {
    await store.close();
    dir.remove();
  }
}

/** Accounts open at once in a thread (open-accounts.ts). */
const MAX_OPEN = 300;
/** Deliveries at a time. */
const TOGETHER = 50;

function descriptors(): number {
  return existsSync('/proc/self/fd') ? readdirSync('/proc/self/fd').length : 0;
}
