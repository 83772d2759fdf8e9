import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { connect as tlsConnect } from 'node:tls';
import { afterEach, describe, expect, test } from 'vitest';
import { imapSession, Lines, smtpSession } from '../lines.ts';
import { Daemon, freePorts, type Outcome, type Place, place } from '../processes.ts';
import { writeCertificate } from '../tls/authority.ts';
import { eventually } from '../world.ts';

/** The daemon as whoever runs it sees it: signals, exit codes, what it says when it cannot start. */

/** What src/cli/serve.ts gives sessions after SIGTERM, and some for a busy machine. */
const STOPPED_MS = 20_000;
const opened: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).toReversed()) await close();
});

function somewhere(settings: object): Place {
  const at = place(settings);
  opened.push(() => at.remove());
  return at;
}

async function running(at: Place, env: NodeJS.ProcessEnv = {}): Promise<Daemon> {
  const daemon = await Daemon.start(at, { env });
  opened.push(() => daemon.end());
  return daemon;
}

const on = (port: number | undefined): object[] => [{ host: '127.0.0.1', port }];

/** The only mail file of an account; undefined while there is none. */
function delivered(at: Place, account: string): string | undefined {
  const [local = '', domain = ''] = account.split('@');
  const folder = join(at.dir, 'data/mail', domain, local, 'Maildir/new');
  try {
    const [name] = readdirSync(folder);
    return name === undefined ? undefined : readFileSync(join(folder, name), 'latin1');
  } catch {
    return undefined;
  }
}

