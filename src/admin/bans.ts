import type { LoginGuard } from '../sasl/login-guard.ts';
import type { ControlHandler } from './control.ts';

/** A ban as it crosses the control socket and stands in `--json`. */
export interface BanEntry {
  readonly kind: 'address' | 'account';
  readonly name: string;
  readonly failures: number;
  /** ISO 8601. */
  readonly until: string;
}

/** The daemon's side: bans live in its memory only. */
export function banHandlers(guard: LoginGuard): Readonly<Record<string, ControlHandler>> {
  return {
    'bans.list': async (): Promise<readonly BanEntry[]> =>
      guard.bans().map((ban) => ({ ...ban, until: ban.until.toISOString() })),
    'bans.remove': async (name) => guard.lift(String(name)),
  };
}
