import { asciiDomain } from '../mail/address.ts';
import type { Job, QueuedMessage, QueuedRecipient } from './queue.ts';

/** Who delivers to a recipient, and where to: what jobs are grouped by. */
export interface NextHop {
  readonly agent: Job['agent'];
  readonly name: string;
}

/** More recipients than this go in a further job: peers need not take more at once (RFC 5321 4.5.3.1.8). */
export const MAX_JOB_RECIPIENTS = 100;

export function nextHop(recipient: QueuedRecipient): NextHop {
  if (recipient.account !== null) return { agent: 'local', name: recipient.account };
  const { domain } = recipient.address;
  return { agent: 'remote', name: asciiDomain(domain) };
}

/** The distinct next hops of recipients that still wait. */
export function nextHops(message: QueuedMessage): readonly NextHop[] {
  const [first, ...others] = message.recipients;
  if (!first) return [];
  if (others.length === 0) return first.state.is === 'waiting' ? [nextHop(first)] : [];
  const hops = new Map<string, NextHop>();
  for (const recipient of message.recipients) {
    if (recipient.state.is !== 'waiting') continue;
    const hop = nextHop(recipient);
    hops.set(`${hop.agent} ${hop.name}`, hop);
  }
  return [...hops.values()];
}

export function goesTo(recipient: QueuedRecipient, hop: NextHop): boolean {
  const { agent, name } = nextHop(recipient);
  return agent === hop.agent && name === hop.name;
}
