import { type Command, command, type ImapSession } from '../command.ts';
import { ImapNo } from '../errors.ts';
import { mailboxName } from '../response.ts';

/** One quota root, the account's: "". */
const ROOT = '""';

/** GETQUOTA (RFC 9208 4.1.1). */
export const getQuota: Command = command({
  name: 'GETQUOTA',
  states: ['authenticated', 'selected'],
  capability: ['QUOTA', 'QUOTA=RES-STORAGE'],
  parse: (p) => p.sp().astringText(),
  async run(session, root) {
    if (root !== '') throw new ImapNo('No such quota root', 'NONEXISTENT');
    await tellQuota(session);
    return undefined;
  },
});

/** GETQUOTAROOT (RFC 9208 4.1.2); the mailbox need not exist. */
export const getQuotaRoot: Command = command({
  name: 'GETQUOTAROOT',
  states: ['authenticated', 'selected'],
  capability: 'QUOTA',
  parse: (p) => p.sp().mailbox(),
  async run(session, path) {
    session.out.untagged(`QUOTAROOT ${mailboxName(path, session.names)} ${ROOT}`);
    await tellQuota(session);
    return undefined;
  },
});

async function tellQuota({ store, out }: ImapSession): Promise<void> {
  const quota = await store.quota();
  // STORAGE is in units of 1024 octets (RFC 9208 5.1). Without a limit there is nothing to list.
  const storage =
    quota.limitBytes === null
      ? ''
      : `STORAGE ${Math.ceil(quota.usedBytes / 1024)} ${Math.floor(quota.limitBytes / 1024)}`;
  out.untagged(`QUOTA ${ROOT} (${storage})`);
}
