import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';

/** What comes from outside: tests give a clock they move by hand. */
export interface Surroundings {
  readonly log: Logger;
  readonly clock: Clock;
}
