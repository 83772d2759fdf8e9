import { Lexer, type Token } from './lexer.ts';

/** The grammar of a script (RFC 5228 8.2), which knows no command by name: commands, arguments, tests, blocks. */

export type Argument =
  | { readonly is: 'tag'; readonly name: string; readonly at: number }
  | { readonly is: 'number'; readonly value: number; readonly at: number }
  | { readonly is: 'string'; readonly text: string; readonly at: number }
  | { readonly is: 'strings'; readonly texts: readonly string[]; readonly at: number };

/** A command or a test. */
export interface Node {
  readonly name: string;
  readonly at: number;
  readonly arguments: readonly Argument[];
  /** `none`, one behind the arguments, or several in parentheses. */
  readonly tests: 'none' | 'one' | 'list';
  readonly children: readonly Node[];
  /** null: it ends with a semicolon. */
  readonly block: readonly Node[] | null;
}

/** Ends the parsing of one command; the parser goes on behind it. */
class Broken extends Error {}

export class Parser {
  readonly #lexer: Lexer;
  readonly #onError: (at: number, message: string) => void;
  readonly #nesting: number;
  #token: Token;
  #depth = 0;

  constructor(source: string, nesting: number, onError: (at: number, message: string) => void) {
    this.#onError = onError;
    this.#nesting = nesting;
    this.#lexer = new Lexer(source, onError);
    this.#token = this.#lexer.next();
  }

  parse(): Node[] {
    const commands = this.#commands();
    while (this.#token.is !== 'end') {
      this.#onError(this.#token.at, 'a closing brace without an opening one');
      this.#next();
      commands.push(...this.#commands());
    }
    return commands;
  }

  /** Up to a closing brace or the end. */
  #commands(): Node[] {
    const commands: Node[] = [];
    const depth = this.#depth;
    while (this.#token.is !== 'end' && this.#token.is !== '}') {
      try {
        commands.push(this.#command());
      } catch (error) {
        if (!(error instanceof Broken)) throw error;
        this.#depth = depth;
        this.#recover();
      }
    }
    return commands;
  }

  #command(): Node {
    const { at } = this.#token;
    if (this.#token.is !== 'word') this.#fail(`expected a command, found ${shown(this.#token)}`);
    const name = this.#word();
    const { args, tests, children } = this.#arguments();
    if (this.#at(';')) {
      this.#next();
      return { name, at, arguments: args, tests, children, block: null };
    }
    if (!this.#at('{'))
      this.#fail(`expected a semicolon or a block behind ${name}, found ${shown(this.#token)}`);
    const open = this.#token.at;
    this.#next();
    this.#enter(open);
    const block = this.#commands();
    this.#depth--;
    if (this.#at('}')) this.#next();
    else this.#onError(open, 'the block has no closing brace');
    return { name, at, arguments: args, tests, children, block };
  }

  #arguments(): { args: Argument[]; tests: Node['tests']; children: Node[] } {
    const args: Argument[] = [];
    for (;;) {
      const token = this.#token;
      switch (token.is) {
        case 'tag':
          args.push({ is: 'tag', name: token.text, at: token.at });
          this.#next();
          break;
        case 'number':
          args.push({ is: 'number', value: token.value, at: token.at });
          this.#next();
          break;
        case 'string':
          args.push({ is: 'string', text: token.text, at: token.at });
          this.#next();
          break;
        case '[':
          args.push({ is: 'strings', texts: this.#strings(), at: token.at });
          break;
        case '(':
          return { args, tests: 'list', children: this.#tests() };
        case 'word':
          return { args, tests: 'one', children: [this.#test()] };
        default:
          return { args, tests: 'none', children: [] };
      }
    }
  }

  #strings(): string[] {
    const open = this.#token.at;
    this.#next();
    const texts: string[] = [];
    for (;;) {
      if (this.#token.is !== 'string') {
        if (this.#token.is === ']' && texts.length === 0)
          this.#fail('a list of strings must not be empty', open);
        this.#fail(`expected a string in the list, found ${shown(this.#token)}`);
      } else texts.push(this.#token.text);
      this.#next();
      if (this.#at(',')) this.#next();
      else break;
    }
    if (!this.#at(']')) this.#fail(`expected , or ] in the list, found ${shown(this.#token)}`);
    this.#next();
    return texts;
  }

  #tests(): Node[] {
    const open = this.#token.at;
    this.#next();
    this.#enter(open);
    const tests = [this.#test()];
    while (this.#token.is === ',') {
      this.#next();
      tests.push(this.#test());
    }
    if (this.#token.is !== ')') this.#fail(`expected , or ) behind a test, found ${shown(this.#token)}`);
    this.#next();
    this.#depth--;
    return tests;
  }

  #test(): Node {
    const { at } = this.#token;
    if (this.#token.is !== 'word') this.#fail(`expected a test, found ${shown(this.#token)}`);
    this.#enter(at);
    const name = this.#word();
    const { args, tests, children } = this.#arguments();
    this.#depth--;
    return { name, at, arguments: args, tests, children, block: null };
  }

  /** Asked anew each time: the token moves on. */
  #at(kind: Token['is']): boolean {
    return this.#token.is === kind;
  }

  #word(): string {
    const text = this.#token.is === 'word' ? this.#token.text : '';
    this.#next();
    return text;
  }

  #next(): void {
    this.#token = this.#lexer.next();
  }

  #enter(at: number): void {
    if (++this.#depth <= this.#nesting * 2) return;
    this.#onError(at, `blocks and tests are nested too deeply, at most ${this.#nesting} are possible`);
    // Nothing behind this could be told apart any more.
    while (this.#token.is !== 'end') this.#next();
    throw new Broken();
  }

  #fail(message: string, at: number = this.#token.at): never {
    this.#onError(at, message);
    throw new Broken();
  }

  /** To the end of the command: its semicolon, or its block. */
  #recover(): void {
    for (let open = 0; this.#token.is !== 'end'; this.#next()) {
      if (this.#token.is === ';' && open === 0) break;
      if (this.#token.is === '{') open++;
      if (this.#token.is === '}') {
        if (open === 0) return;
        if (--open === 0) break;
      }
    }
    if (this.#token.is !== 'end') this.#next();
  }
}

function shown(token: Token): string {
  switch (token.is) {
    case 'word':
      return token.text;
    case 'tag':
      return `:${token.text}`;
    case 'number':
      return `the number ${token.value}`;
    case 'string':
      return 'a string';
    case 'end':
      return 'the end of the script';
    default:
      return token.is;
  }
}
