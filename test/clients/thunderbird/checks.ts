import { isDeepStrictEqual } from 'node:util';
import type { ImapFlow } from 'imapflow';
import { sendAs, type World } from '../../world.ts';
import { type Thunderbird, until } from './thunderbird.ts';

export interface Stage {
  readonly world: World;
  readonly thunderbird: Thunderbird;
  /** The second client, which looks at what the server holds. */
  readonly other: ImapFlow;
  readonly user: string;
  readonly password: string;
}

export interface Check {
  readonly name: string;
  run(stage: Stage): Promise<void>;
}

/** As many as are seeded into each mailbox. */
export const SEEDED: Readonly<Record<string, number>> = {
  INBOX: 200,
  Projects: 1,
  'Projects/2026': 3,
  'Projects/2026/Été à Zürich': 2,
  日本語: 1,
};
const WAIT = 20_000;
const NESTED = 'Projects/2026/Été à Zürich';

/** Seeds what Thunderbird is to find, and one mailbox that it is not to show. */
export async function seed(other: ImapFlow): Promise<void> {
  await other.mailboxCreate('Hidden');
  await other.mailboxUnsubscribe('Hidden');
  for (const [path, count] of Object.entries(SEEDED)) {
    if (path !== 'INBOX') await other.mailboxCreate(path);
    await other.mailboxSubscribe(path);
    for (let i = 1; i <= count; i++) await other.append(path, message(path, i));
  }
}

async function subscribed(other: ImapFlow): Promise<string[]> {
  return (await other.list()).filter((one) => one.subscribed).map(({ path }) => path);
}

function message(path: string, i: number): string {
  const subject = `=?utf-8?B?${Buffer.from(`${path} ${i}`).toString('base64')}?=`;
  const head = [
    'From: Bob <bob@example.org>',
    'To: Alice <alice@example.org>',
    `Subject: ${subject}`,
    `Date: ${new Date(Date.UTC(2026, 0, 1, 0, i)).toUTCString().replace('GMT', '+0000')}`,
    `Message-ID: <${i}.${Buffer.from(path).toString('hex')}@example.org>`,
    'MIME-Version: 1.0',
  ];
  const body =
    i === 2
      ? ['Content-Type: text/html; charset=utf-8', '', '<p>A <b>bold</b> word</p>']
      : i === 3
        ? [
            'Content-Type: multipart/mixed; boundary=b',
            '',
            '--b',
            'Content-Type: text/plain',
            '',
            'See the list.',
            '--b',
            'Content-Type: application/octet-stream; name=list.bin',
            'Content-Disposition: attachment; filename=list.bin',
            'Content-Transfer-Encoding: base64',
            '',
            ...Array.from({ length: 3000 }, () => 'QUJD'.repeat(19)),
            '--b--',
          ]
        : [
            'Content-Type: text/plain; charset=utf-8',
            '',
            `Text number ${i}${i % 50 === 0 ? ' with a quokka' : ''}`,
          ];
  return `${[...head, ...body].join('\r\n')}\r\n`;
}

function equal(what: string, got: unknown, wanted: unknown): void {
  if (!isDeepStrictEqual(got, wanted))
    throw new Error(`${what}: ${inShort(got)} instead of ${inShort(wanted)}`);
}

function inShort(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length > 300
    ? `${text.slice(0, 300)}… (${Array.isArray(value) ? value.length : text.length})`
    : text;
}

/** Subject and flags of each message, as the second client sees them. */
async function all(
  other: ImapFlow,
  path: string,
): Promise<readonly (readonly [string, ReadonlySet<string>])[]> {
  const lock = await other.getMailboxLock(path);
  try {
    await other.noop();
    const found: [string, ReadonlySet<string>][] = [];
    for await (const one of other.fetch('1:*', { envelope: true, flags: true }))
      found.push([one.envelope?.subject ?? '', one.flags ?? new Set()]);
    return found;
  } finally {
    lock.release();
  }
}

async function held(other: ImapFlow, path: string): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  return new Map(await all(other, path));
}

async function subjects(other: ImapFlow, path: string): Promise<string[]> {
  return (await all(other, path)).map(([subject]) => subject);
}

async function heldHas(other: ImapFlow, path: string, subject: string, flag?: string): Promise<void> {
  await until(WAIT, `${path} on the server holds "${subject}" ${flag ?? ''}`, async () => {
    const flags = (await held(other, path)).get(subject);
    return flags && (flag === undefined || flags.has(flag)) ? true : undefined;
  });
}

