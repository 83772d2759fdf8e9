import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { afterEach, expect, test } from 'vitest';
import { imapSession, Lines, mail, smtpSession } from '../lines.ts';
import { Daemon, freePorts, type Place, place } from '../processes.ts';

/** Many at once on one process: all are served. What it costs is printed, for README; nothing here judges it. */

const IMAP_CONNECTIONS = 1000;
const SMTP_SESSIONS = 200;

const opened: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).toReversed()) await close();
});

interface Running {
  readonly daemon: Daemon;
  readonly at: Place;
  readonly port: Readonly<Record<'smtp' | 'imap' | 'imaps', number>>;
  readonly password: string;
}

async function running(): Promise<Running> {
  const [smtp = 0, imap = 0, imaps = 0] = await freePorts(3);
  const on = (port: number): object[] => [{ host: '127.0.0.1', port }];
  const many = { maxConnections: 5000, maxConnectionsPerIp: 5000 };
  const at = place({
    listeners: { smtp: on(smtp), imap: on(imap), imaps: on(imaps) },
    limits: { smtp: many, imap: many },
    auth: { allowPlaintextFrom: ['127.0.0.1'] },
    log: { level: 'warn', format: 'json' },
  });
  opened.push(() => at.remove());
  const password = await at.accounts(...accounts);
  const daemon = await listening(at, smtp);
  opened.push(() => daemon.end());
  return { daemon, at, port: { smtp, imap, imaps }, password };
}

const accounts = Array.from({ length: 5 }, (_, i) => `user${i}@load.test`);

/** From the command to the first banner. */
async function listening(at: Place, port: number): Promise<Daemon> {
  const begin = performance.now();
  const daemon = Daemon.spawn(at);
  for (;;) {
    const session = Lines.plain(port);
    try {
      await session.reply();
      break;
    } catch {
      if (daemon.child.exitCode !== null) throw new Error(daemon.text);
      await new Promise((resolve) => setTimeout(resolve, 10));
    } finally {
      session.close();
    }
  }
  print(`start to listening: ${Math.round(performance.now() - begin)} ms`);
  return daemon;
}

function print(text: string): void {
  console.log(`${text}  (load ${loadavg()[0]?.toFixed(1)})`);
}

/** Resident memory of the process in KB. */
function resident(daemon: Daemon): number {
  try {
    return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${daemon.child.pid}/status`, 'latin1'))?.[1]);
  } catch {
    return Number(execFileSync('ps', ['-o', 'rss=', '-p', String(daemon.child.pid)], { encoding: 'utf8' }));
  }
}

const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 3000));

/** `count` of them, no more than `width` being made at a time. */
async function many<T>(count: number, width: number, make: (i: number) => Promise<T>): Promise<T[]> {
  const all: T[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    for (let i = next++; i < count; i = next++) all.push(await make(i));
  };
  await Promise.all(Array.from({ length: width }, work));
  return all;
}

test.each(['plain', 'TLS'])(
  `${IMAP_CONNECTIONS} idle IMAP connections, %s: each gets the news`,
  async (kind) => {
    const { daemon, port, password } = await running();
    await settled();
    const idle = resident(daemon);
    print(`resident, idle: ${(idle / 1024).toFixed(0)} MB`);

    const user = (i: number): string => accounts[i % accounts.length] ?? '';
    const sessions = await many(IMAP_CONNECTIONS, 50, async (i) => {
      const session =
        kind === 'plain'
          ? await imapSession(port.imap, user(i), password)
          : await imapSession(port.imaps, user(i), password, 'tls');
      await session.imap('SELECT INBOX');
      session.write('idle IDLE\r\n');
      await session.until(/^\+ /);
      return { session, user: user(i) };
    });
    expect(sessions).toHaveLength(IMAP_CONNECTIONS);
    await settled();
    const each = (resident(daemon) - idle) / IMAP_CONNECTIONS;
    print(`resident with ${IMAP_CONNECTIONS} idle ${kind} IMAP connections: ${each.toFixed(1)} KB each`);

    const smtp = await smtpSession(port.smtp);
    for (const account of accounts) {
      const { reply } = await mail(smtp, 'a@b.test', account, 'Subject: news\r\n\r\nnews\r\n');
      expect(reply).toMatch(/^250 /);
    }
    smtp.close();
    await Promise.all(sessions.map(({ session }) => session.until(/^\* 1 EXISTS/)));
    await Promise.all(
      sessions.map(async ({ session }) => {
        session.write('DONE\r\n');
        await session.until(/^idle OK/);
        session.close();
      }),
    );
  },
);

test(`${SMTP_SESSIONS} SMTP sessions at once: each message is taken and delivered`, async () => {
  const { daemon, port, password } = await running();
  const sessions = await Promise.all(Array.from({ length: SMTP_SESSIONS }, () => smtpSession(port.smtp)));
  const begin = performance.now();
  const outcomes = await Promise.all(
    sessions.map((session, i) =>
      mail(
        session,
        'a@b.test',
        accounts[i % accounts.length] ?? '',
        `Subject: ${i}\r\n\r\n${'x'.repeat(70)}\r\n`,
      ),
    ),
  );
  print(`${SMTP_SESSIONS} sessions at once: all answered in ${Math.round(performance.now() - begin)} ms`);
  for (const { reply } of outcomes) expect(reply).toMatch(/^250 2\.0\.0 /);
  await Promise.all(sessions.map((session) => session.ask('QUIT')));
  const imap = await imapSession(port.imap, accounts[0] ?? '', password);
  const wanted = SMTP_SESSIONS / accounts.length;
  for (let attempt = 0; attempt < 100; attempt++) {
    const answer = await imap.imap('STATUS INBOX (MESSAGES)');
    if (answer.includes(`MESSAGES ${wanted})`)) break;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  expect(await imap.imap('STATUS INBOX (MESSAGES)')).toContain(`MESSAGES ${wanted})`);
  imap.close();
  daemon.kill('SIGTERM');
  expect(await daemon.ended(20_000)).toBe(0);
});
