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

export type FinalRecipient = NewMessage['recipients'][number];

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

/** Those of the final recipients that one RCPT leads to. */
export function finalOf(
  { destinations }: AcceptedRecipient,
  recipients: readonly FinalRecipient[],
): readonly FinalRecipient[] {
  const keys = new Set(destinations.map(keyOf));
  return recipients.filter(({ address, account, detail }) =>
    keys.has(
      keyOf(
        account === null
          ? { is: 'remote', address }
          : { is: 'account', account, ...(detail === undefined ? {} : { detail }) },
      ),
    ),
  );
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
