import type { Destination } from '../directory/directory.ts';
import { type Address, formatAddress, parseAddress } from '../mail/address.ts';
import type { NewMessage } from '../queue/queue.ts';
import type { RcptParameters } from './parameters.ts';

/** One RCPT that was answered with 250. */
export interface AcceptedRecipient {
  readonly original: Address;
  readonly destinations: readonly Destination[];
  readonly parameters: RcptParameters;
}

type FinalRecipient = NewMessage['recipients'][number];

/** Where the message goes, aliases expanded; who is reached in several ways gets it once. */
export function finalRecipients(accepted: readonly AcceptedRecipient[]): readonly FinalRecipient[] {
  const final = new Map<string, FinalRecipient>();
  for (const { original, destinations, parameters } of accepted)
    for (const destination of destinations) {
      const key = keyOf(destination);
      if (!final.has(key)) final.set(key, { ...whereTo(destination, original), original, ...parameters });
    }
  return [...final.values()];
}

function keyOf(destination: Destination): string {
  if (destination.is === 'remote') return `r ${formatAddress(destination.address)}`;
  return `l ${destination.account} ${destination.detail ?? ''}`;
}

function whereTo(
  destination: Destination,
  original: Address,
): Pick<FinalRecipient, 'address' | 'account' | 'detail'> {
  if (destination.is === 'remote') return { address: destination.address, account: null };
  const { account, detail } = destination;
  const address = account === formatAddress(original) ? original : (parseAddress(account) ?? original);
  return detail === undefined ? { address, account } : { address, account, detail };
}
