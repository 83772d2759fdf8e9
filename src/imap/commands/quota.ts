import type { Quota } from '../../store/store.ts';
import { type Command, command, type ImapSession } from '../command.ts';
import { ImapNo } from '../errors.ts';
import { mailboxName } from '../response.ts';

/**
 * Quota roots: "" is the account's; that of another user is named as their mailboxes begin; a mailbox with limits of its
 * own is a root too, named as the mailbox. What they say is what the store refuses by, its grace aside.
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
    const own = (await limitsOf(session, root)) ?? (await session.store.quotaOfRoot(root));
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
    const { root, quota } = await accountAround(session, path);
    const account = root === '' ? ACCOUNT : mailboxName(root, session.names);
    session.out.untagged(`QUOTAROOT ${name} ${account}${own ? ` ${name}` : ''}`);
    tell(session, account, quota);
    if (own) tell(session, name, own);
    return undefined;
  },
});

/** What is put into another user's mailbox counts for them. */
async function accountAround(
  { store }: ImapSession,
  path: string,
): Promise<{ readonly root: string; readonly quota: Quota }> {
  const mailbox = await store.mailbox(path, 'known');
  if (mailbox && (await store.rightsIfAny(mailbox.id)).has('r')) return store.quotaRootOf(mailbox.id);
  return { root: '', quota: await store.quota() };
}

/** undefined when there is no such mailbox, or it has no limits of its own. */
async function limitsOf({ store }: ImapSession, path: string): Promise<Quota | undefined> {
  const mailbox = await store.mailbox(path);
  if (!mailbox?.selectable) return undefined;
  // To whom it is not listed it is not there (RFC 4314 6).
  const rights = await store.rightsIfAny(mailbox.id);
  if (!rights.has('r') && !rights.has('l')) return undefined;
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
