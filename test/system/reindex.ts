import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { promisify } from 'node:util';
import { mail, smtpSession } from '../lines.ts';
import { Daemon, freePorts, type Place, place } from '../processes.ts';
import { StrictImap } from '../strict-imap.ts';

/**
 * The index is deleted while deliveries, an IMAP session and mbsync work on a mailbox. What it reports must be: no
 * error, the same UIDs, UIDVALIDITY, flags and keywords, no lower MODSEQ, and nothing for mbsync to transfer again.
 */

const ACCOUNT = 'alice@example.org';
const run = promisify(execFile);
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A lost index is missed at the next look (`store.pollInterval`, 10 s), and then made again (ms). */
const MISSED = 15_000;

export interface ReindexOptions {
  readonly messages: number;
  /** How long the work goes on after the index went (ms). */
  readonly during: number;
  readonly progress: (text: string) => void;
}

export interface ReindexReport {
  /** What went wrong, in words; empty when nothing did. */
  readonly faults: readonly string[];
  /** The longest that an IMAP command, a delivery took before and after the index went (ms). */
  readonly longest: Readonly<
    Record<'imap' | 'delivery', { readonly before: number; readonly after: number }>
  >;
  readonly delivered: number;
  readonly syncs: number;
  /** From SELECT to its answer after a start without an index (ms), and messages a second. */
  readonly rebuild: { readonly ms: number; readonly rate: number };
  /** Of the daemon at its end (MB). */
  readonly resident: number;
}

interface View {
  readonly uidValidity: string;
  readonly modSeq: number;
  readonly flags: ReadonlyMap<number, string>;
}

export async function reindex({ messages, during, progress }: ReindexOptions): Promise<ReindexReport> {
  const [smtp = 0, imap = 0, imaps = 0] = await freePorts(3);
  const on = (port: number): object[] => [{ host: '127.0.0.1', port }];
  const at = place({
    listeners: { smtp: on(smtp), imap: on(imap), imaps: on(imaps) },
    auth: { allowPlaintextFrom: ['127.0.0.1'] },
    log: { level: 'info', format: 'json' },
  });
  const password = await at.accounts(ACCOUNT);
  fill(at, messages);
  const sync = mbsync(at, imap, password);
  const faults: string[] = [];
  let daemon = await Daemon.start(at);
  try {
    const client = await StrictImap.login(imaps, ACCOUNT, password);
    await client.ok('SELECT INBOX');
    await client.ok(`STORE 1:${messages >> 3} +FLAGS (\\Flagged)`);
    await client.ok(`STORE ${messages >> 2}:${messages >> 1} +FLAGS ($Later Work)`);
    await client.ok('UID STORE 7 +FLAGS (\\Deleted)');
    await client.ok('EXPUNGE');
    const first = await sync();
    progress(`first sync: ${first} messages`);
    if (first < messages - 1) faults.push(`mbsync fetched ${first} messages only`);
    for (let again = 1; again <= 3 && (await sync()) > 0; again++) progress('once more');
    if ((await sync()) > 0) faults.push('mbsync is not content before the index goes');
    const before = await view(client);

    const load = new Load(smtp, client, sync);
    const work = load.run();
    await pause(during / 3);
    const maildir = join(at.dir, 'data/mail/example.org/alice');
    for (const suffix of ['', '-wal', '-shm'])
      rmSync(join(maildir, `index.sqlite${suffix}`), { force: true });
    progress('the index is gone');
    load.phase = 'after';
    await pause(during);
    const isThere = (): boolean => readdirSync(maildir).includes('index.sqlite');
    for (const end = Date.now() + MISSED; !isThere() && Date.now() < end; ) await pause(100);
    load.stop();
    await work;
    faults.push(...load.faults);
    if (!isThere()) faults.push('no new index after all this time');
    progress(`${load.delivered} delivered, ${load.syncs} syncs meanwhile`);
    await sync();
    if ((await sync()) > 0) faults.push('mbsync transferred something again');
    faults.push(...differences(before, await view(client)));
    client.close();
    await daemon.end();

    for (const suffix of ['', '-wal', '-shm'])
      rmSync(join(maildir, `index.sqlite${suffix}`), { force: true });
    daemon = await Daemon.start(at);
    const again = await StrictImap.login(imaps, ACCOUNT, password);
    const begin = performance.now();
    await again.ok('SELECT INBOX');
    const ms = performance.now() - begin;
    faults.push(...differences(before, await view(again)));
    again.close();
    if ((await sync()) > 0) faults.push('mbsync transferred something after the restart');
    const status = readFileSync(`/proc/${daemon.child.pid}/status`, 'latin1');
    return {
      faults,
      longest: load.longest,
      delivered: load.delivered,
      syncs: load.syncs,
      rebuild: { ms: Math.round(ms), rate: Math.round((messages / ms) * 1000) },
      resident: Math.round(Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) / 1024),
    };
  } finally {
    await daemon.end();
    at.remove();
  }
}

