import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { AccountId } from '../../src/directory/directory.ts';
import type { AccountStore } from '../../src/store/store.ts';
import { maildirStore, temporaryDirectory } from '../store/surroundings.ts';
import { Atom, fetched, StrictImap, type Value } from '../strict-imap.ts';
import { eventually } from '../world.ts';
import { MemoryMail } from './memory-mail.ts';
import { ALICE, type Client, ImapWorld, PASSWORD } from './world.ts';

/**
 * A client that asks for nothing but NOTIFY knows all that others do: the messages of its mailbox by their numbers, with
 * their flags, how many there are in the other mailboxes, and the names of these (RFC 5465 1, "passive recipient").
 */

class Passive {
  /** UIDs by number; 0 until it is told. */
  readonly uids: number[] = [];
  readonly flags = new Map<number, string>();
  readonly names = new Set<string>();
  readonly counts = new Map<string, string>();
  /** Whatever went wrong while it listened. */
  error: unknown;

  hear(line: string): void {
    try {
      this.#hear(line);
    } catch (error) {
      this.error ??= error;
    }
  }

  #hear(line: string): void {
    const [, first = '', word = ''] = line.split(' ');
    const n = Number(first);
    if (word === 'EXISTS') {
      expect(n).toBeGreaterThanOrEqual(this.uids.length);
      while (this.uids.length < n) this.uids.push(0);
    } else if (word === 'EXPUNGE') {
      expect(n).toBeLessThanOrEqual(this.uids.length);
      this.#gone(n - 1);
    } else if (first === 'VANISHED') {
      for (const uid of uidsOf(word)) {
        const at = this.uids.indexOf(uid);
        expect(at, line).toBeGreaterThanOrEqual(0);
        this.#gone(at);
      }
    } else if (word === 'FETCH') this.#fetch(line, n);
    else if (first === 'STATUS') {
      const [, path = '', counts = ''] = /^\* STATUS (\S+) \((.*)\)$/.exec(line) ?? [];
      expect(counts, line).not.toBe('');
      expect(this.names, line).toContain(path);
      const messages = / MESSAGES (\d+)/.exec(counts)?.[1];
      if (messages !== undefined) this.counts.set(path, messages);
    } else if (first === 'LIST') this.#list(line);
  }

  #gone(at: number): void {
    const [uid] = this.uids.splice(at, 1);
    if (uid !== undefined) this.flags.delete(uid);
  }

  #fetch(line: string, n: number): void {
    const items = fetched(Buffer.from(line, 'latin1'));
    const uid = Number(items?.get('UID'));
    expect(n, line).toBeLessThanOrEqual(this.uids.length);
    expect([0, uid], line).toContain(this.uids[n - 1]);
    this.uids[n - 1] = uid;
    const flags = items?.get('FLAGS');
    if (flags !== undefined) this.flags.set(uid, plain((flags as readonly Value[]).map(textOf)));
  }

  #list(line: string): void {
    const match = /^\* LIST \(([^)]*)\) "\/" (\S+)(?: \("OLDNAME" \((\S+)\)\))?$/.exec(line);
    expect(match, line).not.toBeNull();
    const [, attributes = '', path = '', was] = match ?? [];
    if (was !== undefined)
      for (const map of [this.names, this.counts])
        for (const name of [...map.keys()]) {
          if (name !== was && !name.startsWith(`${was}/`)) continue;
          const moved = path + name.slice(was.length);
          const count = this.counts.get(name);
          map.delete(name);
          if (map === this.names) this.names.add(moved);
          else if (count !== undefined) this.counts.set(moved, count);
        }
    if (/NonExistent|NoSelect/.test(attributes)) {
      this.names.delete(path);
      this.counts.delete(path);
    } else this.names.add(path);
  }
}

function textOf(value: Value): string {
  return value instanceof Atom ? value.text : String(value);
}

function plain(flags: readonly string[]): string {
  return flags
    .filter((flag) => flag !== '\\Recent')
    .sort()
    .join(' ');
}

function uidsOf(set: string): number[] {
  return set.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split(':').map(Number);
    return Array.from({ length: last - first + 1 }, (_, at) => first + at);
  });
}

const NAMES = ['a', 'b', 'a/x', 'b/x', 'c'];
const COMMANDS: readonly ((n: number, path: string, other: string) => string)[] = [
  () => 'APPEND INBOX {13+}\r\nSubject: x\r\n\r\n',
  () => 'APPEND INBOX (\\Seen) {13+}\r\nSubject: y\r\n\r\n',
  (_, path) => `APPEND ${path} {13+}\r\nSubject: z\r\n\r\n`,
  (n) => `UID STORE ${n} +FLAGS (\\Deleted kw${n % 3})`,
  (n) => `UID STORE 1:${n} -FLAGS (kw1)`,
  () => 'EXPUNGE',
  (_, path) => `SELECT ${path}`,
  (_, path) => `SELECT ${path}`,
  (n, path) => `UID MOVE ${n} ${path}`,
  (n, path) => `UID COPY ${n}:* ${path}`,
  (n) => `UID COPY ${n} INBOX`,
  (_, path) => `CREATE ${path}`,
  (_, path) => `DELETE ${path}`,
  (_, path, other) => `RENAME ${path} ${other}`,
  (_, path) => `SUBSCRIBE ${path}`,
];

