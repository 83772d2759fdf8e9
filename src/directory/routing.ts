import { type Address, type Domain, formatAddress } from '../mail/address.ts';
import { type AddressKey, addressKey, catchAllKey, isRole, stripped } from './address-key.ts';
import type { Account, AccountId, Destination, Route } from './directory.ts';
import type { Source } from './source.ts';

/**
 * Where mail goes. Order for an address of ours: the address itself, then the address without its sub-address, then
 * postmaster and abuse, then the domain's catch-all. An alias comes before an account of the same name, and reaches
 * that account by naming it: `alice` to `alice` and somewhere else keeps a copy.
 */
export interface RoutingOptions {
  readonly delimiters: string;
  /** For postmaster@ and abuse@ of domains that have none. */
  readonly postmaster: Address | undefined;
}

/** An alias in an alias in an alias…: a person nests two or three deep. */
const MAX_DEPTH = 32;
/** Addresses that one recipient may become. A list of more belongs into list software. */
export const MAX_DESTINATIONS = 1000;

/** What one name among our addresses stands for. */
type Entry =
  | { readonly is: 'alias'; readonly key: AddressKey; readonly targets: readonly Address[] }
  | { readonly is: 'account'; readonly account: Account };

/** The entry for `address` or for what is left of it without its sub-address. */
interface Found {
  readonly entry: Entry;
  readonly detail: string | undefined;
}

/** The whole way of one address: aliases followed, roles and catch-all as a last resort. */
export function route(source: Source, address: Address, options: RoutingOptions): Route {
  if (!source.isLocal(address.domain)) return { to: 'elsewhere' };
  const found = find(source, address, options.delimiters);
  const role = roleOf(address, options.delimiters);
  if (found) {
    const direct = expand(source, found, options);
    // Somebody must read postmaster's mail (RFC 5321 4.5.1), even where its account is switched off.
    return direct.to === 'deliver' || !role ? direct : orElse(roleRoute(source, role, options), direct);
  }
  if (role) return roleRoute(source, role, options);
  const catchAll = source.catchAll(address.domain);
  if (!catchAll) return { to: 'unknown' };
  return expand(source, catchAllEntry(address.domain, catchAll), options);
}

/** `<postmaster>` without a domain (RFC 5321 4.1.1.3). */
export function postmasterRoute(source: Source, options: RoutingOptions): Route {
  if (options.postmaster) {
    const configured = configuredPostmaster(source, options.postmaster, options);
    if (configured.to === 'deliver') return configured;
  }
  for (const domain of source.domains()) {
    const found = route(source, { local: 'postmaster', domain }, options);
    if (found.to === 'deliver') return found;
  }
  return { to: 'unknown' };
}

/** Whether an alias leads, over others perhaps, from `from` to `account`, or `from` is the account's own address. */
export function belongsTo(
  source: Source,
  account: AccountId,
  from: Address,
  options: RoutingOptions,
): boolean {
  if (!source.isLocal(from.domain)) return false;
  // The account's own name stays its own, even where an alias takes its mail elsewhere.
  if (source.account(addressKey(from))?.id === account) return true;
  const found = find(source, from, options.delimiters);
  if (!found) return false;
  if (
    found.entry.is === 'alias' &&
    found.detail !== undefined &&
    ownName(source, found.entry.key) === account
  )
    return true;
  const way = expand(source, found, { ...options, named: 'explicitly' });
  return way.to === 'deliver' && way.destinations.some((to) => to.is === 'account' && to.account === account);
}

function ownName(source: Source, key: AddressKey): AccountId | undefined {
  return source.account(key)?.id;
}

function find(source: Source, address: Address, delimiters: string): Found | undefined {
  const exact = entryOf(source, addressKey(address));
  if (exact) return { entry: exact, detail: undefined };
  for (const shorter of stripped(address, delimiters)) {
    const entry = entryOf(source, addressKey(shorter.address));
    if (entry) return { entry, detail: shorter.detail };
  }
  return undefined;
}

function entryOf(source: Source, key: AddressKey): Entry | undefined {
  const targets = source.alias(key);
  if (targets) return { is: 'alias', key, targets };
  const account = source.account(key);
  return account && { is: 'account', account };
}

