import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { inLines } from '../../src/cli/sieve-run.ts';
import type { HostMail } from '../../src/delivery/sieve/host.ts';
import { Rehearsal } from '../../src/delivery/sieve/rehearsal.ts';
import { type NamedScript, Scripts } from '../../src/delivery/sieve/scripts.ts';
import type { AccountId } from '../../src/directory/directory.ts';
import { rawMessage } from '../../src/mail/raw-message.ts';
import type { SieveAction } from '../../src/sieve/action.ts';
import { SieveError } from '../../src/sieve/errors.ts';
import { sieveOptions } from '../../src/sieve/options.ts';
import { accountDirectory } from '../../src/store/account-path.ts';
import { scriptPath } from '../../src/store/script-store.ts';
import { ACCOUNT, type MailboxId, type SpecialUse } from '../../src/store/store.ts';
import { recordingLog } from '../tls/log.ts';

/**
 * The examples of the RFCs, pasted into examples/*.txt, with mail for them and what comes of it:
 *
 *     ### a title                          one example; what stands before the first is the file's own comment
 *     %mailboxes A, B=junk, C#id           that are there, besides INBOX
 *     %settings {"spamtest": …}            `sieve:` of the configuration
 *     %annotation MAILBOX /entry value     `-` is the server
 *     %include personal NAME               the lines behind it are a script that can be included
 *     %error text                          it does not compile, and this is why
 *     %main                                (only needed behind %include) the lines behind it are the script
 *     --- from=a@b to=c@d at=2026-…        a message, as the lines behind it are; it comes after those before it
 *     ==> stored in A                      all that happens to it, as `facteur sieve run` says it, in this order
 *     ==> header X: y                      (beside that) the message that is stored or sent has this field
 *     ==> action {"subject": …}            (beside that) the last action has these properties
 */

const directory = join(import.meta.dirname, 'examples');
const ALICE = 'alice@example.org' as AccountId;

interface Sample {
  readonly options: Readonly<Record<string, string>>;
  readonly message: string;
  readonly outcome: readonly string[];
}

interface Example {
  readonly title: string;
  readonly settings: object;
  readonly mailboxes: readonly string[];
  readonly annotations: readonly (readonly [mailbox: string, entry: string, value: string])[];
  readonly included: ReadonlyMap<string, string>;
  readonly error: string | null;
  readonly script: string;
  readonly samples: readonly Sample[];
}