describe('stopping', () => {
  test('SIGTERM: no new connections, the message under way is taken and delivered, idle sessions hear BYE, exit code 0', async () => {
    const [smtp = 0, imap = 0, pop3 = 0] = await freePorts(3);
    const at = somewhere({
      listeners: { smtp: on(smtp), imap: on(imap), pop3: on(pop3) },
      auth: { allowPlaintextFrom: ['127.0.0.1'] },
    });
    const password = await at.accounts('alice@example.org');
    const daemon = await running(at);

    const idling = await imapSession(imap, 'alice@example.org', password);
    await idling.imap('SELECT INBOX');
    idling.write('i1 IDLE\r\n');
    await idling.until(/^\+ /);
    const waiting = await imapSession(imap, 'alice@example.org', password);
    const fetching = Lines.plain(pop3);
    await fetching.reply();
    const quiet = await smtpSession(smtp);
    const sending = await smtpSession(smtp);
    await sending.ask('MAIL FROM:<bob@example.net>');
    await sending.ask('RCPT TO:<alice@example.org>');
    expect(await sending.ask('DATA')).toMatch(/^354 /);
    sending.write('Subject: half way\r\n\r\nfirst half\r\n');

    daemon.kill('SIGTERM');
    expect(await idling.closed()).toMatch(/^\* BYE /m);
    expect(await waiting.closed()).toMatch(/^\* BYE /m);
    expect(await quiet.closed()).toMatch(/^421 /);
    await fetching.closed();
    await expect(smtpSession(smtp)).rejects.toThrow();
    expect(daemon.child.exitCode).toBeNull();

    sending.write('second half\r\n.\r\n');
    expect(await sending.reply()).toMatch(/^250 2\.0\.0 /);
    expect(await daemon.ended(STOPPED_MS)).toBe(0);
    expect(daemon.log.at(-1)?.['msg']).toBe('stopped');

    // Accepted is kept: it is in the mailbox, or will be with the next start.
    if (delivered(at, 'alice@example.org') === undefined) await running(at);
    const text = await eventually('the message', () => delivered(at, 'alice@example.org'));
    expect(text).toContain('first half');
    expect(text).toContain('second half');
  });

  test('a delivery just made keeps the process no longer than others', async () => {
    const [smtp = 0] = await freePorts(1);
    const at = somewhere({ listeners: { smtp: on(smtp) } });
    await at.accounts('alice@example.org');
    const daemon = await running(at);
    const session = await smtpSession(smtp);
    await session.ask('MAIL FROM:<bob@example.net>');
    await session.ask('RCPT TO:<alice@example.org>');
    await session.ask('DATA');
    session.write('Subject: quick\r\n\r\n.\r\n');
    expect(await session.reply()).toMatch(/^250 /);
    session.close();
    await daemon.logged('delivery attempt', { status: 'delivered' });
    daemon.kill('SIGTERM');
    expect(await daemon.ended(STOPPED_MS)).toBe(0);
    expect(daemon.text).not.toContain('a bug');
  });

  test('a session that does not finish is cut off in bounded time', async () => {
    const [smtp = 0] = await freePorts(1);
    const at = somewhere({ listeners: { smtp: on(smtp) } });
    await at.accounts('alice@example.org');
    const daemon = await running(at);
    const session = await smtpSession(smtp);
    await session.ask('MAIL FROM:<bob@example.net>');
    await session.ask('RCPT TO:<alice@example.org>');
    await session.ask('DATA');
    session.write('Subject: endless\r\n');
    daemon.kill('SIGTERM');
    expect(await daemon.ended(STOPPED_MS)).toBe(0);
    await session.closed();
  });

  test('a second signal ends it at once', async () => {
    const [smtp = 0] = await freePorts(1);
    const at = somewhere({ listeners: { smtp: on(smtp) } });
    await at.accounts('alice@example.org');
    const daemon = await running(at);
    const session = await smtpSession(smtp);
    await session.ask('MAIL FROM:<bob@example.net>');
    await session.ask('RCPT TO:<alice@example.org>');
    await session.ask('DATA');
    daemon.kill('SIGTERM');
    await daemon.logged('stopping');
    daemon.kill('SIGTERM');
    expect(await daemon.ended(5000)).toBe(1);
    await daemon.logged('stopping at once: sessions and deliveries are broken off');
  });

  test('a worker thread that dies ends the process with exit code 1', async () => {
    const [smtp = 0] = await freePorts(1);
    const at = somewhere({ listeners: { smtp: on(smtp) } });
    await at.accounts('alice@example.org');
    const poison = join(at.dir, 'poison.mjs');
    const signal = join(at.dir, 'die');
    writeFileSync(
      poison,
      `import { existsSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';
if (!isMainThread) setInterval(() => {
  if (existsSync(${JSON.stringify(signal)})) throw new Error('this thread is broken');
}, 20);`,
    );
    const daemon = await running(at, { NODE_OPTIONS: `--import ${poison}` });
    writeFileSync(signal, '');
    expect(await daemon.ended(STOPPED_MS)).toBe(1);
    const line = await daemon.logged('facteur must stop');
    expect(JSON.stringify(line)).toContain('this thread is broken');
  });
});

/** Not started: exit code 1, and one line for people. */
function expectRefusal({ code, out, err }: Outcome, words: RegExp): void {
  expect(err).toMatch(words);
  expect(code).toBe(1);
  expect(err.trim().split('\n')).toHaveLength(1);
  expect(err + out).not.toMatch(/^\s+at /m);
}

const root = process.getuid?.() === 0;
const setpriv = root && spawnSync('setpriv', ['--version']).status === 0;
if (!setpriv) console.log('not root, or no setpriv: nothing is started as a user without privileges');

