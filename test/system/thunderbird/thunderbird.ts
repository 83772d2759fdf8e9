/**
 * `npm run clients:thunderbird -- [--record FILE]`: Thunderbird (Debian: thunderbird, xvfb, xauth) against this
 * checkout, on a screen that nobody sees: first sync, reading, searching, flags, moving, folders, sending, new mail.
 * After each step a second IMAP client looks whether the server has it. With --record the lines of its IMAP
 * connections go to a file.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual, parseArgs } from 'node:util';
import type { ImapFlow } from 'imapflow';
import { eventually, imapClient, sendAs, startWorld, type World } from '../../world.ts';
import { Marionette } from './marionette.ts';
import { Wire } from './wire.ts';

const ALICE = 'alice@example.org';
const BOB = 'bob@example.org';
const PASSWORD = 'wonder Land.1';
const INSIDE = readFileSync(fileURLToPath(new URL('inside.js', import.meta.url)), 'utf8');
const MESSAGES = 200;
/** Folders that a first sync must find, and how much is in them. */
const FOLDERS = {
  INBOX: MESSAGES,
  Archive: 1,
  Drafts: 0,
  Junk: 0,
  Projekte: 0,
  'Projekte/Grüße': 3,
  Sent: 0,
  Trash: 0,
};

const { values } = parseArgs({ options: { record: { type: 'string' } } });

for (const program of ['thunderbird', 'xvfb-run'])
  if (spawnSync(program, ['--help']).error) {
    console.log(`${program} is not installed: apt-get install thunderbird xvfb xauth`);
    process.exit(1);
  }

const directory = mkdtempSync(join(tmpdir(), 'facteur-thunderbird-'));
const world = await startWorld({
  accounts: { [ALICE]: PASSWORD, [BOB]: PASSWORD },
  settings: { auth: { allowPlaintextFrom: ['127.0.0.0/8'] } },
});
const wire = values.record === undefined ? undefined : await Wire.open(world.port('imap'), values.record);
const marionettePort = await freePort();
writeProfile(wire?.port ?? world.port('imap'), world.port('submission'));
await seed(world);

