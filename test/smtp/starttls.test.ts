import { once } from 'node:events';
import { connect as tlsConnect } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { smtpWorld, Talker, type World } from './world.ts';

let world: World;
beforeAll(async () => {
  world = await smtpWorld();
});
afterAll(() => world.close());

test('after the handshake all is forgotten (RFC 3207 4.2)', async () => {
  await world.play(`
    S: 220 *
    C: EHLO client.example.net
    S: 250-STARTTLS
    S: 250 *
    C: STARTTLS please
    S: 501 5.5.4 *
    C: MAIL FROM:<a@example.net>
    S: 250 *
    C: STARTTLS
    S: 503 5.5.1 *
    C: RSET
    S: 250 *
    C: STARTTLS
    S: 220 2.0.0 *
    C: [tls]
    C: MAIL FROM:<a@example.net>
    S: 503 5.5.1 *
    C: EHLO client.example.net
    S: 250-REQUIRETLS
    S: 250 *
    C: STARTTLS
    S: 503 5.5.1 *
    C: MAIL FROM:<a@example.net>
    S: 250 *
    C: RCPT TO:<alice@example.org>
    S: 250 *
    C: DATA
    S: 354 *
    C:
    C: .
    S: 250 *
    C: QUIT
    S: 221 *
    S: [closed]
  `);
  expect(world.queue.last().text).toMatch(/ with ESMTPS \(TLSv1\.3 TLS_\w+\)\r\n/);
  const accepted = world.lines.findLast(({ message }) => message === 'accepted');
  expect(accepted?.fields).toMatchObject({ tls: 'TLSv1.3' });
  await expect.poll(() => world.server.sessions).toBe(0);
});

test('STARTTLS is the last thing heard in the clear (CVE-2011-0411)', async () => {
  const before = world.queue.kept.length;
  const talker = await Talker.greeted(await world.connect());
  talker.send(
    `STARTTLS\r\n${'MAIL FROM:<evil@example.net>\r\nRCPT TO:<alice@example.org>\r\nBDAT 2 LAST\r\n\r\n'.repeat(300)}EHLO injected\r\n`,
  );
  expect(await talker.reply()).toMatch(/^220 /);
  talker.socket.removeAllListeners('data');
  const secure = tlsConnect({ socket: talker.socket, rejectUnauthorized: false });
  await once(secure, 'secureConnect');
  const inside = new Talker(secure);
  // Nothing of it was answered, or known, in here.
  expect(await inside.say('MAIL FROM:<a@example.net>')).toMatch(/^503 5\.5\.1 /);
  expect(await inside.say('NOOP')).toMatch(/^250 /);
  secure.destroy();
  expect(world.queue.kept.length).toBe(before);
});

test('noise instead of a handshake ends the connection, not the server', async () => {
  const talker = await Talker.greeted(await world.connect());
  expect(await talker.say('STARTTLS')).toMatch(/^220 /);
  talker.send('EHLO in the clear\r\n');
  await once(talker.socket, 'close');
  expect(await (await Talker.greeted(await world.connect())).say('NOOP')).toMatch(/^250 /);
  await expect.poll(() => world.server.sessions).toBe(1);
});

test('a client that goes away in the handshake leaves nothing', async () => {
  await expect.poll(() => world.server.sessions).toBeLessThan(2);
  const sessions = world.server.sessions;
  const talker = await Talker.greeted(await world.connect());
  await talker.say('STARTTLS');
  talker.socket.destroy();
  await expect.poll(() => world.server.sessions).toBe(sessions);
});