describe('a start that cannot be', () => {
  test('port taken', async () => {
    const [port = 0] = await freePorts(1);
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(port, '127.0.0.1', resolve));
    opened.push(() => other.close());
    const at = somewhere({ listeners: { smtp: on(port) } });
    expectRefusal(at.facteur(['serve']), new RegExp(`127\\.0\\.0\\.1:${port} \\(smtp\\) is taken`));
  });

  test('no such address', () => {
    const at = somewhere({ listeners: { smtp: [{ host: '192.0.2.1', port: 0 }] } });
    expectRefusal(at.facteur(['serve']), /no address 192\.0\.2\.1/);
  });

  test.runIf(setpriv)('a port below 1024 without the privilege', () => {
    const at = somewhere({ listeners: { smtp: on(1023) } });
    chmodSync(at.dir, 0o777);
    expectRefusal(unprivileged(at), /no permission to listen on 127\.0\.0\.1:1023 \(smtp\)/);
  });

  test.runIf(setpriv)("a data directory that is somebody else's", () => {
    const at = somewhere({ listeners: { smtp: on(0) } });
    mkdirSync(join(at.dir, 'data'), { mode: 0o700 });
    chmodSync(at.dir, 0o755);
    expectRefusal(
      unprivileged(at, 'account', 'list'),
      /cannot write in the data directory .*user who owns it/,
    );
    expectRefusal(unprivileged(at, 'queue', 'list'), /user (who owns|it runs as)/);
    expectRefusal(unprivileged(at), /cannot write in the data directory .*user who owns it/);
  });

  test.runIf(setpriv)('a configuration that this user may not read', () => {
    const at = somewhere({ listeners: { smtp: on(0) } });
    chmodSync(at.dir, 0o755);
    chmodSync(at.file, 0o600);
    expectRefusal(unprivileged(at), /facteur\.yaml:1:1\s+not readable by this user/);
  });

  test('a data directory that another process has', async () => {
    const [port = 0] = await freePorts(1);
    const at = somewhere({ listeners: { smtp: on(port) } });
    const daemon = await running(at);
    const refusal = at.facteur(['serve']);
    expectRefusal(refusal, new RegExp(`in use by another facteur \\(process ${daemon.child.pid}\\)`));
    // And nothing has happened to the one that runs.
    (await smtpSession(port)).close();
  });

  test('a data directory of another version', () => {
    const at = somewhere({ listeners: { smtp: on(0) } });
    mkdirSync(join(at.dir, 'data'));
    writeFileSync(join(at.dir, 'data/version'), '99\n');
    expectRefusal(at.facteur(['serve']), /has version 99, this facteur knows version 1/);
  });

  test('a data directory where a file lies', () => {
    const at = somewhere({ listeners: { smtp: on(0) } });
    writeFileSync(join(at.dir, 'data'), '');
    expectRefusal(at.facteur(['serve']), /cannot use the data directory .*a file is in the way/);
  });

  test('no configuration file', () => {
    const at = somewhere({});
    expectRefusal(
      at.facteur(['serve', '--config', join(at.dir, 'none.yaml')]),
      /none\.yaml:1:1\s+no such file/,
    );
  });

  test('a configuration with several mistakes: all of them, each with its place', () => {
    const at = somewhere({});
    writeFileSync(
      at.file,
      'hostnam: mx.example.org\nlisteners:\n  smtp: [{ port: 70000 }]\nmynetworks: [no]\n',
    );
    const { code, err } = at.facteur(['serve']);
    expect(code).toBe(1);
    const lines = err.trim().split('\n');
    expect(lines).toHaveLength(3);
    expect(lines[0]).toMatch(/facteur\.yaml:1:1\s+hostnam\s+no such setting \(did you mean hostname\?\)/);
    expect(lines[1]).toMatch(/facteur\.yaml:3:18\s+listeners\.smtp\[0\]\.port\s+must be at most 65535/);
    expect(lines[2]).toMatch(/facteur\.yaml:4:14\s+mynetworks\[0\]/);
    expect(at.facteur(['check-config']).err).toBe(err);
  });

  test('a configuration that is no YAML', () => {
    const at = somewhere({});
    writeFileSync(at.file, 'listeners: { smtp: [\n');
    const { code, err } = at.facteur(['serve']);
    expect(code).toBe(1);
    expect(err).toMatch(/facteur\.yaml:\d+:\d+ /);
    expect(err).not.toMatch(/^\s+at /m);
  });

  test('a certificate that is not there, and one that does not go with its key', async () => {
    const at = somewhere({ listeners: { smtp: on(0) }, tls: { cert: 'none.crt', key: 'none.key' } });
    expectRefusal(at.facteur(['serve']), /none\.crt/);
    const one = await writeCertificate(at.dir, 'one.example');
    const two = await writeCertificate(at.dir, 'two.example');
    at.write({ listeners: { smtp: on(0) }, tls: { cert: one.cert, key: two.key } });
    expectRefusal(at.facteur(['serve']), /key/);
  });

  test('nothing to listen on', () => {
    const at = somewhere({});
    expectRefusal(at.facteur(['serve']), /nothing to do.*listeners/);
    at.write({ listeners: { http: on(0) } });
    expectRefusal(at.facteur(['serve']), /nothing to do.*listeners/);
  });
});

