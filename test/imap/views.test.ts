import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { AccountId } from '../../src/directory/directory.ts';
import { rawMessage } from '../../src/mail/raw-message.ts';
import type { AccountStore } from '../../src/store/store.ts';
import { maildirStore, temporaryDirectory } from '../store/surroundings.ts';
import { MemoryMail } from './memory-mail.ts';
import { ALICE, type Client, ImapWorld } from './world.ts';

/**
 * Sessions never disagree about sequence numbers: what a client makes of the responses alone, number by number, is what
 * the server means by them, whatever the others do in between (RFC 9051 7.5.1).
 */

/** A client's picture of the mailbox: the UID of each sequence number, as far as it was told. */
class Picture {
  readonly uids: (number | undefined)[] = [];
  readonly flags = new Map<number, string>();
  readonly #by: 'sequence' | 'uid';

  constructor(by: 'sequence' | 'uid') {
    this.#by = by;
  }

  hear(responses: readonly string[]): void {
    for (const response of responses) {
      const [first = '', word] = response.split(' ');
      const n = Number(first);
      if (word === 'EXISTS') {
        expect(n, 'EXISTS never takes away').toBeGreaterThanOrEqual(this.uids.length);
        while (this.uids.length < n) this.uids.push(undefined);
      } else if (word === 'EXPUNGE') {
        expect(n).toBeLessThanOrEqual(this.uids.length);
        this.uids.splice(n - 1, 1);
      } else if (response.startsWith('VANISHED ')) {
        for (const uid of numbers(response.slice(9))) {
          const index = this.#placeOf(uid);
          expect(index, `VANISHED ${uid} of ${this.uids}`).toBeGreaterThanOrEqual(0);
          this.uids.splice(index, 1);
        }
      } else if (word === 'UIDFETCH') {
        const index = this.#placeOf(n);
        expect(index, `${response} of ${this.uids}`).toBeGreaterThanOrEqual(0);
        this.uids[index] = n;
        // Which of the others are before it nobody knows: they stay behind.
        this.uids.sort((a = 0, b = 0) => a - b);
        const flags = /FLAGS \(([^)]*)\)/.exec(response)?.[1];
        if (flags !== undefined) this.flags.set(n, plain(flags));
      } else if (word === 'FETCH') {
        const uid = /UID (\d+)/.exec(response)?.[1];
        if (uid !== undefined) {
          expect(this.uids[n - 1] ?? Number(uid)).toBe(Number(uid));
          this.uids[n - 1] = Number(uid);
        }
        const flags = /FLAGS \(([^)]*)\)/.exec(response)?.[1];
        const known = this.uids[n - 1];
        if (flags !== undefined && known !== undefined) this.flags.set(known, plain(flags));
      }
    }
  }

  /**
   * Where a UID stands; of one that was not told yet, where it can stand: UIDs ascend, so it is one of the unknown ones
   * between those below and above it. Without sequence numbers it is any of them.
   */
  #placeOf(uid: number): number {
    const at = this.uids.indexOf(uid);
    if (at >= 0) return at;
    if (this.#by === 'uid') return this.uids.indexOf(undefined);
    const above = this.uids.findIndex((known) => known !== undefined && known > uid);
    const before = above < 0 ? this.uids.length - 1 : above - 1;
    return this.uids[before] === undefined ? before : -1;
  }
}

function plain(flags: string): string {
  return flags
    .split(' ')
    .filter((flag) => flag !== '\\Recent' && flag !== '')
    .sort()
    .join(' ');
}

function numbers(set: string): number[] {
  return set.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split(':').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

type Step =
  | { readonly do: 'append' | 'expunge' | 'noop' | 'close' | 'look' }
  | { readonly do: 'store' | 'fetch' | 'move' | 'copy'; readonly at: number; readonly mode: string };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constantFrom('append', 'expunge', 'noop', 'look') }),
  fc.record({
    do: fc.constantFrom('store', 'store', 'fetch', 'move', 'copy'),
    at: fc.nat({ max: 20 }),
    mode: fc.constantFrom('FLAGS', '+FLAGS', '-FLAGS', 'FLAGS.SILENT', '+FLAGS.SILENT', '-FLAGS.SILENT'),
  }),
) as fc.Arbitrary<Step>;

