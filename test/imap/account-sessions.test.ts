import { expect, test } from 'vitest';
import { AccountSessions } from '../../src/net/limits.ts';
import { playTranscript } from '../transcript.ts';
import { ALICE, ImapWorld, PASSWORD } from './world.ts';

test('an account has so many sessions at once, each given back once', () => {
  const sessions = new AccountSessions();
  const leave = sessions.take('a', 2, () => {});
  expect(sessions.take('a', 2, () => {})).toBeDefined();
  expect(sessions.take('a', 2, () => {})).toBeUndefined();
  expect(sessions.take('b', 2, () => {})).toBeDefined();
  leave?.();
  leave?.();
  expect(sessions.take('a', 2, () => {})).toBeDefined();
  expect(sessions.take('a', 2, () => {})).toBeUndefined();
});

test('one session too many of an account is told so, and may try again when another has ended', async () => {
  const world = await ImapWorld.start({ settings: { maxSessionsPerAccount: 1 } });
  const login = `LOGIN ${ALICE} "${PASSWORD}"`;
  const bye = 'S: * BYE *\n S: z OK *\n S: [closed]';
  try {
    const holding = await world.connectTls();
    holding.write(`a ${login}\r\n`);
    await new Promise<void>((resolve) => {
      let seen = '';
      holding.on('data', (chunk: Buffer) => {
        seen += chunk.toString();
        if (seen.includes('a OK')) resolve();
      });
    });
    const refused = `S: * OK *\n C: b ${login}\n S: b NO [LIMIT] Too many sessions of this account, close some\n`;
    await playTranscript(`${refused} C: z LOGOUT\n ${bye}`, world.connectTls);
    holding.end('z LOGOUT\r\n');
    await new Promise((resolve) => holding.once('close', resolve));
    await playTranscript(`S: * OK *\n C: c ${login}\n S: c OK *\n C: z LOGOUT\n ${bye}`, world.connectTls);
  } finally {
    await world.close();
  }
});
