import type { Account } from '../directory/directory.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import type { FailureDelay } from './failure-delay.ts';
import type { LoginGuard } from './login-guard.ts';
import type { SaslContext, SaslStep } from './sasl.ts';

/** A name in a log line is cut here; an address has at most 320 octets. */
const MAX_LOGGED_LOGIN = 320;

/** What every mechanism needs to end an exchange. */
export interface AttemptLog {
  readonly log: Logger;
  readonly clock: Clock;
  readonly delay: FailureDelay;
  /** Shared over reloads; without it nobody is banned. */
  readonly guard?: LoginGuard | undefined;
}

/**
 * Runs the check of one attempt and ends it the same way for all mechanisms: one log line, and the answer to a
 * failure late enough that its time tells nothing. No line ever has more than the login name.
 */
export async function attempt(
  { log, clock, delay, guard }: AttemptLog,
  context: SaslContext,
  mechanism: string,
  login: string,
  check: () => Promise<{ readonly account: Account; readonly data?: Uint8Array } | undefined>,
): Promise<SaslStep> {
  const startedAt = clock.now().getTime();
  const { sid, ip, service } = context;
  const fields = { sid, ip, service, mechanism, login: login.slice(0, MAX_LOGGED_LOGIN) };
  if (guard?.admits(ip, login) === false) {
    // No password was looked at, and the answer takes the time of any failure.
    log.info(fields, 'authentication refused: too many failures');
    await delay.wait(ip, startedAt, context.signal);
    return { is: 'failed', reason: 'limited' };
  }
  try {
    const passed = await check();
    if (passed) {
      guard?.passed(ip, login || passed.account.id);
      log.info({ ...fields, account: passed.account.id }, 'authenticated');
      return { is: 'done', ...passed };
    }
  } catch (error) {
    // The directory could not answer (disk, too many at once): no verdict on the password.
    log.error({ ...fields, err: error }, 'authentication not possible');
    return { is: 'failed', reason: 'temporary' };
  }
  log.info(fields, 'authentication failed');
  guard?.failed(ip, login);
  await delay.wait(ip, startedAt, context.signal);
  return { is: 'failed', reason: 'credentials' };
}

/** The exchange broke its mechanism's rules; nobody's password was at stake. */
export function broken({ log }: AttemptLog, context: SaslContext, mechanism: string): SaslStep {
  const { sid, ip, service } = context;
  log.info({ sid, ip, service, mechanism }, 'authentication exchange malformed');
  return { is: 'failed', reason: 'protocol' };
}
