import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { removeAccount, setAccountState } from '../../src/admin/accounts.ts';
import { playTranscript } from '../transcript.ts';
import { startWorld } from '../world.ts';

const ALICE = 'alice@example.org';
const BOB = 'bob@example.org';
const PASSWORD = 'wonder Land.1';

test('who is locked out is sent away from what is open, and submits nothing any more', async () => {
  const world = await startWorld({
    accounts: { [ALICE]: PASSWORD, [BOB]: PASSWORD },
    settings: { auth: { allowPlaintextFrom: ['127.0.0.0/8'] } },
  });
  const dial = (service: string) => async () => {
    const socket = connect(world.port(service), '127.0.0.1');
    await once(socket, 'connect');
    return socket;
  };
  const long = { timeoutMs: 12_000 };
  const idle = (user: string): string =>
    `S: * OK *\nC: a LOGIN ${user} "${PASSWORD}"\nS: a OK *\nC: b SELECT INBOX\nS: b OK *\nC: c IDLE\nS: + *\n`;
  const plain = Buffer.from(`\0${ALICE}\0${PASSWORD}`).toString('base64');
  let isLoggedIn = 0;
  const all = [
    playTranscript(`${idle(ALICE)}S: * BYE This account is closed\nS: [closed]`, dial('imap'), long),
    playTranscript(`${idle(BOB)}S: * BYE This account is closed\nS: [closed]`, dial('imap'), long),
    playTranscript(
      `S: +OK *\nC: USER ${ALICE}\nS: +OK *\nC: PASS ${PASSWORD}\nS: +OK *\nS: [closed]`,
      dial('pop3'),
      long,
    ),
  ];
  try {
    await expect
      .poll(() => {
        isLoggedIn = world.lines.filter(({ message }) => message === 'authenticated').length;
        return isLoggedIn;
      })
      .toBe(3);
    const submission = await dial('submission')();
    submission.setEncoding('utf8');
    const asked = async (line: string): Promise<string> => {
      submission.write(`${line}\r\n`);
      let answer = '';
      while (!/^\d{3} .*\r\n$/m.test(answer)) answer += (await once(submission, 'data'))[0];
      return answer;
    };
    await once(submission, 'data');
    await asked('EHLO client.example.org');
    expect(await asked(`AUTH PLAIN ${plain}`)).toMatch(/^235 /);
    expect(await asked(`MAIL FROM:<${ALICE}>`)).toMatch(/^250 /);
    await asked('RSET');
    await setAccountState(world.facteur.directory, ALICE, 'disabled');
    await removeAccount(world.facteur.directory, BOB, { mode: 'careful' });
    expect(await asked(`MAIL FROM:<${ALICE}>`)).toMatch(/^5\d\d /);
    submission.destroy();
    await Promise.all(all);
    expect(world.lines).toContainEqual(
      expect.objectContaining({ message: 'sessions of a closed account ended', account: ALICE, sessions: 2 }),
    );
  } finally {
    await Promise.allSettled(all);
    await world.close();
  }
}, 30_000);
