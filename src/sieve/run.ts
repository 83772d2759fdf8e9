import type { Part } from '../message/structure.ts';
import { addAction, type SieveAction } from './action.ts';
import type { Bound, Value } from './bound.ts';
import type { Script } from './compile.ts';
import { SieveRuntimeError } from './errors.ts';
import type { Flow } from './extension.ts';
import type { Envelope, SieveHost } from './host.ts';
import type { SieveLimits } from './limits.ts';
import type { MessageVersion } from './message.ts';
import type { Text } from './text.ts';

/** One run of a script on one message. Changes nothing but itself; `actions` is what came out. */

export interface RunOptions {
  readonly message: MessageVersion;
  /** null: it is not known any more, and nobody may ask for it (RFC 6785 4.6). */
  readonly envelope: Envelope | null;
  /** What the message has before the script sets any (RFC 6785 2.2.3). */
  readonly flags?: readonly string[];
  readonly host: SieveHost;
  readonly limits: SieveLimits;
  readonly trace?: (event: TraceEvent) => void;
  /** Asked between commands: whether others should have their turn, and resolved when they had it. */
  readonly pause?: () => Promise<void> | undefined;
}

export interface Loop {
  readonly bound: Bound;
  readonly message: MessageVersion;
  readonly part: Part;
}

/** What a script does, as it does it. */
export type TraceEvent =
  | { readonly is: 'command'; readonly script: Script; readonly bound: Bound }
  | { readonly is: 'test'; readonly script: Script; readonly bound: Bound; readonly outcome: boolean }
  /** What a test compared. */
  | { readonly is: 'match'; readonly values: readonly string[]; readonly keys: readonly string[] }
  | { readonly is: 'action'; readonly action: SieveAction }
  | { readonly is: 'set'; readonly name: string; readonly value: string };

export class Run {
  readonly host: SieveHost;
  readonly limits: SieveLimits;
  message: MessageVersion;
  envelope: Envelope | null;
  readonly actions: SieveAction[] = [];
  /** What went wrong on the way, and did no harm. */
  readonly warnings: string[] = [];
  /** RFC 5228 2.10.2. */
  implicitKeep: boolean = true;
  /** RFC 5229; by lower-case name. */
  readonly globals: Map<string, string> = new Map<string, string>();
  variables: Map<string, string> = new Map<string, string>();
  /** Names that mean a global one in the present script. */
  globalNames: Set<string> = new Set<string>();
  matchValues: readonly string[] = [];
  script: Script;
  /** What extensions keep for this run, each under its own name. */
  readonly notes: Map<string, unknown> = new Map<string, unknown>();
  /** The loops over MIME parts (RFC 5703 3) that run, outermost first. */
  readonly loops: Loop[] = [];
  /** What `replace` puts in the place of parts (RFC 5703 5). */
  readonly replacements: Map<Part, Uint8Array> = new Map<Part, Uint8Array>();
  /** The message before it was enclosed: `redirect` sends that one (RFC 5703 6). */
  unenclosed: MessageVersion | undefined;
  readonly trace: RunOptions['trace'];
  readonly #pause: RunOptions['pause'];
  #steps = 0;
  #characters = 0;
  /** Whether a branch of the present if was taken. */
  taken: boolean = false;

  constructor(script: Script, options: RunOptions) {
    this.script = script;
    this.message = options.message;
    this.envelope = options.envelope;
    this.host = options.host;
    this.limits = options.limits;
    this.trace = options.trace;
    this.#pause = options.pause;
  }

  /** Another script goes on where one has ended: with its actions and flags, not with its variables. */
  next(script: Script): void {
    this.script = script;
    this.variables = new Map();
    this.globalNames = new Set();
    this.globals.clear();
    this.matchValues = [];
  }

  async block(commands: readonly Bound[]): Promise<Flow> {
    const outer = this.taken;
    this.taken = false;
    for (const bound of commands) {
      this.charge(1, 0);
      this.trace?.({ is: 'command', script: this.script, bound });
      const pause = this.#pause?.();
      if (pause) await pause;
      try {
        const running = bound.command?.run(bound, this);
        const flow = (running instanceof Promise ? await running : running) ?? 'on';
        if (flow !== 'on') {
          this.taken = outer;
          return flow;
        }
      } catch (error) {
        throw error instanceof SieveRuntimeError ? error.within(this.script, bound.at) : error;
      }
    }
    this.taken = outer;
    return 'on';
  }

