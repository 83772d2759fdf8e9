import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/logger.ts';
import { version } from '../../lib/version.ts';
import { formatDate } from '../../message/date.ts';
import type { FileInto } from '../../sieve/action.ts';
import { SieveRuntimeError } from '../../sieve/errors.ts';
import type { SieveHost } from '../../sieve/host.ts';
import type { ListSettings, SieveSettings } from '../../sieve/options.ts';
import type { Annotations } from '../../store/annotations.ts';
import type { KeyValue } from '../../store/key-value.ts';
import { ACCOUNT, type Mailbox, type MailboxId } from '../../store/store.ts';
import type { Place } from './carry-out.ts';
import type { Mark, Question } from './decision.ts';
import { runProgram } from './program.ts';
import type { Scripts } from './scripts.ts';

/** What scripts ask of the house, in the thread that has the account. */

/** Of a list's file. */
const MAX_LIST = 1024 * 1024;
/** Members that `redirect :list` may have. */
const MAX_LISTED = 100;
/** Seconds that a duplicate can be remembered; RFC 7352 3.2 lets us have a bound. */
const MAX_REMEMBERED = 90 * 86_400;

export const DUPLICATE = 'duplicate';

export interface HostOptions {
  readonly hostname: string;
  readonly delimiters: string;
  readonly settings: SieveSettings;
  readonly scripts: Scripts;
  readonly memory: KeyValue;
  readonly clock: Clock;
  readonly log: Logger;
}

/** What scripts may ask of the account's mail. */
export interface HostMail {
  mailboxes(): Promise<readonly Pick<Mailbox, 'id' | 'path' | 'selectable' | 'specialUse'>[]>;
  annotations(id: MailboxId): Promise<Annotations>;
}

/** What the run leaves behind. */
export interface Traces {
  readonly seen: Mark[];
  readonly notes: string[];
}

export function sieveHost(
  question: Question,
  store: () => Promise<HostMail>,
  options: HostOptions,
  traces: Traces,
): SieveHost {
  const { account, mode } = question;
  const { settings, scripts, memory, clock } = options;
  const now = clock.now();
  let listed: ReturnType<HostMail['mailboxes']> | undefined;
  const mailboxes = (): ReturnType<HostMail['mailboxes']> => {
    listed ??= store().then((opened) => opened.mailboxes());
    return listed;
  };
  const find = async (
    path: string,
  ): Promise<Awaited<ReturnType<HostMail['mailboxes']>>[number] | undefined> => {
    const wanted = normalPath(path);
    return (await mailboxes()).find((mailbox) => mailbox.path === wanted && mailbox.selectable);
  };
  const protectedFields = new Set(settings.protectedHeaders.map((name) => name.toLowerCase()));
  return {
    now,
    zoneMinutesAt: (moment) => -moment.getTimezoneOffset(),
    account,
    dateText: () => formatDate(now.getTime(), -now.getTimezoneOffset()),
    boundary: () => `facteur-${randomUUID()}`,
    isProtected: (field) => protectedFields.has(field),
    delimiters: options.delimiters,
    environment: (item) => environmentItem(item, question, options),
    mailboxExists: async (path) => (await find(path)) !== undefined,
    mailboxIdExists: async (id) => (await mailboxes()).some((mailbox) => mailbox.id === id),
    async specialUseExists(path, use) {
      const all = path === null ? await mailboxes() : [await find(path)];
      return all.some((mailbox) => mailbox?.specialUse === use.toLowerCase());
    },
    async metadata(path, entry) {
      const id = path === null ? ACCOUNT : (await find(path))?.id;
      if (id === undefined) return undefined;
      const wanted = entry.toLowerCase();
      for (const [name, value] of await (await store()).annotations(id))
        if (name.toLowerCase() === wanted) return Buffer.from(value, 'latin1').toString('utf8');
      return undefined;
    },
    async isDuplicate(handle, id, seconds, last) {
      const key = `${handle}\0${id}`;
      const found = memory.get(account, DUPLICATE, key) !== undefined;
      const expires = now.getTime() + Math.min(seconds, MAX_REMEMBERED) * 1000;
      if (!found || last) traces.seen.push({ key, expires });
      return found;
    },
    included: async (name, where) =>
      where === 'personal' ? scripts.personal(account, name) : scripts.global(name),
    async inList(list, values) {
      const members = membersOf(settings.lists, list);
      if (members === undefined) return undefined;
      const known = new Set(members.map((member) => member.toLowerCase()));
      return values.find((value) => known.has(value.toLowerCase())) ?? null;
    },
    isList: async (list) => membersOf(settings.lists, list) !== undefined,
    async listed(list) {
      const members = membersOf(settings.lists, list);
      return members && members.length <= MAX_LISTED ? members : undefined;
    },
    spamtest: settings.spamtest ?? undefined,
    virustest: settings.virustest ?? undefined,
    async execute(program, args, input) {
      const known = Object.hasOwn(settings.programs, program) ? settings.programs[program] : undefined;
      if (!known) return undefined;
      // It would run again at the delivery.
      if (mode === 'receipt') throw new SieveRuntimeError('a program is needed');
      if (mode === 'rehearsal') {
        traces.notes.push(`${program} is not run in a rehearsal`);
        return { ok: false, output: new Uint8Array(0) };
      }
      return runProgram(known, args, input, programEnvironment(question));
    },
    debug: (text) => void traces.notes.push(text),
  };
}

