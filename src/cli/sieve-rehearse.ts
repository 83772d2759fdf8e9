import { Rehearsal, type Rehearsed } from '../delivery/sieve/rehearsal.ts';
import type { AccountId } from '../directory/directory.ts';
import { systemClock } from '../lib/clock.ts';
import { decodeWords } from '../message/encoded-word.ts';
import { fieldValues } from '../message/header.ts';
import type { FilingAccount, Place } from '../transfer/account.ts';
import { chosenFolders, messagesOf, type Outgoing } from '../transfer/export-mail.ts';
import { Filing, undoFiling, type Wish } from '../transfer/filing.ts';
import { interruption } from './interruption.ts';
import { EXIT } from './io.ts';
import { number, ProgressLine } from './progress-line.ts';
import { filingMail } from './sieve-mail.ts';
import { inLines } from './sieve-run.ts';
import { activeScript, orMistakes, type SieveWorld, scriptFrom, withRehearsal } from './sieve-world.ts';
import { asTransferError, withFiling } from './transfer-world.ts';

/** `facteur sieve rehearse`: what a script would have done with the mail that is there. */

export interface RehearseWishes {
  readonly days: number;
  readonly folders: readonly string[];
  readonly all: boolean;
  readonly apply: boolean;
}

const DAY = 86_400_000;
/** Not mail that has come, or none that is wanted. */
const LEFT_OUT = new Set<string | null>(['sent', 'drafts', 'trash']);
/** Of a header that is shown. */
const MAX_HEADER = 64 * 1024;

export async function rehearse(
  world: SieveWorld,
  address: string,
  script: string | undefined,
  wishes: RehearseWishes,
): Promise<number> {
  const { io, config, form } = world;
  const stop = interruption();
  const line = new ProgressLine(io, systemClock, form);
  try {
    return await withFiling(config, address, (account, id, directory) =>
      orMistakes(world, script ?? 'the active script', () =>
        withRehearsal(config, id, async (ground) => {
          const named = script === undefined ? undefined : scriptFrom(ground.scripts, id, script);
          const mail = filingMail(account);
          const candidate = new Rehearsal({ ...ground, mail }, ground.scripts.forDelivery(id, named));
          const active =
            named === undefined
              ? null
              : new Rehearsal({ ...ground, mail }, activeScripts(world, ground.scripts, id));
          const show = new Show(world, script ?? activeScript(config.dataDir, id), active !== null, wishes);
          const filing = new Filing(account, directory);
          for await (const { place, message, total, seen } of mailOf(account, wishes, stop.signal)) {
            const sample = { raw: message.raw, date: new Date(message.internalDate) };
            const would = await candidate.message(sample);
            const does = active ? await active.message(sample) : null;
            await show.message(place, message, would, does, () => line.end());
            const wish = wishes.apply ? wishOf(place, message, would) : null;
            if (wish) filing.add(place, wish);
            line.tell(progress(place, seen, total));
          }
          line.end();
          const filed = wishes.apply ? await filing.carryOut(journalName(), () => {}) : null;
          show.end(filed, line.seconds());
          return show.problems > 0 ? EXIT.failed : EXIT.ok;
        }),
      ),
    );
  } catch (error) {
    throw asTransferError(error);
  } finally {
    line.end();
    stop.end();
  }
}

/** `--undo`. */
export function undo({ io, config, form }: SieveWorld, address: string): Promise<number> {
  return withFiling(config, address, async (account, _id, directory) => {
    const { moved, expunged, unflagged, deleted, missing } = await undoFiling(account, directory);
    if (form === 'json') {
      io.out(`${JSON.stringify({ type: 'undone', moved, expunged, unflagged, deleted, missing })}\n`);
      return EXIT.ok;
    }
    io.out(`${number(moved)} messages moved back, ${number(expunged)} copies removed`);
    io.out(`${unflagged > 0 ? `, flags of ${number(unflagged)} taken away` : ''}\n`);
    for (const path of deleted) io.out(`mailbox ${path} deleted, which was made for it and is empty\n`);
    if (missing > 0)
      io.out(`${number(missing)} messages are not any more where they were put, and were left alone\n`);
    return EXIT.ok;
  });
}

