/** Mail that the house writes itself, bounces and forwards: routed like any other, then put into the queue. */
import type { Destination, Directory } from '../directory/directory.ts';
import { type Address, formatAddress, parseAddress, type ReversePath } from '../mail/address.ts';
import type { Envelope, Recipient } from '../mail/envelope.ts';
import type { Reply } from '../mail/reply.ts';
import type { NewMessage, QueuedMessage, QueueId, QueueStore } from '../queue/queue.ts';

export interface Submission {
  readonly from: ReversePath;
  readonly to: readonly Recipient[];
  readonly source: QueuedMessage['source'];
  /** On whose behalf; null for the house itself, the default. */
  readonly account?: QueuedMessage['account'];
  /** 8bitmime by default. */
  readonly body?: Envelope['body'];
  readonly smtputf8?: boolean;
  readonly requireTls?: boolean;
  readonly ret?: Envelope['ret'];
  readonly envid?: string;
}

export interface Submitted {
  /** undefined when no recipient could be reached: then nothing was queued. */
  readonly id: QueueId | undefined;
  /** Recipients of ours that do not exist (any more). */
  readonly refused: readonly { readonly recipient: Recipient; readonly reply: Reply }[];
}

type NewRecipient = NewMessage['recipients'][number];

/**
 * Resolves when the message is durable in the queue.
 * @param content the message, CRLF line ends.
 * @throws QueueFull, and whatever the content throws; nothing is queued then.
 */
export async function submit(
  directory: Directory,
  queue: QueueStore,
  submission: Submission,
  content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<Submitted> {
  const recipients = new Map<string, NewRecipient>();
  const refused: { recipient: Recipient; reply: Reply }[] = [];
  for (const recipient of submission.to) {
    const destinations = await destinationsOf(directory, recipient.address);
    if ('code' in destinations) refused.push({ recipient, reply: destinations });
    else for (const destination of destinations) add(recipients, recipient, destination);
  }
  if (recipients.size === 0) return { id: undefined, refused };

  const draft = queue.draft();
  try {
    for await (const chunk of content) await draft.write(chunk);
    await draft.commit(newMessage(submission, [...recipients.values()]));
  } catch (error) {
    await draft.abort();
    throw error;
  }
  return { id: draft.id, refused };
}

async function destinationsOf(
  directory: Directory,
  address: Address,
): Promise<readonly Destination[] | Reply> {
  const route = await directory.route(address);
  switch (route.to) {
    case 'deliver':
      return route.destinations;
    case 'elsewhere':
      return [{ is: 'remote', address }];
    case 'unknown':
      return { code: 550, enhanced: '5.1.1', text: 'No such mailbox here' };
    case 'disabled':
      return { code: 550, enhanced: '5.2.1', text: 'Mailbox is disabled' };
    case 'loop':
      return { code: 554, enhanced: '5.4.6', text: 'Aliases lead in a circle' };
  }
}

/** Who is reached in several ways gets the message once. */
function add(recipients: Map<string, NewRecipient>, recipient: Recipient, destination: Destination): void {
  const { address: original, ...wishes } = recipient;
  if (destination.is === 'remote') {
    const key = `remote ${formatAddress(destination.address)}`;
    if (!recipients.has(key))
      recipients.set(key, { address: destination.address, original, account: null, ...wishes });
    return;
  }
  const { account, detail } = destination;
  const key = `local ${account} ${detail ?? ''}`;
  if (recipients.has(key)) return;
  const address = parseAddress(account) ?? original;
  recipients.set(key, { address, original, account, ...(detail === undefined ? {} : { detail }), ...wishes });
}

function newMessage(submission: Submission, recipients: readonly NewRecipient[]): NewMessage {
  const {
    from,
    source,
    account = null,
    body = '8bitmime',
    smtputf8 = false,
    requireTls = false,
  } = submission;
  const { ret, envid } = submission;
  return {
    from,
    source,
    account,
    body,
    smtputf8,
    requireTls,
    ...(ret === undefined ? {} : { ret }),
    ...(envid === undefined ? {} : { envid }),
    recipients,
  };
}