const step = fc.record({
  who: fc.nat({ max: 1 }),
  what: fc.nat({ max: COMMANDS.length - 1 }),
  n: fc.integer({ min: 1, max: 12 }),
  path: fc.constantFrom(...NAMES),
  other: fc.constantFrom(...NAMES),
});

async function truth(store: AccountStore): Promise<Pick<Passive, 'uids' | 'flags' | 'names' | 'counts'>> {
  const flags = new Map<number, string>();
  const mailboxes = await store.mailboxes();
  const inbox = mailboxes.find(({ path }) => path === 'INBOX');
  if (!inbox) throw new Error('no INBOX');
  for await (const batch of store.messages(inbox.id, [{ first: 1, last: '*' }]))
    for (const message of batch) flags.set(message.uid, plain([...message.flags]));
  const there = mailboxes.filter(({ selectable }) => selectable);
  return {
    uids: [...flags.keys()],
    flags,
    names: new Set(there.map(({ path }) => path)),
    counts: new Map(there.filter(({ total }) => total > 0).map(({ path, total }) => [path, `${total}`])),
  };
}

test.each([
  { mail: 'memory', echo: 'before', enabled: 'CONDSTORE', numRuns: 15 },
  { mail: 'memory', echo: 'after', enabled: 'QRESYNC', numRuns: 15 },
  { mail: 'Maildir', echo: 'before', enabled: 'IMAP4rev2', numRuns: 10 },
  { mail: 'Maildir', echo: 'before', enabled: 'QRESYNC', numRuns: 10 },
] as const)(
  '$enabled, $mail, told $echo the end',
  async ({ mail, echo, enabled, numRuns }) => {
    const { path, remove } = temporaryDirectory();
    const store = mail === 'Maildir' ? maildirStore(path) : new MemoryMail({ echo });
    const world = await ImapWorld.start({ store });
    try {
      const filler = await world.login();
      await fc.assert(
        fc.asyncProperty(
          fc.array(step, { minLength: 5, maxLength: 40 }),
          fc.boolean(),
          async (steps, atOnce) => {
            const account = await store.account(ALICE as AccountId);
            for (const { id, path: name } of [...(await account.mailboxes())].reverse())
              if (name !== 'INBOX') await account.delete(id).catch(() => undefined);
              else await account.expunge(id, [...(await account.uids(id))] as never);
            for (const name of ['a', 'b']) {
              await account.create(name).catch(() => undefined);
              await filler.ok(`APPEND ${name} {13+}\r\nSubject: x\r\n\r\n`);
            }
            const others = [await world.login('INBOX'), await world.login('INBOX')];
            const client = await StrictImap.login(world.tls.port, ALICE, PASSWORD);
            const passive = new Passive();
            client.listen((line) => passive.hear(line));
            await client.ok(`ENABLE ${enabled}`);
            await client.ok('SELECT INBOX');
            await client.ok('LIST "" *');
            const events = 'MessageNew MessageExpunge FlagChange';
            await client.ok(
              'NOTIFY SET STATUS (selected (MessageNew (UID FLAGS) MessageExpunge FlagChange)) ' +
                `(personal (${events} MailboxName))`,
            );
            await client.ok('UID FETCH 1:* FLAGS').catch(() => undefined);
            const run = async (who: number, party: Client): Promise<void> => {
              for (const each of steps)
                if (each.who === who) {
                  const command = COMMANDS[each.what]?.(each.n, each.path, each.other) ?? '';
                  const answer = await party.tagged(command);
                  expect(answer, command).toMatch(/^(OK|NO)/);
                  // What is in another mailbox is removed there.
                  if (!command.startsWith('SELECT')) continue;
                  if (answer.startsWith('OK')) await party.ask('UID STORE 1:2 +FLAGS (\\Deleted)');
                  if (answer.startsWith('OK')) await party.ask('EXPUNGE');
                  await party.ok('SELECT INBOX');
                }
            };
            const running = others.map((party, who) => () => run(who, party));
            if (atOnce) await Promise.all(running.map((each) => each()));
            else for (const each of running) await each();
            const real = await truth(account);
            await eventually('all is told', () => {
              if (passive.error) throw passive.error;
              for (const [name, count] of passive.counts) if (count === '0') passive.counts.delete(name);
              passive.counts.delete('INBOX');
              real.counts.delete('INBOX');
              try {
                expect({ ...passive }).toEqual({ ...real });
                return true;
              } catch {
                return undefined;
              }
            }).catch((error) => {
              if (passive.error) throw passive.error;
              expect({ ...passive }).toEqual({ ...real });
              throw error;
            });
            client.close();
            for (const each of others) each.socket.destroy();
          },
        ),
        { numRuns, endOnFailure: true },
      );
      expect(world.lines.filter((line) => line.level === 'error')).toEqual([]);
    } finally {
      await world.close();
      await store.close();
      remove();
    }
  },
  60_000,
);