/** `facteur serve`, or another command, as nobody. */
function unprivileged(at: Place, ...words: readonly string[]): Outcome {
  const command = words.length > 0 ? words : ['serve'];
  const { status, stdout, stderr } = spawnSync(
    'setpriv',
    [
      ...['--reuid=65534', '--regid=65534', '--clear-groups', '--inh-caps=-all', '--bounding-set=-all', '--'],
      ...[
        process.execPath,
        join(import.meta.dirname, '../../bin/facteur.js'),
        '--config',
        at.file,
        ...command,
      ],
    ],
    { encoding: 'utf8' },
  );
  return { code: status, out: stdout, err: stderr };
}

describe('services that this version does not have', () => {
  test('listeners for them are warned of, not refused', async () => {
    const [smtp = 0, http = 0] = await freePorts(2);
    const at = somewhere({ listeners: { smtp: on(smtp), http: on(http) } });
    const daemon = await running(at);
    const message = 'nothing listens there: not served in this version';
    await daemon.logged(message, { level: 'warn', setting: 'listeners.http' });
    const { code, out } = at.facteur(['check-config']);
    expect(code).toBe(0);
    expect(out).toContain('warning: listeners.http is not served in this version\n');
    expect(out).toContain('no problems found');
    expect(JSON.parse(at.facteur(['check-config', '--json']).out)).toMatchObject({
      problems: [],
      warnings: ['listeners.http is not served in this version'],
    });
  });
});

