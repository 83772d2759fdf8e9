import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Peer } from '../delivery/peer.ts';
import { DnsServer } from '../dns-server.ts';
import { imapSession, Lines, mail, smtpSession } from '../lines.ts';
import { Daemon, freePorts, type Outcome, type Place, place, runFacteur } from '../processes.ts';
import { eventually } from '../world.ts';

/** The command line beside a running daemon: what it does is true for the daemon's very next question. */

const TEXT = 'Subject: hello\r\n\r\nhello\r\n';
let at: Place;
let daemon: Daemon;
let dns: DnsServer;
let peer: Peer | undefined;
let smtp = 0;
let imap = 0;

beforeAll(async () => {
  dns = await DnsServer.start({ 'silent.test MX': 'TIMEOUT', 'later.test MX': 'TIMEOUT' });
  ({ '127.0.0.21': peer } = await Peer.startAll({ '127.0.0.21': {} }));
  [smtp = 0, imap = 0] = await freePorts(2);
  const on = (port: number): object[] => [{ host: '127.0.0.1', port }];
  at = place({
    listeners: { smtp: on(smtp), imap: on(imap) },
    dns: { servers: [dns.address], timeout: '100ms', tries: 1 },
    delivery: { port: peer?.port, ipv6: false },
    mynetworks: ['127.0.0.1'],
    auth: { allowPlaintextFrom: ['127.0.0.1'] },
  });
  daemon = await Daemon.start(at);
});
afterAll(async () => {
  await daemon?.end();
  await peer?.close();
  await dns?.close();
  at?.remove();
});

/** A command that must do what it says; what it printed. */
function ok(words: string, input = ''): string {
  const { code, out, err } = at.facteur(words.split(' '), input);
  expect(err).toBe('');
  expect(code).toBe(0);
  return out;
}

function json(words: string, input = ''): unknown {
  return JSON.parse(ok(`${words} --json`, input));
}

async function rcpt(to: string): Promise<string> {
  const session = await smtpSession(smtp);
  await session.ask('MAIL FROM:<bob@example.net>');
  const reply = await session.ask(`RCPT TO:<${to}>`);
  session.close();
  return reply;
}

async function login(user: string, password: string): Promise<string> {
  const session = Lines.plain(imap);
  await session.until(/^\* OK/);
  const answer = await session.imap(`LOGIN "${user}" "${password}"`);
  session.close();
  return answer;
}

describe('the directory', () => {
  test('a new domain and account receive mail and log in at once', async () => {
    expect(await rcpt('ann@new.test')).not.toMatch(/^5\d\d 5\.1\.1/);
    expect(ok('domain add new.test')).toBe('new.test: added\n');
    expect(await rcpt('ann@new.test')).toMatch(/^550 5\.1\.1 /);
    expect(await login('ann@new.test', 'first secret')).toMatch(/NO \[AUTHENTICATIONFAILED\]/);
    expect(json('account add ann@new.test --password-stdin', 'first secret\n')).toEqual({
      account: 'ann@new.test',
      done: 'added',
    });
    expect(await rcpt('ann@new.test')).toMatch(/^250 /);
    expect(await login('ann@new.test', 'first secret')).toMatch(/^a1 OK/m);
  });

  test('an open session accepts a new account, and a removed one no more', async () => {
    const session = await smtpSession(smtp);
    await session.ask('MAIL FROM:<bob@example.net>');
    expect(await session.ask('RCPT TO:<late@new.test>')).toMatch(/^550 /);
    ok('account add late@new.test --password-stdin', 'secret\n');
    expect(await session.ask('RCPT TO:<late@new.test>')).toMatch(/^250 /);
    ok('account remove late@new.test');
    expect(await session.ask('RCPT TO:<late@new.test>')).toMatch(/^550 /);
    session.close();
  });

  test('an alias, a catch-all, and their end', async () => {
    expect(json('alias add sales@new.test ann@new.test')).toEqual({
      alias: 'sales@new.test',
      done: 'added',
      to: ['ann@new.test'],
    });
    expect(await rcpt('sales@new.test')).toMatch(/^250 /);
    ok('alias remove sales@new.test');
    expect(await rcpt('sales@new.test')).toMatch(/^550 /);
    ok('alias add @new.test ann@new.test');
    expect(await rcpt('whoever@new.test')).toMatch(/^250 /);
    ok('alias remove @new.test');
  });

  test('a new password is the only one at once, even where the old one was just used', async () => {
    expect(await login('ann@new.test', 'first secret')).toMatch(/^a1 OK/m);
    ok('account password ann@new.test --password-stdin', 'second secret\n');
    expect(await login('ann@new.test', 'first secret')).toMatch(/^a1 NO/m);
    expect(await login('ann@new.test', 'second secret')).toMatch(/^a1 OK/m);
  });

  test('a disabled account gets neither in nor mail', async () => {
    ok('account disable ann@new.test');
    expect(await login('ann@new.test', 'second secret')).toMatch(/^a1 NO/m);
    expect(await rcpt('ann@new.test')).toMatch(/^(450|550) /);
    ok('account enable ann@new.test');
    expect(await login('ann@new.test', 'second secret')).toMatch(/^a1 OK/m);
    expect(await rcpt('ann@new.test')).toMatch(/^250 /);
  });

  test('lists, for people and for programs', () => {
    expect(ok('account list')).toContain('ann@new.test');
    expect(json('account list')).toMatchObject({ address: 'ann@new.test', enabled: true });
    expect(json('domain list')).toMatchObject({ name: 'new.test', accounts: 1 });
    expect(ok('alias list --json')).toBe('');
  });
});

