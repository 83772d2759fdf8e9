import { afterAll, beforeAll, expect, test } from 'vitest';
import { BOB, type Client, ImapWorld } from './world.ts';

/** A mailbox that others may put mail into and not look into: what becomes of it is not theirs to know. */

const MESSAGE = 'A: 1\r\n\r\n';
const BOX = '"Other Users/alice@example.org/box"';

let world: ImapWorld;
let bob: Client;
beforeAll(async () => {
  world = await ImapWorld.start();
  await world.fill('box', []);
  await world.fill('INBOX', [MESSAGE, MESSAGE, MESSAGE, MESSAGE], BOB);
  await (await world.login()).ok('SETACL box bob li');
  bob = await world.login(undefined, BOB);
  await bob.ok('SELECT INBOX');
});
afterAll(() => world.close());

test.each([
  `APPEND ${BOX} {${MESSAGE.length}+}\r\n${MESSAGE}`,
  `APPEND ${BOX} {${MESSAGE.length}+}\r\n${MESSAGE} {${MESSAGE.length}+}\r\n${MESSAGE}`,
  `COPY 1 ${BOX}`,
  `UID COPY 1 ${BOX}`,
  `MOVE 1 ${BOX}`,
  `UID REPLACE 2 ${BOX} {${MESSAGE.length}+}\r\n${MESSAGE}`,
])('no APPENDUID, no COPYUID (RFC 9051 6.3.12, 6.4.7): %j', async (command) => {
  const before = (await world.account().then((account) => account.mailbox('box')))?.total ?? 0;
  const { untagged, tagged } = await bob.ask(command);
  expect(tagged).toMatch(/^OK /);
  expect([...untagged, tagged].join('\n')).not.toMatch(/APPENDUID|COPYUID/);
  expect((await world.account().then((account) => account.mailbox('box')))?.total).toBeGreaterThan(before);
});

test('who may look is told', async () => {
  const alice = await world.login();
  await alice.ok('SETACL box bob +r');
  expect((await bob.ask(`COPY 1 ${BOX}`)).tagged).toMatch(/^OK \[COPYUID /);
  expect((await bob.ask(`APPEND ${BOX} {${MESSAGE.length}+}\r\n${MESSAGE}`)).tagged).toMatch(
    /^OK \[APPENDUID /,
  );
});