function examplesIn(text: string): Example[] {
  return text
    .split(/^### /m)
    .slice(1)
    .map((part) => {
      const [title = '', ...lines] = part.split('\n');
      const [head = '', ...samples] = lines.join('\n').split(/^---/m);
      return { title, ...headOf(head), samples: samples.map(sampleOf) };
    });
}

function headOf(text: string): Omit<Example, 'title' | 'samples'> {
  const included = new Map<string, string>();
  const annotations: [string, string, string][] = [];
  let settings: object = {};
  let mailboxes: string[] = [];
  let error: string | null = null;
  let script = '';
  let into: string | null = null;
  for (const line of text.split('\n')) {
    const [, word = '', rest = ''] = /^%(\w+) ?(.*)$/.exec(line) ?? [];
    if (word === 'settings') settings = JSON.parse(rest);
    else if (word === 'mailboxes') mailboxes = rest.split(', ');
    else if (word === 'error') error = rest;
    else if (word === 'include') into = rest;
    else if (word === 'main') into = null;
    else if (word === 'annotation') {
      const [mailbox = '', entry = '', ...value] = rest.split(' ');
      annotations.push([mailbox, entry, value.join(' ')]);
    } else if (into === null) script += `${line}\n`;
    else included.set(into, `${included.get(into) ?? ''}${line}\n`);
  }
  return { settings, mailboxes, annotations, included, error, script };
}

function sampleOf(text: string): Sample {
  const [first = '', ...lines] = text.split('\n');
  const options = Object.fromEntries(
    [...first.matchAll(/(\w+)=(\S*)/g)].map(([, key, value]) => [key, value]),
  );
  const outcome = lines.filter((line) => line.startsWith('==> ')).map((line) => line.slice(4));
  const message = lines.filter((line) => !line.startsWith('==> ')).join('\r\n');
  return { options, message: `${message.trimEnd()}\r\n`, outcome };
}

/** `B=junk` is a mailbox with a use, `C#id` one with an id. */
function mailOf({ mailboxes, annotations }: Example): HostMail {
  const places = ['INBOX', ...mailboxes].map((text) => {
    const [, path = '', use, id = `id of ${path}`] = /^([^=#]+)(?:=(\w+))?(?:#(\S+))?$/.exec(text) ?? [];
    return { id: id as MailboxId, path, selectable: true, specialUse: (use ?? null) as SpecialUse | null };
  });
  return {
    mailboxes: async () => places,
    annotations: async (id) =>
      new Map(
        annotations
          .filter(([mailbox]) =>
            mailbox === '-'
              ? id === ACCOUNT
              : places.some((place) => place.id === id && place.path === mailbox),
          )
          .map(([, entry, value]) => [entry, value]),
      ),
  };
}

let base: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'facteur-examples-'));
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

async function play(example: Example): Promise<void> {
  const global = join(base, 'global');
  const settings = sieveOptions.parse({ globalDirectory: global, ...example.settings });
  for (const [name, source] of example.included) {
    const [where, ...words] = name.split(' ');
    const path =
      where === 'global'
        ? join(global, `${words.join(' ')}.sieve`)
        : scriptPath(join(base, accountDirectory(ALICE)), words.join(' '));
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, source);
  }
  const scripts = new Scripts(base, settings);
  let main: NamedScript;
  try {
    main = { name: 'main', script: scripts.compile(example.script.replaceAll('\n', '\r\n')) };
  } catch (error) {
    if (!(error instanceof SieveError)) throw error;
    expect(error.message).toContain(example.error ?? 'no error');
    return;
  }
  expect(example.error).toBeNull();
  const world = {
    account: ALICE,
    hostname: 'mx.example.org',
    delimiters: '+',
    settings,
    scripts,
    mail: mailOf(example),
    isOwn: async (address: string) => address === ALICE,
    log: recordingLog().log,
  };
  const rehearsal = new Rehearsal(world, [main]);
  let date = new Date('2026-11-23T12:00:00Z');
  for (const { options, message, outcome } of example.samples) {
    const { at, ...envelope } = { from: 'sender@example.com', to: ALICE, ...options } as Record<
      string,
      string
    >;
    date = at === undefined ? date : new Date(at);
    const actions: SieveAction[] = [];
    const raw = rawMessage([Buffer.from(message)]);
    const result = await rehearsal.message({ raw, date, envelope }, (event) => {
      if (event.is === 'action') actions.push(event.action);
    });
    const lines = [...(result.problem === null ? [] : [`problem: ${result.problem}`]), ...inLines(result)];
    expect(lines, message).toEqual(outcome.filter((line) => !/^(?:header|action) /.test(line)));
    for (const line of outcome) await also(line, actions);
  }
}

async function also(line: string, actions: readonly SieveAction[]): Promise<void> {
  const [word = '', rest = ''] = [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)];
  if (word === 'action') expect(actions.at(-1)).toMatchObject(JSON.parse(rest));
  if (word !== 'header') return;
  const moved = actions.findLast((action) => 'message' in action && typeof action.message === 'object');
  if (!moved || !('message' in moved) || moved.message === null || typeof moved.message === 'string')
    throw new Error('no action has a message');
  expect(Buffer.from(await moved.message.whole()).toString()).toContain(`${rest}\r\n`);
}

describe.each(readdirSync(directory).sort())('%s', (file) => {
  const examples = examplesIn(readFileSync(join(directory, file), 'utf8'));
  test.each(examples.map((example) => [example.title, example] as const))('%s', (_title, example) =>
    play(example),
  );
});
