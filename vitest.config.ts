import { defineConfig } from 'vitest/config';
import { SummaryReporter } from './test/summary-reporter.ts';

/**
 * `unit` is what `npm run check` runs before every commit: seconds, no other programs.
 * `system` starts whole daemons, real clients and kills processes: `npm test` runs both.
 */
export default defineConfig({
  test: {
    // Vitest would leave one processor to itself; most of its files wait for other processes.
    maxWorkers: '100%',
    reporters: ['default', new SummaryReporter()],
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/system/**'],
          testTimeout: 20_000,
          hookTimeout: 30_000,
        },
      },
      {
        test: {
          name: 'system',
          include: ['test/system/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
