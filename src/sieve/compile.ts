import { type Bound, SKIPPED, type Value } from './bound.ts';
import { type Complaint, placeOf, SieveError } from './errors.ts';
import type { Command, Extension, Family, Kind, MatchTag, Modifier, Tag, Tags, Test } from './extension.ts';
import type { SieveLimits } from './limits.ts';
import { asciiCasemap, type Comparator } from './match/comparators.ts';
import { is, type Matcher, type MatchType } from './match/matcher.ts';
import { type Argument, type Node, Parser } from './parser.ts';
import type { Run } from './run.ts';
import { type Text, withReferences } from './text.ts';

/** From source to a script that can run: every word known, every argument what it should be, or all that is wrong. */

export interface Script {
  readonly source: string;
  readonly commands: readonly Bound[];
  /** Names of extensions, as required. */
  readonly requires: ReadonlySet<string>;
  /** Those of all its active extensions. */
  readonly namespaces: ReadonlyMap<string, Namespace>;
  readonly modifiers: ReadonlyMap<string, Modifier>;
  /** Scripts that it includes by name. */
  readonly includes: readonly Include[];
  /** What does no harm but is hardly meant. */
  readonly warnings: readonly Complaint[];
}

export type Namespace = (name: string, run: Run) => string;

/** RFC 6609 3.2. */
export interface Include {
  readonly at: number;
  readonly name: string;
  readonly where: 'personal' | 'global';
  readonly optional: boolean;
}

/** What is always there (RFC 5228). */
export const CORE = 'core';

/** More is not worth reading. */
const MAX_COMPLAINTS = 30;

type Found = { readonly at: number; readonly message: string };

/** Throws SieveError. */
export function compile(source: string, extensions: readonly Extension[], limits: SieveLimits): Script {
  return new Compiler(source, extensions, limits).compile();
}

type Entry<Words extends 'namespaces' | 'modifiers'> = Words extends 'namespaces' ? Namespace : Modifier;

export class Compiler {
  readonly limits: SieveLimits;
  readonly #source: string;
  readonly #known: ReadonlyMap<string, Extension>;
  readonly #active = new Set<string>([CORE]);
  readonly #errors: Found[] = [];
  readonly #warnings: Found[] = [];
  readonly includes: Include[] = [];
  /** What extensions noted of the commands before this one. */
  readonly seen: Set<string> = new Set<string>();
  /** The loops around what is being compiled, outermost first. */
  readonly blocks: Bound[] = [];

  constructor(source: string, extensions: readonly Extension[], limits: SieveLimits) {
    this.#source = source;
    this.#known = new Map(extensions.map((extension) => [extension.name, extension]));
    this.limits = limits;
  }

