import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { smtpWorld, Talker, type World } from './world.ts';

/** The tricks that relays were opened with, as relay testers try them. `elsewhere.test` is not ours. */
const TRICKS: readonly (readonly [what: string, from: string, to: string])[] = [
  ['plainly', 'spam@example.net', 'victim@elsewhere.test'],
  ['null sender', '', 'victim@elsewhere.test'],
  ['sender of our domain', 'alice@example.org', 'victim@elsewhere.test'],
  ['sender without a host, as localhost', 'spam@localhost', 'victim@elsewhere.test'],
  ['sender with our address literal', 'spam@[127.0.0.1]', 'victim@elsewhere.test'],
  ['our name as the sender', 'spam@mx.example.org', 'victim@elsewhere.test'],
  ['percent hack', 'spam@example.net', 'victim%elsewhere.test@example.org'],
  ['percent hack by literal', 'spam@example.net', 'victim%elsewhere.test@[127.0.0.1]'],
  ['percent hack by our name', 'spam@example.net', 'victim%elsewhere.test@mx.example.org'],
  ['quoted address', 'spam@example.net', '"victim@elsewhere.test"'],
  ['quoted percent hack', 'spam@example.net', '"victim%elsewhere.test"'],
  ['quoted address here', 'spam@example.net', '"victim@elsewhere.test"@example.org'],
  ['quoted percent hack here', 'spam@example.net', '"victim%elsewhere.test"@example.org'],
  ['two at-signs', 'spam@example.net', 'victim@elsewhere.test@example.org'],
  ['source route', 'spam@example.net', '@example.org:victim@elsewhere.test'],
  ['source route by literal', 'spam@example.net', '@[127.0.0.1]:victim@elsewhere.test'],
  ['bang path', 'spam@example.net', 'elsewhere.test!victim'],
  ['bang path here', 'spam@example.net', 'elsewhere.test!victim@example.org'],
  ['bang path by literal', 'spam@example.net', 'elsewhere.test!victim@[127.0.0.1]'],
  ['localhost literal', 'spam@example.net', 'victim@[127.0.0.1]'],
];

describe.each(['smtp', 'lmtp'] as const)('%s', (service) => {
  let world: World;
  beforeAll(async () => {
    world = await smtpWorld({ service, changes: { mynetworks: service === 'lmtp' ? ['127.0.0.0/8'] : [] } });
  });
  afterAll(() => world.close());

  test.each(TRICKS)('no relaying: %s', async (_, from, to) => {
    const talker = await Talker.greeted(await world.connect(), service === 'lmtp' ? 'LHLO' : 'EHLO');
    expect(await talker.say(`MAIL FROM:<${from}>`)).toMatch(/^250 /);
    expect(await talker.say(`RCPT TO:<${to}>`)).toMatch(/^5(?:50 5\.(?:7\.1|1\.1)|01 5\.1\.3) /);
    expect(await talker.say('DATA')).toMatch(/^5/);
    talker.socket.destroy();
    expect(world.queue.kept).toEqual([]);
  });
});

test('mynetworks may relay, in their own order (RFC 5321 3.9)', async () => {
  const world = await smtpWorld({ changes: { mynetworks: ['127.0.0.0/8'] } });
  await world.play(`
    S: 220 *
    C: EHLO client.example.net
    S: 250 *
    C: MAIL FROM:<anyone@example.net>
    S: 250 *
    C: RCPT TO:<victim@elsewhere.test>
    S: 250 2.1.5 *
    C: RCPT TO:<nobody@example.org>
    S: 550 5.1.1 *
    C: DATA
    S: 354 *
    C: Subject: hello
    C:
    C: .
    S: 250 2.0.0 *
    C: QUIT
    S: 221 *
  `);
  expect(world.queue.last().message).toMatchObject({
    account: null,
    finalTrace: 0,
    recipients: [{ account: null, address: { local: 'victim', domain: 'elsewhere.test' } }],
  });
  await world.close();
});

test('aliases lead to all their ends, each once (issue: recipients at commit)', async () => {
  const world = await smtpWorld();
  await world.play(`
    S: 220 *
    C: EHLO client.example.net
    S: 250 *
    C: MAIL FROM:<a@example.net>
    S: 250 *
    C: RCPT TO:<team@example.org> NOTIFY=NEVER
    S: 250 *
    C: RCPT TO:<Bob@example.org>
    S: 250 *
    C: RCPT TO:<bob+lists@example.org>
    S: 250 *
    C: DATA
    S: 354 *
    C: Subject: hello
    C:
    C: .
    S: 250 2.0.0 *
    C: QUIT
    S: 221 *
  `);
  const { message, text } = world.queue.last();
  const summary = message.recipients.map(({ address, original, account, detail, notify }) => [
    `${address.local}@${address.domain}`,
    original.local,
    account,
    detail,
    notify,
  ]);
  expect(summary).toEqual([
    ['alice@example.org', 'team', 'alice@example.org', undefined, []],
    ['bob@example.org', 'team', 'bob@example.org', undefined, []],
    ['carol@example.net', 'team', null, undefined, []],
    ['bob@example.org', 'bob+lists', 'bob@example.org', 'lists', undefined],
  ]);
  // More than one: no trace of final delivery, and no recipient named.
  expect(message.finalTrace).toBe(0);
  expect(text).toMatch(/^Received: /);
  expect(text).not.toContain(' for ');
  await world.close();
});