describe('the queue', () => {
  /** A message that waits, since nobody answers for its domain. */
  async function deferred(to: string): Promise<string> {
    const session = await smtpSession(smtp);
    const { reply } = await mail(session, 'ann@new.test', to, TEXT);
    session.close();
    expect(reply).toMatch(/^250 2\.0\.0 .* queued as /);
    const id = / queued as (\w+)/.exec(reply)?.[1] ?? '';
    await daemon.logged('delivery attempt', { qid: id, status: 'deferred' });
    await eventually('settled', () => (shown(id).attempts === 1 ? true : undefined));
    return id;
  }

  function shown(id: string): {
    readonly is: string;
    readonly attempts: number;
    readonly nextAttempt: number;
  } {
    const message = json(`queue show ${id}`) as { recipients: [{ state: object }] };
    return { is: '', attempts: 0, nextAttempt: 0, ...message.recipients[0].state };
  }

  let id = '';

  test('list and show say what waits and why', async () => {
    expect(ok('queue list')).toBe('The queue is empty.\n');
    id = await deferred('far@silent.test');
    const list = ok('queue list');
    expect(list).toMatch(/^ID +SIZE +QUEUED +FROM +TO +STATE\n/);
    expect(list).toMatch(
      new RegExp(`${id} +\\d+ .* <ann@new\\.test> +far@silent\\.test +attempt 2 at .*: 4\\d\\d 4\\.4\\.3 `),
    );
    expect(JSON.parse(ok('queue list --json'))).toMatchObject({ id, source: expect.any(String) });
    expect(ok('queue list --domain silent.test')).toContain(id);
    expect(ok('queue list --domain other.test')).toBe('The queue is empty.\n');
    expect(ok(`queue show ${id}`)).toMatch(/^Id +\w+\nFrom +<ann@new\.test>\n/);
  });

  test('hold keeps it from being tried, release lets it go', async () => {
    const attempts = (): number => daemon.log.filter((line) => line['qid'] === id && line['status']).length;
    const before = attempts();
    expect(json(`queue hold ${id}`)).toEqual({ id, done: 'hold' });
    expect(shown(id)).toMatchObject({ is: 'held' });
    expect(ok('queue list')).toContain('held (held by an administrator)');
    expect(ok('queue retry --all')).toBe('0 recipient(s) will be tried now\n');
    expect(at.facteur(['queue', 'retry', id]).code).toBe(1);
    expect(ok(`queue release ${id}`)).toBe(`${id}: released\n`);
    await eventually('another attempt', () => (attempts() > before ? true : undefined));
  });

  test('retry tries at once, and the message arrives when its domain answers', async () => {
    const other = await deferred('near@later.test');
    dns.add({ 'later.test MX': ['10 mx.later.test'], 'mx.later.test A': ['127.0.0.21'] });
    expect(ok(`queue retry ${other}`)).toBe(`${other}: will be tried now\n`);
    await daemon.logged('delivery attempt', { qid: other, status: 'delivered' });
    expect(peer?.messages).toHaveLength(1);
    expect(json('queue retry --all')).toEqual({ retried: 1 });
  });

  test('remove takes it out, without a bounce', async () => {
    const gone = await deferred('gone@silent.test');
    expect(ok(`queue remove ${gone}`)).toBe(`${gone}: removed\n`);
    const { code, out, err } = at.facteur(['queue', 'show', gone]);
    expect([code, out]).toEqual([1, '']);
    expect(err).toBe(`No message ${gone} in the queue; it may have been delivered meanwhile.\n`);
    expect(daemon.log.some((line) => line['qid'] === gone && line['report'])).toBe(false);
  });

  test('the same commands work while no daemon runs, and it finds what they did', async () => {
    const kept = await deferred('kept@silent.test');
    const dropped = await deferred('dropped@silent.test');
    daemon.kill('SIGTERM');
    expect(await daemon.ended(20_000)).toBe(0);

    expect(ok('queue list')).toContain(kept);
    expect(JSON.parse(ok(`queue show ${kept} --json`))).toMatchObject({ id: kept });
    expect(ok(`queue hold ${kept}`)).toBe(`${kept}: held\n`);
    expect(ok(`queue remove ${dropped}`)).toBe(`${dropped}: removed\n`);
    ok('domain add offline.test');
    ok('account add ann@offline.test --password-stdin', 'secret\n');

    daemon = await Daemon.start(at);
    expect(shown(kept)).toMatchObject({ is: 'held' });
    expect(at.facteur(['queue', 'show', dropped]).code).toBe(1);
    expect(ok(`queue release ${kept}`)).toBe(`${kept}: released\n`);
    expect(await rcpt('ann@offline.test')).toMatch(/^250 /);
    (await imapSession(imap, 'ann@offline.test', 'secret')).close();
  });
});

