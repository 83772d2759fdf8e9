import type { AccountId } from '../../directory/directory.ts';
import { deliveredToField, formatDate, returnPathField } from '../../mail/trace.ts';
import type { Limits, Usage } from '../quota.ts';
import { StoreError } from '../store.ts';
import type { MaildirAccount } from './account.ts';
import { deliverAll } from './deliver.ts';
import { readOptional, writeDurably } from './disk.ts';

/**
 * Warnings of a quota that is nearly used up: one mail into INBOX, and one line in the log, for each threshold that is
 * crossed upwards; again only after usage was below it. What was told is in `quota-warned` beside the Maildir, so that
 * neither a restart nor a new index tells it twice. Lines of text:
 *
 *     quota-warned 1                format and its version
 *     storage <percent> <count>     the highest threshold told of, 0 when none; how many mails there were
 *     messages <percent> <count>
 *
 * The count is part of the mail's delivery key: when a crash comes between the mail and the file, the same mail is
 * delivered again, and the store knows its key. The mail itself is never refused, and crosses no threshold.
 */
const WARNED_FILE = 'quota-warned';

type Resource = 'storage' | 'messages';
const RESOURCES: readonly Resource[] = ['storage', 'messages'];

type Warned = Readonly<Record<Resource, { readonly percent: number; readonly count: number }>>;

/** A mail to deliver into INBOX. */
interface Warning {
  readonly resource: Resource;
  readonly percent: number;
  readonly key: string;
  readonly content: Uint8Array;
}

export class QuotaWarnings {
  readonly #account: MaildirAccount;
  readonly #thresholds: readonly number[];
  #read: Warned | undefined;

  constructor(account: MaildirAccount, thresholds: readonly number[]) {
    this.#account = account;
    this.#thresholds = [...thresholds].sort((a, b) => a - b);
  }

  /** Before mail comes in: what has fallen below a threshold may cross it again. */
  before(limits: Limits | null): void {
    if (!limits || (limits.storage === null && limits.messages === null)) return;
    try {
      for (const resource of RESOURCES) {
        const percent = this.#reached(resource, limits);
        const { percent: told, count } = this.#warned[resource];
        if (percent < told) this.#note(resource, { percent, count });
      }
    } catch (error) {
      this.#account.log.error({ err: error }, 'cannot note what was told of the quota');
    }
  }

  /** After mail came in: tells what is to be told. Nobody's mail fails for it. */
  after(limits: Limits | null): void {
    if (!limits || (limits.storage === null && limits.messages === null)) return;
    try {
      for (const warning of this.#due(limits)) {
        this.#deliver(warning);
        const { resource, percent } = warning;
        this.#note(resource, { percent, count: this.#warned[resource].count + 1 });
      }
    } catch (error) {
      this.#account.log.error({ err: error }, 'quota warning not delivered');
    }
  }

  get #warned(): Warned {
    this.#read ??= readWarned(this.#account.directory);
    return this.#read;
  }

  #due(limits: Limits): readonly Warning[] {
    return RESOURCES.flatMap((resource) => {
      const percent = this.#reached(resource, limits);
      const { percent: told, count } = this.#warned[resource];
      if (percent <= told) return [];
      const key = `quota-${resource}-${percent}-${count}`;
      const { id, usage, clock, log } = this.#account;
      const content = compose({ id, key, resource, percent, limits, usage, now: clock.now() });
      log.warn({ resource, percent, used: used(usage, resource), limit: limits[resource] }, 'quota warning');
      return [{ resource, percent, key, content }];
    });
  }

  #deliver({ key, content }: Warning): void {
    const account = this.#account;
    const into = { path: 'INBOX' };
    const internalDate = account.now();
    const [told] = deliverAll([
      { account, into, key, flags: [], internalDate, content: [content], quota: null },
    ]);
    if (!told || !('error' in told)) return;
    // Where INBOX itself may hold no more, the line in the log must do.
    if (!(told.error instanceof StoreError && told.error.kind === 'over-quota')) throw told.error;
  }

  #note(resource: Resource, now: Warned[Resource]): void {
    const warned = { ...this.#warned, [resource]: now };
    const lines = RESOURCES.map((name) => `${name} ${warned[name].percent} ${warned[name].count}\n`);
    writeDurably(this.#account.directory, WARNED_FILE, `quota-warned 1\n${lines.join('')}`);
    this.#read = warned;
  }

  #reached(resource: Resource, limits: Limits): number {
    const limit = limits[resource];
    if (limit === null) return 0;
    const now = used(this.#account.usage, resource) * 100;
    return this.#thresholds.findLast((percent) => now >= percent * limit) ?? 0;
  }
}

function used(usage: Usage, resource: Resource): number {
  return resource === 'storage' ? usage.bytes : usage.messages;
}

/** What cannot be read counts as nothing told: once too often is better than never. */
function readWarned(directory: string): Warned {
  const text = readOptional(`${directory}/${WARNED_FILE}`)?.toString('latin1') ?? '';
  const told = (resource: Resource): Warned[Resource] => {
    const found = new RegExp(`^${resource} (\\d{1,3}) (\\d{1,9})$`, 'm').exec(text);
    return { percent: Number(found?.[1] ?? 0), count: Number(found?.[2] ?? 0) };
  };
  return { storage: told('storage'), messages: told('messages') };
}

/** RFC 5322, and RFC 6532 where the address needs it; nobody's autoresponder answers it (RFC 3834 5). */
function compose(warning: {
  readonly id: AccountId;
  readonly key: string;
  readonly resource: Resource;
  readonly percent: number;
  readonly limits: Limits;
  readonly usage: Usage;
  readonly now: Date;
}): Uint8Array {
  const { id, key, resource, percent, limits, usage, now } = warning;
  const domain = id.slice(id.lastIndexOf('@') + 1);
  const limit = limits[resource] ?? 0;
  const isFull = percent >= 100;
  const amount =
    resource === 'storage'
      ? `${readable(usage.bytes)} of ${readable(limit)}`
      : `${usage.messages} of ${limit} messages`;
  const ascii = /^[ -~]*$/.test(id);
  return Buffer.from(
    [
      `${returnPathField(null)}${deliveredToField(id)}Date: ${formatDate(now)}`,
      `From: Mail system <postmaster@${domain}>`,
      `To: <${id}>`,
      `Subject: ${isFull ? 'Your mailbox is full' : `Your mailbox is ${percent} % full`}`,
      `Message-ID: <${key}.${now.getTime()}@${domain}>`,
      'Auto-Submitted: auto-generated',
      'MIME-Version: 1.0',
      `Content-Type: text/plain; charset=${ascii ? 'us-ascii' : 'utf-8'}`,
      `Content-Transfer-Encoding: ${ascii ? '7bit' : '8bit'}`,
      '',
      `The mailbox of ${id} is ${isFull ? 'full' : 'nearly full'}:`,
      `${amount} are used.`,
      '',
      isFull
        ? 'New mail for it is no longer taken until there is room again.'
        : 'When it is full, new mail for it is no longer taken.',
      'Please delete what you no longer need, and empty the Trash.',
      '',
    ].join('\r\n'),
  );
}

function readable(bytes: number): string {
  const units = ['bytes', 'KB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${Number(value.toFixed(1))} ${units[unit]}`;
}
