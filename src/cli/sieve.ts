import { parseArgs } from 'node:util';
import type { CliCommand } from './command.ts';
import { resolveConfig } from './config-file.ts';
import { UsageError } from './io.ts';
import { checkScripts } from './sieve-check.ts';
import { rehearse, undo } from './sieve-rehearse.ts';
import { runScript } from './sieve-run.ts';

const USAGE = `facteur sieve check SCRIPT...            what is wrong with it, with line and column
facteur sieve run SCRIPT MESSAGE         run it on a message in a file, and show each test, each action
  --account ADDRESS     as this account's: its mailboxes, other scripts and own addresses
  --from ADDRESS        the envelope's sender; else what Return-Path says
  --to ADDRESS          the envelope's recipient; else the account, or what Delivered-To says
facteur sieve rehearse --account ADDRESS [SCRIPT]
                                         what the script would have done with mail that is there, and where that differs
                                         from the active script. SCRIPT is a file, or the name of one of the account's;
                                         without it the active one
  --days N              only mail of the last N days; 90 unless told
  --folder PATTERN      only these mailboxes (* and % as in LIST); again for more. Else all but Sent, Drafts and Trash
  --all                 show all messages, not only those that would be treated differently
  --apply               file the mail as the script says: fileinto and flags, nothing is sent, discarded or answered. Only
                        mail in INBOX, unless --folder says otherwise; mail that the script would keep stays where it is
  --undo                take the last --apply back

SCRIPT and MESSAGE may be - for standard input. --json prints JSON lines. Works while the server runs. Nothing is stored,
sent or run, but by --apply. Exit code 1: a script has mistakes, or could not be run to its end.
`;

/** `facteur sieve …`: scripts tried out before they are trusted with mail. */
export const sieveCommand: CliCommand = {
  usage: USAGE,
  async run(args, { io, configFile }) {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        account: { type: 'string' },
        from: { type: 'string' },
        to: { type: 'string' },
        days: { type: 'string' },
        folder: { type: 'string', multiple: true },
        all: { type: 'boolean' },
        apply: { type: 'boolean' },
        undo: { type: 'boolean' },
        json: { type: 'boolean' },
      },
    });
    const [verb, ...operands] = positionals;
    const form = values.json ? 'json' : 'text';
    const { config } = resolveConfig(configFile);
    const world = { io, config, form } as const;
    const allowed = (...names: readonly string[]): void => {
      for (const name of Object.keys(values))
        if (name !== 'json' && !names.includes(name))
          throw new UsageError(`--${name} does not go with sieve ${verb}`);
    };
    switch (verb) {
      case 'check':
        allowed();
        if (operands.length === 0) throw new UsageError('sieve check needs a script');
        return checkScripts(world, operands);
      case 'run': {
        allowed('account', 'from', 'to');
        const [script, message, extra] = operands;
        if (script === undefined || message === undefined)
          throw new UsageError('sieve run needs a script and a message');
        if (extra !== undefined) throw new UsageError(`unexpected argument "${extra}"`);
        return runScript(world, script, message, values);
      }
      case 'rehearse': {
        const { account, days = '90', folder = [], all = false, apply = false } = values;
        if (account === undefined) throw new UsageError('whose mail? --account alice@example.org');
        if (operands[1] !== undefined) throw new UsageError(`unexpected argument "${operands[1]}"`);
        if (values.undo) {
          allowed('account', 'undo');
          if (operands[0] !== undefined) throw new UsageError('--undo needs no script');
          return undo(world, account);
        }
        allowed('account', 'days', 'folder', 'all', 'apply');
        if (!/^\d{1,5}$/.test(days)) throw new UsageError('--days is a number');
        return rehearse(world, account, operands[0], { days: Number(days), folders: folder, all, apply });
      }
      default:
        throw new UsageError(verb === undefined ? 'sieve needs a verb' : `sieve does not know "${verb}"`);
    }
  },
};
