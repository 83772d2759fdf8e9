import { z } from 'zod';
import { duration } from '../lib/options.ts';
import { parseServer } from './servers.ts';

const server = z
  .string()
  .refine(
    (text) => parseServer(text) !== undefined,
    'must be an address such as 192.0.2.53 or 127.0.0.1:5353',
  );

/** Settings of `dns:`. */
export interface DnsOptions {
  readonly servers: readonly string[];
  readonly timeout: number;
  readonly tries: number;
  readonly cacheSize: number;
}

export const dnsOptions: z.ZodType<DnsOptions> = z.strictObject({
  servers: z
    .array(server)
    .max(8)
    .default([])
    .describe('Recursive resolvers to ask, in this order, as address or address:port. Empty: the system’s.'),
  timeout: duration()
    .default(3000)
    .describe('How long one server may take to answer before the next is asked.'),
  tries: z
    .int()
    .min(1)
    .max(10)
    .default(2)
    .describe('How often each server is asked before giving up for now.'),
  cacheSize: z
    .int()
    .min(0)
    .default(10_000)
    .describe('How many answers are kept, each as long as its TTL allows.'),
});
