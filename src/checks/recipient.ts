import type { Destination, Directory, Route } from '../directory/directory.ts';
import type { Address } from '../mail/address.ts';
import { SmtpError } from '../mail/reply.ts';

/**
 * Who may be written to: the answer to RCPT. Our own addresses are looked up; all others are for those who may
 * relay, whatever the address looks like. Percent signs, bangs and quoted at-signs are only characters of a local
 * part here (RFC 5321 2.3.11), so none of them is a way out.
 */
export interface Relaying {
  /** `yes` for those who have logged in and for `mynetworks`. */
  readonly relay: 'yes' | 'no';
}

/** @throws SmtpError with the reply to give. */
export async function recipientDestinations(
  directory: Directory,
  recipient: Address | 'postmaster',
  { relay }: Relaying,
): Promise<readonly Destination[]> {
  const route = await lookUp(directory, recipient);
  switch (route.to) {
    case 'deliver':
      return route.destinations;
    case 'unknown':
      throw new SmtpError(550, '5.1.1', 'No such user here');
    case 'disabled':
      throw new SmtpError(550, '5.2.1', 'Mailbox disabled');
    case 'loop':
      throw new SmtpError(554, '5.4.6', 'Address leads in a circle');
    case 'elsewhere':
      if (relay === 'no' || recipient === 'postmaster') throw new SmtpError(550, '5.7.1', 'Relaying denied');
      return [{ is: 'remote', address: recipient }];
  }
}

async function lookUp(directory: Directory, recipient: Address | 'postmaster'): Promise<Route> {
  try {
    return await (recipient === 'postmaster' ? directory.postmaster() : directory.route(recipient));
  } catch (error) {
    throw new SmtpError(451, '4.3.0', 'Temporary lookup failure', error);
  }
}