const thunderbird = spawn(
  'xvfb-run',
  ['-a', 'thunderbird', '-marionette', '-remote-allow-system-access', '-no-remote', '-profile', directory],
  {
    stdio: 'ignore',
    detached: true,
    env: { ...process.env, HOME: directory, MOZ_CRASHREPORTER_DISABLE: '1' },
  },
);
let failed = 0;
let passed = 0;
try {
  const marionette = await Marionette.connect(marionettePort);
  const client = await imapClient(world, ALICE, PASSWORD);
  await work((code, args) => marionette.run(`${INSIDE}\n${code}`, args), client);
  await client.logout();
  await marionette.quit();
} catch (error) {
  failed++;
  console.log(error);
} finally {
  if (thunderbird.pid !== undefined && thunderbird.exitCode === null) {
    try {
      process.kill(-thunderbird.pid, 'SIGKILL');
    } catch {
      // Gone already.
    }
  }
  wire?.close();
  const errors = world.lines.filter(({ level }) => level === 'error');
  check('nothing is an error in our log', errors, []);
  await world.close();
  rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;

type Run = (code: string, args?: Readonly<Record<string, unknown>>) => Promise<unknown>;

async function work(run: Run, client: ImapFlow): Promise<void> {
  for (const [scheme, user] of [
    ['imap', ALICE],
    ['smtp', ALICE],
  ] as const)
    await run('await keepPassword(login);', {
      login: { url: `${scheme}://127.0.0.1`, user, password: PASSWORD },
    });

  // First sync.
  await run('await update("INBOX"); await until("folders", () => root().descendants.length >= count);', {
    count: Object.keys(FOLDERS).length,
  });
  const counts = await run(`
    const counts = {};
    for (const one of root().descendants) {
      await update(pathOf(one));
      counts[pathOf(one)] = one.getTotalMessages(false);
    }
    return counts;`);
  check('first sync: all folders, all messages', sorted(counts as object), sorted(FOLDERS));
  const headers = (await run(`
    return [...folder('INBOX').messages].map((one) => [one.messageKey, one.mime2DecodedSubject, one.isRead]);`)) as [
    number,
    string,
    boolean,
  ][];
  await client.mailboxOpen('INBOX');
  const expected: [number, string, boolean][] = [];
  for await (const { uid, envelope, flags } of client.fetch('1:*', { envelope: true, flags: true }))
    expected.push([uid, envelope?.subject ?? '', flags?.has('\\Seen') ?? false]);
  check('the list shows each subject and what is read', headers.sort(byNumber), expected.sort(byNumber));

  // Reading.
  for (const subject of ['Number 7', 'With a picture', 'Ein Gruß']) {
    const uid = expected.find((one) => one[1] === subject)?.[0];
    const source = await run('return await sourceOf(path, subject);', { path: 'INBOX', subject });
    const { content = [] } = await client.download(String(uid), undefined, { uid: true });
    const chunks: Buffer[] = [];
    for await (const chunk of content) chunks.push(chunk as Buffer);
    check(
      `reads "${subject}" byte for byte`,
      String(source).replaceAll('\r\n', '\n'),
      Buffer.concat(chunks).toString('latin1').replaceAll('\r\n', '\n'),
    );
  }

  // Searching, on the server.
  check('search in texts', await run("return await search('INBOX', 'Body', 'nightingale');"), [
    'Number 180',
    'Number 90',
  ]);
  check('search in subjects', await run("return await search('INBOX', 'Subject', 'Gruß');"), ['Ein Gruß']);
  check('search by sender', await run("return await search('INBOX', 'Sender', 'carol@');"), [
    'With a picture',
  ]);

  // Flags.
  const flagsOf = async (subject: string): Promise<string[]> => {
    const { client: fresh, done } = await fetching('INBOX');
    for await (const one of fresh.fetch('1:*', { envelope: true, flags: true }))
      if (one.envelope?.subject === subject)
        return done([...(one.flags ?? [])].filter((flag) => flag !== '\\Recent').sort());
    return done([]);
  };
  await run(`
    const one = message('INBOX', 'Number 3');
    one.folder.markMessagesRead([one], true);
    one.folder.markMessagesFlagged([one], true);
    one.folder.addKeywordsToMessages([one], '$label1');`);
  await becomes('read, starred and tagged', () => flagsOf('Number 3'), ['$label1', '\\Flagged', '\\Seen']);
  await run(`
    const one = message('INBOX', 'Number 3');
    one.folder.markMessagesRead([one], false);
    one.folder.removeKeywordsFromMessages([one], '$label1');`);
  await becomes('unread again, tag taken away', () => flagsOf('Number 3'), ['\\Flagged']);

  // Moving and deleting.
  await run(`
    const listener = copyListener();
    const some = ['Number 10', 'Number 11', 'Number 12'].map((subject) => message('INBOX', subject));
    MailServices.copy.copyMessages(folder('INBOX'), some, folder('Projekte/Grüße'), true, listener, null, false);
    await listener.done;`);
  await becomes('moved', () => subjectsIn('Projekte/Grüße'), [
    'Gruß 1',
    'Gruß 2',
    'Gruß 3',
    'Number 10',
    'Number 11',
    'Number 12',
  ]);
  check('and gone from where they were', (await subjectsIn('INBOX')).length, MESSAGES - 3);
  await run(`
    const listener = copyListener();
    folder('INBOX').deleteMessages([message('INBOX', 'Number 20')], null, false, false, listener, false);
    await listener.done;`);
  await becomes('deleted into Trash', () => subjectsIn('Trash'), ['Number 20']);
  await run(`
    const listener = copyListener();
    MailServices.copy.copyMessages(folder('INBOX'), [message('INBOX', 'Number 30')], folder('Archive'), false, listener, null, false);
    await listener.done;`);
  await becomes('copied', () => subjectsIn('Archive'), ['Number 30', 'Old']);

  // Folders.
  await run(
    "root().createSubfolder('Neuer Ordner ü', null); await until('new folder', () => root().descendants.some((one) => one.name === 'Neuer Ordner ü'));",
  );
  await becomes('folder made', () => hasFolder('Neuer Ordner ü'), true);
  await run(
    "folder('Neuer Ordner ü').rename('Umbenannt', null); await until('renamed', () => root().descendants.some((one) => one.name === 'Umbenannt'));",
  );
  await becomes(
    'folder renamed',
    async () => [await hasFolder('Neuer Ordner ü'), await hasFolder('Umbenannt')],
    [false, true],
  );
  await run("folder('Umbenannt').deleteSelf(null);");
  await becomes('folder put into Trash', () => hasFolder('Umbenannt'), false);

  // Sending.
  await run('await send(mail);', {
    mail: { to: BOB, subject: 'From Thunderbird', body: 'Grüße!\n.\nEnd\n' },
  });
  await becomes('sent: it arrives', () => subjectsIn('INBOX', BOB), ['From Thunderbird']);
  await becomes('sent: a copy is in Sent', () => subjectsIn('Sent'), ['From Thunderbird']);
  const inSent = await run(
    "await update('Sent'); return [...folder('Sent').messages].map((one) => one.mime2DecodedSubject);",
  );
  check('sent: Thunderbird sees its copy', inSent, ['From Thunderbird']);

  // New mail, and what another client does.
  await sendAs(world, BOB, PASSWORD, { to: ALICE, subject: 'Have you seen this?' });
  await becomes(
    'new mail appears by itself',
    () =>
      run(
        "return [...folder('INBOX').messages].some((one) => one.mime2DecodedSubject === 'Have you seen this?');",
      ),
    true,
  );
  const { client: other, done } = await fetching('INBOX');
  const uids = (await other.search({ subject: 'Number 40' }, { uid: true })) || [];
  await other.messageFlagsAdd(uids, ['\\Flagged'], { uid: true });
  await other.messageDelete((await other.search({ subject: 'Number 41' }, { uid: true })) || [], {
    uid: true,
  });
  await done(null);
  await becomes(
    "another client's star and deletion appear by themselves",
    () =>
      run(`
        const all = [...folder('INBOX').messages];
        return [
          all.some((one) => one.mime2DecodedSubject === 'Number 41'),
          all.find((one) => one.mime2DecodedSubject === 'Number 40').isFlagged,
        ];`),
    [false, true],
  );
  await run(
    "await update('Projekte/Grüße'); await update('Archive'); server().closeCachedConnections(); await wait(300);",
  );
}

function check(what: string, found: unknown, wanted: unknown): void {
  if (isDeepStrictEqual(found, wanted)) {
    passed++;
    console.log(`ok    ${what}`);
    return;
  }
  failed++;
  console.log(`FAIL  ${what}\n  found:  ${JSON.stringify(found)}\n  wanted: ${JSON.stringify(wanted)}`);
}

async function becomes(what: string, look: () => Promise<unknown>, wanted: unknown): Promise<void> {
  let found: unknown;
  await eventually(what, async () => {
    found = await look();
    return isDeepStrictEqual(found, wanted) ? true : undefined;
  }).catch(() => {});
  check(what, found, wanted);
}

/** A connection for one question. */
async function fetching(
  path: string,
  user = ALICE,
): Promise<{ client: ImapFlow; done: <T>(value: T) => Promise<T> }> {
  const client = await imapClient(world, user, PASSWORD);
  await client.mailboxOpen(path);
  return {
    client,
    done: async (value) => {
      await client.logout();
      return value;
    },
  };
}

async function subjectsIn(path: string, user = ALICE): Promise<string[]> {
  const { client, done } = await fetching(path, user);
  const subjects: string[] = [];
  if (client.mailbox && client.mailbox.exists > 0)
    for await (const one of client.fetch('1:*', { envelope: true }))
      subjects.push(one.envelope?.subject ?? '');
  return done(subjects.sort());
}

async function hasFolder(path: string): Promise<boolean> {
  const { client, done } = await fetching('INBOX');
  return done((await client.list()).some((one) => one.path === path));
}

async function seed(into: World): Promise<void> {
  const client = await imapClient(into, ALICE, PASSWORD);
  const text = (subject: string, body: string, more = ''): string =>
    `From: ${subject === 'With a picture' ? 'Carol <carol@example.net>' : 'Bob <bob@example.org>'}\r\nTo: ${ALICE}\r\n` +
    `Subject: ${subject}\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\nMessage-ID: <${encodeURIComponent(subject)}@example.org>\r\n` +
    `MIME-Version: 1.0\r\n${more || 'Content-Type: text/plain; charset=utf-8\r\n\r\n'}${body}\r\n`;
  for (let n = 1; n <= MESSAGES - 2; n++)
    await client.append(
      'INBOX',
      text(`Number ${n}`, n % 90 === 0 ? 'A nightingale sang.' : `Text ${n}`),
      n % 2 ? ['\\Seen'] : [],
    );
  await client.append(
    'INBOX',
    text(
      'With a picture',
      '--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>Look: <b>here</b></p>\r\n--b\r\nContent-Type: image/png\r\n' +
        'Content-Disposition: attachment; filename="a.png"\r\nContent-Transfer-Encoding: base64\r\n\r\n' +
        `${Buffer.alloc(3000, 'picture').toString('base64').replace(/.{76}/g, '$&\r\n')}\r\n--b--`,
      'Content-Type: multipart/mixed; boundary=b\r\n\r\n',
    ),
  );
  await client.append('INBOX', text('=?utf-8?Q?Ein_Gru=C3=9F?=', 'Hallo'));
  for (const path of ['Projekte', 'Projekte/Grüße'])
    if (!(await client.list()).some((one) => one.path === path)) await client.mailboxCreate(path);
  await client.mailboxSubscribe('Projekte');
  await client.mailboxSubscribe('Projekte/Grüße');
  for (const n of [1, 2, 3])
    await client.append('Projekte/Grüße', text(`=?utf-8?Q?Gru=C3=9F_${n}?=`, 'Hallo'));
  await client.append('Archive', text('Old', 'Long ago'));
  await client.logout();
}

function sorted(object: object): [string, unknown][] {
  return Object.entries(object).sort(([one], [other]) => (one < other ? -1 : 1));
}

function byNumber([one]: readonly [number, ...unknown[]], [other]: readonly [number, ...unknown[]]): number {
  return one - other;
}

function writeProfile(imap: number, submission: number): void {
  const prefs = {
    'marionette.port': marionettePort,
    'mail.accountmanager.accounts': 'account1',
    'mail.accountmanager.defaultaccount': 'account1',
    'mail.account.account1.server': 'server1',
    'mail.account.account1.identities': 'id1',
    'mail.identity.id1.useremail': ALICE,
    'mail.identity.id1.fullName': 'Alice',
    'mail.identity.id1.smtpServer': 'smtp1',
    'mail.identity.id1.valid': true,
    'mail.identity.id1.fcc_folder': `imap://${encodeURIComponent(ALICE)}@127.0.0.1/Sent`,
    'mail.server.server1.type': 'imap',
    'mail.server.server1.hostname': '127.0.0.1',
    'mail.server.server1.port': imap,
    'mail.server.server1.userName': ALICE,
    'mail.server.server1.name': ALICE,
    'mail.server.server1.socketType': 0,
    'mail.server.server1.authMethod': 3,
    'mail.server.server1.login_at_startup': false,
    'mail.server.server1.check_new_mail': false,
    'mail.server.server1.autosync_offline_stores': false,
    'mail.server.server1.offline_download': false,
    'mail.server.default.use_compress_deflate': values.record === undefined,
    'mail.smtpservers': 'smtp1',
    'mail.smtp.defaultserver': 'smtp1',
    'mail.smtpserver.smtp1.hostname': '127.0.0.1',
    'mail.smtpserver.smtp1.port': submission,
    'mail.smtpserver.smtp1.username': ALICE,
    'mail.smtpserver.smtp1.authMethod': 3,
    'mail.smtpserver.smtp1.try_ssl': 0,
    'mail.provider.suppress_dialog_on_startup': true,
    'mail.shell.checkDefaultClient': false,
    'mail.spam.manualMark': false,
    'mail.inappnotifications.enabled': false,
    'mailnews.start_page.enabled': false,
    'mailnews.confirm.moveFoldersToTrash': false,
    'mail.rights.version': 1,
    'datareporting.policy.dataSubmissionPolicyBypassNotification': true,
    'datareporting.healthreport.uploadEnabled': false,
    'app.update.enabled': false,
    'extensions.update.enabled': false,
    'network.captive-portal-service.enabled': false,
    'network.connectivity-service.enabled': false,
    'browser.safebrowsing.enabled': false,
    'calendar.timezone.local': 'UTC',
  };
  mkdirSync(directory, { recursive: true });
  writeFileSync(
    join(directory, 'user.js'),
    Object.entries(prefs)
      .map(([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`)
      .join(''),
  );
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address ? address.port : 0;
}
