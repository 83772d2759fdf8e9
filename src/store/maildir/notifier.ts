import { type FSWatcher, watch } from 'node:fs';
import type { Logger } from '../../lib/logger.ts';
import { codeOf } from './disk.ts';

/**
 * The system telling of changes in directories (inotify), as far as it does: not where the settings say that it cannot
 * (NFS), not on file systems without it, and not when its watches have run out. Then whoever asked has to poll.
 */

/** The limit of watches, and of files, of this user or process. */
const USED_UP = ['ENOSPC', 'EMFILE', 'ENFILE'];

export class Notifier {
  readonly #mode: 'inotify' | 'poll';
  readonly #log: Logger;
  readonly #watch: typeof watch;
  #complained = false;

  /** @param watchDirectory fs.watch; a test gives one that has run out */
  constructor(mode: 'inotify' | 'poll', log: Logger, watchDirectory: typeof watch = watch) {
    this.#mode = mode;
    this.#log = log;
    this.#watch = watchDirectory;
  }

  /**
   * undefined where the system does not tell.
   * @param onChange gets the name that changed; null when the system does not say
   * @param onLost nothing more is told
   */
  watch(
    directory: string,
    onChange: (name: string | null) => void,
    onLost: () => void,
  ): FSWatcher | undefined {
    if (this.#mode === 'poll') return undefined;
    try {
      const watcher = this.#watch(directory, (_event, name) => onChange(name));
      watcher.on('error', (error) => {
        this.#complain(error);
        onLost();
      });
      return watcher;
    } catch (error) {
      this.#complain(error);
      return undefined;
    }
  }

  /** Once: there may be thousands of folders. */
  #complain(error: unknown): void {
    if (!USED_UP.includes(codeOf(error) ?? '')) {
      this.#log.debug({ err: error }, 'a directory cannot be watched');
      return;
    }
    if (this.#complained) return;
    this.#complained = true;
    this.#log.warn(
      { err: error },
      'the system watches no more directories for us (fs.inotify.max_user_watches): looking for changes every ' +
        'store.pollInterval',
    );
  }
}
