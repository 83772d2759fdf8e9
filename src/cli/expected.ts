/** Errors of the rooms that already speak to people: their message is enough, a stack says nothing more. */
const EXPECTED = new Set([
  'ControlError',
  'DataDirError',
  'DirectoryError',
  'ListenError',
  'StartError',
  'StoreError',
  'TlsError',
  'TransferError',
]);

/** Whether the message of `error` is meant for the admin as it stands. */
export function isExpected(error: unknown): error is Error {
  return error instanceof Error && EXPECTED.has(error.name);
}
