import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { smtpWorld, Talker, transaction, type World } from './world.ts';

/**
 * What other hosts have taken for the end of DATA. Each is followed by a second message with another sender: a
 * server that ends the first one early takes it for the peer's own.
 */
const ENDS = [
  '\n.\n',
  '\n.\r\n',
  '\r\n.\n',
  '\r.\r\n',
  '\r\n.\r',
  '\r.\r',
  '\n.\r',
  '\r.\n',
  '\r\n\0.\r\n',
  '\r\n.\0\r\n',
  '\r\n. \r\n',
  '\r\n.\r\r\n',
  '\r\n..\r\n',
  '\n\n.\r\n',
  '\r\n.\n\r\n',
];
const SMUGGLED =
  'MAIL FROM:<boss@example.org>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\nSubject: smuggled\r\n\r\n.\r\n';

const tables: [string, 'refuse' | 'normalise', 'whole' | 'octet by octet'][] = [];
for (const policy of ['refuse', 'normalise'] as const)
  for (const how of ['whole', 'octet by octet'] as const)
    for (const end of ENDS) tables.push([end, policy, how]);

describe.each(['refuse', 'normalise'] as const)('bareNewline: %s', (policy) => {
  let world: World;
  beforeAll(async () => {
    world = await smtpWorld({ settings: { bareNewline: policy, maxErrors: 100 } });
  });
  afterAll(() => world.close());

  test.each(
    tables.filter(([, wanted]) => wanted === policy).map(([end, , how]) => [JSON.stringify(end), how, end]),
  )('%s is no end of data, sent %s', async (_, how, end) => {
    const before = world.queue.kept.length;
    const talker = await Talker.greeted(await world.connect());
    await transaction(talker, 'mallory@example.net', 'alice@example.org');
    const message = `Subject: first\r\n\r\ntext${end}${SMUGGLED}`;
    if (how === 'whole') talker.send(message);
    else
      for (const octet of message) {
        talker.send(octet);
        if (octet === '\n' || octet === '.' || octet === '\r') await new Promise(setImmediate);
      }
    const reply = await talker.reply();
    const rest = await talker.say('QUIT');
    talker.socket.destroy();

    // One message and one reply at most: the smuggled commands were text.
    expect(rest).toMatch(/^221 /);
    const kept = world.queue.kept.slice(before);
    const lone = end.replaceAll('\r\n', '').match(/[\r\n]/);
    if (policy === 'refuse' && lone) {
      expect(reply).toMatch(/^550 5\.6\.11 /);
      expect(kept).toEqual([]);
      return;
    }
    expect(reply).toMatch(/^250 2\.0\.0 /);
    expect(kept.map(({ message: { from } }) => from?.local)).toEqual(['mallory']);
    expect(kept[0]?.content).toContain('MAIL FROM:<boss@example.org>');
    expect(kept[0]?.content.replaceAll('\r\n', '')).not.toMatch(/[\r\n]/);
  });
});

test('a command line that ends in a lone LF is no command', async () => {
  const world = await smtpWorld();
  const talker = new Talker(await world.connect());
  await talker.reply();
  talker.send('EHLO client.example.net\nMAIL FROM:<a@example.net>\r\n');
  expect(await talker.reply()).toMatch(/^500 5\.5\.2 /);
  expect(await talker.reply()).toMatch(/^503 5\.5\.1 /);
  talker.send('NOOP\rQUIT\r\n');
  expect(await talker.reply()).toMatch(/^500 5\.5\.2 /);
  expect(await talker.say('NOOP')).toMatch(/^250 /);
  talker.socket.destroy();
  await world.close();
});