/** As another program would have left it: bare LFs, names that say nothing. */
function fill(at: Place, messages: number): void {
  const maildir = join(at.dir, 'data/mail/example.org/alice/Maildir');
  for (const name of ['tmp', 'new', 'cur']) mkdirSync(join(maildir, name), { recursive: true });
  for (let serial = 0; serial < messages; serial++) {
    const text = `From: a${serial % 97}@example.net\nTo: ${ACCOUNT}\nSubject: message ${serial}\nMessage-ID: <${serial}@example.net>\nDate: Thu, 1 Jan 2026 12:00:00 +0000\n\n${'A line of text.\n'.repeat(20 + (serial % 50))}`;
    writeFileSync(join(maildir, 'cur', `${1_700_000_000 + serial}.P1.host:2,${serial % 3 ? 'S' : ''}`), text);
  }
}

/** @returns a run of mbsync; it resolves to how many messages came, went or changed on either side */
function mbsync(at: Place, port: number, password: string): () => Promise<number> {
  const near = join(at.dir, 'near');
  mkdirSync(near);
  writeFileSync(
    join(at.dir, 'mbsyncrc'),
    [
      `FSync no\n\nIMAPAccount far\nHost 127.0.0.1\nPort ${port}\nTimeout 60\nUser ${ACCOUNT}\nPass "${password}"`,
      'SSLType None\nAuthMechs LOGIN\n\nIMAPStore far\nAccount far\n',
      `MaildirStore near\nPath ${near}/\nInbox ${near}/INBOX\n`,
      'Channel all\nFar :far:\nNear :near:\nPatterns INBOX\nCreate Both\nExpunge Both\nSyncState *\n',
    ].join('\n'),
  );
  const box = join(near, 'INBOX');
  const names = (): Set<string> =>
    new Set(existsSync(box) ? ['new', 'cur'].flatMap((place) => readdirSync(join(box, place))) : []);
  return async () => {
    const before = names();
    const { stdout } = await run('mbsync', ['-V', '-c', join(at.dir, 'mbsyncrc'), 'all'], {
      maxBuffer: 64 * 1024 * 1024,
    });
    const after = names();
    const near = [...after].filter((name) => !before.has(name)).length;
    const gone = [...before].filter((name) => !after.has(name)).length;
    // What it says of both sides where it says it: +new *flags #trashed.
    const said = [...stdout.matchAll(/(?:^|\s)[+*#](\d+)/g)].reduce(
      (sum, [, count]) => sum + Number(count),
      0,
    );
    return near + gone + said;
  };
}

/** Deliveries, a session and a synchronising client, each as fast as it goes. */
class Load {
  readonly faults: string[] = [];
  readonly longest = { imap: { before: 0, after: 0 }, delivery: { before: 0, after: 0 } };
  phase: 'before' | 'after' = 'before';
  delivered = 0;
  syncs = 0;
  readonly #smtp: number;
  readonly #client: StrictImap;
  readonly #sync: () => Promise<number>;
  #stopped = false;

  constructor(smtp: number, client: StrictImap, sync: () => Promise<number>) {
    this.#smtp = smtp;
    this.#client = client;
    this.#sync = sync;
  }

  stop(): void {
    this.#stopped = true;
  }

  async run(): Promise<void> {
    const guarded = (work: Promise<void>): Promise<void> =>
      work.catch((error: unknown) => void this.faults.push(String(error)));
    await Promise.all([guarded(this.#deliver()), guarded(this.#read()), guarded(this.#synchronise())]);
  }

  async #deliver(): Promise<void> {
    const smtp = await smtpSession(this.#smtp);
    while (!this.#stopped) {
      const text = `From: b@example.net\r\nSubject: new ${this.delivered}\r\n\r\nnew\r\n`;
      const { reply } = await this.#timed('delivery', () => mail(smtp, 'b@example.net', ACCOUNT, text));
      if (!reply.startsWith('250')) this.faults.push(`SMTP: ${reply}`);
      this.delivered++;
      await pause(20);
    }
    smtp.close();
  }

  async #read(): Promise<void> {
    const commands = [
      'NOOP',
      'FETCH 1:20 (UID FLAGS ENVELOPE)',
      'UID FETCH 50 BODY.PEEK[]',
      'STATUS INBOX (MESSAGES UIDNEXT UNSEEN)',
      'FETCH 1:500 (UID FLAGS)',
      // Set and taken back: what stands before and afterwards can be compared.
      'UID STORE 60:70 +FLAGS (Passing)',
      'UID STORE 60:70 -FLAGS (Passing)',
    ];
    for (let at = 0; !this.#stopped || at % commands.length !== 0; at++) {
      const command = commands[at % commands.length] ?? 'NOOP';
      const { status, text } = await this.#timed('imap', () => this.#client.ask(command));
      if (status !== 'OK') this.faults.push(`${command}: ${status} ${text}`);
      await pause(5);
    }
  }

  async #synchronise(): Promise<void> {
    while (!this.#stopped) {
      await this.#sync();
      this.syncs++;
      await pause(100);
    }
  }

  async #timed<T>(what: 'imap' | 'delivery', work: () => Promise<T>): Promise<T> {
    const begin = performance.now();
    const { phase } = this;
    const result = await work();
    const ms = Math.round(performance.now() - begin);
    this.longest[what][phase] = Math.max(this.longest[what][phase], ms);
    return result;
  }
}

async function view(client: StrictImap): Promise<View> {
  const answer = await client.ok('STATUS INBOX (UIDVALIDITY HIGHESTMODSEQ)');
  const status = answer.untagged.map(String).find((line) => line.startsWith('* STATUS')) ?? '';
  const { untagged } = await client.ok('UID FETCH 1:* (FLAGS)');
  const flags = new Map<number, string>();
  for (const line of untagged) {
    const match = /FETCH \(UID (\d+) FLAGS \(([^)]*)\)/.exec(line.toString('latin1'));
    if (match) flags.set(Number(match[1]), withoutRecent(match[2] ?? ''));
  }
  return {
    uidValidity: /UIDVALIDITY (\d+)/.exec(status)?.[1] ?? '',
    modSeq: Number(/HIGHESTMODSEQ (\d+)/.exec(status)?.[1]),
    flags,
  };
}

function withoutRecent(flags: string): string {
  return flags
    .split(' ')
    .filter((flag) => flag !== '\\Recent')
    .sort()
    .join(' ');
}

function differences(before: View, after: View): string[] {
  const faults: string[] = [];
  if (after.uidValidity !== before.uidValidity) faults.push('another UIDVALIDITY');
  if (!(after.modSeq >= before.modSeq)) faults.push(`MODSEQ ${after.modSeq} after ${before.modSeq}`);
  let changed = 0;
  for (const [uid, flags] of before.flags) {
    const now = after.flags.get(uid);
    if (now === flags) continue;
    if (changed++ < 5)
      faults.push(`UID ${uid} was (${flags}), is ${now === undefined ? 'gone' : `(${now})`}`);
  }
  if (changed > 5) faults.push(`${changed} messages in all`);
  return faults;
}