  check(bound: Bound): boolean | Promise<boolean> {
    this.charge(1, 0);
    const outcome = bound.test?.check(bound, this) ?? false;
    return outcome instanceof Promise
      ? outcome.then((late) => this.#checked(bound, late))
      : this.#checked(bound, outcome);
  }

  #checked(bound: Bound, outcome: boolean): boolean {
    this.trace?.({ is: 'test', script: this.script, bound, outcome });
    return outcome;
  }

  /** Whether any value matches any key, as the word says. */
  match(bound: Bound, values: readonly string[], keys: readonly string[]): boolean | Promise<boolean> {
    const { matcher } = bound;
    this.trace?.({ is: 'match', values, keys });
    return matcher ? matcher.type.matches(values, keys, matcher.comparator, this) : false;
  }

  text(value: Value | true | undefined): string {
    if (typeof value === 'string') return value;
    if (Array.isArray(value)) return this.#filled(value as Text);
    return '';
  }

  texts(value: Value | true | undefined): string[] {
    return typeof value === 'object' && 'texts' in value ? value.texts.map((text) => this.text(text)) : [];
  }

  number(value: Value | true | undefined): number {
    return typeof value === 'number' ? value : 0;
  }

  /** The action takes place when the script has ended without a mistake. Throws when it does not go with others. */
  act(action: SieveAction): void {
    addAction(this.actions, action, this.limits);
    this.trace?.({ is: 'action', action });
  }

  /** Whether the part, or one around it, has given way to another. */
  isReplaced(part: Part): boolean {
    for (const { header, body } of this.replacements.keys())
      if (header.start <= part.header.start && part.body.end <= body.end) return true;
    return false;
  }

  setMatchValues(values: readonly string[]): void {
    // RFC 5229 3.2: at least 0 to 9.
    this.matchValues = values.slice(0, 100);
  }

  variable(name: string): string {
    const dot = name.indexOf('.');
    if (dot >= 0) return this.script.namespaces.get(name.slice(0, dot))?.(name.slice(dot + 1), this) ?? '';
    return this.#scope(name).get(name) ?? '';
  }

  /** Longer values are cut (RFC 5229 6). */
  setVariable(name: string, value: string): void {
    const cut = cutAt(value, this.limits.variable);
    const scope = this.#scope(name);
    if (!scope.has(name) && scope.size >= this.limits.variables)
      throw new SieveRuntimeError(`more than ${this.limits.variables} variables`);
    scope.set(name, cut);
    this.trace?.({ is: 'set', name, value: cut });
  }

  setGlobal(name: string, value: string): void {
    if (!this.globals.has(name) && this.globals.size >= this.limits.variables)
      throw new SieveRuntimeError(`more than ${this.limits.variables} global variables`);
    this.globals.set(name, cutAt(value, this.limits.variable));
    this.trace?.({ is: 'set', name: `global.${name}`, value });
  }

  #scope(name: string): Map<string, string> {
    return this.globalNames.has(name) ? this.globals : this.variables;
  }

  /** Throws when the script asks for too much. */
  charge(steps: number, characters: number): void {
    this.#steps += steps;
    this.#characters += characters;
    if (this.#steps > this.limits.steps || this.#characters > this.limits.characters)
      throw new SieveRuntimeError('the script does too much for one message');
  }

  #filled(text: Text): string {
    if (typeof text === 'string') return text;
    let filled = '';
    for (const part of text) {
      if (typeof part === 'string') filled += part;
      else if (typeof part === 'number') filled += this.matchValues[part] ?? '';
      else filled += this.variable(part.name);
      if (filled.length > this.limits.variable * 2) break;
    }
    return filled;
  }
}

/** At most so many octets of UTF-8, no character cut in two. */
function cutAt(text: string, octets: number): string {
  // Three octets are the most that one of JavaScript's units can come to.
  if (text.length * 3 <= octets) return text;
  const bytes = Buffer.from(text);
  if (bytes.length <= octets) return text;
  let end = octets;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return bytes.toString('utf8', 0, end);
}
