import type { Directory } from '../directory/directory.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import type { TlsState } from '../net/connection.ts';
import type { OAuth } from '../oauth/oauth.ts';
import type { AttemptLog } from './attempt.ts';
import { apop, cramMd5 } from './cram-md5.ts';
import { type CertificateField, external } from './external.ts';
import { FailureDelay } from './failure-delay.ts';
import { login } from './login.ts';
import type { LoginGuard } from './login-guard.ts';
import { oauthBearer } from './oauthbearer.ts';
import { passwordAttempt, plain } from './plain.ts';
import type { Sasl, SaslMechanism } from './sasl.ts';
import { type ScramFamily, scram } from './scram.ts';
import { xoauth2 } from './xoauth2.ts';

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
  /** `auth.announcePlus`. */
  readonly announcePlus?: readonly string[];
  /** Who vouches for tokens; without it OAUTHBEARER and XOAUTH2 are not there. */
  readonly oauth?: OAuth | null;
  /** `auth.clientCertificates.account`; EXTERNAL is there on connections with a certificate. */
  readonly certificateAccount?: CertificateField;
}

/** The mechanisms of the house, strongest first. A new one is a file and a line here. */
export function createSasl(options: SaslOptions): Sasl {
  const { directory, clock, hostname, oauth, announcePlus = ['imap'] } = options;
  const log: AttemptLog = { log: options.log, clock, delay: new FailureDelay(clock), guard: options.guard };
  const announcesScram = (plaintextAllowed: boolean): boolean =>
    !plaintextAllowed || options.allHaveScram?.() !== false;
  const sha256: ScramFamily = {
    name: 'SCRAM-SHA-256',
    hash: 'sha256',
    credentials: (from, name) => from.scramCredentials(name),
    // There is TLS, so passwords may come in clear.
    announcesPlus: (tls, service) =>
      tls?.exporter !== undefined && announcesScram(true) && announcePlus.includes(service),
  };
  // Its keys come from the password itself, kept for CRAM-MD5: the accounts that can do one can do the other.
  const sha1: ScramFamily = {
    ...sha256,
    name: 'SCRAM-SHA-1',
    hash: 'sha1',
    credentials: (from, name) => from.scramSha1Credentials(name),
  };
  const withSha256 = scram(sha256, directory, log);
  const tokens = oauth ? { directory, oauth, log } : null;
  const all: readonly SaslMechanism[] = [
    external(options.certificateAccount ?? 'email', directory, log),
    ...withSha256,
    ...(options.cramMd5 ? [...scram(sha1, directory, log), cramMd5(directory, log, clock, hostname)] : []),
    ...(tokens ? [oauthBearer(tokens), xoauth2(tokens)] : []),
    plain(directory, log),
    login(directory, log),
  ];
  const usable = (plaintextAllowed: boolean, tls: TlsState | null): readonly SaslMechanism[] =>
    all.filter((one) => (plaintextAllowed || !one.plaintext) && one.fits?.(tls) !== false);
  const password = passwordAttempt(directory, log);

  return {
    mechanisms(plaintextAllowed, tls, service) {
      const list = usable(plaintextAllowed, tls).filter(
        ({ name }) => announcePlus.includes(service) || !name.endsWith('-PLUS'),
      );
      return announcesScram(plaintextAllowed) ? list : list.filter((one) => !one.name.startsWith('SCRAM-'));
    },
    find(name, plaintextAllowed, tls) {
      return usable(plaintextAllowed, tls).find((mechanism) => mechanism.name === name.toUpperCase());
    },
    login: (name, secret, context) =>
      password(context, 'password', { login: name, password: secret, authzid: '' }),
    apop: options.cramMd5 ? apop(directory, log) : null,
  };
}
