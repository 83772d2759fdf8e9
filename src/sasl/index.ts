import type { Directory } from '../directory/directory.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import type { AttemptLog } from './attempt.ts';
import { apop, cramMd5 } from './cram-md5.ts';
import { FailureDelay } from './failure-delay.ts';
import { login } from './login.ts';
import type { LoginGuard } from './login-guard.ts';
import { passwordAttempt, plain } from './plain.ts';
import type { Sasl, SaslMechanism } from './sasl.ts';
import { scramSha256 } from './scram-sha-256.ts';

export interface SaslOptions {
  readonly directory: Directory;
  readonly log: Logger;
  readonly clock: Clock;
  /** Bans; shared with the servers before and after a reload. */
  readonly guard?: LoginGuard;
  /** In CRAM-MD5's challenges. */
  readonly hostname: string;
  /** `auth.cramMd5`. */
  readonly cramMd5: boolean;
  /**
   * Whether every account can log in with SCRAM (`JoinedDirectory.allHaveScram`). While one cannot, and passwords may
   * come as they are, SCRAM is understood but not announced: most clients take the strongest mechanism they are
   * offered and never try another, so its owner could not log in at all.
   */
  readonly allHaveScram?: () => boolean;
}

/** The mechanisms of the house, strongest first. A new one is a file and a line here. */
export function createSasl(options: SaslOptions): Sasl {
  const { directory, clock, hostname } = options;
  const log: AttemptLog = { log: options.log, clock, delay: new FailureDelay(clock), guard: options.guard };
  const scram = scramSha256(directory, log);
  const all: readonly SaslMechanism[] = [
    scram,
    ...(options.cramMd5 ? [cramMd5(directory, log, clock, hostname)] : []),
    plain(directory, log),
    login(directory, log),
  ];
  const usable = (plaintextAllowed: boolean): readonly SaslMechanism[] =>
    all.filter((mechanism) => plaintextAllowed || !mechanism.plaintext);
  const password = passwordAttempt(directory, log);

  return {
    mechanisms(plaintextAllowed) {
      const list = usable(plaintextAllowed);
      return plaintextAllowed && options.allHaveScram?.() === false
        ? list.filter((one) => one !== scram)
        : list;
    },
    find(name, plaintextAllowed) {
      return usable(plaintextAllowed).find((mechanism) => mechanism.name === name.toUpperCase());
    },
    login: (name, secret, context) =>
      password(context, 'password', { login: name, password: secret, authzid: '' }),
    apop: options.cramMd5 ? apop(directory, log) : null,
  };
}
