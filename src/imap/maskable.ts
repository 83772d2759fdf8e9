import { loadedCapabilities } from './capability.ts';

/** What `imap.mask` may name: all that CAPABILITY can say, but IMAP4rev1. */

/** Those that have their value behind them are named without it. */
const OTHERS: ReadonlySet<string> = new Set([
  'APPENDLIMIT',
  'IMAPSIEVE',
  'LOGINDISABLED',
  'MESSAGELIMIT',
  'SAVELIMIT',
  'STARTTLS',
]);

/** Whether this is the name of a capability that can be hidden. */
export function isMaskable(name: string): boolean {
  const wanted = maskName(name);
  return (
    OTHERS.has(wanted) ||
    /^AUTH=[A-Z0-9_-]+$/.test(wanted) ||
    loadedCapabilities().some((loaded) => loaded.toUpperCase() === wanted)
  );
}

/** In capitals; of `APPENDLIMIT=1000` the name alone. */
export function maskName(capability: string): string {
  const name = capability.toUpperCase();
  return /^(?:[A-Z]+LIMIT|IMAPSIEVE)=/.test(name) ? name.slice(0, name.indexOf('=')) : name;
}
