import { parseArgs } from 'node:util';
import type { QueueAdmin } from '../admin/queue.ts';
import { formatAddress, formatPath } from '../mail/address.ts';
import { formatReply } from '../mail/reply.ts';
import type { QueuedMessage, QueuedRecipient, QueueId } from '../queue/queue.ts';
import { type CliIo, EXIT, table, UsageError } from './io.ts';

export const QUEUE_USAGE = `facteur queue list [--domain DOMAIN] [--json]
facteur queue show ID [--json]
facteur queue retry ID | --all        try again now
facteur queue hold ID                 keep it, do not try
facteur queue release ID              undo hold
facteur queue remove ID               delete it, without a bounce
`;

/** `facteur queue …`: what waits to be delivered, and what to do about it. */
export async function runQueue(args: readonly string[], io: CliIo, queue: QueueAdmin): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { json: { type: 'boolean' }, domain: { type: 'string' }, all: { type: 'boolean' } },
  });
  const [verb, id, ...rest] = positionals;
  if (rest.length > 0) throw new UsageError(`unexpected argument "${rest[0]}"`);
  if (verb === 'list') return list(io, queue, values.domain, values.json ? 'json' : 'table');
  if (verb === 'retry' && values.all) {
    const count = await queue.retry();
    io.out(
      values.json ? `${JSON.stringify({ retried: count })}\n` : `${count} recipient(s) will be tried now\n`,
    );
    return EXIT.ok;
  }
  if (verb === undefined || !['show', 'retry', 'hold', 'release', 'remove'].includes(verb))
    throw new UsageError(verb === undefined ? 'queue needs a verb' : `queue does not know "${verb}"`);
  if (id === undefined)
    throw new UsageError(`queue ${verb} needs a queue id (facteur queue list shows them)`);
  if (!/^[A-Za-z0-9]{1,64}$/.test(id)) throw new UsageError(`"${id}" is not a queue id`);

  const found = await act(verb, id as QueueId, queue, io, values.json ? 'json' : 'text');
  if (found) return EXIT.ok;
  io.err(
    `No message ${id} ${verb === 'release' ? 'is held ' : ''}in the queue; it may have been delivered meanwhile.\n`,
  );
  return EXIT.failed;
}

async function act(
  verb: string,
  id: QueueId,
  queue: QueueAdmin,
  io: CliIo,
  format: 'json' | 'text',
): Promise<boolean> {
  if (verb === 'show') {
    const message = await queue.show(id);
    if (message) io.out(format === 'json' ? `${JSON.stringify(message)}\n` : describe(message));
    return message !== undefined;
  }
  const done = await change(verb, id, queue);
  if (done) io.out(format === 'json' ? `${JSON.stringify({ id, done: verb })}\n` : `${id}: ${PAST[verb]}\n`);
  return done;
}

const PAST: Readonly<Record<string, string>> = {
  retry: 'will be tried now',
  hold: 'held',
  release: 'released',
  remove: 'removed',
};

async function change(verb: string, id: QueueId, queue: QueueAdmin): Promise<boolean> {
  if (verb === 'retry') return (await queue.retry(id)) > 0;
  if (verb === 'hold') return queue.hold(id);
  if (verb === 'release') return queue.release(id);
  return queue.remove(id);
}

async function list(
  io: CliIo,
  queue: QueueAdmin,
  domain: string | undefined,
  format: 'json' | 'table',
): Promise<number> {
  const rows = [['ID', 'SIZE', 'QUEUED', 'FROM', 'TO', 'STATE']];
  let messages = 0;
  for await (const message of queue.list(domain === undefined ? {} : { domain })) {
    messages++;
    if (format === 'json') {
      io.out(`${JSON.stringify(message)}\n`);
      continue;
    }
    for (const [i, recipient] of message.recipients.entries())
      rows.push([
        i === 0 ? message.id : '',
        i === 0 ? String(message.size) : '',
        i === 0 ? time(message.queuedAt) : '',
        i === 0 ? formatPath(message.from) : '',
        formatAddress(recipient.address),
        state(recipient),
      ]);
  }
  if (format === 'table') io.out(messages === 0 ? 'The queue is empty.\n' : table(rows));
  return EXIT.ok;
}

function describe(message: QueuedMessage): string {
  const facts = [
    ['Id', message.id],
    ['From', formatPath(message.from)],
    ['Size', `${message.size} bytes`],
    ['Queued', time(message.queuedAt)],
    ['Source', message.account === null ? message.source : `${message.source} (${message.account})`],
    ...message.recipients.map((recipient) => [
      'To',
      `${formatAddress(recipient.address)}: ${state(recipient)}`,
    ]),
  ];
  return table(facts);
}

function state({ state }: QueuedRecipient): string {
  switch (state.is) {
    case 'waiting': {
      const last = state.last ? `: ${formatReply(state.last)}` : '';
      return `attempt ${state.attempts + 1} at ${time(state.nextAttempt)}${last}`;
    }
    case 'held':
      return `held (${state.reason})`;
    case 'delivered':
    case 'relayed':
    case 'expanded':
    case 'failed':
    case 'expired':
      return `${state.is} ${time(state.at)}`;
  }
}

/** Local time, to the second, as an admin's clock shows it. */
function time(ms: number): string {
  const date = new Date(ms - new Date(ms).getTimezoneOffset() * 60_000);
  return date.toISOString().slice(0, 19).replace('T', ' ');
}
