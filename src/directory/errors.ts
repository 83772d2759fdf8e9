/** Why the directory refused: `busy` is for now, the others until somebody changes something. */
export type DirectoryRefusal = 'exists' | 'not-found' | 'invalid' | 'in-use' | 'read-only' | 'busy';

/** The directory refuses; `message` says in plain words what to do about it. It never holds a password or a hash. */
export class DirectoryError extends Error {
  override readonly name = 'DirectoryError';
  readonly kind: DirectoryRefusal;

  constructor(kind: DirectoryRefusal, message: string, cause?: unknown) {
    super(message, { cause });
    this.kind = kind;
  }
}
