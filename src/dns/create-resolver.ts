import type { Clock } from '../lib/clock.ts';
import { CachingResolver } from './cache.ts';
import type { DnsOptions } from './options.ts';
import { parseServer, systemServers } from './servers.ts';
import { StubResolver } from './stub-resolver.ts';

/** The house's resolver as `dns:` describes it: a cache in front of the stub. */
export function createResolver(options: DnsOptions, clock: Clock): CachingResolver {
  const named = options.servers.flatMap((text) => parseServer(text) ?? []);
  const servers = named.length > 0 ? named : systemServers();
  const stub = new StubResolver({ servers, timeout: options.timeout, tries: options.tries });
  return new CachingResolver(stub, { clock, size: options.cacheSize });
}
