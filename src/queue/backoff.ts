export interface Backoff {
  /** Pauses in milliseconds; the last one repeats. Never empty. */
  readonly retry: readonly number[];
  /** By how much of itself a pause may be longer or shorter, 0 to 0.5. */
  readonly jitter: number;
}

/**
 * The pause after so many attempts.
 * @param random from 0 (inclusive) to 1 (exclusive)
 */
export function pauseAfter(attempts: number, { retry, jitter }: Backoff, random: number): number {
  const pause = retry[Math.min(attempts, retry.length) - 1] ?? 0;
  return Math.round(pause * (1 + jitter * (2 * random - 1)));
}
