/** A transfer cannot begin, or cannot go on; `message` is for the person who started it. */
export class TransferError extends Error {
  override readonly name = 'TransferError';
}
