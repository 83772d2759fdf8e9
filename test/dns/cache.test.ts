import { expect, test } from 'vitest';
import { CachingResolver } from '../../src/dns/cache.ts';
import { createResolver } from '../../src/dns/create-resolver.ts';
import { dnsOptions } from '../../src/dns/options.ts';
import { type Answer, DnsTemporaryError, type Resolver } from '../../src/dns/resolver.ts';
import { ManualClock } from '../clock.ts';
import { DnsServer } from '../dns-server.ts';

/** Answers `a` from the list, in turn; the count of questions is what the tests look at. */
function scripted(answers: (Answer<string> | Error)[]): Resolver & { asked: string[] } {
  const asked: string[] = [];
  const none = async (): Promise<never> => {
    throw new Error('not asked for here');
  };
  return {
    asked,
    mx: none,
    aaaa: none,
    txt: none,
    ptr: none,
    async a(name) {
      asked.push(name);
      await Promise.resolve();
      const answer = answers.shift();
      if (answer === undefined || answer instanceof Error) throw answer ?? new Error('nothing left to say');
      return answer;
    },
  };
}

const found = (address: string, ttl: number): Answer<string> => ({
  status: 'found',
  records: [address],
  secure: false,
  ttl,
});

test('an answer is kept for its TTL and no longer', async () => {
  const clock = new ManualClock();
  const source = scripted([found('127.0.0.1', 60), found('127.0.0.2', 60)]);
  const cache = new CachingResolver(source, { clock, size: 10 });
  await cache.a('example.test');
  await clock.advance(59_000);
  expect(await cache.a('EXAMPLE.test.')).toMatchObject({ records: ['127.0.0.1'] });
  await clock.advance(1000);
  expect(await cache.a('example.test')).toMatchObject({ records: ['127.0.0.2'] });
  expect(source.asked.length).toBe(2);
});

test('"no" is kept as long as the SOA says, at most 15 minutes; without an SOA not at all (RFC 2308 5)', async () => {
  const clock = new ManualClock();
  const no: Answer<string> = { status: 'nxdomain', secure: false };
  const source = scripted([{ ...no, ttl: 86_400 }, no, no]);
  const cache = new CachingResolver(source, { clock, size: 10 });
  await cache.a('example.test');
  await clock.advance(899_000);
  await cache.a('example.test');
  expect(source.asked.length).toBe(1);
  await clock.advance(1000);
  await cache.a('example.test');
  await cache.a('example.test');
  expect(source.asked.length).toBe(3);
});

test('failures are not kept, and reach all who waited', async () => {
  const source = scripted([new DnsTemporaryError('later'), found('127.0.0.1', 60)]);
  const cache = new CachingResolver(source, { clock: new ManualClock(), size: 10 });
  const both = await Promise.allSettled([cache.a('example.test'), cache.a('example.test')]);
  expect(both.map((one) => one.status)).toEqual(['rejected', 'rejected']);
  expect(source.asked.length).toBe(1);
  expect(await cache.a('example.test')).toMatchObject({ status: 'found' });
});

test('those who ask the same at once share one query; who goes away does not take it along', async () => {
  const source = scripted([found('127.0.0.1', 0)]);
  const cache = new CachingResolver(source, { clock: new ManualClock(), size: 10 });
  const stop = new AbortController();
  const first = cache.a('example.test', stop.signal);
  const second = cache.a('example.test');
  stop.abort(new Error('gone'));
  await expect(first).rejects.toThrow('gone');
  expect(await second).toMatchObject({ records: ['127.0.0.1'] });
  expect(source.asked.length).toBe(1);
});

test('the least recently used goes when the cache is full', async () => {
  const source = scripted(['1', '2', '3', '2'].map((last) => found(`127.0.0.${last}`, 60)));
  const cache = new CachingResolver(source, { clock: new ManualClock(), size: 2 });
  for (const name of ['one', 'two', 'one', 'three', 'one', 'two']) await cache.a(name);
  expect(source.asked).toEqual(['one', 'two', 'three', 'two']);
});

test('the settings make a resolver that asks the server they name', async () => {
  const server = await DnsServer.start({ 'example.test A': ['127.0.0.2'] });
  try {
    const resolver = createResolver(dnsOptions.parse({ servers: [server.address] }), new ManualClock());
    await resolver.a('example.test');
    expect(await resolver.a('example.test')).toMatchObject({ records: ['127.0.0.2'] });
    expect(server.queries).toEqual(['A example.test']);
  } finally {
    await server.close();
  }
});

test('a server that is a name is refused', () => {
  expect(dnsOptions.safeParse({ servers: ['dns.example.test'] }).success).toBe(false);
  expect(dnsOptions.parse({})).toEqual({ servers: [], timeout: 3000, tries: 2, cacheSize: 10_000 });
});
