import type { AccountId } from '../../directory/directory.ts';
import type { Quota } from '../../store/store.ts';
import type { AccountLimits } from '../account-quotas.ts';
import { type Command, command, type ImapSession } from '../command.ts';
import { ImapNo } from '../errors.ts';
import type { Parser } from '../parser.ts';
import { mailboxName } from '../response.ts';
import { OTHER_USERS } from '../shared/names.ts';

/**
 * Quota roots: "" is the account's; that of another user is named as their mailboxes begin; a mailbox with limits of its
 * own is a root too, named as the mailbox. What they say is what the store refuses by, its grace aside. Admins
 * (`directory.admins`) see the roots of all accounts, and set their limits: those of the directory, which
 * "facteur account quota" shows and sets too. Limits of single mailboxes are the configuration's.
 */
const ACCOUNT = '""';

/** GETQUOTA (RFC 9208 4.1.1). */
export const getQuota: Command = command({
  name: 'GETQUOTA',
  states: ['authenticated', 'selected'],
  capability: ['QUOTA', 'QUOTA=RES-STORAGE', 'QUOTA=RES-MESSAGE', 'QUOTA=RES-MAILBOX'],
  parse: (p) => p.sp().mailbox(),
  async run(session, root) {
    if (root === '') {
      tell(session, ACCOUNT, await session.store.quota());
      return undefined;
    }
    const own =
      (await limitsOf(session, root)) ??
      (await session.store.quotaOfRoot(root)) ??
      (await quotaForAdmin(session, root));
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

/** Only told to those who may use it: RFC 9208 leaves open to whom, and everybody else would offer it in vain. */
export const QUOTASET = 'QUOTASET';

/** SETQUOTA (RFC 9208 4.1.3). */
export const setQuota: Command = command({
  name: 'SETQUOTA',
  states: ['authenticated', 'selected'],
  capability: QUOTASET,

  parse(p) {
    const root = p.sp().mailbox();
    p.sp();
    const at = p.at;
    const wanted = p.list(resource, 'empty');
    const names = new Set(wanted.map(({ name }) => name));
    if (names.size < wanted.length) p.fail('A resource is named twice', at);
    return { root, wanted };
  },

  async run(session, { root, wanted }) {
    const { quotas } = session.world;
    if (!quotas?.mayChange(session.store.account)) throw new ImapNo('Only admins set quotas', 'NOPERM');
    const limits = limitsFrom(wanted);
    const account = root === '' ? session.store.account : await accountOf(session, root);
    if (account === undefined) {
      if (await limitsOf(session, root)) throw new ImapNo('This limit is in the configuration', 'CANNOT');
      throw new ImapNo('No such quota root', 'NONEXISTENT');
    }
    if ((await quotas.set(account, limits)) === 'declared')
      throw new ImapNo('This account is in the configuration', 'CANNOT');
    session.log.info({ account: session.store.account, of: account, ...limits }, 'quota set');
    const { store } = session.world;
    const name = root === '' ? ACCOUNT : mailboxName(root, session.names);
    tell(session, name, await (await store.account(account)).quota());
    return undefined;
  },
});

interface WantedLimit {
  readonly name: string;
  readonly limit: number;
}

function resource(p: Parser): WantedLimit {
  const name = p.atom().toUpperCase();
  return { name, limit: p.sp().number64() };
}

/** @throws ImapNo for what is not limited here, before anything is changed */
function limitsFrom(wanted: readonly WantedLimit[]): AccountLimits {
  let limits: AccountLimits = { bytes: null, messages: null, mailboxes: null };
  for (const { name, limit } of wanted)
    switch (name) {
      case 'STORAGE':
        // Nothing at all is rounded to one octet, which no message has (4.1.3 lets us round).
        limits = { ...limits, bytes: Math.min(Math.max(limit * 1024, 1), Number.MAX_SAFE_INTEGER) };
        break;
      case 'MESSAGE':
        if (limit === 0) throw new ImapNo('No messages at all is no quota: disable the account', 'CANNOT');
        limits = { ...limits, messages: limit };
        break;
      case 'MAILBOX':
        // There is always INBOX.
        limits = { ...limits, mailboxes: Math.max(limit, 1) };
        break;
      default:
        throw new ImapNo('Only STORAGE, MESSAGE and MAILBOX are limited here', 'CANNOT');
    }
  return limits;
}

/** Whose root this is, as an admin names it: as the account's mailboxes begin for others. */
async function accountOf({ world }: ImapSession, root: string): Promise<AccountId | undefined> {
  if (!root.startsWith(OTHER_USERS)) return undefined;
  return world.quotas?.account(root.slice(OTHER_USERS.length));
}

async function quotaForAdmin(session: ImapSession, root: string): Promise<Quota | undefined> {
  const { quotas, store } = session.world;
  if (!quotas?.mayChange(session.store.account)) return undefined;
  const account = await accountOf(session, root);
  return account && (await store.account(account)).quota();
}

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
  const { mailboxes } = quota;
  if (mailboxes && mailboxes.limit !== null) resources.push(`MAILBOX ${mailboxes.count} ${mailboxes.limit}`);
  out.untagged(`QUOTA ${root} (${resources.join(' ')})`);
}