/** Leaves one session with a UID that it knows between two that it does not, of which the second one then goes. */
const between: [number, Step][] = [
  [0, { do: 'copy', at: 0, mode: 'FLAGS' }],
  [0, { do: 'copy', at: 0, mode: 'FLAGS' }],
  [2, { do: 'append' }],
  [0, { do: 'append' }],
  [2, { do: 'store', at: 16, mode: 'FLAGS' }],
  [0, { do: 'append' }],
  [0, { do: 'look' }],
  [0, { do: 'look' }],
  [0, { do: 'move', at: 13, mode: 'FLAGS' }],
  [0, { do: 'append' }],
];

interface Party {
  readonly client: Client;
  readonly picture: Picture;
  readonly number: number;
  /** What it calls messages: with UIDONLY there are no sequence numbers. */
  readonly by: 'sequence' | 'uid';
}

async function act(party: Party, what: Step): Promise<void> {
  const { client, picture } = party;
  const count = picture.uids.length;
  const at = 'at' in what && count > 0 ? (what.at % count) + 1 : 0;
  const command = commandOf(party, what, at);
  const known = picture.uids[at - 1];
  if (command === undefined) return;
  const { untagged, tagged } = await client.ask(command);
  expect(tagged, command).toMatch(/^(OK|NO \[EXPUNGEISSUED\])/);
  if (party.by === 'uid')
    expect(
      untagged.filter((line) => /^\d+ (FETCH|EXPUNGE)/.test(line)),
      command,
    ).toEqual([]);
  if (/^(FETCH|STORE|SEARCH)/.test(command))
    expect(
      untagged.filter((line) => /EXPUNGE|VANISHED/.test(line)),
      command,
    ).toEqual([]);
  // A silent change is known to the client without being told.
  if (/STORE .*\.SILENT/.test(command) && what.do === 'store' && tagged.startsWith('OK')) {
    const uid = known;
    const before = uid === undefined ? undefined : picture.flags.get(uid);
    if (uid !== undefined && before !== undefined) picture.flags.set(uid, stored(before, what.mode, party));
  }
  picture.hear(untagged);
}

function stored(before: string, mode: string, { number }: Party): string {
  const flags = new Set(mode.startsWith('FLAGS') ? [] : before.split(' '));
  for (const flag of [`kw${number}`, '\\Deleted']) {
    if (mode.startsWith('-')) flags.delete(flag);
    else flags.add(flag);
  }
  return plain([...flags].join(' '));
}

function commandOf({ number, by, picture }: Party, what: Step, at: number): string | undefined {
  if (what.do === 'append') return 'APPEND INBOX {13+}\r\nSubject: x\r\n\r\n';
  if (what.do === 'expunge') return 'EXPUNGE';
  if (what.do === 'noop' || what.do === 'close') return 'NOOP';
  if (what.do === 'look') return 'UID FETCH 1:* (FLAGS)';
  if (at === 0) return undefined;
  const uid = picture.uids[at - 1];
  if (by === 'uid' && uid === undefined) return 'UID FETCH 1:* (FLAGS)';
  const [prefix, message] = by === 'uid' ? ['UID ', uid] : ['', at];
  if (what.do === 'fetch') return `${prefix}FETCH ${message} (UID FLAGS)`;
  if (what.do === 'store') return `${prefix}STORE ${message} ${what.mode} (kw${number} \\Deleted)`;
  return `${prefix}${what.do.toUpperCase()} ${message} ${what.do === 'copy' ? 'INBOX' : 'Other'}`;
}

