import type { AccountId } from '../directory/directory.ts';
import { type AclChange, ANYONE, OWNER, parseRights, plainRights } from '../store/acl.ts';
import type { AccountStore, MailStore } from '../store/store.ts';
import type { ControlClient, ControlHandler } from './control.ts';
import { accountFrom } from './names.ts';

/** Who may use whose mailboxes (RFC 4314), as an admin sees and changes it; the same words whether the daemon runs or not. */
export interface AclAdmin {
  /** Every entry, in the order of mailboxes. */
  list(account: AccountId): Promise<readonly AclEntry[]>;
  /** null when there is no such mailbox; else what the identifier may do now. */
  change(account: AccountId, wish: AclWish): Promise<{ readonly rights: string } | null>;
}

export interface AclEntry {
  readonly mailbox: string;
  readonly identifier: string;
  /** Letters, without the `c` and `d` of RFC 2086: they can be given again as they are. */
  readonly rights: string;
}

export interface AclWish {
  readonly mailbox: string;
  readonly identifier: string;
  readonly mode: AclChange['mode'];
  readonly rights: string;
}

/** Straight on the store: in the daemon, and on the command line while no daemon runs. */
export function aclAdmin(store: Pick<MailStore, 'account'>): AclAdmin {
  return {
    async list(id) {
      const account = await store.account(id);
      const [mailboxes, acls] = await Promise.all([account.mailboxes(), account.acls()]);
      return mailboxes.flatMap(({ id: mailbox, path }) =>
        [...(acls.get(mailbox) ?? [])]
          .map(([identifier, rights]) => ({ mailbox: path, identifier, rights: plainRights(rights) }))
          .sort((a, b) => (a.identifier < b.identifier ? -1 : 1)),
      );
    },
    change: async (id, wish) => change(await store.account(id), wish),
  };
}

async function change(
  account: AccountStore,
  { mailbox, identifier, mode, rights }: AclWish,
): Promise<{ readonly rights: string } | null> {
  const parsed = parseRights(rights);
  if (!parsed) throw new Error(`"${rights}" are no rights`);
  const found = await account.mailbox(mailbox);
  if (!found?.selectable) return null;
  await account.setAcl(found.id, identifier, { mode, rights: parsed });
  return { rights: plainRights((await account.acl(found.id)).get(identifier) ?? new Set()) };
}

/** The daemon's answers to remoteAclAdmin. */
export function aclHandlers(store: Pick<MailStore, 'account'>): Readonly<Record<string, ControlHandler>> {
  const admin = aclAdmin(store);
  return {
    'acl.list': (argument) => admin.list(argument as AccountId),
    'acl.change': (argument) => {
      const { account, ...wish } = argument as Change;
      return admin.change(account, wish);
    },
  };
}

type Change = AclWish & { readonly account: AccountId };

/** The same over the daemon's control socket. */
export function remoteAclAdmin(client: ControlClient): AclAdmin {
  return {
    list: (account) => client.call('acl.list', account) as Promise<readonly AclEntry[]>,
    change: (account, wish) =>
      client.call('acl.change', { account, ...wish } satisfies Change) as ReturnType<AclAdmin['change']>,
  };
}

/** As an admin types it: an account's address, `anyone`, `owner`; with `-` before it what is taken away. Throws. */
export function identifierFrom(text: string): string {
  if (text.startsWith('-') && text.length > 1 && !text.startsWith('--'))
    return `-${identifierFrom(text.slice(1))}`;
  return [ANYONE, OWNER].includes(text) ? text : accountFrom(text);
}
