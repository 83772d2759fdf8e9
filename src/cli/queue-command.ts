import { ControlClient, controlPath } from '../admin/control.ts';
import { queueAdmin, remoteQueueAdmin } from '../admin/queue.ts';
import { systemClock } from '../lib/clock.ts';
import { claimDataDir } from '../lib/data-dir.ts';
import { createLogger } from '../lib/logger.ts';
import type { CliCommand } from './command.ts';
import { resolveConfig } from './config-file.ts';
import { QUEUE_USAGE, runQueue } from './queue.ts';

/** Asks the running daemon; while none runs, opens the queue itself. */
export const queueCommand: CliCommand = {
  usage: QUEUE_USAGE,
  async run(args, { io, configFile }) {
    const { config } = resolveConfig(configFile);
    const client = await ControlClient.connect(controlPath(config.dataDir));
    if (client) {
      try {
        return await runQueue(args, io, remoteQueueAdmin(client));
      } finally {
        client.close();
      }
    }
    const { openQueue } = await import('../open/queue.ts');
    const release = claimDataDir(config.dataDir);
    try {
      // Standard output is for the answer: `--json` is read by programs.
      const log = createLogger({ level: 'warn', format: config.log.format }, process.stderr);
      const queue = await openQueue(config, { clock: systemClock, log });
      try {
        return await runQueue(args, io, queueAdmin(queue));
      } finally {
        await queue.close();
        log.flush();
      }
    } finally {
      release();
    }
  },
};
