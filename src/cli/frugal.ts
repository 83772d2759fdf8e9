import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * A transfer makes millions of short-lived objects. V8 gives them ever more room, and gives none back while the process
 * is busy: a long import would hold twice what it needs. So the room for new objects stays as it is, and now and then
 * what is not needed is given back, which takes some 50 ms.
 */
const EVERY = 20_000;

/** @returns to be told how many messages were dealt with */
export function sparingly(): (messages: number) => void {
  setFlagsFromString('--semi-space-growth-factor=1');
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  let next = EVERY;
  return (messages) => {
    if (messages < next || typeof collect !== 'function') return;
    next = messages + EVERY;
    collect({ type: 'major', flavor: 'last-resort', execution: 'sync' });
  };
}
