import type { Address, ReversePath } from './address.ts';

/** What SMTP says about a message, as opposed to what its header says (RFC 5321 2.3.1). */
export interface Envelope {
  readonly from: ReversePath;
  readonly to: readonly Recipient[];
  readonly body: '7bit' | '8bitmime' | 'binarymime';
  readonly smtputf8: boolean;
  readonly requireTls: boolean;
  /** RET of RFC 3461 4.3. */
  readonly ret?: 'full' | 'hdrs';
  /** ENVID of RFC 3461 4.4, xtext-decoded. */
  readonly envid?: string;
}

export type NotifyCondition = 'success' | 'failure' | 'delay';

export interface Recipient {
  readonly address: Address;
  /** Empty means NOTIFY=NEVER; absent means the default, failures only (RFC 3461 4.1). */
  readonly notify?: readonly NotifyCondition[];
  /** `addr-type;address`, xtext-decoded (RFC 3461 4.2). */
  readonly orcpt?: string;
}