/** What the mailbox really holds, as the picture would have it. */
async function truth(account: AccountStore): Promise<Map<number, string>> {
  const mailbox = await account.mailbox('INBOX');
  const all = new Map<number, string>();
  if (!mailbox) return all;
  for await (const batch of account.messages(mailbox.id, [{ first: 1, last: '*' }]))
    for (const message of batch) all.set(message.uid, plain(message.flags.join(' ')));
  return all;
}

test.each([
  { echo: 'before', extensions: '', mail: 'memory', numRuns: 12 },
  { echo: 'after', extensions: '', mail: 'memory', numRuns: 12 },
  { echo: 'before', extensions: 'QRESYNC', mail: 'memory', numRuns: 12 },
  { echo: 'after', extensions: 'CONDSTORE', mail: 'memory', numRuns: 12 },
  { echo: 'before', extensions: 'QRESYNC', mail: 'Maildir', numRuns: 8 },
  { echo: 'after', extensions: 'UIDONLY', mail: 'memory', numRuns: 12 },
  { echo: 'before', extensions: 'UIDONLY QRESYNC', mail: 'Maildir', numRuns: 8 },
] as const)(
  'three sessions at once, changes told $echo the operation ends, $extensions, $mail',
  async ({ echo, extensions, mail, numRuns }) => {
    const { path, remove } = temporaryDirectory();
    const store = mail === 'Maildir' ? maildirStore(path) : new MemoryMail({ echo });
    const world = await ImapWorld.start({ store });
    try {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.tuple(fc.nat({ max: 2 }), step), { minLength: 5, maxLength: 40 }),
          fc.boolean(),
          async (steps, atOnce) => {
            const account = await store.account(ALICE as AccountId);
            const inbox = await account.mailbox('INBOX');
            if (!inbox) throw new Error('no INBOX');
            await account.expunge(inbox.id, [...(await account.uids(inbox.id))] as never);
            for (const text of ['Subject: 1\r\n\r\n', 'Subject: 2\r\n\r\n', 'Subject: 3\r\n\r\n'])
              await account.append(inbox.id, rawMessage([Buffer.from(text)]), { flags: [], internalDate: 0 });
            if (!(await account.mailbox('Other'))) await account.create('Other');
            const parties: Party[] = [];
            for (let number = 0; number < 3; number++) {
              const client = await world.login();
              if (extensions !== '') await client.ok(`ENABLE ${extensions}`);
              const by = extensions.includes('UIDONLY') ? 'uid' : 'sequence';
              const picture = new Picture(by);
              picture.hear(await client.ok('SELECT INBOX'));
              picture.hear(await client.ok('UID FETCH 1:* (FLAGS)'));
              parties.push({ client, picture, number, by });
            }
            const queues = parties.map((party) => async () => {
              for (const [who, what] of steps) if (who === party.number) await act(party, what);
            });
            if (atOnce) await Promise.all(queues.map((run) => run()));
            else
              for (const [who, what] of steps) {
                const party = parties[who];
                if (party) await act(party, what);
              }
            await new Promise((resolve) => setTimeout(resolve, 5));
            const real = await truth(account);
            for (const { client, picture } of parties) {
              picture.hear(await client.ok('NOOP'));
              expect(picture.uids.length).toBe(real.size);
              const before = new Map(picture.flags);
              picture.hear(await client.ok('UID FETCH 1:* (FLAGS)'));
              expect(picture.uids).toEqual([...real.keys()]);
              for (const [uid, flags] of real) {
                // Whatever was known of a message was told of each change.
                if (before.has(uid)) expect(before.get(uid), `flags of ${uid}`).toBe(flags);
              }
              await client.ok('LOGOUT');
            }
          },
        ),
        { numRuns, examples: [[between, false]] },
      );
      expect(world.lines.filter((line) => line.level === 'error')).toEqual([]);
    } finally {
      await world.close();
      await store.close();
      remove();
    }
  },
  // Thousands of commands, each waiting for the disk: on a busy machine it is the slowest of all.
  90_000,
);
