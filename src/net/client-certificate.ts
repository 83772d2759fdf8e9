import type { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import type { ClientCertificate } from './connection.ts';

/** What TLSSocket has and its types do not tell: OpenSSL's own verdict on the peer's chain, null when it is good. */
interface Verifying {
  readonly ssl?: { verifyError?(): Error | null | undefined } | null;
}

/** `email:a@example.org, DNS:…`; what has a comma or a quote in it stands in quotes, as JSON. */
const NAME = /([A-Za-z][A-Za-z ]*):("(?:[^"\\]|\\.)*"|[^,"]*)(?:, |$)/y;

/**
 * The peer's certificate, if it has shown one that leads to an authority of ours. A session that is taken up again
 * (RFC 8446 2.2) brings what its first handshake found, so whoever believes it looks at `validTo` as well.
 */
export function clientCertificate(socket: TLSSocket): ClientCertificate | undefined {
  const certificate = socket.getPeerX509Certificate();
  const verdict = (socket as Verifying).ssl?.verifyError?.();
  // undefined is a Node that does not tell: then nothing is believed.
  if (!certificate || verdict !== null) return undefined;
  return namesOf(certificate);
}

function namesOf(certificate: X509Certificate): ClientCertificate {
  const { subject } = certificate.toLegacyObject() as unknown as {
    readonly subject?: Readonly<Record<string, string | readonly string[] | undefined>>;
  };
  const alternative = emailsIn(certificate.subjectAltName ?? '');
  return {
    validTo: certificate.validToDate,
    emails: alternative.length > 0 ? alternative : listOf(subject?.['emailAddress']),
    commonNames: listOf(subject?.['CN']),
  };
}

/** Read from the beginning to the end: the text of one name never counts as another's (CVE-2021-44532). */
function emailsIn(alternative: string): readonly string[] {
  const emails: string[] = [];
  NAME.lastIndex = 0;
  for (let match = NAME.exec(alternative); match; match = NAME.exec(alternative)) {
    const [whole, kind, value = ''] = match;
    if (whole === '') break;
    // An address that needs quotes names no account here.
    if (kind === 'email' && !value.startsWith('"')) emails.push(value);
  }
  return emails;
}

function listOf(value: string | readonly string[] | undefined): readonly string[] {
  return value === undefined ? [] : typeof value === 'string' ? [value] : value;
}
