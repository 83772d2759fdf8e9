import { parseArgs } from 'node:util';
import { ConfigError } from '../config/problem.ts';
import type { Config } from '../config/schema.ts';
import type { Facteur as Server } from '../facteur.ts';
import { systemClock } from '../lib/clock.ts';
import { createLogger, type RootLogger } from '../lib/logger.ts';
import { version } from '../lib/version.ts';
import type { CliCommand } from './command.ts';
import { resolveConfig } from './config-file.ts';
import { isExpected } from './expected.ts';
import { EXIT, table } from './io.ts';

/** How long sessions and deliveries under way may take to finish after SIGTERM. */
const GRACE_MS = 10_000;
/** How long the process may take to end by itself when all is closed. */
const END_MS = 2000;

/** The domain and account that a trial run makes for itself. */
const TRIAL_DOMAIN = 'facteur.test';
const TRIAL_ACCOUNT = `alice@${TRIAL_DOMAIN}`;

/** Runs the mail server until SIGTERM or SIGINT. SIGHUP reads the configuration again. */
export const serve: CliCommand = {
  usage: `facteur serve [--config FILE]

Signals: SIGTERM and SIGINT stop it gracefully (a second one at once), SIGHUP reloads the configuration.`,
  async run(args, { io, configFile }) {
    parseArgs({ args: [...args], options: {} });
    const { config, file } = resolveConfig(configFile);
    const log = createLogger(config.log);
    const stopped = stopSignal();
    const hangups = new Hangups();
    process.once('uncaughtException', (error) => {
      log.error({ err: error }, 'a bug: facteur ends at once');
      log.flush();
      process.exit(EXIT.failed);
    });
    try {
      // After the configuration was read: what is wrong with it is said before the server's code is.
      const { Facteur } = await import('../facteur.ts');
      const facteur = await Facteur.start(config, { log, clock: systemClock });
      if (file === null) io.out(await trialNotice(facteur, config));
      else if (facteur.directory.domains().length === 0)
        io.err('There is no domain yet. Add one:  facteur domain add example.org\n');
      hangups.answer(() => reload(facteur, configFile, log));
      const reason = await Promise.race([stopped, facteur.failed]);
      hangups.ignore();
      if (reason instanceof Error) {
        log.error({ err: reason }, 'facteur must stop');
        process.exitCode = EXIT.failed;
      } else log.info({ signal: reason }, 'stopping');
      void stopSignal().then((signal) => {
        log.warn({ signal }, 'stopping at once: sessions and deliveries are broken off');
        log.flush();
        process.exit(EXIT.failed);
      });
      await facteur.close(GRACE_MS);
      log.info({}, 'stopped');
      const code = reason instanceof Error ? EXIT.failed : EXIT.ok;
      endSoon(code, log);
      return code;
    } finally {
      await log.drain();
      log.flush();
    }
  },
};

/** Everything is closed. Should something still keep the process, it is named and does not get its way. */
function endSoon(code: number, log: RootLogger): void {
  setTimeout(() => {
    log.error({ kept: process.getActiveResourcesInfo() }, 'a bug: something was left open');
    log.flush();
    process.exit(code);
  }, END_MS).unref();
}

/** SIGHUP from the first moment on, as its default would end the process: one reload after the other. */
class Hangups {
  #reload: (() => Promise<void>) | undefined;
  #running: Promise<void> = Promise.resolve();
  #early = false;

  constructor() {
    process.on('SIGHUP', () => {
      if (this.#reload) this.#running = this.#running.then(this.#reload);
      else this.#early = true;
    });
  }

  /** From now on; one that came earlier is answered now. */
  answer(reload: () => Promise<void>): void {
    this.#reload = reload;
    if (this.#early) this.#running = reload();
  }

  ignore(): void {
    this.#reload = async () => {};
  }
}

/** Resolves with the first signal that asks us to stop. */
function stopSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(signal));
  });
}

/** Builds the new world first and keeps the old one when that fails. */
async function reload(facteur: Server, configFile: string | undefined, log: RootLogger): Promise<void> {
  try {
    const { config } = resolveConfig(configFile);
    const ignored = await facteur.reload(config);
    log.setLevel(config.log.level);
    log.info({}, 'configuration reloaded');
    for (const setting of ignored) log.warn({ setting }, 'setting changes only with a restart');
  } catch (error) {
    if (error instanceof ConfigError)
      for (const problem of error.problems)
        log.error({ file: error.file, ...problem }, 'configuration not reloaded, the old one stays');
    else
      log.error(
        isExpected(error) ? { reason: error.message } : { err: error },
        'configuration not reloaded, the old one stays',
      );
  }
}

/** What somebody who just typed `npm start` needs to know; makes the first account where there is none. */
async function trialNotice(facteur: Server, config: Config): Promise<string> {
  const password = await firstAccount(facteur);
  const ports = facteur.addresses();
  const rows = Object.entries(ports).flatMap(([service, addresses]) =>
    addresses.map(({ host, port }) => [`  ${service}`, `${host}:${port}`, NOTES[service] ?? '']),
  );
  const smtp = ports['smtp']?.[0];
  const imaps = ports['imaps']?.[0];
  const credentials =
    password === undefined
      ? `  An account was made at the first start. New password:  npx facteur account password ${TRIAL_ACCOUNT}\n`
      : `  account   ${TRIAL_ACCOUNT}\n  password  ${password}\n`;
  const secret = password ?? 'PASSWORD';
  const send =
    smtp === undefined
      ? ''
      : `Send yourself a first mail:\n  printf 'From: ${TRIAL_ACCOUNT}\\r\\nTo: ${TRIAL_ACCOUNT}\\r\\nSubject: First mail\\r\\n\\r\\nHello!\\r\\n' | curl smtp://${smtp.host}:${smtp.port} --mail-from ${TRIAL_ACCOUNT} --mail-rcpt ${TRIAL_ACCOUNT} -T -\n`;
  const read =
    imaps === undefined
      ? ''
      : `Read it (or use any mail program; the certificate is self-signed):\n  curl -k 'imaps://${imaps.host}:${imaps.port}/INBOX;MAILINDEX=*' -u '${TRIAL_ACCOUNT}:${secret}'\n`;
  return `
Facteur ${version()} runs. This is a trial on this machine alone; mail lies in ${config.dataDir}.

${table(rows)}
${credentials}
${send}${read}
Stop with Ctrl-C. For a real domain, see config/minimal.yaml.

`;
}

const NOTES: Readonly<Record<string, string>> = {
  smtp: 'receives mail',
  submission: 'sends mail (STARTTLS, password)',
  submissions: 'sends mail (TLS, password)',
  imap: 'reads mail (STARTTLS)',
  imaps: 'reads mail (TLS)',
  pop3: 'fetches mail (STLS)',
  pop3s: 'fetches mail (TLS)',
  managesieve: 'edits mail filters (STARTTLS)',
};

/** Resolves to the new account's password, or undefined when the directory had accounts already. */
async function firstAccount(facteur: Server): Promise<string | undefined> {
  const directory = facteur.directory;
  if (directory.domains().length > 0) return undefined;
  const { addAccount } = await import('../admin/accounts.ts');
  const { addDomain } = await import('../admin/domains.ts');
  await addDomain(directory, TRIAL_DOMAIN);
  const made = await addAccount(directory, { address: TRIAL_ACCOUNT, password: { is: 'generate' } });
  return made.generated;
}
