import type { AccountId } from '../../src/directory/directory.ts';
import type { Logger } from '../../src/lib/logger.ts';
import { type Address, parseAddress } from '../../src/mail/address.ts';
import type {
  Job,
  NewMessage,
  QueueId,
  QueueStore,
  RecipientState,
  Settlement,
} from '../../src/queue/queue.ts';

export const silent: Logger = {
  child: () => silent,
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/** A logger that keeps its lines. */
export function recorder(): {
  log: Logger;
  lines: { level: string; message: string; [field: string]: unknown }[];
} {
  const lines: { level: string; message: string }[] = [];
  const at = (level: string) => (fields: object, message: string) =>
    void lines.push({ ...fields, level, message });
  const log: Logger = {
    child: () => log,
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
  };
  return { log, lines };
}

export function address(text: string): Address {
  const parsed = parseAddress(text);
  if (!parsed) throw new Error(`not an address: ${text}`);
  return parsed;
}

/** To an account when it ends in `.here`, else to the world. */
export function recipient(text: string): NewMessage['recipients'][number] {
  const parsed = address(text);
  const account = text.endsWith('.here') ? (text as AccountId) : null;
  return { address: parsed, original: parsed, account };
}

export function newMessage(to: readonly string[], more: Partial<NewMessage> = {}): NewMessage {
  return {
    from: address('sender@example.org'),
    body: '7bit',
    smtputf8: false,
    requireTls: false,
    source: 'smtp',
    account: null,
    recipients: to.map(recipient),
    ...more,
  };
}

export async function add(
  store: QueueStore,
  to: readonly string[],
  raw: string | Uint8Array = 'Subject: test\r\n\r\nHello\r\n',
  more: Partial<NewMessage> = {},
): Promise<QueueId> {
  const draft = store.draft();
  await draft.write(typeof raw === 'string' ? Buffer.from(raw) : raw);
  await draft.commit(newMessage(to, more));
  return draft.id;
}

export async function bytes(store: QueueStore, id: QueueId): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of (await store.raw(id)).read()) chunks.push(chunk);
  return Buffer.concat(chunks);
}

export async function collect<T>(all: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const one of all) list.push(one);
  return list;
}

export function all(job: Job, state: RecipientState): Settlement[] {
  return job.recipients.map(({ index }) => ({ index, state }));
}

export function delivered(at = 0): RecipientState {
  return { is: 'delivered', at, reply: { code: 250, enhanced: '2.0.0', text: 'ok' } };
}

export function deferred(nextAttempt: number, attempts = 1): RecipientState {
  return {
    is: 'waiting',
    attempts,
    nextAttempt,
    last: { code: 451, enhanced: '4.3.0', text: 'later' },
  };
}
