/** A certificate or key cannot be used; the message says which file and what is wrong with it. */
export class TlsError extends Error {
  override readonly name = 'TlsError';
  readonly kind: 'missing-file' | 'unreadable' | 'bad-certificate' | 'bad-key' | 'mismatch' | 'bad-settings';

  constructor(kind: TlsError['kind'], message: string, cause?: unknown) {
    super(message, { cause });
    this.kind = kind;
  }
}
