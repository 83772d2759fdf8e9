import { hostname } from 'node:os';
import type { Config } from '../config/schema.ts';
import type { QuotaOf } from '../store/calling-store.ts';
import { MaildirStore } from '../store/maildir-store.ts';
import type { Surroundings } from './surroundings.ts';

/** The mail of a data directory, for the command line while no daemon runs; without quotas unless it says them. */
export function openStore(
  config: Config,
  { log, clock }: Surroundings,
  quotaOf: QuotaOf = async () => null,
): MaildirStore {
  const { dataDir: directory, store: settings } = config;
  const options = { directory, settings, clock, log, host: hostname(), pid: process.pid };
  return new MaildirStore(options, quotaOf);
}
