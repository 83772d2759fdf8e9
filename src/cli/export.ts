import { existsSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { systemClock } from '../lib/clock.ts';
import { chosenFolders, type ExportSummary } from '../transfer/export-mail.ts';
import { exportMaildir } from '../transfer/maildir/export.ts';
import { exportMbox } from '../transfer/mbox/export.ts';
import { MBOX_FORMATS, type MboxFormat } from '../transfer/mbox/format.ts';
import type { CliCommand } from './command.ts';
import { resolveConfig } from './config-file.ts';
import { interruption } from './interruption.ts';
import { type CliIo, EXIT, table, UsageError } from './io.ts';
import { megabytes, number, ProgressLine } from './progress-line.ts';
import { asTransferError, withExport } from './transfer-world.ts';

const USAGE = `facteur export mbox DESTINATION      one folder as a file, several in a directory as Thunderbird has them
facteur export maildir DESTINATION   a Maildir++ with flags, keywords, dates and subscriptions

  --account ADDRESS     whose mail
  --folder PATTERN      only these (* and % as in LIST); again for more. One name without * and %: that folder alone
                        is the file, or the Maildir
  --format FORMAT       of the mbox: mboxrd (the default), ${MBOX_FORMATS.filter((name) => name !== 'mboxrd').join(', ')}
  --line-ends ENDS      in the Maildir: crlf as it is kept here (the default), or lf
  --json                progress and result as JSON lines

An mbox appears, and replaces an older one, when it is complete. Into a Maildir that was exported before, only what is
new is written, and flags are brought up to date. Works while the server runs.
`;

/** `facteur export …`: an account's mail goes out, as other programs read it. */
export const exportCommand: CliCommand = {
  usage: USAGE,
  async run(args, { io, configFile }) {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        account: { type: 'string' },
        folder: { type: 'string', multiple: true },
        format: { type: 'string' },
        'line-ends': { type: 'string' },
        json: { type: 'boolean' },
      },
    });
    const [verb, given, ...rest] = positionals;
    if (verb !== 'mbox' && verb !== 'maildir')
      throw new UsageError(
        verb === undefined ? 'export as what? mbox or maildir' : `export does not know "${verb}"`,
      );
    if (given === undefined) throw new UsageError('export needs a destination');
    if (rest.length > 0) throw new UsageError(`unexpected argument "${rest[0]}"`);
    if (values.account === undefined) throw new UsageError('whose mail? --account alice@example.org');
    if (values['line-ends'] !== undefined && verb === 'mbox')
      throw new UsageError('--line-ends does not go with export mbox');
    if (values.format !== undefined && verb === 'maildir')
      throw new UsageError('--format does not go with export maildir');
    const format = formatOf(values.format);
    const lineEnds = lineEndsOf(values['line-ends']);
    const patterns = values.folder ?? [];
    const single = patterns.length === 1 && !/[*%]/.test(patterns[0] ?? '');
    const destination = resolve(given);
    const { config } = resolveConfig(configFile);
    const stop = interruption();
    const form = values.json ? 'json' : 'text';
    const line = new ProgressLine(io, systemClock, form);
    const address = values.account;
    try {
      return await withExport(config, address, async (account) => {
        const places = await chosenFolders(account, patterns);
        const parts = {
          account,
          signal: stop.signal,
          onProgress: (progress: Parameters<ProgressLine['tell']>[0]) => line.tell(progress),
        };
        const summary =
          verb === 'mbox'
            ? await exportMbox(places, { ...fileOrDirectory(destination, single, patterns), format }, parts)
            : await exportMaildir(places, { destination, layout: single ? 'root' : 'tree', lineEnds }, parts);
        line.end();
        if (form === 'json')
          io.out(
            `${JSON.stringify({ type: 'done', account: address, seconds: line.seconds(), ...summary })}\n`,
          );
        else tell(summary, address, line.seconds(), io);
        return EXIT.ok;
      });
    } catch (error) {
      throw asTransferError(error);
    } finally {
      line.end();
      stop.end();
    }
  },
};

function fileOrDirectory(
  destination: string,
  single: boolean,
  patterns: readonly string[],
): { readonly destination: string; readonly layout: 'file' | 'directory' } {
  if (!single) {
    if (existsSync(destination) && !statSync(destination).isDirectory())
      throw new UsageError(`${destination} is a file; several folders need a directory`);
    return { destination, layout: 'directory' };
  }
  const inside = statSync(destination, { throwIfNoEntry: false })?.isDirectory() === true;
  const file = inside ? join(destination, basename(patterns[0] ?? '')) : destination;
  return { destination: file, layout: 'file' };
}

function formatOf(text: string | undefined): MboxFormat {
  const format = MBOX_FORMATS.find((known) => known === (text ?? 'mboxrd'));
  if (!format) throw new UsageError(`--format is ${MBOX_FORMATS.join(', ')}`);
  return format;
}

function lineEndsOf(text: string | undefined): 'crlf' | 'lf' {
  if (text === undefined || text === 'crlf') return 'crlf';
  if (text === 'lf') return 'lf';
  throw new UsageError('--line-ends is crlf or lf');
}

function tell(summary: ExportSummary, address: string, seconds: number, io: CliIo): void {
  const { messages, octets, known, places, notes } = summary;
  io.out(
    `${number(messages)} messages (${megabytes(octets)}) of ${address} written in ${seconds.toFixed(1)} s\n`,
  );
  if (known > 0) io.out(`${number(known)} were there already\n`);
  const rows = places.map(({ folder, file, messages: count }) => [folder, file, String(count)]);
  io.out(`\n${table([['FOLDER', 'FILE', 'MESSAGES'], ...rows])}`);
  for (const note of notes) io.err(`${note}\n`);
}