describe('the store', () => {
  test('check and reindex beside the running daemon, and while none runs', async () => {
    const session = await smtpSession(smtp);
    const { reply } = await mail(session, 'bob@example.net', 'ann@new.test', TEXT);
    session.close();
    expect(reply).toMatch(/^250 /);
    const total = await eventually('delivered', () => {
      const report = json('store check --account ann@new.test') as { readonly messages: number };
      return report.messages > 0 ? report.messages : undefined;
    });
    expect(ok('store check')).toMatch(/^ann@new\.test: \d+ mailboxes, \d+ messages, all is well$/m);
    expect(ok('store reindex --account ann@new.test')).toContain(`ann@new.test: INBOX: ${total} messages`);
    const reader = await imapSession(imap, 'ann@new.test', 'second secret');
    expect(await reader.imap('SELECT INBOX')).toContain(`* ${total} EXISTS`);
    reader.close();

    daemon.kill('SIGTERM');
    expect(await daemon.ended(20_000)).toBe(0);
    const index = join(at.dir, 'data/mail/new.test/ann/index.sqlite');
    writeFileSync(index, 'nonsense '.repeat(1000));
    const found = at.facteur(['store', 'check']);
    expect([found.code, found.out]).toEqual([1, expect.stringContaining('not a database')]);
    expect(at.facteur(['store', 'check', '--repair']).code).toBe(0);
    expect(ok('store reindex --all')).toContain(`ann@new.test: INBOX: ${total} messages`);
    daemon = await Daemon.start(at);
    expect(json('store check --account ann@new.test')).toMatchObject({
      account: 'ann@new.test',
      messages: total,
      findings: [],
    });
  });
});

describe('what was not understood', () => {
  const refused = (words: readonly string[], code: number): string => {
    const result: Outcome = at.facteur(words);
    expect(result.code).toBe(code);
    expect(result.out).toBe('');
    expect(result.err).not.toMatch(/^\s+at /m);
    return result.err;
  };

  test.each([
    ['queue', 'queue needs a verb'],
    ['queue frob', 'queue does not know "frob"'],
    ['queue show', 'queue show needs a queue id'],
    ['queue show ../etc', '"../etc" is not a queue id'],
    ['queue list --frob', "Unknown option '--frob'"],
    ['store frob', 'store does not know "frob"'],
    ['store reindex', 'store reindex needs --account ADDRESS or --all'],
    ['account add', 'which account?'],
    ['domain', 'domain needs a verb'],
    ['serve now', "Unexpected argument 'now'"],
    ['check-config --frob', "Unknown option '--frob'"],
    ['version --frob', "Unknown option '--frob'"],
  ])('%s: exit code 2, with the usage', (words, reason) => {
    const err = refused(words.split(' '), 2);
    expect(err).toContain(`facteur: ${reason}`);
    expect(err).toContain(`\nfacteur ${words.split(' ')[0]}`);
  });

  test.each([
    ['domain add new.test', /exists|already/],
    ['domain add not_a..domain', /is not a domain/],
    ['account add x@nowhere.test', /nowhere\.test/],
    ['account password nobody@new.test', /nobody@new\.test/],
    ['queue hold abc123', /No message abc123/],
  ])('%s: exit code 1 and what to do', (words, reason) => {
    expect(refused(words.split(' '), 1)).toMatch(reason);
  });

  test('no such command: the overview', () => {
    expect(refused(['frob'], 2)).toMatch(/no command "frob"[\s\S]*check-config/);
    const bare = runFacteur(['--config']);
    expect(bare.code).toBe(2);
    expect(bare.err).toContain('--config needs the name of a file');
  });

  test('help and version', () => {
    for (const words of [['--help'], ['help'], ['-h']]) {
      const { code, out } = runFacteur(words);
      expect(code).toBe(0);
      for (const name of ['serve', 'check-config', 'domain', 'account', 'alias', 'queue', 'store', 'version'])
        expect(out).toMatch(new RegExp(`^ {2}${name} `, 'm'));
    }
    expect(runFacteur([]).code).toBe(2);
    expect(runFacteur(['queue', '--help']).out).toContain('facteur queue retry ID | --all');
    expect(runFacteur(['version']).out).toMatch(/^facteur \d+\.\d+\.\d+ \(Node\.js \d+\.\d+\.\d+\)\n$/);
    expect(JSON.parse(runFacteur(['version', '--json']).out)).toEqual({
      facteur: expect.any(String),
      node: expect.any(String),
    });
    expect(runFacteur(['--version']).out).toBe(runFacteur(['version']).out);
  });
});
