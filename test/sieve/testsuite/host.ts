import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ProgramResult, runProgram } from '../../../src/delivery/sieve/program.ts';
import { compile, type Script } from '../../../src/sieve/compile.ts';
import type { SieveHost, StatusOptions } from '../../../src/sieve/host.ts';
import type { State } from './state.ts';

export function suiteHost(state: State): SieveHost {
  const now = new Date();
  return {
    now,
    zoneMinutesAt: (moment) => -moment.getTimezoneOffset(),
    get account() {
      return state.setting('sieve_user_email') ?? 'user@example.org';
    },
    dateText: () => now.toUTCString(),
    boundary: () => 'facteur-boundary',
    isProtected: (field, change) =>
      field !== 'subject' &&
      (state.setting('sieve_editheader_header') ?? '')
        .split(' ')
        .some(
          (name) =>
            state.setting(`sieve_editheader_header/${name}/name`)?.toLowerCase() === field &&
            state.setting(`sieve_editheader_header/${name}/forbid_${change}`) === 'yes',
        ),
    get delimiters() {
      return state.setting('recipient_delimiter') ?? '+';
    },
    environment: (item) => environmentOf(state, item),
    mailboxExists: async (path) => state.folders.has(path),
    mailboxIdExists: async (id) => [...state.folders.keys()].some((name) => `id-${name}` === id),
    specialUseExists: async (mailbox, use) => mailbox === null && use.toLowerCase() === 'inbox',
    metadata: async (mailbox, entry) => state.annotations.get(`${mailbox ?? ''} ${entry.toLowerCase()}`),
    async isDuplicate(handle, id, seconds, last) {
      const key = `${handle} ${id}`;
      const seen = state.seen.get(key);
      const found = seen !== undefined && now.getTime() - seen < seconds * 1000;
      if (!found || last) state.seen.set(key, now.getTime());
      return found;
    },
    included: (name, where) => included(state, name, where),
    async inList(list, values) {
      const items = await listOf(state, list);
      return items && (values.find((value) => items.includes(value)) ?? null);
    },
    isList: async (list) => (await listOf(state, list)) !== undefined,
    listed: (list) => listOf(state, list),
    get spamtest() {
      return statusOf(state, 'spamtest', 10);
    },
    get virustest() {
      return statusOf(state, 'virustest', 5);
    },
    execute: (program, args, input) => runListed(state, ['execute', 'filter'], program, args, input),
    debug: () => {},
  };
}

function environmentOf(state: State, item: string): string | undefined {
  const fixed: Readonly<Record<string, string>> = {
    name: 'Pigeonhole Sieve',
    version: '1',
    location: 'MS',
    phase: 'post',
    domain: 'example.com',
    host: 'host.example.com',
    'vnd.dovecot.default-mailbox': 'INBOX',
    'vnd.dovecot.username': 'stephan',
  };
  const config = /^vnd\.dovecot\.config\.(.*)$/.exec(item);
  return config ? state.setting(`sieve_environment/${config[1]}`) : fixed[item];
}

/** The keys of a dict of Dovecot's kind `file`: a line with the key, a line with the value. */
async function listOf(state: State, list: string): Promise<string[] | undefined> {
  const prefix = 'urn:ietf:params:sieve';
  const short = list.startsWith(prefix) ? list.slice(prefix.length) : list;
  const at = `sieve_extlists_list/${short}`;
  if (state.setting(`${at}/name`) !== short) return undefined;
  const path = state.setting(`${at}/dict/file/path`);
  const lines = path === undefined ? [] : (await readFile(path, 'utf8').catch(() => '')).split('\n');
  return lines.filter((_, i) => i % 2 === 0).map((key) => key.replace('priv/sieve/extlists/', ''));
}

/** `Header` or `Header:regex`, as Pigeonhole has it. */
function statusOf(state: State, test: string, most: number): StatusOptions | undefined {
  const setting = (name: string): string | undefined => state.setting(`sieve_${test}_${name}`);
  const [header, pattern] = split(setting('status_header'));
  if (header === '') return undefined;
  const [maxHeader, maxPattern] = split(setting('score_max_header'));
  const type = setting('status_type') ?? 'score';
  return {
    header,
    pattern,
    type: type as StatusOptions['type'],
    maxValue: type === 'text' ? most : Number(setting('score_max_value') ?? 0),
    ...(maxHeader === '' ? {} : { maxHeader, maxPattern }),
    texts: Array.from({ length: most + 1 }, (_, i) => setting(`text_value/${i}`) ?? '\0'),
  };
}

function split(text: string | undefined): [string, string] {
  const match = /^([^:]*?)\s*(?::\s*(.*))?$/s.exec((text ?? '').trim());
  return [match?.[1] ?? '', match?.[2] ?? ''];
}

async function included(
  state: State,
  name: string,
  where: 'personal' | 'global',
): Promise<Script | undefined> {
  const folder = where === 'personal' ? 'included' : 'included-global';
  const source = await readFile(join(state.directory, folder, `${name}.sieve`), 'utf8').catch(
    () => undefined,
  );
  return source === undefined ? undefined : compile(source, state.extensions, state.limits());
}

/** A program of the folders that the suite has configured; undefined: it is not there. */
export async function runListed(
  state: State,
  kinds: readonly string[],
  program: string,
  args: readonly string[],
  input: Uint8Array,
): Promise<ProgramResult | undefined> {
  const kind = kinds.find((one) => state.setting(`sieve_${one}_bin_dir`) !== undefined) ?? '';
  const path = join(
    (state.setting(`sieve_${kind}_bin_dir`) ?? '').replace(/\$\{tst\.path\}/, state.directory),
    program,
  );
  if (!existsSync(path)) return undefined;
  const timeout = Number.parseInt(state.setting(`sieve_${kind}_exec_timeout`) ?? '10', 10) * 1000;
  const { from, to, origTo = to } = state.envelope;
  const environment = {
    SENDER: from,
    RECIPIENT: to,
    ORIG_RECIPIENT: origTo,
    HOME: state.directory,
    HOST: 'host.example.com',
  };
  return runProgram({ command: [path], timeout }, args, input, environment);
}
