import type { HostMail } from '../delivery/sieve/host.ts';
import type { FilingAccount, Place } from '../transfer/account.ts';

/** An account's mailboxes as a rehearsal asks for them: once, since it asks for every message. */
export function filingMail(account: FilingAccount): HostMail {
  let places: Promise<readonly Place[]> | undefined;
  const annotations = new Map<string, Promise<ReadonlyMap<string, string>>>();
  return {
    mailboxes() {
      places ??= account.mailboxes();
      return places;
    },
    annotations(id) {
      const known = annotations.get(id) ?? account.annotations(id).then((entries) => new Map(entries));
      annotations.set(id, known);
      return known;
    },
  };
}
