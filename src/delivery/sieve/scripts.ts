import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { AccountId } from '../../directory/directory.ts';
import { CORE, compile, type Script } from '../../sieve/compile.ts';
import { SieveError } from '../../sieve/errors.ts';
import type { Extension } from '../../sieve/extension.ts';
import { EXTENSIONS, PROGRAM_EXTENSIONS } from '../../sieve/extensions/index.ts';
import { LIMITS, type SieveLimits } from '../../sieve/limits.ts';
import type { SieveSettings } from '../../sieve/options.ts';
import { scriptNameProblem } from '../../sieve/script-name.ts';
import { accountDirectory } from '../../store/account-path.ts';
import { activeScriptFile, hasActiveScript, scriptPath } from '../../store/script-store.ts';

/** Compiled scripts, by file: read again when the file is another one. What does not compile is remembered, too. */

/** Files kept at once; the one used longest ago goes. */
const MAX_KEPT = 2000;

interface Kept {
  readonly stamp: string;
  readonly script: Script | SieveError;
}

export interface NamedScript {
  /** As the user knows it, or the path of an admin's file. */
  readonly name: string;
  readonly script: Script;
}

export class Scripts {
  readonly extensions: readonly Extension[];
  readonly limits: SieveLimits;
  readonly #dataDir: string;
  readonly #settings: SieveSettings;
  readonly #kept = new Map<string, Kept>();

  constructor(dataDir: string, settings: SieveSettings) {
    this.#dataDir = dataDir;
    this.#settings = settings;
    this.extensions = extensionsFor(settings);
    this.limits = {
      ...LIMITS,
      redirects: settings.maxRedirects,
      actions: settings.maxActions,
      notifications: settings.maxNotifications,
    };
  }

  /** Throws SieveError. */
  compile(source: string): Script {
    return compile(source, this.extensions, this.limits);
  }

  /**
   * What runs for a delivery, in this order.
   * @param instead of the active one; null: without any. Throws SieveError, and what reading a file throws.
   */
  forDelivery(account: AccountId, instead?: NamedScript | null): NamedScript[] {
    const { before, after } = this.#settings;
    const personal = instead === undefined ? this.#active(account) : instead;
    return [
      ...before.map((path) => this.#named(path, path)),
      ...(personal ? [personal] : []),
      ...after.map((path) => this.#named(path, path)),
    ];
  }

  #active(account: AccountId): NamedScript | null {
    const active = activeScriptFile(this.#directory(account));
    return active ? this.#named(active.name, active.path) : null;
  }

  #named(name: string, path: string): NamedScript {
    const script = this.#file(path);
    if (!script) throw new SieveError([{ line: 1, column: 1, message: `the script ${name} cannot be read` }]);
    return { name, script };
  }

  /** undefined: there is none. Throws SieveError. */
  personal(account: AccountId, name: string): Script | undefined {
    return scriptNameProblem(name) === undefined
      ? this.#file(scriptPath(this.#directory(account), name))
      : undefined;
  }

  /** RFC 6609: one of the admin's, for all to include. undefined: there is none. Throws SieveError. */
  global(name: string): Script | undefined {
    const { globalDirectory } = this.#settings;
    if (globalDirectory === null || scriptNameProblem(name) !== undefined || name.startsWith('.'))
      return undefined;
    return this.#file(join(globalDirectory, `${name}.sieve`));
  }

  #directory(account: AccountId): string {
    return join(this.#dataDir, accountDirectory(account));
  }

  #file(path: string): Script | undefined {
    const stats = statSync(path, { throwIfNoEntry: false });
    if (!stats?.isFile() || stats.size > this.limits.scriptSize * 2) return undefined;
    const stamp = `${stats.mtimeMs} ${stats.size} ${stats.ino}`;
    const kept = this.#kept.get(path);
    this.#kept.delete(path);
    const script = kept?.stamp === stamp ? kept.script : this.#compiled(path);
    this.#kept.set(path, { stamp, script });
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > MAX_KEPT && oldest !== undefined) this.#kept.delete(oldest);
    if (script instanceof SieveError) throw script;
    return script;
  }

  #compiled(path: string): Script | SieveError {
    try {
      return this.compile(readFileSync(path, 'utf8'));
    } catch (error) {
      if (error instanceof SieveError) return error;
      throw error;
    }
  }
}

/** Whether anything could run for an account's mail: one look at the disk, without reading. */
export function mayHaveScripts(
  dataDir: string,
  { before, after }: SieveSettings,
): (account: AccountId) => boolean {
  const always = before.length > 0 || after.length > 0;
  return (account) => always || hasActiveScript(join(dataDir, accountDirectory(account)));
}

/** As `require` and ManageSieve name them. */
export function extensionNames(settings: SieveSettings): readonly string[] {
  return extensionsFor(settings)
    .map(({ name }) => name)
    .filter((name) => name !== CORE)
    .sort();
}

/** Programs can be run where an admin has listed some; their words are not known elsewhere. */
function extensionsFor({ programs }: SieveSettings): readonly Extension[] {
  return Object.keys(programs).length > 0 ? [...EXTENSIONS, ...PROGRAM_EXTENSIONS] : EXTENSIONS;
}
