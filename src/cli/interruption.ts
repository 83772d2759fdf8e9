import { TransferError } from '../transfer/errors.ts';
import { EXIT } from './io.ts';

/** Ctrl-C and SIGTERM while mail is on its way: what is under way is finished; a second one ends at once. */
export function interruption(): { readonly signal: AbortSignal; end(): void } {
  const abort = new AbortController();
  const onSignal = (): void => {
    if (abort.signal.aborted) process.exit(EXIT.failed);
    abort.abort(new TransferError('stopped; the same command goes on from here'));
  };
  const names = ['SIGINT', 'SIGTERM'] as const;
  for (const name of names) process.on(name, onSignal);
  return {
    signal: abort.signal,
    end: () => {
      for (const name of names) process.off(name, onSignal);
    },
  };
}