describe('SIGHUP', () => {
  test('opens and closes listeners, serves the new certificate, changes the log level; sessions live on', async () => {
    const [first = 0, second = 0, imaps = 0] = await freePorts(3);
    const at = somewhere({});
    const one = await writeCertificate(at.dir, 'one.example');
    const two = await writeCertificate(at.dir, 'two.example');
    const before = { listeners: { smtp: on(first), imaps: on(imaps) }, tls: one };
    at.write(before);
    await at.accounts('alice@example.org');
    const daemon = await running(at);
    const session = await smtpSession(first);
    expect(await certificateAt(imaps)).toBe('one.example');

    at.write({
      ...before,
      listeners: { smtp: on(second), imaps: on(imaps) },
      tls: two,
      log: { level: 'warn' },
      dns: { timeout: '1s' },
      limits: { smtp: { maxConnections: 7 } },
    });
    daemon.kill('SIGHUP');
    await daemon.logged('setting changes only with a restart', { setting: 'dns.timeout' });
    await daemon.logged('setting changes only with a restart', { setting: 'limits.smtp.maxConnections' });
    expect(daemon.log.filter(({ msg }) => msg === 'setting changes only with a restart')).toHaveLength(2);
    expect(await certificateAt(imaps)).toBe('two.example');
    (await smtpSession(second)).close();
    await expect(smtpSession(first)).rejects.toThrow();

    // The old session does its work on the new world's queue and accounts.
    await session.ask('MAIL FROM:<bob@example.net>');
    await session.ask('RCPT TO:<alice@example.org>');
    await session.ask('DATA');
    session.write('Subject: through a reload\r\n\r\n.\r\n');
    expect(await session.reply()).toMatch(/^250 2\.0\.0 /);
    await eventually('the message', () => delivered(at, 'alice@example.org'));
    // Level warn: no line about it.
    expect(daemon.log.some(({ msg }) => msg === 'accepted')).toBe(false);

    daemon.kill('SIGTERM');
    expect(await daemon.ended(STOPPED_MS)).toBe(0);
  });

  test('with a configuration that cannot be, the old one stays and every problem is logged', async () => {
    const [port = 0, taken = 0] = await freePorts(2);
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(taken, '127.0.0.1', resolve));
    opened.push(() => other.close());
    const at = somewhere({ listeners: { smtp: on(port) } });
    const daemon = await running(at);

    const message = 'configuration not reloaded, the old one stays';
    writeFileSync(at.file, 'hostnam: x\nlog: { level: loud }\n');
    daemon.kill('SIGHUP');
    await daemon.logged(message, { line: 1, column: 1, setting: 'hostnam' });
    await daemon.logged(message, { line: 2, setting: 'log.level' });

    at.write({ listeners: { smtp: [...on(port), ...on(taken)] } });
    daemon.kill('SIGHUP');
    await eventually('the reason', () =>
      daemon.log.find(({ reason }) => String(reason).includes(`${taken} (smtp) is taken`)),
    );

    at.write({ listeners: { smtp: on(port) }, tls: { cert: 'none.crt', key: 'none.key' } });
    daemon.kill('SIGHUP');
    await eventually('the reason', () =>
      daemon.log.find(({ reason }) => String(reason).includes('none.crt')),
    );

    at.write({ listeners: {} });
    daemon.kill('SIGHUP');
    await eventually('the reason', () =>
      daemon.log.find(({ reason }) => String(reason).includes('nothing to do')),
    );
    expect(daemon.text).not.toMatch(/configuration reloaded/);
    (await smtpSession(port)).close();
  });

  test('a POP3 session from before still has its maildrop for itself (RFC 1939 4)', async () => {
    const [pop3 = 0] = await freePorts(1);
    const at = somewhere({ listeners: { pop3: on(pop3) }, auth: { allowPlaintextFrom: ['127.0.0.1'] } });
    const password = await at.accounts('alice@example.org');
    const daemon = await running(at);
    const login = async (): Promise<{ readonly session: Lines; readonly answer: string }> => {
      const session = Lines.plain(pop3);
      await session.reply();
      await session.ask('USER alice@example.org');
      return { session, answer: await session.ask(`PASS ${password}`) };
    };
    const before = await login();
    expect(before.answer).toMatch(/^\+OK/);
    daemon.kill('SIGHUP');
    await daemon.logged('configuration reloaded');
    const after = await login();
    expect(after.answer).toMatch(/^-ERR \[IN-USE\]/);
    expect(await before.session.ask('QUIT')).toMatch(/^\+OK/);
    expect((await login()).answer).toMatch(/^\+OK/);
  });

  test('early ones and many at once do no harm', async () => {
    const [port = 0] = await freePorts(1);
    const at = somewhere({ listeners: { smtp: on(port) } });
    const daemon = await running(at);
    for (let i = 0; i < 5; i++) {
      daemon.kill('SIGHUP');
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await daemon.logged('configuration reloaded');
    (await smtpSession(port)).close();
    daemon.kill('SIGTERM');
    daemon.kill('SIGHUP');
    expect(await daemon.ended(STOPPED_MS)).toBe(0);
  });
});

/** The name in the certificate that is served there. */
function certificateAt(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = tlsConnect({ port, host: '127.0.0.1', rejectUnauthorized: false });
    socket.once('error', reject);
    socket.once('secureConnect', () => {
      resolve(String(socket.getPeerCertificate().subject.CN));
      socket.destroy();
    });
  });
}
