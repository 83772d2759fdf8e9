/**
 * `npm run clients:thunderbird -- [--record file]`: a real Thunderbird, on a screen that nobody sees, against a whole
 * Facteur of this checkout: one line a check, exit code 1 when one fails. It needs thunderbird, xvfb and xauth.
 * `--record` keeps what both said over IMAP.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { imapClient, startWorld } from '../../world.ts';
import { checks, seed } from './checks.ts';
import { Relay } from './relay.ts';
import { Thunderbird, whatIsMissing } from './thunderbird.ts';

const USER = 'alice@example.org';
const PASSWORD = 'wonder Land.1';
const REMEMBER = `
  server.password = args[1];
  for (const origin of ['imap://127.0.0.1', 'smtp://127.0.0.1']) {
    const login = Cc['@mozilla.org/login-manager/loginInfo;1'].createInstance(Ci.nsILoginInfo);
    login.init(origin, null, origin, args[0], args[1], '', '');
    await Services.logins.addLoginAsync(login);
  }
  return Services.appinfo.version;`;

const { values } = parseArgs({ options: { record: { type: 'string' } } });
const print = (line: string): void => void process.stdout.write(`${line}\n`);
const reason = whatIsMissing();
if (reason === undefined) process.exitCode = await runAll();
else {
  print(`Thunderbird cannot be run: ${reason}`);
  process.exitCode = 1;
}

async function runAll(): Promise<number> {
  const world = await startWorld({
    accounts: { [USER]: PASSWORD },
    settings: { auth: { allowPlaintextFrom: ['127.0.0.0/8'] } },
  });
  const relay = await Relay.start(world.port('imap'));
  const other = await imapClient(world, USER, PASSWORD);
  let failed = 0;
  try {
    await seed(other);
    const thunderbird = await Thunderbird.start({
      user: USER,
      imapPort: relay.port,
      submissionPort: world.port('submission'),
    });
    try {
      print(`Thunderbird ${await thunderbird.run(REMEMBER, USER, PASSWORD)}`);
      for (const { name, run } of checks) {
        try {
          await run({ world, thunderbird, other, user: USER, password: PASSWORD });
          print(`ok      ${name}`);
        } catch (error) {
          failed++;
          print(`FAILED  ${name}: ${error instanceof Error ? error.message : error}`);
        }
      }
    } finally {
      await thunderbird.quit();
    }
    for (const line of world.lines.filter(({ level }) => level === 'error')) {
      failed++;
      print(`FAILED  the server's log: ${JSON.stringify(line)}`);
    }
    const refused = relay.lines.filter((line) => / S\d+: \S+ BAD/.test(line));
    for (const line of refused) print(`refused: ${line}`);
  } finally {
    await other.logout();
    relay.close();
    await world.close();
    if (values.record !== undefined) writeFileSync(values.record, `${relay.lines.join('\n')}\n`);
  }
  print(`${checks.length} checks, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}
