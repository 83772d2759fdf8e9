import { randomBytes } from 'node:crypto';
import type { Logger } from '../../src/lib/logger.ts';
import { createSasl, type SaslOptions } from '../../src/sasl/index.ts';
import type { Sasl, SaslContext, SaslExchange, SaslStep } from '../../src/sasl/sasl.ts';
import { ManualClock } from '../clock.ts';
import { type MemoryDirectory, memoryDirectory, type Population } from '../directory/memory-directory.ts';

/** Sasl over a real directory, with every log line kept. */
export interface World {
  readonly sasl: Sasl;
  readonly memory: MemoryDirectory;
  readonly clock: ManualClock;
  readonly lines: string[];
  context(over?: Partial<SaslContext>): SaslContext;
  /** Waits for a step, moving the clock on whenever it sleeps. */
  settle(step: Promise<SaslStep>): Promise<SaslStep>;
}

export async function world(population: Population, options: Partial<SaslOptions> = {}): Promise<World> {
  const clock = new ManualClock();
  const memory = await memoryDirectory({ ...population, clock });
  const lines: string[] = [];
  const write =
    (level: string) =>
    (fields: object, message: string): void => {
      lines.push(JSON.stringify({ level, ...fields, message }));
    };
  const log: Logger = {
    child: () => log,
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
  };
  const sasl = createSasl({
    directory: memory.directory,
    log,
    clock,
    hostname: 'mx.example.org',
    cramMd5: false,
    ...options,
  });
  return {
    sasl,
    memory,
    clock,
    lines,
    context: (over = {}) => ({
      service: 'imap',
      hostname: 'mx.example.org',
      tls: null,
      random: (size) => randomBytes(size),
      sid: 's1',
      ip: '192.0.2.1',
      ...over,
    }),
    async settle(step) {
      let done = false;
      const end = (): void => {
        done = true;
      };
      step.then(end, end);
      while (!done) {
        await new Promise((resolve) => setImmediate(resolve));
        if (!done && clock.sleeping > 0) await clock.advance((clock.nextWake ?? 0) - clock.now().getTime());
      }
      return step;
    },
  };
}

/** Starts a mechanism that is known to be there. */
export function start(world: World, name: string, over?: Partial<SaslContext>): SaslExchange {
  const mechanism = world.sasl.find(name, true, null);
  if (!mechanism) throw new Error(`${name} is not offered`);
  return mechanism.start(world.context(over));
}

/** The text of a challenge. */
export function challenge(step: SaslStep): string {
  if (step.is !== 'challenge') throw new Error(`no challenge but ${JSON.stringify(step)}`);
  return Buffer.from(step.data).toString();
}
