import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { AccountId } from '../../src/directory/directory.ts';
import { rawMessage } from '../../src/mail/raw-message.ts';
import type { AccountStore, Uid } from '../../src/store/store.ts';
import { maildirStore, temporaryDirectory } from '../store/surroundings.ts';
import { Atom, fetched, StrictImap } from '../strict-imap.ts';
import { MemoryMail } from './memory-mail.ts';
import { ALICE, BOB, CAROL, ImapWorld, PASSWORD } from './world.ts';

/**
 * Sessions of several users in one mailbox never disagree: what each makes of the responses alone is what there is, each
 * with the \Seen flags that are theirs, whatever the others do in between.
 */

/** What a client knows of the mailbox, from what it was told. */
class Picture {
  readonly uids: (number | undefined)[] = [];
  readonly flags = new Map<number, string>();

  hear(responses: readonly Buffer[]): void {
    for (const response of responses) {
      const [, number = '', word = ''] = response.toString('latin1', 0, 40).split(' ');
      const n = Number(number);
      if (word === 'EXISTS') {
        expect(n, 'EXISTS never takes away').toBeGreaterThanOrEqual(this.uids.length);
        while (this.uids.length < n) this.uids.push(undefined);
      } else if (word === 'EXPUNGE') {
        expect(n).toBeLessThanOrEqual(this.uids.length);
        this.uids.splice(n - 1, 1);
      }
      const items = fetched(response);
      if (!items) continue;
      expect(n, 'FETCH of a message that there is').toBeLessThanOrEqual(this.uids.length);
      const uid = items.get('UID');
      if (typeof uid === 'number') {
        expect(this.uids[n - 1] ?? uid).toBe(uid);
        this.uids[n - 1] = uid;
      }
      const known = this.uids[n - 1];
      const flags = items.get('FLAGS');
      if (known !== undefined && Array.isArray(flags))
        this.flags.set(known, plain(flags.map((flag) => (flag instanceof Atom ? flag.text : ''))));
    }
  }
}

function plain(flags: readonly string[]): string {
  return flags
    .filter((flag) => flag !== '\\Recent')
    .sort()
    .join(' ');
}

interface Step {
  readonly do: 'append' | 'expunge' | 'noop' | 'look' | 'store' | 'read' | 'copy' | 'move';
  readonly at: number;
  readonly mode: string;
  readonly flags: string;
}

const step: fc.Arbitrary<Step> = fc.record({
  do: fc.constantFrom('append', 'expunge', 'noop', 'look', 'store', 'store', 'store', 'read', 'copy', 'move'),
  at: fc.nat({ max: 20 }),
  mode: fc.constantFrom('FLAGS', '+FLAGS', '-FLAGS', '+FLAGS.SILENT', '-FLAGS.SILENT'),
  flags: fc.constantFrom('\\Seen', '\\Seen \\Deleted', 'kw', '\\Seen kw', '\\Deleted'),
});

interface Party {
  readonly user: string;
  readonly client: StrictImap;
  readonly picture: Picture;
  readonly inbox: string;
}

function commandOf({ inbox }: Party, { do: what, mode, flags }: Step, at: number): string | undefined {
  if (what === 'append') return `APPEND "${inbox}" (${flags}) {13+}\r\nSubject: x\r\n\r\n`;
  if (what === 'expunge') return 'EXPUNGE';
  if (what === 'noop') return 'NOOP';
  if (what === 'look') return 'UID FETCH 1:* (FLAGS)';
  if (at === 0) return undefined;
  if (what === 'store') return `STORE ${at} ${mode} (${flags})`;
  if (what === 'read') return `FETCH ${at} (UID BODY[] FLAGS)`;
  return what === 'copy' ? `COPY ${at} "${inbox}"` : `MOVE ${at} Mine`;
}

async function act(party: Party, what: Step): Promise<void> {
  const { client, picture } = party;
  const count = picture.uids.length;
  const at = count > 0 ? (what.at % count) + 1 : 0;
  const command = commandOf(party, what, at);
  if (command === undefined) return;
  const { status, text, untagged } = await client.ask(command);
  expect(`${status} ${text}`, command).toMatch(/^(OK|NO \[EXPUNGEISSUED\])/);
  if (what.do === 'store' && what.mode.endsWith('.SILENT') && status === 'OK') {
    const uid = picture.uids[at - 1];
    const before = uid === undefined ? undefined : picture.flags.get(uid);
    if (uid !== undefined && before !== undefined) {
      const flags = new Set(before.split(' ').filter((flag) => flag !== ''));
      for (const flag of what.flags.split(' ')) {
        if (what.mode.startsWith('-')) flags.delete(flag);
        else flags.add(flag);
      }
      picture.flags.set(uid, plain([...flags]));
    }
  }
  picture.hear(untagged);
}

