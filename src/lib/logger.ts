import { type Logger as PinoLogger, pino } from 'pino';

/**
 * What we ask of a logger; pino satisfies it as it is. Fields first, a constant message second.
 * Fields in every line that concerns them: `sid` (session), `qid` (queue id), `account`.
 */
export interface Logger {
  child(fields: object): Logger;
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface LogOptions {
  readonly level: 'debug' | 'info' | 'warn' | 'error' | 'silent';
  /** `auto` is pretty on a terminal and JSON elsewhere. */
  readonly format: 'auto' | 'json' | 'pretty';
}

export interface RootLogger extends Logger {
  setLevel(level: LogOptions['level']): void;
  /** Resolves when all is written, or nobody reads any more, or the reader keeps us waiting: comes before `flush`. */
  drain(): Promise<void>;
  /** Writes what is still buffered; called last at exit. */
  flush(): void;
}

/** How long (ms) the end of the process waits for whoever reads the log. */
const DRAIN_MS = 1000;

/** Secrets never reach a log line, whatever object carries them. */
const SECRET_FIELDS = ['password', 'pass', 'secret', 'authorization', 'credentials', 'key'];

export function createLogger(
  options: LogOptions,
  out: NodeJS.WriteStream & { readonly fd: number } = process.stdout,
): RootLogger {
  const pretty = options.format === 'pretty' || (options.format === 'auto' && out.isTTY === true);
  let ending = false;
  const file = pretty
    ? undefined
    : pino.destination({ dest: out.fd, sync: false, minLength: 4096, retryEAGAIN: () => !ending });
  const logger: PinoLogger = pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: SECRET_FIELDS, censor: '[redacted]' },
    },
    file ?? prettyStream(out),
  );
  if (file) setInterval(() => file.flush(), 500).unref();
  return Object.assign(logger, {
    setLevel(level: LogOptions['level']) {
      logger.level = level;
    },
    async drain() {
      if (!file) return;
      // A reader that is gone is noticed by an asynchronous write only: flushSync would try for ever.
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, DRAIN_MS);
        file.flush(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    },
    flush() {
      ending = true;
      try {
        file?.flushSync();
      } catch {
        // The destination is not open yet: nothing was buffered either.
      }
    },
  }) as unknown as RootLogger;
}

const COLOURS: Readonly<Record<string, string>> = { debug: '90', info: '32', warn: '33', error: '31' };

/** One readable line an event: time, level, message, then the fields as key=value. */
function prettyStream(out: NodeJS.WriteStream): { write(line: string): void } {
  return {
    write(line) {
      const { time, level, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
      const name = String(level);
      const clock = String(time).slice(11, 19);
      const rest = Object.entries(fields)
        .map(([key, value]) => `\x1b[90m${key}=\x1b[0m${plain(value)}`)
        .join(' ');
      out.write(`${clock} \x1b[${COLOURS[name] ?? '0'}m${name.padEnd(5)}\x1b[0m ${String(msg)}  ${rest}\n`);
    },
  };
}

function plain(value: unknown): string {
  if (typeof value === 'string') return /[\s"=]/.test(value) ? JSON.stringify(value) : value;
  if (typeof value === 'object' && value !== null && 'stack' in value) return String(value.stack);
  return JSON.stringify(value);
}
