import type { QueuedMessage, QueueId, QueueStore } from '../queue/queue.ts';
import type { ControlClient, ControlHandler } from './control.ts';

/** What an admin may do with the queue; the same words whether the daemon runs or not. */
export interface QueueAdmin {
  list(filter: { readonly domain?: string }): AsyncIterable<QueuedMessage>;
  show(id: QueueId): Promise<QueuedMessage | undefined>;
  /** With no id, all that waits. Resolves to the number of recipients made due. */
  retry(id?: QueueId): Promise<number>;
  hold(id: QueueId): Promise<boolean>;
  release(id: QueueId): Promise<boolean>;
  /** Without a bounce. */
  remove(id: QueueId): Promise<boolean>;
}

const HELD_BY = 'held by an administrator';

/** Straight on the queue: in the daemon, and on the command line while no daemon runs. */
export function queueAdmin(queue: QueueStore): QueueAdmin {
  return {
    list: (filter) => queue.list(filter),
    show: (id) => queue.get(id),
    retry: (id) => queue.retry(id),
    hold: (id) => queue.hold(id, HELD_BY),
    release: (id) => queue.release(id),
    remove: (id) => queue.remove(id),
  };
}

/** The daemon's answers to RemoteQueueAdmin. */
export function queueHandlers(queue: QueueStore): Readonly<Record<string, ControlHandler>> {
  const admin = queueAdmin(queue);
  return {
    'queue.list': (argument) => admin.list(argument as { domain?: string }),
    'queue.show': (argument) => admin.show(argument as QueueId),
    'queue.retry': (argument) => admin.retry((argument as QueueId | null) ?? undefined),
    'queue.hold': (argument) => admin.hold(argument as QueueId),
    'queue.release': (argument) => admin.release(argument as QueueId),
    'queue.remove': (argument) => admin.remove(argument as QueueId),
  };
}

/** The same over the daemon's control socket. */
export function remoteQueueAdmin(client: ControlClient): QueueAdmin {
  return {
    list: (filter) => client.stream('queue.list', filter) as AsyncIterable<QueuedMessage>,
    show: async (id) => ((await client.call('queue.show', id)) ?? undefined) as QueuedMessage | undefined,
    retry: (id) => client.call('queue.retry', id ?? null) as Promise<number>,
    hold: (id) => client.call('queue.hold', id) as Promise<boolean>,
    release: (id) => client.call('queue.release', id) as Promise<boolean>,
    remove: (id) => client.call('queue.remove', id) as Promise<boolean>,
  };
}