async function heldHasNot(other: ImapFlow, path: string, subject: string): Promise<void> {
  await until(WAIT, `${path} on the server no longer holds "${subject}"`, async () =>
    (await held(other, path)).has(subject) ? undefined : true,
  );
}

async function listed(other: ImapFlow, path: string, is: boolean): Promise<void> {
  await until(WAIT, `the server ${is ? 'lists' : 'no longer lists'} ${path}`, async () =>
    (await other.list()).some((one) => one.path === path) === is ? true : undefined,
  );
}

const FLAGGED = `const it = bySubject(folder('INBOX'), args[0]);`;

/** In this order: each stands on those before. */
export const checks: readonly Check[] = [
  {
    name: 'first sync: all folders are discovered, with their subscriptions',
    async run({ thunderbird, other }) {
      const wanted = (await subscribed(other)).sort();
      let last: string[] = [];
      // As when somebody clicks on the account: the first connection asks for the folders too.
      await thunderbird.run(`return update(folder('INBOX'));`);
      await until(WAIT, 'all folders are there', async () => {
        const seen = (await thunderbird.run(`return folders().map(pathOf);`)) as string[];
        last = seen;
        return wanted.every((path) => seen.includes(path)) ? true : undefined;
      }).catch(() => equal('folders', last, wanted));
      const seen = (await thunderbird.run(`return folders().map(pathOf);`)) as string[];
      equal('folders', seen.sort(), wanted);
    },
  },
  {
    name: 'first sync: counts and headers are those of the server, in each folder',
    async run({ thunderbird, other }) {
      for (const path of await subscribed(other)) {
        const status = await thunderbird.run(`return update(folder(args[0]));`, path);
        equal(`status of the update of ${path}`, status, 0);
        const lock = await other.getMailboxLock(path);
        const wanted: unknown[] = [];
        try {
          if (typeof other.mailbox === 'object' && other.mailbox.exists > 0)
            for await (const one of other.fetch('1:*', { envelope: true, size: true, flags: true }))
              wanted.push([
                one.envelope?.subject,
                one.envelope?.messageId?.slice(1, -1),
                one.size,
                one.flags?.has('\\Seen'),
              ]);
        } finally {
          lock.release();
        }
        const script = `return messages(folder(args[0])).map((one) =>
          [one.mime2DecodedSubject, one.messageId, one.messageSize, one.isRead]);`;
        let seen: unknown;
        // The end of an update may be that of one before it.
        await until(WAIT, 'all headers are there', async () => {
          seen = await thunderbird.run(script, path);
          return isDeepStrictEqual(seen, wanted) ? true : undefined;
        }).catch(() => equal(`headers of ${path}`, seen, wanted));
      }
    },
  },
  {
    name: 'reading: a plain message, an HTML one, and a big one with an attachment, octet by octet',
    async run({ thunderbird, other }) {
      for (const subject of ['INBOX 1', 'INBOX 2', 'INBOX 3']) {
        const script = `
          const one = bySubject(folder('INBOX'), args[0]);
          const uri = folder('INBOX').getUriForMsg(one);
          const pieces = [];
          return new Promise((resolve, reject) =>
            MailServices.messageServiceFromURI(uri).streamMessage(uri, {
              onStartRequest() {},
              onDataAvailable(request, stream, offset, count) {
                const input = Cc['@mozilla.org/binaryinputstream;1'].createInstance(Ci.nsIBinaryInputStream);
                input.setInputStream(stream);
                pieces.push(input.readBytes(count));
              },
              onStopRequest(request, status) { status === 0 ? resolve(pieces.join('')) : reject(Error(String(status))); },
              QueryInterface: ChromeUtils.generateQI(['nsIStreamListener', 'nsIRequestObserver']),
            }, null, null, false, ''));`;
        const seen = String(await thunderbird.run(script, subject));
        const lock = await other.getMailboxLock('INBOX');
        try {
          const uids = await other.search(
            { header: { 'message-id': `<${subject.slice(6)}.` } },
            { uid: true },
          );
          const [uid] = uids === false || uids === undefined ? [] : uids;
          const found = await other.fetchOne(String(uid), { source: true }, { uid: true });
          const source = found === false ? '' : (found.source?.toString('latin1') ?? '');
          if (seen.replace(/\r?\n/g, '\n') !== source.replace(/\r\n/g, '\n'))
            throw new Error(`${subject}: ${seen.length} octets are not the server's ${source.length}`);
        } finally {
          lock.release();
        }
      }
    },
  },
  {
    name: 'search on the server: in bodies, and by a subject that is not ASCII',
    async run({ thunderbird }) {
      const script = `
        const session = Cc['@mozilla.org/messenger/searchSession;1'].createInstance(Ci.nsIMsgSearchSession);
        session.addScopeTerm(Ci.nsMsgSearchScope.onlineMail, folder(args[0]));
        const term = session.createTerm();
        const value = term.value;
        value.attrib = Ci.nsMsgSearchAttrib[args[1]];
        value.str = args[2];
        term.attrib = value.attrib;
        term.value = value;
        term.op = Ci.nsMsgSearchOp.Contains;
        term.booleanAnd = true;
        session.appendTerm(term);
        const hits = [];
        await new Promise((resolve) => {
          session.registerListener({
            onSearchHit(header) { hits.push(header.mime2DecodedSubject); },
            onSearchDone() { resolve(); }, onNewSearch() {},
            QueryInterface: ChromeUtils.generateQI(['nsIMsgSearchNotify']),
          });
          session.search(null);
        });
        return hits.sort();`;
      const quokkas = ['INBOX 100', 'INBOX 150', 'INBOX 200', 'INBOX 50'];
      equal('bodies', await thunderbird.run(script, 'INBOX', 'Body', 'quokka'), quokkas);
      const found = [`${NESTED} 1`, `${NESTED} 2`];
      equal('subjects', await thunderbird.run(script, NESTED, 'Subject', 'zürich'), found);
    },
  },
  {
    name: 'marks: read, starred, tagged',
    async run({ thunderbird, other }) {
      await thunderbird.run(`${FLAGGED} folder('INBOX').markMessagesRead([it], true);`, 'INBOX 10');
      await thunderbird.run(`${FLAGGED} folder('INBOX').markMessagesFlagged([it], true);`, 'INBOX 11');
      await thunderbird.run(`${FLAGGED} folder('INBOX').addKeywordsToMessages([it], '$label1');`, 'INBOX 12');
      await heldHas(other, 'INBOX', 'INBOX 10', '\\Seen');
      await heldHas(other, 'INBOX', 'INBOX 11', '\\Flagged');
      await heldHas(other, 'INBOX', 'INBOX 12', '$label1');
    },
  },
  {
    name: 'a move to another folder',
    async run({ thunderbird, other }) {
      const script = `${FLAGGED} const to = folder(args[1]);
        return copyEnd((listener) => MailServices.copy.copyMessages(folder('INBOX'), [it], to, true, listener, null, false));`;
      equal('status', await thunderbird.run(script, 'INBOX 20', NESTED), 0);
      await heldHas(other, NESTED, 'INBOX 20');
      await heldHasNot(other, 'INBOX', 'INBOX 20');
    },
  },
  {
    name: 'deletion to Trash',
    async run({ thunderbird, other }) {
      await thunderbird.run(
        `${FLAGGED} folder('INBOX').deleteMessages([it], null, false, false, null, false);`,
        'INBOX 21',
      );
      await heldHas(other, 'Trash', 'INBOX 21');
      await heldHasNot(other, 'INBOX', 'INBOX 21');
    },
  },
  {
    name: 'a folder is made, renamed, deleted',
    async run({ thunderbird, other }) {
      await thunderbird.run(`root.createSubfolder(args[0], null);`, 'Récent & neuf');
      await listed(other, 'Récent & neuf', true);
      await until(WAIT, 'the folder in the client', async () =>
        (await thunderbird.run(`return !!folder(args[0]);`, 'Récent & neuf')) ? true : undefined,
      );
      await thunderbird.run(`folder(args[0]).rename(args[1], null);`, 'Récent & neuf', 'Ancien');
      await listed(other, 'Ancien', true);
      await listed(other, 'Récent & neuf', false);
      await until(WAIT, 'the folder under its new name', async () =>
        (await thunderbird.run(`return !!folder('Ancien');`)) ? true : undefined,
      );
      await thunderbird.run(`folder('Ancien').deleteSelf(null);`);
      await listed(other, 'Ancien', false);
    },
  },
  {
    name: 'a message is sent, arrives, and is in Sent',
    async run({ thunderbird, other, user }) {
      const script = `
        const fields = Cc['@mozilla.org/messengercompose/composefields;1'].createInstance(Ci.nsIMsgCompFields);
        const identity = MailServices.accounts.allIdentities[0];
        Object.assign(fields, { from: args[0], to: args[0], subject: args[1], fcc: identity.fccFolder, body: 'Grüße' });
        const file = Services.dirsvc.get('TmpD', Ci.nsIFile);
        file.append('facteur-sent.eml');
        file.createUnique(Ci.nsIFile.NORMAL_FILE_TYPE, 0o600);
        await IOUtils.writeUTF8(file.path, ['From: ' + args[0], 'To: ' + args[0], 'Subject: ' + args[1],
          'MIME-Version: 1.0', 'Content-Type: text/plain; charset=utf-8', 'Message-ID: <sent@example.org>',
          'Content-Transfer-Encoding: 8bit', '', 'Gr\\u00fc\\u00dfe', ''].join('\\r\\n'));
        const account = MailServices.accounts.accounts.find((one) => one.incomingServer === server);
        const { MessageSend } = ChromeUtils.importESModule('resource:///modules/MessageSend.sys.mjs');
        const send = new MessageSend();
        return new Promise((resolve) => {
          send.sendMessageFile(identity, account.key, fields, file, true, false, Ci.nsIMsgSend.nsMsgDeliverNow, null, {
            onStartSending() {}, onProgress() {}, onSendProgress() {}, onStatus() {}, onGetDraftFolderURI() {},
            onSendNotPerformed() {}, onTransportSecurityError(id, status) { resolve(status); },
            onStopSending(id, status) { resolve(status); },
            QueryInterface: ChromeUtils.generateQI(['nsIMsgSendListener']),
          }, '');
        });`;
      equal('status', await thunderbird.run(script, user, 'From Thunderbird'), 0);
      await heldHas(other, 'INBOX', 'From Thunderbird');
      await heldHas(other, 'Sent', 'From Thunderbird', '\\Seen');
      // A second copy would come at once.
      await new Promise((resolve) => setTimeout(resolve, 1000));
      const counts = [];
      for (const path of ['INBOX', 'Sent'])
        counts.push((await subjects(other, path)).filter((one) => one === 'From Thunderbird').length);
      equal('copies in INBOX and in Sent', counts, [1, 1]);
    },
  },
  {
    name: 'new mail is seen in IDLE, without a question',
    async run({ world, thunderbird, user, password }) {
      // It goes into IDLE by itself, some two seconds after the last check.
      await new Promise((resolve) => setTimeout(resolve, 3000));
      await sendAs(world, user, password, { to: user, subject: 'Told by IDLE' });
      await until(WAIT, 'the new message in the client', async () =>
        (await thunderbird.run(`return !!bySubject(folder('INBOX'), 'Told by IDLE');`)) ? true : undefined,
      );
    },
  },
  {
    name: 'a change and a deletion of another client are seen in IDLE',
    async run({ thunderbird, other }) {
      const lock = await other.getMailboxLock('INBOX');
      try {
        await other.messageFlagsAdd({ header: { 'message-id': '<30.' } }, ['\\Flagged']);
        await other.messageDelete({ header: { 'message-id': '<31.' } });
      } finally {
        lock.release();
      }
      await until(WAIT, 'star and deletion in the client', async () =>
        (await thunderbird.run(
          `return !!bySubject(folder('INBOX'), 'INBOX 30')?.isFlagged && !bySubject(folder('INBOX'), 'INBOX 31');`,
        ))
          ? true
          : undefined,
      );
    },
  },
  {
    name: 'several folders at once: the server holds what the client shows',
    async run({ thunderbird, other }) {
      const paths = Object.keys(SEEDED);
      const statuses = await thunderbird.run(
        `return Promise.all(args[0].map((path) => update(folder(path))));`,
        paths,
      );
      equal(
        'statuses',
        statuses,
        paths.map(() => 0),
      );
      for (const path of paths) {
        const seen = (await thunderbird.run(
          `return messages(folder(args[0])).map((one) => one.mime2DecodedSubject);`,
          path,
        )) as string[];
        equal(path, seen.sort(), (await subjects(other, path)).sort());
      }
    },
  },
];
