import { z } from 'zod';
import type { Language } from '../lib/language.ts';
import { duration, size } from '../lib/options.ts';

/** `managesieve:` of the configuration file. Durations in milliseconds, sizes in octets. */
export interface ManageSieveOptions {
  readonly loginTimeout: number;
  readonly idleTimeout: number;
  readonly maxScriptSize: number;
  readonly maxScripts: number;
  readonly maxScriptsSize: number;
  readonly maxErrors: number;
  readonly maxAuthFailures: number;
  readonly language: Language;
}

/** RFC 5804 1.2: at least 30 minutes after login. */
const MIN_IDLE = 30 * 60_000;
/** No compiler takes bigger ones. */
const MAX_SCRIPT = 1024 * 1024;

export const manageSieveOptions: z.ZodType<ManageSieveOptions, object> = z.strictObject({
  loginTimeout: duration().prefault('2m').describe('A client that has not logged in by then is cut off.'),
  idleTimeout: duration()
    .refine((ms) => ms >= MIN_IDLE, 'must be at least 30m')
    .prefault('30m')
    .describe('A client that says nothing for so long is cut off; RFC 5804 1.2 asks for at least 30m.'),
  maxScriptSize: size()
    .refine((octets) => octets <= MAX_SCRIPT, 'must be at most 1MB')
    .prefault('1MB')
    .describe('Of one script.'),
  maxScripts: z.int().min(1).max(1000).default(100).describe('Scripts that an account may have.'),
  maxScriptsSize: size().prefault('10MB').describe('Of all scripts of an account together.'),
  maxErrors: z.int().min(1).default(20).describe('Wrong commands in a row before the session is ended.'),
  maxAuthFailures: z.int().min(1).default(10).describe('Failed logins in one session before it is ended.'),
  language: z.enum(['en', 'fr']).default('en').describe('The language of what people may get to read.'),
});
