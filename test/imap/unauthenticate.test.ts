import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ALICE, ImapWorld, PASSWORD } from './world.ts';

/** RFC 8437 prints no dialogue. */

let world: ImapWorld;
beforeAll(async () => {
  world = await ImapWorld.start({ settings: { maxSessionsPerAccount: 3 } });
  await world.fill('INBOX', ['Subject: one\n\nbody\n', 'Subject: two\n\nbody\n']);
  await world.account('testimap2@example.org');
});
afterAll(() => world.close());

const OTHER = 'LOGIN testimap2@example.org testimap2';

describe('UNAUTHENTICATE (RFC 8437)', () => {
  test('the next user sees nothing of the one before', async () => {
    const client = await world.login('INBOX');
    expect(await client.ok('UNAUTHENTICATE')).toEqual([]);
    for (const command of ['FETCH 1 UID', 'LIST "" *', 'UNAUTHENTICATE'])
      expect(await client.tagged(command)).toMatch(/^BAD Log in before/);
    await client.ok(OTHER);
    expect(await client.tagged('FETCH 1 UID')).toMatch(/^BAD Select/);
    expect(await client.ok('SELECT INBOX')).toContain('0 EXISTS');
  });

  test('pipelined with the next login, with an initial response', async () => {
    const client = await world.login('INBOX');
    const plain = Buffer.from('\0testimap2@example.org\0testimap2').toString('base64');
    client.send(`a UNAUTHENTICATE\r\nb AUTHENTICATE PLAIN ${plain}\r\nc STATUS INBOX (MESSAGES)\r\n`);
    expect(await client.response()).toMatch(/^a OK/);
    expect(await client.response()).toMatch(/^b OK/);
    expect(await client.response()).toBe('* STATUS INBOX (MESSAGES 0)');
    expect(await client.response()).toMatch(/^c OK/);
  });

  test('what was enabled is not any more, and the saved result is empty', async () => {
    const client = await world.login();
    await client.ok('ENABLE QRESYNC IMAP4rev2');
    await client.ok('SELECT INBOX');
    await client.ok('SEARCH RETURN (SAVE) ALL');
    await client.ok('UNAUTHENTICATE');
    await client.ok(`LOGIN ${ALICE} "${PASSWORD}"`);
    expect(await client.ok('SELECT INBOX')).toContainEqual(expect.stringMatching(/^\d+ RECENT$/));
    expect(await client.ok('FETCH $ UID')).toEqual([]);
    expect(await client.ok('STORE 1 +FLAGS (\\Flagged)')).toEqual([
      expect.stringMatching(/^1 FETCH \(FLAGS \([^)]*\)\)$/),
    ]);
  });

  test('no expunge is told, and no other change from then on', async () => {
    const client = await world.login('INBOX');
    await world.fill('INBOX', ['Subject: late\n\nbody\n']);
    const answer = await client.ask('UNAUTHENTICATE');
    expect(answer.untagged).toEqual([]);
    await world.fill('INBOX', ['Subject: later\n\nbody\n']);
    expect(await client.ok('NOOP')).toEqual([]);
  });

  test('the session counts for its account no longer', async () => {
    const client = await world.client();
    for (let round = 0; round < 5; round++) {
      await client.ok(OTHER);
      await client.ok('UNAUTHENTICATE');
    }
  });

  test('no arguments', async () => {
    const client = await world.login();
    expect(await client.tagged('UNAUTHENTICATE now')).toMatch(/^BAD/);
    expect(await client.tagged('UNAUTHENTICATE')).toMatch(/^OK/);
  });

  test('a compressed connection ends with BYE', async () => {
    const client = await world.login();
    await client.ok('COMPRESS DEFLATE');
    const finishFlush = constants.Z_SYNC_FLUSH;
    client.send(deflateRawSync('c CAPABILITY\r\nu UNAUTHENTICATE\r\n', { finishFlush }));
    const words = inflateRawSync(Buffer.from(await client.closed(), 'latin1'), { finishFlush });
    const [capability = '', ...rest] = words.toString().split('\r\n');
    expect(capability).not.toMatch(/UNAUTHENTICATE|COMPRESS/);
    expect(rest.join('\n')).toMatch(/^c OK .*\n\* BYE /);
  });
});
