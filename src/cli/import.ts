import { parseArgs } from 'node:util';
import { systemClock } from '../lib/clock.ts';
import { emlSource } from '../transfer/eml.ts';
import { ImapServer } from '../transfer/imap/server.ts';
import { imapSource } from '../transfer/imap/source.ts';
import { type ImportWishes, importMail, type Summary } from '../transfer/importer.ts';
import { maildirSource } from '../transfer/maildir/source.ts';
import { MBOX_FORMATS, type MboxFormat } from '../transfer/mbox/format.ts';
import { mboxSource } from '../transfer/mbox/source.ts';
import type { Source } from '../transfer/source.ts';
import type { CliCommand, CliWorld } from './command.ts';
import { resolveConfig } from './config-file.ts';
import { IMAP_OPTIONS, type ImapOptions, serverWishes } from './import-imap.ts';
import { interruption } from './interruption.ts';
import { EXIT, table, UsageError } from './io.ts';
import { megabytes, number, ProgressLine } from './progress-line.ts';
import { asTransferError, checkThere, withImport } from './transfer-world.ts';

const USAGE = `facteur import mbox PATH…     mbox files, or directories of them (Thunderbird, Dovecot, mutt, Apple Mail)
facteur import maildir PATH…  Maildirs of other programs, with their folders; "facteur adopt" takes one in place
facteur import eml PATH…      message files, or directories of them
facteur import imap HOST      from another server; or imaps://USER@HOST, imap://USER@HOST:PORT

  --account ADDRESS     whose mail it becomes
  --into FOLDER         everything goes below it, one mbox or file into it; else one goes into INBOX
  --keep-names          folders keep their names: "Gesendet" does not become the account's folder for sent mail
  --format FORMAT       of the mbox: auto, ${MBOX_FORMATS.join(', ')}
  --keep-status         Status, X-Status, X-Keywords and so on stay in the messages, too
  --source NAME         calls the source so, not by its path: goes on with what began elsewhere
  --again               bring everything once more, also what came before
  --ignore-quota        beyond the account's limits, too
  --dry-run             only count
  --json                progress and result as JSON lines

  imap only:
  --user NAME           to log in with there; else what the address before the host says
  --password-file FILE, --password-stdin, --token-file FILE (OAuth 2)
                        else the variables FACTEUR_IMAP_PASSWORD, FACTEUR_IMAP_TOKEN; else it is asked for
  --tls MODE            implicit (993), starttls (143), none
  --ca FILE             certificates to trust besides the system's; --insecure: trust any
  --folder PATTERN      only these (* and % as in LIST, levels separated by /); again for more
  --exclude PATTERN     not these
  --since DATE          only what came that day or later, such as 2024-12-31
  --sync-flags          flags that changed there since a message came change here too

Run it again at any time: it brings what is new and nothing twice, also after it was stopped or killed. The source is
only read. Works while the server runs.
`;

const OPTIONS = {
  account: { type: 'string' },
  into: { type: 'string' },
  'keep-names': { type: 'boolean' },
  format: { type: 'string' },
  'keep-status': { type: 'boolean' },
  source: { type: 'string' },
  again: { type: 'boolean' },
  'ignore-quota': { type: 'boolean' },
  'dry-run': { type: 'boolean' },
  json: { type: 'boolean' },
  ...IMAP_OPTIONS,
} as const;

type Options = ImapOptions & {
  readonly [Name in keyof typeof OPTIONS]?: (typeof OPTIONS)[Name]['type'] extends 'boolean'
    ? boolean
    : unknown;
} & { readonly format?: string; readonly source?: string; readonly into?: string; readonly account?: string };

const KINDS = ['mbox', 'maildir', 'eml', 'imap'] as const;
type Kind = (typeof KINDS)[number];

/** `facteur import …`: mail from elsewhere comes into an account. */
export const importCommand: CliCommand = {
  usage: USAGE,
  async run(args, world) {
    const { values, positionals } = parseArgs({ args: [...args], allowPositionals: true, options: OPTIONS });
    const [verb, ...places] = positionals;
    const kind = KINDS.find((known) => known === verb);
    if (!kind)
      throw new UsageError(
        verb === undefined ? 'import what? mbox, maildir, eml or imap' : `import does not know "${verb}"`,
      );
    if (places.length === 0)
      throw new UsageError(kind === 'imap' ? 'from which server?' : 'import needs a path');
    if (kind === 'imap' && places.length > 1) throw new UsageError(`unexpected argument "${places[1]}"`);
    const { account } = values;
    if (account === undefined) throw new UsageError('whose mail does it become? --account alice@example.org');
    for (const name of Object.keys(values)) checkFits(kind, name);
    const begin = await preparation(kind, places, values, world);
    return run(world, account, begin, values);
  },
};