/** An active script with mistakes is one that keeps all. */
function activeScripts(
  { io, form }: SieveWorld,
  scripts: Parameters<typeof scriptFrom>[0],
  id: AccountId,
): ReturnType<Parameters<typeof scriptFrom>[0]['forDelivery']> {
  try {
    return scripts.forDelivery(id);
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'SieveError') throw error;
    if (form === 'text') io.err(`The active script has mistakes, and keeps everything: ${error.message}\n`);
    return [];
  }
}

interface Found {
  readonly place: Place;
  readonly message: Outgoing;
  /** Messages in the folders. */
  readonly total: number;
  readonly seen: number;
}

async function* mailOf(
  account: FilingAccount,
  { days, folders, apply }: RehearseWishes,
  signal: AbortSignal,
): AsyncGenerator<Found> {
  const chosen = await chosenFolders(account, folders.length > 0 || !apply ? folders : ['INBOX']);
  const places = folders.length > 0 ? chosen : chosen.filter(({ specialUse }) => !LEFT_OUT.has(specialUse));
  const total = places.reduce((sum, place) => sum + place.total, 0);
  const since = systemClock.now().getTime() - days * DAY;
  let seen = 0;
  for (const place of places) {
    const wanted = ({ internalDate }: { readonly internalDate: number }): boolean => {
      seen++;
      return internalDate >= since;
    };
    for await (const message of messagesOf(account, place, wanted)) {
      signal.throwIfAborted();
      if (!('skipped' in message)) yield { place, message, total, seen };
    }
  }
}

/** Only what a script has said in so many words moves mail that somebody may have put where it is. */
function wishOf(
  place: Place,
  { uid, emailId, flags: has }: Outgoing,
  { places, problem }: Rehearsed,
): Wish | null {
  const filed = places.filter(({ implicit, path }) => !implicit && path !== 'INBOX').map(({ path }) => path);
  if (problem !== null || places.length === 0) return null;
  const isHere = places.some(({ path }) => path === place.path);
  const known = new Set(has.map((flag) => flag.toLowerCase()));
  const flags = [...new Set(places.flatMap((each) => each.flags))].filter(
    (flag) => !known.has(flag.toLowerCase()),
  );
  const [first = null, ...others] = filed.filter((path) => path !== place.path);
  const moveTo = isHere ? null : first;
  const copyTo = isHere && first !== null ? [first, ...others] : others;
  return moveTo === null && copyTo.length === 0 && flags.length === 0
    ? null
    : { uid, emailId, moveTo, copyTo, flags };
}

function journalName(): string {
  return systemClock.now().toISOString().replace(/[:.]/g, '-');
}

function progress(place: Place, seen: number, total: number): Parameters<ProgressLine['tell']>[0] {
  return {
    folder: place.path,
    folders: 0,
    foldersDone: 0,
    messages: seen,
    octets: 0,
    known: 0,
    passed: 0,
    failed: 0,
    fraction: total === 0 ? null : seen / total,
  };
}

/** What is told of it all. */
class Show {
  problems = 0;
  readonly #world: SieveWorld;
  readonly #name: string | null;
  readonly #compares: boolean;
  readonly #wishes: RehearseWishes;
  /** How often each thing would have happened. */
  readonly #counts = new Map<string, number>();
  #messages = 0;
  #different = 0;

  constructor(world: SieveWorld, name: string | null, compares: boolean, wishes: RehearseWishes) {
    this.#world = world;
    this.#name = name;
    this.#compares = compares;
    this.#wishes = wishes;
  }

