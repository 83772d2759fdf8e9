import type { Logger } from './logger.ts';
import type { ThreadPool } from './thread-pool.ts';

/** A worker thread's log lines are written by the main thread, so that all lines go one way and in one format. */
const LOG_EVENT = 'log';

interface LogEvent {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly fields: object;
  readonly message: string;
}

/** The worker's side. */
export function threadLogger(emit: (event: string, value: unknown) => void, bound: object = {}): Logger {
  const at =
    (level: LogEvent['level']) =>
    (fields: object, message: string): void =>
      emit(LOG_EVENT, { level, fields: plain({ ...bound, ...fields }), message } satisfies LogEvent);
  return {
    child: (fields) => threadLogger(emit, { ...bound, ...fields }),
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
  };
}

/** The main thread's side. */
export function logFromThreads(pool: ThreadPool, log: Logger): void {
  pool.on<LogEvent>(LOG_EVENT, ({ level, fields, message }) => log[level](fields, message));
}

/** Errors lose their prototype on the way; what a log line needs of them stays. */
function plain(fields: object): object {
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [
      key,
      value instanceof Error ? { name: value.name, message: value.message, stack: value.stack } : value,
    ]),
  );
}