function checkFits(kind: Kind, name: string): void {
  const fits = Object.hasOwn(IMAP_OPTIONS, name)
    ? kind === 'imap'
    : !['format', 'keep-status'].includes(name) || kind === 'mbox';
  if (!fits) throw new UsageError(`--${name} does not go with import ${kind}`);
}

type Begin = (signal: AbortSignal) => readonly Source[];

/** All that can be wrong with the words is found before anything begins. */
async function preparation(
  kind: Kind,
  places: readonly string[],
  values: Options,
  { io }: CliWorld,
): Promise<Begin> {
  const name = values.source ?? null;
  if (kind === 'imap') {
    const { server, wishes } = await serverWishes(places[0] ?? '', values, io);
    return (signal) => [
      imapSource(new ImapServer(server, { clock: systemClock, signal }), server, { ...wishes, name }),
    ];
  }
  if (name !== null && places.length > 1) throw new UsageError('--source goes with one path');
  const format = formatOf(values.format);
  const status = values['keep-status'] ? 'keep' : 'strip';
  return () => {
    for (const path of places) checkThere(path);
    return places.map((path) => {
      if (kind === 'mbox') return mboxSource({ path, format, status, name }, systemClock);
      return kind === 'maildir' ? maildirSource({ path, name }) : emlSource({ path, name });
    });
  };
}

function formatOf(text: string | undefined): MboxFormat | null {
  if (text === undefined || text === 'auto') return null;
  const format = MBOX_FORMATS.find((known) => known === text);
  if (!format) throw new UsageError(`--format is auto, ${MBOX_FORMATS.join(', ')}`);
  return format;
}

async function run(
  { io, configFile }: CliWorld,
  address: string,
  begin: Begin,
  values: Options,
): Promise<number> {
  const { config } = resolveConfig(configFile);
  const stop = interruption();
  const form = values.json ? 'json' : 'text';
  const line = new ProgressLine(io, systemClock, form);
  const wishes: ImportWishes = {
    into: values.into ?? null,
    uses: values['keep-names'] ? 'path' : 'map',
    overQuota: values['ignore-quota'] ? 'ignore' : 'stop',
    mode: values['dry-run'] ? 'dry-run' : 'import',
    syncFlags: values['sync-flags'] ? 'yes' : 'no',
  };
  try {
    const sources = begin(stop.signal);
    return await withImport(config, address, async ({ account, ledger, spool }) => {
      let failed = 0;
      for (const source of sources) {
        try {
          const state = ledger.source(source.kind, source.name, values.again ? 'again' : 'continue');
          const summary = await importMail(source, wishes, {
            account,
            ledger: state,
            spool,
            signal: stop.signal,
            onProgress: (progress) => line.tell(progress),
          });
          line.end();
          failed += summary.failed;
          const seconds = line.seconds();
          if (form === 'json')
            io.out(`${JSON.stringify({ type: 'done', account: address, seconds, ...summary })}\n`);
          else tell(summary, { address, seconds, dry: wishes.mode === 'dry-run' }, io);
        } finally {
          line.end();
          await source.close();
        }
      }
      return failed > 0 ? EXIT.failed : EXIT.ok;
    });
  } catch (error) {
    throw asTransferError(error);
  } finally {
    stop.end();
  }
}

/** Failures named one by one. */
const NAMED = 20;

function tell(
  summary: Summary,
  { address, seconds, dry }: { readonly address: string; readonly seconds: number; readonly dry: boolean },
  io: CliWorld['io'],
): void {
  const { messages, octets, known, passed, failed, places, notes, failures } = summary;
  const rate = seconds > 1 ? `, ${number(Math.round(messages / seconds))}/s` : '';
  const verb = dry ? 'would come' : 'came';
  io.out(
    `${number(messages)} messages (${megabytes(octets)}) ${verb} into ${address} in ${seconds.toFixed(1)} s${rate}\n`,
  );
  if (known > 0) io.out(`${number(known)} were there already\n`);
  if (passed > 0) io.out(`${number(passed)} were passed over: deleted there\n`);
  if (places.length > 1 && !dry) {
    const rows = places.map(({ folder, mailbox, messages: count }) => [folder, mailbox, String(count)]);
    io.out(`\n${table([['FROM', 'TO', 'MESSAGES'], ...rows])}`);
  }
  for (const note of notes) io.err(`${note}\n`);
  for (const { label, reason } of failures.slice(0, NAMED)) io.err(`not imported: ${label}: ${reason}\n`);
  if (failed > NAMED) io.err(`${number(failed - NAMED)} more were not imported (--json names them)\n`);
}
