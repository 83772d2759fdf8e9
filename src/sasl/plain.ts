import type { Account, Directory } from '../directory/directory.ts';
import { type AttemptLog, attempt, broken } from './attempt.ts';
import type { SaslContext, SaslMechanism, SaslStep } from './sasl.ts';
import { mayActAs, utf8 } from './text.ts';

/** Checks a password that came as it is, for PLAIN, LOGIN and the protocols' own commands. */
export function passwordAttempt(
  directory: Directory,
  log: AttemptLog,
): (
  context: SaslContext,
  mechanism: string,
  given: { readonly login: string; readonly password: string; readonly authzid: string },
) => Promise<SaslStep> {
  return (context, mechanism, { login, password, authzid }) =>
    attempt(log, context, mechanism, login, async () => {
      const account: Account | undefined = await directory.verifyPassword(login, password);
      return account && mayActAs(authzid, login, account) ? { account } : undefined;
    });
}

/** PLAIN (RFC 4616): `[authzid] NUL authcid NUL passwd`. */
export function plain(directory: Directory, log: AttemptLog): SaslMechanism {
  const check = passwordAttempt(directory, log);
  return {
    name: 'PLAIN',
    plaintext: true,
    start: (context) => {
      let asked = false;
      return {
        async respond(response) {
          if (response === null) {
            // No initial response: an empty challenge asks for it (RFC 4422 5).
            if (asked) return broken(log, context, 'PLAIN');
            asked = true;
            return { is: 'challenge', data: new Uint8Array() };
          }
          const parts = utf8(response)?.split('\0');
          const [authzid, login, password] = parts ?? [];
          if (parts?.length !== 3 || authzid === undefined || !login || !password)
            return broken(log, context, 'PLAIN');
          return check(context, 'PLAIN', { login, password, authzid });
        },
      };
    },
  };
}