/** What the mailbox really holds, as this user is to see it. */
async function truth(account: AccountStore, user: string): Promise<Map<number, string>> {
  const mailbox = await account.mailbox('INBOX');
  const all = new Map<number, string>();
  if (!mailbox) return all;
  const seen = new Set(user === ALICE ? [] : await account.seenBy(mailbox.id, user as AccountId));
  for await (const batch of account.messages(mailbox.id, [{ first: 1, last: '*' }]))
    for (const { uid, flags } of batch) {
      const others = flags.filter((flag) => flag !== '\\Seen');
      const isSeen = user === ALICE ? flags.includes('\\Seen') : seen.has(uid);
      all.set(uid, plain(isSeen ? [...others, '\\Seen'] : others));
    }
  return all;
}

/** The owner, two others, and one of them once more. */
const PARTIES = [ALICE, BOB, CAROL, BOB];

test.each([
  { echo: 'before', extensions: '', mail: 'memory', numRuns: 15 },
  { echo: 'after', extensions: 'CONDSTORE', mail: 'memory', numRuns: 15 },
  { echo: 'before', extensions: '', mail: 'Maildir', numRuns: 6 },
] as const)(
  'the owner and two others at once, changes told $echo the operation ends, $extensions, $mail',
  async ({ echo, extensions, mail, numRuns }) => {
    const { path, remove } = temporaryDirectory();
    const store = mail === 'Maildir' ? maildirStore(path) : new MemoryMail({ echo });
    const world = await ImapWorld.start({ store });
    try {
      const account = await store.account(ALICE as AccountId);
      const inbox = (await account.mailbox('INBOX'))?.id;
      if (inbox === undefined) throw new Error('no INBOX');
      for (const user of [BOB, CAROL])
        await account.setAcl(inbox, user, { mode: 'set', rights: new Set('lrswite') });
      for (const user of [ALICE, BOB, CAROL]) await (await store.account(user as AccountId)).create('Mine');
      const run = async (steps: readonly (readonly [number, Step])[], atOnce: boolean): Promise<void> => {
        await account.expunge(inbox, [...(await account.uids(inbox))] as Uid[]);
        for (const text of ['1', '2', '3'])
          await account.append(inbox, rawMessage([Buffer.from(`Subject: ${text}\r\n\r\n`)]), {
            flags: text === '1' ? ['\\Seen'] : [],
            internalDate: 0,
          });
        const parties: Party[] = [];
        for (const user of PARTIES) {
          const client = await StrictImap.login(world.tls.port, user, PASSWORD);
          const name = user === ALICE ? 'INBOX' : `Other Users/${ALICE}/INBOX`;
          if (extensions !== '') await client.ok(`ENABLE ${extensions}`);
          const picture = new Picture();
          picture.hear((await client.ok(`SELECT "${name}"`)).untagged);
          picture.hear((await client.ok('UID FETCH 1:* (FLAGS)')).untagged);
          parties.push({ user, client, picture, inbox: name });
        }
        if (atOnce)
          await Promise.all(
            parties.map(async (party, number) => {
              for (const [who, what] of steps) if (who === number) await act(party, what);
            }),
          );
        else
          for (const [who, what] of steps) {
            const party = parties[who];
            if (party) await act(party, what);
          }
        for (const { user, client, picture } of parties) {
          // What is announced is told a moment later.
          await new Promise((resolve) => setTimeout(resolve, 10));
          picture.hear((await client.ok('NOOP')).untagged);
          const real = await truth(account, user);
          expect(picture.uids.length, user).toBe(real.size);
          const before = new Map(picture.flags);
          picture.hear((await client.ok('UID FETCH 1:* (FLAGS)')).untagged);
          expect(picture.uids, user).toEqual([...real.keys()]);
          for (const [uid, flags] of real) {
            expect(picture.flags.get(uid), `flags of ${uid} for ${user}`).toBe(flags);
            // Whatever was known of a message was told of each change.
            if (before.has(uid)) expect(before.get(uid), `flags of ${uid} as told to ${user}`).toBe(flags);
          }
          const unseen = [...real.values()].filter((flags) => !flags.includes('\\Seen')).length;
          const found = (await client.ok('SEARCH UNSEEN')).untagged.map(String).join();
          expect(found.split(' ').length - 2, `UNSEEN of ${user}`).toBe(unseen);
          client.close();
        }
      };
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.tuple(fc.nat({ max: PARTIES.length - 1 }), step), { minLength: 5, maxLength: 40 }),
          fc.boolean(),
          run,
        ),
        { numRuns },
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
