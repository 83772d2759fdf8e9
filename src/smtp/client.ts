import type { QuotaCheck } from '../checks/quota.ts';
import type { RecipientScripts } from '../delivery/recipient-scripts.ts';
import type { AccountId, Directory } from '../directory/directory.ts';
import type { Clock } from '../lib/clock.ts';
import type { Networks } from '../lib/ip.ts';
import type { Logger } from '../lib/logger.ts';
import type { Peer, TlsState } from '../net/connection.ts';
import type { QueueStore } from '../queue/queue.ts';
import type { Sasl } from '../sasl/sasl.ts';
import type { SmtpOptions } from './options.ts';

/** What we are: `submission` stands for both its ports, 587 and 465. */
export type SmtpService = 'smtp' | 'submission' | 'lmtp';

/** What every session of one service works with. */
export interface SmtpRoom {
  readonly service: SmtpService;
  readonly hostname: string;
  readonly directory: Directory;
  readonly queue: QueueStore;
  readonly quota: QuotaCheck;
  readonly scripts: RecipientScripts;
  readonly sasl: Sasl;
  readonly settings: SmtpOptions;
  /** Peers that may relay without a password. */
  readonly mynetworks: Networks;
  readonly allowPlaintextFrom: Networks;
  readonly log: Logger;
  readonly clock: Clock;
  readonly random: (size: number) => Uint8Array;
}

/** What is known of the one at the other end. */
export interface Client {
  readonly sid: string;
  readonly peer: Peer;
  tls: TlsState | null;
  /** As given in HELO, EHLO or LHLO; null before. */
  helo: string | null;
  greeting: 'HELO' | 'EHLO' | 'LHLO';
  /** Who has logged in. */
  account: AccountId | null;
}

export function mayRelay(room: SmtpRoom, client: Client): boolean {
  if (room.service === 'lmtp') return false;
  return client.account !== null || room.mynetworks.contains(client.peer.ip);
}

/** Whether a password may cross this connection. */
export function plaintextAllowed(room: SmtpRoom, client: Client): boolean {
  return client.tls !== null || room.allowPlaintextFrom.contains(client.peer.ip);
}

export function offersAuth(room: SmtpRoom): boolean {
  return room.service === 'submission' || (room.service === 'smtp' && room.settings.authOnPort25);
}
