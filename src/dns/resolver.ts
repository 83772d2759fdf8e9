/** "No such name" and "no such record" are answers; only SERVFAIL and time-outs are errors. */
export type Answer<T> =
  | {
      readonly status: 'found';
      readonly records: readonly T[];
      /** The answer was validated by DNSSEC on the way (AD bit); false where that is not known. */
      readonly secure: boolean;
      /** Seconds. */
      readonly ttl: number;
    }
  | {
      readonly status: 'nodata' | 'nxdomain';
      readonly secure: boolean;
      /** Seconds this may be believed, from the zone's SOA (RFC 2308 5); absent where none was sent. */
      readonly ttl?: number;
    };

export interface Mx {
  readonly preference: number;
  /** Lower case, without the trailing dot; empty for the root (null MX, RFC 7505). */
  readonly exchange: string;
}

/** Names are given in A-label form. Every look-up rejects with DnsTemporaryError when it is worth asking again later. */
export interface Resolver {
  mx(name: string, signal?: AbortSignal): Promise<Answer<Mx>>;
  a(name: string, signal?: AbortSignal): Promise<Answer<string>>;
  aaaa(name: string, signal?: AbortSignal): Promise<Answer<string>>;
  txt(name: string, signal?: AbortSignal): Promise<Answer<string>>;
  ptr(ip: string, signal?: AbortSignal): Promise<Answer<string>>;
}

/** SERVFAIL, REFUSED, a time-out: no answer was had, which says nothing about the name. SMTP: 451 4.4.3. */
export class DnsTemporaryError extends Error {
  override readonly name = 'DnsTemporaryError';
}
