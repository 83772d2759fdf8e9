import { readFileSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import { isMap, isNode, isScalar, LineCounter, type Node, parseDocument } from 'yaml';
import { z } from 'zod';
import { ConfigError, type Problem, suggestion } from './problem.ts';
import { type Config, schema } from './schema.ts';

/** A configuration file is for people: one larger than this is a mistake. */
const MAX_FILE = 4 * 1024 * 1024;

/**
 * Reads, parses and checks one configuration file. Relative paths in it count from `base`.
 * Throws ConfigError with every problem in the file.
 */
export function loadConfig(file: string, base: string): Config {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    const why =
      code === 'ENOENT' ? 'no such file' : code === 'EACCES' ? 'not readable by this user' : String(error);
    throw new ConfigError(file, [{ line: 1, column: 1, setting: '', message: why }]);
  }
  return parseConfig(text, file, base);
}

/** As loadConfig, from text; `file` is what problems are reported under. */
export function parseConfig(text: string, file: string, base: string): Config {
  if (text.length > MAX_FILE)
    throw new ConfigError(file, [{ line: 1, column: 1, setting: '', message: 'is too large' }]);
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    maxAliasCount: 100,
    uniqueKeys: true,
  } as object);
  const place = (offset: number): { line: number; column: number } => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  if (document.errors.length > 0) {
    throw new ConfigError(
      file,
      document.errors.map((error) => ({
        ...place(error.pos[0]),
        setting: '',
        message: (error.message.split('\n')[0] ?? '').replace(/ at line \d+, column \d+:?$/, ''),
      })),
    );
  }
  const result = schema.safeParse(document.toJS() ?? {}, { reportInput: true });
  if (!result.success) throw new ConfigError(file, problemsOf(result.error, document.contents, place));
  return absolutePaths(result.data, base);
}

/** The configuration without a file, with some settings laid over the defaults. */
export function defaultConfig(settings: object, base: string): Config {
  return absolutePaths(schema.parse(settings), base);
}

function absolutePaths(config: Config, base: string): Config {
  const absolute = <T extends string | null>(path: T): T =>
    (path === null || isAbsolute(path) ? path : resolve(base, path)) as T;
  return {
    ...config,
    dataDir: absolute(config.dataDir),
    auth: {
      ...config.auth,
      oauth: {
        ...config.auth.oauth,
        jwks: isUrl(config.auth.oauth.jwks) ? config.auth.oauth.jwks : absolute(config.auth.oauth.jwks),
        clientSecretFile: absolute(config.auth.oauth.clientSecretFile),
        ca: absolute(config.auth.oauth.ca),
      },
      clientCertificates: {
        ...config.auth.clientCertificates,
        ca: config.auth.clientCertificates.ca.map(absolute),
        crl: config.auth.clientCertificates.crl.map(absolute),
      },
    },
    tls: {
      ...config.tls,
      cert: absolute(config.tls.cert),
      key: absolute(config.tls.key),
      certificates: config.tls.certificates.map((entry) => ({
        ...entry,
        cert: absolute(entry.cert),
        key: absolute(entry.key),
      })),
    },
  };
}

function isUrl(text: string | null): boolean {
  return /^https?:\/\//.test(text ?? '');
}

type Place = (offset: number) => { line: number; column: number };

function problemsOf(error: z.ZodError, root: unknown, place: Place): Problem[] {
  const problems: Problem[] = [];
  for (const issue of flatten(error.issues)) {
    const path = issue.path.map((key) => (typeof key === 'number' ? key : String(key)));
    if (issue.code === 'unrecognized_keys') {
      for (const key of issue.keys) {
        const known = keysAt(path);
        const close = suggestion(key, known);
        const hint = close
          ? ` (did you mean ${close}?)`
          : known.length > 0
            ? ` (known: ${known.join(', ')})`
            : '';
        problems.push({
          ...place(offsetOf(root, [...path, key], 'key')),
          setting: dotted([...path, key]),
          message: `no such setting${hint}`,
        });
      }
      continue;
    }
    problems.push({
      ...place(offsetOf(root, path, 'value')),
      setting: dotted(path),
      message: plainMessage(issue),
    });
  }
  return problems.sort((a, b) => a.line - b.line || a.column - b.column);
}

/** A union reports its members' failures below one issue; the deepest one says most. */
function flatten(issues: readonly z.core.$ZodIssue[]): z.core.$ZodIssue[] {
  return issues.flatMap((issue) => {
    if (issue.code !== 'invalid_union' || issue.errors.length === 0) return [issue];
    const inner = issue.errors
      .map((branch) => flatten(branch.map((sub) => ({ ...sub, path: [...issue.path, ...sub.path] }))))
      .sort((a, b) => depth(b) - depth(a))[0];
    return inner && depth(inner) > issue.path.length ? inner : [issue];
  });
}

function depth(issues: readonly z.core.$ZodIssue[]): number {
  return Math.max(0, ...issues.map((issue) => issue.path.length));
}

function plainMessage(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined
        ? `is missing: it must be ${article(issue.expected)}`
        : `must be ${article(issue.expected)}, not ${describe(issue.input)}`;
    case 'invalid_value':
      return `must be ${issue.values.map((value) => JSON.stringify(value)).join(' or ')}`;
    case 'too_small':
      return `must be at least ${issue.minimum}`;
    case 'too_big':
      return `must be at most ${issue.maximum}`;
    default:
      return issue.message;
  }
}

function article(expected: string): string {
  const names: Readonly<Record<string, string>> = {
    string: 'a text',
    number: 'a number',
    int: 'a whole number',
    boolean: 'true or false',
    array: 'a list',
    object: 'a group of settings',
  };
  return names[expected] ?? expected;
}

function describe(input: unknown): string {
  if (input === null) return 'empty';
  if (Array.isArray(input)) return 'a list';
  if (typeof input === 'object') return 'a group of settings';
  return JSON.stringify(input) ?? typeof input;
}

function dotted(path: readonly (string | number)[]): string {
  return path.map((key, i) => (typeof key === 'number' ? `[${key}]` : i === 0 ? key : `.${key}`)).join('');
}

/** Where a setting, or the closest thing above it, stands in the file. */
function offsetOf(root: unknown, path: readonly (string | number)[], what: 'key' | 'value'): number {
  let node: unknown = root;
  let offset = startOf(node);
  for (const [i, step] of path.entries()) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(step));
      if (!pair) return offset;
      offset = startOf(what === 'key' && i === path.length - 1 ? pair.key : (pair.value ?? pair.key));
      node = pair.value;
    } else if (isNode(node) && 'items' in node && typeof step === 'number') {
      node = (node.items as unknown[])[step];
      offset = startOf(node);
    } else return offset;
  }
  return offset;
}

function startOf(node: unknown): number {
  return isNode(node) ? ((node as Node).range?.[0] ?? 0) : 0;
}

/** The names of the settings below `path` in the schema. */
function keysAt(path: readonly (string | number)[]): string[] {
  let at: unknown = schema;
  for (const step of path) {
    at = unwrap(at);
    if (at instanceof z.ZodObject) at = (at.shape as Record<string, unknown>)[String(step)];
    else if (at instanceof z.ZodArray) at = at.element;
    else return [];
  }
  at = unwrap(at);
  return at instanceof z.ZodObject ? Object.keys(at.shape) : [];
}

function unwrap(type: unknown): unknown {
  let at = type;
  while (
    at instanceof z.ZodPrefault ||
    at instanceof z.ZodDefault ||
    at instanceof z.ZodNullable ||
    at instanceof z.ZodOptional
  )
    at = at.unwrap();
  return at;
}