/** Follows aliases to their ends: accounts, and addresses elsewhere, each once. */
function expand(source: Source, start: Found, options: ExpandOptions): Route {
  const destinations = new Map<string, Destination>();
  const open = new Set<AddressKey>();
  const done = new Set<AddressKey>();
  let disabled = false;
  let loop = false;

  const deliver = (account: Account, detail: string | undefined): void => {
    if (!account.enabled) {
      disabled = true;
      return;
    }
    if (destinations.has(account.id)) return;
    destinations.set(account.id, {
      is: 'account',
      account: account.id,
      ...(detail === undefined ? {} : { detail }),
    });
  };

  const follow = ({ entry, detail }: Found): void => {
    if (loop) return;
    if (entry.is === 'account') {
      deliver(entry.account, detail);
      return;
    }
    if (open.has(entry.key)) {
      // An alias that leads back to its own name means the account of that name: a copy is kept.
      const own = source.account(entry.key);
      if (own) deliver(own, detail);
      else loop = true;
      return;
    }
    if (done.has(entry.key)) return;
    if (open.size >= MAX_DEPTH) {
      loop = true;
      return;
    }
    open.add(entry.key);
    for (const target of entry.targets) step(target, detail);
    open.delete(entry.key);
    done.add(entry.key);
  };

  const step = (target: Address, detail: string | undefined): void => {
    if (destinations.size >= MAX_DESTINATIONS) loop = true;
    if (loop) return;
    if (!source.isLocal(target.domain)) {
      destinations.set(formatAddress(target), { is: 'remote', address: target });
      return;
    }
    const found = find(source, target, options.delimiters) ?? fallback(target);
    // A target's own sub-address says more than that of the address it was reached by.
    if (found) follow({ entry: found.entry, detail: found.detail ?? detail });
  };

  const fallback = (target: Address): Found | undefined => {
    if (options.named === 'explicitly') return undefined;
    const role = roleOf(target, options.delimiters);
    if (role) {
      const route = roleRoute(source, role, options);
      if (route.to === 'deliver') for (const to of route.destinations) destinations.set(nameOf(to), to);
      return undefined;
    }
    const targets = source.catchAll(target.domain);
    return targets && catchAllEntry(target.domain, targets);
  };

  follow(start);
  if (loop) return { to: 'loop' };
  if (destinations.size > 0) return { to: 'deliver', destinations: [...destinations.values()] };
  return { to: disabled ? 'disabled' : 'unknown' };
}

interface ExpandOptions extends RoutingOptions {
  /** `explicitly`: follow only names that somebody wrote down, no catch-all and no role's substitute. */
  readonly named?: 'explicitly';
}

function nameOf(to: Destination): string {
  return to.is === 'account' ? to.account : formatAddress(to.address);
}

function catchAllEntry(domain: Domain, targets: readonly Address[]): Found {
  return { entry: { is: 'alias', key: catchAllKey(domain), targets }, detail: undefined };
}

/** The role address that `address` is, or is a sub-address of. */
function roleOf(address: Address, delimiters: string): Address | undefined {
  if (isRole(address)) return address;
  for (const shorter of stripped(address, delimiters)) if (isRole(shorter.address)) return shorter.address;
  return undefined;
}

/** Who gets a role's mail where nobody has the name: as configured, else the first account there, else anywhere. */
function roleRoute(source: Source, role: Address, options: RoutingOptions): Route {
  if (options.postmaster) {
    const configured = configuredPostmaster(source, options.postmaster, options);
    if (configured.to === 'deliver') return configured;
  }
  for (const domain of [role.domain, ...source.domains()]) {
    const account = source.firstAccount(domain);
    if (account) return { to: 'deliver', destinations: [{ is: 'account', account: account.id }] };
  }
  return { to: 'unknown' };
}

/**
 * The setting itself may be a role without an entry, or an alias that ends in one: then it decides nothing, rather
 * than going in a circle.
 */
function configuredPostmaster(source: Source, postmaster: Address, options: RoutingOptions): Route {
  if (!source.isLocal(postmaster.domain))
    return { to: 'deliver', destinations: [{ is: 'remote', address: postmaster }] };
  const found = find(source, postmaster, options.delimiters);
  return found ? expand(source, found, { ...options, postmaster: undefined }) : { to: 'unknown' };
}

function orElse(preferred: Route, otherwise: Route): Route {
  return preferred.to === 'deliver' ? preferred : otherwise;
}
