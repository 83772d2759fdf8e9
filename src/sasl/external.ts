import type { Account, Directory } from '../directory/directory.ts';
import type { ClientCertificate } from '../net/connection.ts';
import { type AttemptLog, attempt, broken } from './attempt.ts';
import type { SaslMechanism } from './sasl.ts';
import { mayActAs, utf8 } from './text.ts';

/** Where a certificate names its account. */
export type CertificateField = 'email' | 'commonName';

/** More names than this in one certificate are not looked at. */
const MAX_NAMES = 16;

/**
 * EXTERNAL (RFC 4422 appendix A): who one is was proven in the TLS handshake, by a certificate that one of the
 * configured authorities has signed. Offered only where there is such a certificate.
 */
export function external(field: CertificateField, directory: Directory, log: AttemptLog): SaslMechanism {
  return {
    name: 'EXTERNAL',
    plaintext: false,
    fits: (tls) => tls?.clientCertificate !== undefined,
    start: (context) => {
      let asked = false;
      let over = false;
      return {
        async respond(response) {
          if (over || (response === null && asked)) return broken(log, context, 'EXTERNAL');
          if (response === null) {
            // The client speaks first: an empty challenge asks for it (A.1).
            asked = true;
            return { is: 'challenge', data: new Uint8Array() };
          }
          over = true;
          const authzid = utf8(response);
          const certificate = context.tls?.clientCertificate;
          if (authzid === undefined || authzid.includes('\0') || !certificate)
            return broken(log, context, 'EXTERNAL');
          const names = namesIn(certificate, field);
          return attempt(log, context, 'EXTERNAL', authzid || (names[0] ?? ''), async () => {
            // A TLS session that is taken up again may be older than its certificate's end.
            if (certificate.validTo <= log.clock.now()) return undefined;
            const account = await accountOf(names, authzid, directory);
            return account && { account };
          });
        },
      };
    },
  };
}

function namesIn({ emails, commonNames }: ClientCertificate, field: CertificateField): readonly string[] {
  return (field === 'email' ? emails : commonNames).slice(0, MAX_NAMES);
}

/** The one that is asked for, if the certificate names it; else the only account that it names. */
async function accountOf(
  names: readonly string[],
  authzid: string,
  directory: Directory,
): Promise<Account | undefined> {
  const found = new Map<string, Account>();
  for (const name of names) {
    const account = await directory.loginAccount(name);
    if (account && mayActAs(authzid, name, account)) found.set(account.id, account);
  }
  const [account] = found.values();
  return found.size === 1 ? account : undefined;
}
