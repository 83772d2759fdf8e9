import type { Quota } from '../../store/store.ts';
import { type Command, command, type ImapSession } from '../command.ts';
import { ImapNo } from '../errors.ts';
import { mailboxName } from '../response.ts';

/**
 * Quota roots: "" is the account's; a mailbox with limits of its own is a root too, named as the mailbox. What they say
 * is what the store refuses by, its grace aside.
 */
const ACCOUNT = '""';

/** GETQUOTA (RFC 9208 4.1.1). */
export const getQuota: Command = command({
  name: 'GETQUOTA',
  states: ['authenticated', 'selected'],
  capability: ['QUOTA', 'QUOTA=RES-STORAGE', 'QUOTA=RES-MESSAGE'],
  parse: (p) => p.sp().mailbox(),
  async run(session, root) {
    if (root === '') {
      tell(session, ACCOUNT, await session.store.quota());
      return undefined;
    }
    const own = await limitsOf(session, root);
    if (!own) throw new ImapNo('No such quota root', 'NONEXISTENT');
    tell(session, mailboxName(root, session.names), own);
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
    const name = mailboxName(path, session.names);
    const own = await limitsOf(session, path);
    session.out.untagged(`QUOTAROOT ${name} ${ACCOUNT}${own ? ` ${name}` : ''}`);
    tell(session, ACCOUNT, await session.store.quota());
    if (own) tell(session, name, own);
    return undefined;
  },
});

/** undefined when there is no such mailbox, or it has no limits of its own. */
async function limitsOf({ store }: ImapSession, path: string): Promise<Quota | undefined> {
  const mailbox = await store.mailbox(path);
  if (!mailbox?.selectable) return undefined;
  const quota = await store.quota(mailbox.id);
  return quota.limitBytes === null && quota.limitMessages === null ? undefined : quota;
}

function tell({ out }: ImapSession, root: string, quota: Quota): void {
  const resources: string[] = [];
  // STORAGE is in units of 1024 octets (RFC 9208 5.1). Without a limit there is nothing to list.
  if (quota.limitBytes !== null)
    resources.push(`STORAGE ${Math.ceil(quota.usedBytes / 1024)} ${Math.floor(quota.limitBytes / 1024)}`);
  if (quota.limitMessages !== null) resources.push(`MESSAGE ${quota.messages} ${quota.limitMessages}`);
  out.untagged(`QUOTA ${root} (${resources.join(' ')})`);
}