/** What a program may know, under the names that Pigeonhole gives. */
export function programEnvironment({
  account,
  envelope,
}: Pick<Question, 'account' | 'envelope'>): Record<string, string> {
  const { from = '', to = account, origTo = to } = envelope ?? {};
  return { USER: account, SENDER: from, RECIPIENT: to, ORIG_RECIPIENT: origTo };
}

/** Where a message goes that a script files: RFC 9042 4, RFC 8579 4: the id before the use, the use before the name. */
export function placeFor(
  { mailbox, mailboxId, specialUse }: Pick<FileInto, 'mailbox' | 'mailboxId' | 'specialUse'>,
  all: Awaited<ReturnType<HostMail['mailboxes']>>,
): Place {
  const path = normalPath(mailbox);
  const found =
    (mailboxId === null ? undefined : all.find(({ id }) => id === mailboxId)) ??
    (specialUse === null ? undefined : all.find((one) => one.specialUse === specialUse.toLowerCase())) ??
    all.find((one) => one.path === path);
  return { path: found?.path ?? path, isThere: found?.selectable === true };
}

export function normalPath(path: string): string {
  return path.normalize('NFC').replace(/^inbox(?=$|\/)/i, 'INBOX');
}

function environmentItem(
  item: string,
  question: Question,
  { hostname, settings }: HostOptions,
): string | undefined {
  const own = question.environment;
  if (Object.hasOwn(own, item)) return own[item];
  const config = /^vnd\.dovecot\.config\.(.+)$/.exec(item)?.[1];
  if (config !== undefined)
    return Object.hasOwn(settings.environment, config) ? settings.environment[config] : undefined;
  switch (item) {
    case 'domain':
      return hostname.replace(/^[^.]+\./, '');
    case 'host':
      return hostname;
    case 'location':
      return 'MDA';
    case 'name':
      return 'Facteur';
    case 'phase':
      return 'post';
    case 'version':
      return version();
    // RFC 6785 4.2 to 4.5: empty at a delivery.
    case 'imap.user':
    case 'imap.email':
    case 'imap.cause':
    case 'imap.mailbox':
    case 'imap.changedflags':
      return '';
    case 'vnd.dovecot.default-mailbox':
      return 'INBOX';
    case 'vnd.dovecot.username':
      return question.account;
    default:
      return undefined;
  }
}

const PREFIX = 'urn:ietf:params:sieve';

/** RFC 6134 2.6: `:addrbook:default` stands for the long name. */
function membersOf(lists: SieveSettings['lists'], name: string): string[] | undefined {
  const short = name.startsWith(`${PREFIX}:`) ? name.slice(PREFIX.length) : name;
  for (const known of [name, short]) if (Object.hasOwn(lists, known)) return readList(lists[known]);
  return undefined;
}

function readList(list: ListSettings | undefined): string[] {
  if (!list) return [];
  const text = list.file === null ? '' : readFileSync(list.file, 'utf8').slice(0, MAX_LIST);
  const lines = text.split('\n').map((line) => line.trim());
  return [...list.members, ...lines.filter((line) => line !== '' && !line.startsWith('#'))];
}
