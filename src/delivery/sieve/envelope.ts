import { formatAddress } from '../../mail/address.ts';
import type { NewMessage } from '../../queue/queue.ts';
import type { Envelope } from '../../sieve/host.ts';

/**
 * What scripts see of a message's envelope: `to` is the account's own address, with the detail of the one written to.
 * @param delimiter between user and detail
 */
export function scriptEnvelope(
  message: Pick<NewMessage, 'from' | 'account' | 'ret' | 'envid'>,
  recipient: NewMessage['recipients'][number],
  account: string,
  delimiter: string,
): Envelope {
  const { detail, notify, orcpt } = recipient;
  const { ret, envid } = message;
  const at = account.lastIndexOf('@');
  return {
    from: message.from === null ? '' : formatAddress(message.from),
    to: detail === undefined ? account : `${account.slice(0, at)}${delimiter}${detail}${account.slice(at)}`,
    origTo: formatAddress(recipient.original),
    ...(message.account === null ? {} : { auth: message.account }),
    ...(notify === undefined ? {} : { notify: notify.join(',') }),
    ...(orcpt === undefined ? {} : { orcpt }),
    ...(ret === undefined ? {} : { ret }),
    ...(envid === undefined ? {} : { envid }),
  };
}