  async message(
    place: Place,
    message: Outgoing,
    would: Rehearsed,
    does: Rehearsed | null,
    before: () => void,
  ): Promise<void> {
    const { io, form } = this.#world;
    this.#messages++;
    if (would.problem !== null) this.problems++;
    const lines = linesOf(would);
    const other = does ? linesOf(does) : null;
    for (const line of lines) this.#counts.set(countedAs(line), (this.#counts.get(countedAs(line)) ?? 0) + 1);
    const isDifferent = other !== null && lines.join('\n') !== other.join('\n');
    if (isDifferent) this.#different++;
    if (!isDifferent && !this.#wishes.all) return;
    before();
    const { date, from, subject } = await shownOf(message);
    if (form === 'json') {
      const at = { mailbox: place.path, uid: message.uid, date, from, subject };
      io.out(
        `${JSON.stringify({ type: 'message', ...at, would, ...(does && { does, different: isDifferent }) })}\n`,
      );
      return;
    }
    io.out(`${date.slice(0, 16).replace('T', ' ')}  ${from}  ${subject}  (${place.path})\n`);
    if (other && isDifferent) for (const line of other) io.out(`    - ${line}\n`);
    for (const line of lines) io.out(`    ${isDifferent ? '+' : ' '} ${line}\n`);
  }

  end(filed: Awaited<ReturnType<Filing['carryOut']>> | null, seconds: number): void {
    const { io, form } = this.#world;
    const counts = [...this.#counts].sort(([, one], [, other]) => other - one);
    if (form === 'json') {
      const summary = {
        messages: this.#messages,
        problems: this.problems,
        seconds,
        counts: Object.fromEntries(counts),
      };
      const compared = this.#compares && { different: this.#different };
      io.out(`${JSON.stringify({ type: 'done', ...summary, ...compared, ...(filed && { filed }) })}\n`);
      return;
    }
    const which = this.#name === null ? 'No script is active' : `"${this.#name}"`;
    io.out(`\n${which}, on ${number(this.#messages)} messages in ${seconds.toFixed(1)} s:\n`);
    for (const [line, count] of counts) io.out(`${number(count).padStart(9)}  ${line}\n`);
    if (this.#compares) io.out(`${number(this.#different)} of them differently from the active script (-)\n`);
    if (!filed) return;
    const made = filed.made.length > 0 ? `, mailboxes made: ${filed.made.join(', ')}` : '';
    io.out(
      `Filed: ${number(filed.moved)} moved, ${number(filed.copied)} copied, ${number(filed.flagged)} flagged${made}.\n` +
        'The same command with --undo instead takes it back.\n',
    );
  }
}

function linesOf(rehearsed: Rehearsed): string[] {
  const problem = rehearsed.problem === null ? [] : [`could not be run to its end: ${rehearsed.problem}`];
  // Why something would not be sent says nothing of the message.
  return [
    ...problem,
    ...inLines(rehearsed).filter((line) => !/^no (?:vacation answer|notification)/.test(line)),
  ];
}

/** Answers to many are one kind of thing. */
function countedAs(line: string): string {
  return line
    .replace(/^(vacation answer|notification) to .*/, '$1')
    .replace(/^rejected, .* is told$/, 'rejected, the sender is told');
}

async function shownOf({
  raw,
  internalDate,
}: Outgoing): Promise<{ date: string; from: string; subject: string }> {
  let header = '';
  for await (const chunk of raw.read({ start: 0, end: MAX_HEADER })) {
    header += Buffer.from(chunk).toString('latin1');
    if (header.includes('\r\n\r\n')) break;
  }
  const value = (name: string): string =>
    decodeWords(fieldValues(header, name)[0] ?? '')
      .replace(/[\p{Cc}\s]+/gu, ' ')
      .trim()
      .slice(0, 100);
  return {
    date: new Date(internalDate).toISOString(),
    from: value('from') || '(nobody)',
    subject: value('subject') || '(no subject)',
  };
}