  compile(): Script {
    if (Buffer.byteLength(this.#source) > this.limits.scriptSize)
      this.error(0, `the script is bigger than ${this.limits.scriptSize} octets`);
    else {
      const nodes = new Parser(this.#source, this.limits.nesting, (at, message) =>
        this.error(at, message),
      ).parse();
      const commands = this.#script(nodes);
      if (this.#errors.length === 0)
        return {
          source: this.#source,
          commands,
          requires: new Set([...this.#active].filter((name) => name !== CORE)),
          namespaces: new Map(this.#all('namespaces')),
          modifiers: new Map(this.#all('modifiers')),
          includes: this.includes,
          warnings: this.#placed(this.#warnings),
        };
    }
    throw new SieveError(this.#placed(this.#errors));
  }

  error(at: number, message: string): void {
    if (this.#errors.length < MAX_COMPLAINTS) this.#errors.push({ at, message });
  }

  warn(at: number, message: string): void {
    if (this.#warnings.length < MAX_COMPLAINTS) this.#warnings.push({ at, message });
  }

  isActive(name: string): boolean {
    return this.#active.has(name);
  }

  isKnown(name: string): boolean {
    return this.#known.has(name);
  }

  activate(name: string): void {
    if (this.#active.has(name)) return;
    this.#active.add(name);
    for (const implied of this.#known.get(name)?.implies ?? []) this.activate(implied);
  }

  *#all<Words extends 'namespaces' | 'modifiers'>(words: Words): Generator<[string, Entry<Words>]> {
    for (const active of this.#active) {
      const entries = this.#known.get(active)?.[words] as Readonly<Record<string, Entry<Words>>> | undefined;
      yield* Object.entries(entries ?? {});
    }
  }

  #placed(found: readonly Found[]): Complaint[] {
    return [...found]
      .sort((one, other) => one.at - other.at)
      .map(({ at, message }) => ({ ...placeOf(this.#source, at), message }));
  }

  #script(nodes: readonly Node[]): Bound[] {
    let first = 0;
    for (; nodes[first]?.name === 'require'; first++) this.#require(nodes[first] as Node);
    for (const name of this.#active)
      for (const needed of this.#known.get(name)?.needs ?? [])
        if (!this.#active.has(needed))
          this.error(nodes[0]?.at ?? 0, `${name} needs require "${needed}" beside it`);
    return this.#commands(nodes.slice(first));
  }

  /** RFC 5228 3.2. */
  #require(node: Node): void {
    const [names] = node.arguments;
    if (
      node.arguments.length !== 1 ||
      (names?.is !== 'string' && names?.is !== 'strings') ||
      node.tests !== 'none'
    )
      this.error(node.at, 'require takes one list of strings');
    else
      for (const name of names.is === 'string' ? [names.text] : names.texts) {
        if (this.#known.has(name) && name !== CORE) this.activate(name);
        else this.error(names.at, `the extension "${name}" is not known here`);
      }
    if (node.block) this.error(node.at, 'require has no block');
  }

  #commands(nodes: readonly Node[]): Bound[] {
    const commands: Bound[] = [];
    let before = '';
    for (const node of nodes) {
      const command = this.#find('commands', node.name);
      if (command) {
        if (command.after && !command.after.includes(before))
          this.error(node.at, `${node.name} must stand right behind ${command.after.join(' or ')}`);
        commands.push(this.#command(node, command));
      } else this.#unknown(node, 'command');
      before = node.name;
    }
    return commands;
  }

  #unknown(node: Node, kind: 'command' | 'test'): void {
    if (node.name === 'require') {
      this.error(node.at, 'require must stand at the beginning, before all other commands');
      return;
    }
    const words = kind === 'command' ? 'commands' : 'tests';
    const other = kind === 'command' ? 'tests' : 'commands';
    const needed = [...this.#known.values()].find((one) => one[words]?.[node.name]);
    if (needed) this.error(node.at, `${node.name} needs require "${needed.name}"`);
    else if (this.#find(other, node.name))
      this.error(node.at, `${node.name} is a ${kind === 'command' ? 'test' : 'command'}, not a ${kind}`);
    else this.error(node.at, `there is no ${kind} ${node.name}`);
    // What is inside may have mistakes of its own.
    if (kind === 'command' && node.block) this.#commands(node.block);
  }

  #find<Words extends 'commands' | 'tests'>(
    words: Words,
    name: string,
  ): (Words extends 'commands' ? Command : Test) | undefined {
    for (const active of this.#active) {
      const word = this.#known.get(active)?.[words];
      if (word && Object.hasOwn(word, name)) return word[name] as never;
    }
    return undefined;
  }

  #command(node: Node, command: Command): Bound {
    const parts = this.#word(node, command);
    if (command.block === 'must' && !node.block) this.error(node.at, `${node.name} needs a block`);
    if (command.block === undefined && node.block) this.error(node.at, `${node.name} has no block`);
    const block: Bound[] = [];
    const bound: Bound = { ...parts, command, test: null, block, notes: new Map() };
    command.compile?.(bound, this);
    if (node.block && bound.notes.get(SKIPPED) !== true) {
      this.blocks.push(bound);
      block.push(...this.#commands(node.block));
      this.blocks.pop();
    }
    return bound;
  }

  #test(node: Node): Bound | undefined {
    const test = this.#find('tests', node.name);
    if (!test) {
      this.#unknown(node, 'test');
      return undefined;
    }
    const bound: Bound = {
      ...this.#word(node, test),
      command: null,
      test,
      block: [],
      notes: new Map(),
    };
    test.compile?.(bound, this);
    return bound;
  }

  #word(
    node: Node,
    word: Command | Test,
  ): Pick<Bound, 'name' | 'at' | 'tags' | 'args' | 'tests' | 'matcher'> {
    const { tags, positional } = this.#tags(node, word);
    const args = this.#positional(node, word, positional);
    const tests = node.children.flatMap((child) => this.#test(child) ?? []);
    if (word.tests === undefined && node.tests !== 'none') this.error(node.at, `${node.name} takes no test`);
    if (word.tests === 'one' && (node.tests !== 'one' || node.children.length !== 1))
      this.error(node.at, `${node.name} takes one test`);
    if (word.tests === 'some' && node.tests !== 'list')
      this.error(node.at, `${node.name} takes a list of tests in parentheses`);
    const matcher = word.takes?.includes('match') ? this.#matcher(node, tags) : null;
    if (matcher) this.#checkKeys(node, tags, args.at(-1));
    return { name: node.name, at: node.at, tags, args, tests, matcher };
  }

  #tags(
    node: Node,
    word: Command | Test,
  ): { tags: Map<string, Value | true>; positional: readonly Argument[] } {
    const possible = this.#possibleTags(node.name, word);
    const tags = new Map<string, Value | true>();
    const groups = new Map<string, string>();
    let at = 0;
    for (; at < node.arguments.length; at++) {
      const argument = node.arguments[at];
      if (argument?.is !== 'tag') break;
      const tag = possible.get(argument.name);
      if (!tag) {
        const needed = this.#lender(node.name, word, argument.name);
        this.error(
          argument.at,
          needed
            ? `:${argument.name} needs require "${needed}"`
            : `${node.name} has no tag :${argument.name}`,
        );
        continue;
      }
      const { group = argument.name } = tag;
      const other = groups.get(group);
      if (other !== undefined)
        this.error(
          argument.at,
          other === argument.name
            ? `:${other} stands there twice`
            : `:${argument.name} does not go with :${other}`,
        );
      groups.set(group, argument.name);
      if (tag.value === undefined) tags.set(argument.name, true);
      else {
        const value = this.#value(node.arguments[at + 1], tag.value);
        if (value === undefined)
          this.error(argument.at, `:${argument.name} needs a ${shown(tag.value)} behind it`);
        else {
          tags.set(argument.name, value);
          at++;
        }
      }
    }
    const positional = node.arguments.slice(at);
    for (const argument of positional)
      if (argument.is === 'tag')
        this.error(argument.at, `:${argument.name} must stand before the other arguments of ${node.name}`);
    return { tags, positional: positional.filter((argument) => argument.is !== 'tag') };
  }

  #possibleTags(name: string, word: Command | Test): Map<string, Tag> {
    const possible = new Map<string, Tag>(Object.entries(word.tags ?? {}));
    for (const active of this.#active)
      for (const tags of this.#lent(active, name, word))
        for (const [tag, spec] of Object.entries(tags)) possible.set(tag, spec);
    return possible;
  }

  #lent(extension: string, name: string, word: Command | Test): Tags[] {
    const { tags, families } = this.#known.get(extension) ?? {};
    const lent: Tags[] = tags && Object.hasOwn(tags, name) ? [tags[name] ?? {}] : [];
    for (const family of word.takes ?? []) lent.push(...familyOf(families, family));
    return lent;
  }

  /** The extension that would have had the tag. */
  #lender(name: string, word: Command | Test, tag: string): string | undefined {
    for (const extension of this.#known.keys())
      if (this.#lent(extension, name, word).some((tags) => Object.hasOwn(tags, tag))) return extension;
    return undefined;
  }

  #positional(node: Node, word: Command | Test, given: readonly Argument[]): (Value | undefined)[] {
    const { arguments: wanted = [], optional = 0, trailing = 0 } = word;
    const missing = wanted.length - given.length;
    if (missing < 0 || missing > optional + trailing) {
      const least = wanted.length - optional - trailing;
      const count = least < wanted.length ? `${least} or ${wanted.length}` : `${least === 0 ? 'no' : least}`;
      this.error(
        node.at,
        `${node.name} takes ${count} argument${count === '1' ? '' : 's'}, not ${given.length}`,
      );
      return wanted.map(() => '');
    }
    const first = optional > 0 ? missing : 0;
    return wanted.map((kind, i) => {
      const argument = i < first ? undefined : given[i - first];
      if (argument === undefined) return undefined;
      const value = this.#value(argument, kind);
      if (value === undefined)
        this.error(argument.at, `argument ${i - first + 1} of ${node.name} must be a ${shown(kind)}`);
      return value ?? '';
    });
  }

  #value(argument: Argument | undefined, kind: Kind): Value | undefined {
    if (argument?.is === 'number') return kind === 'number' ? argument.value : undefined;
    if (argument?.is === 'string') {
      const text = this.#text(argument.text, argument.at);
      return kind === 'string' ? text : kind === 'strings' ? { texts: [text] } : undefined;
    }
    if (argument?.is === 'strings' && kind === 'strings')
      return { texts: argument.texts.map((text) => this.#text(text, argument.at)) };
    return undefined;
  }

  #text(text: string, at: number): Text {
    let changed = text;
    for (const active of this.#active) {
      const change = this.#known.get(active)?.string;
      if (change) changed = change(changed, (message) => this.error(at, message));
    }
    if (!this.#active.has('variables')) return changed;
    const filled = withReferences(changed);
    if (typeof filled !== 'string')
      for (const part of filled) if (typeof part === 'object') this.#checkNamespace(part.name, at);
    return filled;
  }

  #checkNamespace(name: string, at: number): void {
    const dot = name.indexOf('.');
    if (dot >= 0 && !this.hasNamespace(name.slice(0, dot)))
      this.error(at, `there is no namespace of variables ${name.slice(0, dot)}`);
  }

  hasNamespace(space: string): boolean {
    for (const [name] of this.#all('namespaces')) if (name === space) return true;
    return false;
  }

  #matcher(node: Node, tags: ReadonlyMap<string, Value | true>): Matcher {
    let type: MatchType = is;
    let needsSubstrings = '';
    for (const [name] of tags) {
      const found = this.#matchType(name);
      if (!found) continue;
      const behind = tags.get(name);
      type = found.of(typeof behind === 'string' || behind === true ? behind : undefined, (message) =>
        this.error(node.at, message),
      );
      if (found.substrings) needsSubstrings = name;
      if (found.comparesItself && tags.has('comparator'))
        this.error(node.at, `:comparator does not go with :${name}`);
    }
    const wanted = tags.get('comparator');
    let comparator: Comparator = asciiCasemap;
    if (typeof wanted === 'string') {
      const found = this.#comparator(wanted);
      if (typeof found === 'string') this.error(node.at, found);
      else comparator = found;
      if (typeof found !== 'string' && needsSubstrings !== '' && !found.substrings)
        this.error(node.at, `the comparator "${wanted}" cannot do :${needsSubstrings}`);
    } else if (wanted !== undefined) this.error(node.at, 'the comparator must be named without variables');
    return { comparator, type };
  }

  #checkKeys(node: Node, tags: ReadonlyMap<string, Value | true>, keys: Value | undefined): void {
    if (typeof keys !== 'object' || !('texts' in keys)) return;
    for (const [name] of tags)
      for (const key of keys.texts) {
        const problem =
          typeof key === 'string' ? this.#matchType(name)?.keyProblem?.(key, this.limits) : undefined;
        if (problem !== undefined) this.error(node.at, problem);
      }
  }

  #matchType(name: string): MatchTag | undefined {
    for (const active of this.#active) {
      const types = this.#known.get(active)?.matchTypes;
      if (types && Object.hasOwn(types, name)) return types[name];
    }
    return undefined;
  }

  /** A string: why not. */
  #comparator(name: string): Comparator | string {
    for (const [extension, { comparators }] of this.#known)
      if (comparators && Object.hasOwn(comparators, name)) {
        if (!this.#active.has(extension)) return `the comparator "${name}" needs require "${extension}"`;
        return comparators[name] ?? asciiCasemap;
      }
    return `there is no comparator "${name}"`;
  }
}

function familyOf(families: Extension['families'], family: Family): Tags[] {
  const tags = families?.[family];
  return tags ? [tags] : [];
}

function shown(kind: Kind): string {
  return kind === 'strings' ? 'list of strings' : kind;
}
