import { parseArgs } from 'node:util';
import { version } from '../lib/version.ts';
import type { CliCommand } from './command.ts';
import { EXIT } from './io.ts';

export const versionCommand: CliCommand = {
  usage: 'facteur version [--json]',
  async run(args, { io }) {
    const { values } = parseArgs({ args: [...args], options: { json: { type: 'boolean' } } });
    const facts = { facteur: version(), node: process.versions.node };
    io.out(values.json ? `${JSON.stringify(facts)}\n` : `facteur ${facts.facteur} (Node.js ${facts.node})\n`);
    return EXIT.ok;
  },
};
