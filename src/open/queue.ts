import { join } from 'node:path';
import type { Config } from '../config/schema.ts';
import { SegmentQueue } from '../queue/segment-queue.ts';
import type { Surroundings } from './surroundings.ts';

/** The queue of a data directory, for the daemon and for the command line while no daemon runs. */
export function openQueue(config: Config, surroundings: Surroundings): Promise<SegmentQueue> {
  return SegmentQueue.open({ directory: join(config.dataDir, 'queue') }, surroundings);
}
