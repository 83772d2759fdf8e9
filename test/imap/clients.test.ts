import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { playTranscript } from '../transcript.ts';
import { imapClient, startWorld, type World } from '../world.ts';

/** What mail programs really say: each file was recorded from one, and is played against a whole server. */

const ALICE = 'alice@example.org';
const PASSWORD = 'wonder Land.1';
const RECORDINGS = fileURLToPath(new URL('clients', import.meta.url));

let world: World;
beforeEach(async () => {
  world = await startWorld({
    accounts: { [ALICE]: PASSWORD },
    settings: { auth: { allowPlaintextFrom: ['127.0.0.0/8'] } },
  });
  const client = await imapClient(world, ALICE, PASSWORD);
  for (const path of ['Projekte', 'Projekte/Grüße']) {
    await client.mailboxCreate(path);
    await client.mailboxSubscribe(path);
  }
  for (let n = 1; n <= 5; n++)
    await client.append(
      'INBOX',
      `From: Bob <bob@example.net>\r\nTo: ${ALICE}\r\nSubject: Number ${n}\r\n` +
        `Message-ID: <${n}@example.net>\r\nContent-Type: text/plain\r\n\r\nText of number ${n}\r\n`,
      n === 1 ? ['\\Seen'] : [],
    );
  await client.logout();
});
afterEach(() => world.close());

test.for(readdirSync(RECORDINGS))('%s', async (file) => {
  const port = world.port(file.startsWith('pop3-') ? 'pop3' : 'imap');
  await playTranscript(readFileSync(`${RECORDINGS}/${file}`, 'utf8'), async () => {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    return socket;
  });
  expect(world.lines.filter(({ level }) => level === 'error')).toEqual([]);
});
