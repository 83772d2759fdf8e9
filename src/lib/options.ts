import { z } from 'zod';

/** Building blocks of the rooms' `options.ts`: how settings are written in the configuration file. */

const UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

const SIZES: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1024,
  MB: 1024 ** 2,
  GB: 1024 ** 3,
  TB: 1024 ** 4,
};

/** `90s`, `5m`, `4h`, `5d`: milliseconds. */
export function duration(): z.ZodType<number, string> {
  return z.string().transform((text, context) => {
    const match = /^(\d{1,9})(ms|s|m|h|d|w)$/.exec(text);
    if (match) return Number(match[1]) * (UNITS[match[2] ?? ''] ?? 0);
    context.addIssue({ code: 'custom', message: 'must be a duration such as 30s, 5m, 4h or 5d' });
    return z.NEVER;
  });
}

/** `512KB`, `50MB`, `2GB` (powers of 1024): bytes. */
export function size(): z.ZodType<number, string> {
  return z.string().transform((text, context) => {
    const match = /^(\d{1,12})(B|KB|MB|GB|TB)$/.exec(text);
    if (match) return Number(match[1]) * (SIZES[match[2] ?? ''] ?? 0);
    context.addIssue({ code: 'custom', message: 'must be a size such as 512KB, 50MB or 2GB' });
    return z.NEVER;
  });
}

/** A network in CIDR notation, or one address. */
export function network(): z.ZodType<string, string> {
  return z.string().refine((text) => {
    const match = /^([0-9a-fA-F:.]+)(?:\/(\d{1,3}))?$/.exec(text);
    if (!match) return false;
    const v6 = text.includes(':');
    const address = v6 ? z.ipv6() : z.ipv4();
    return address.safeParse(match[1]).success && Number(match[2] ?? 0) <= (v6 ? 128 : 32);
  }, 'must be a network such as 192.0.2.0/24 or 2001:db8::/32');
}
