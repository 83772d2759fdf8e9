import type { Clock } from '../lib/clock.ts';
import { type Networks, networks, normaliseIp, peerKey } from '../lib/ip.ts';
import type { Logger } from '../lib/logger.ts';

/**
 * Counts failed logins per address (an IPv6 /64 is one) and per login name, and stops looking at passwords where there
 * were too many, for a time that grows and ends. Never for loopback, for listed networks, or for an address that has
 * shown the right password of that name lately: nobody is locked out by what others try. Bounded: it forgets the least
 * recent first, at worst a ban.
 */

export interface GuardSettings {
  /** `auth.bans`. */
  readonly addressFailures: number;
  readonly accountFailures: number;
  readonly window: number;
  readonly duration: number;
  readonly maxDuration: number;
  readonly allow: readonly string[];
}

/** A ban as an admin sees it. */
export interface Ban {
  readonly kind: 'address' | 'account';
  /** An IPv4 address, an IPv6 /64, or a login name in lower case. */
  readonly name: string;
  readonly failures: number;
  readonly until: Date;
}

interface Counted {
  /** Within the window, the last one `at`. */
  failures: number;
  at: number;
  /** 0: not banned. */
  until: number;
  /** How many bans there were before: each is twice as long as the last. */
  bans: number;
}

/** Addresses, and names, remembered; the least recent go first. */
const MAX_COUNTED = 20_000;
/** Pairs of name and address that had the right password. */
const MAX_TRUSTED = 20_000;
/** A phone that was away for a month still comes from the network at home. */
const TRUST_MS = 30 * 86_400_000;
/** After so long without a failure the next ban is as short as the first. */
const REPENT_MS = 86_400_000;
/** A longer name is no address; its beginning is enough to count it. */
const MAX_NAME = 320;

const LOOPBACK = networks(['127.0.0.0/8', '::1']);

export class LoginGuard {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #addresses = new Map<string, Counted>();
  readonly #accounts = new Map<string, Counted>();
  readonly #trusted = new Map<string, number>();
  #settings: GuardSettings;
  #allowed: Networks;

  constructor(settings: GuardSettings, clock: Clock, log: Logger) {
    this.#settings = settings;
    this.#allowed = networks(settings.allow);
    this.#clock = clock;
    this.#log = log;
  }

  /** The configuration was read again: bans stay. */
  configure(settings: GuardSettings): void {
    this.#settings = settings;
    this.#allowed = networks(settings.allow);
  }

  /** Whether a login may be tried at all; asked before the password is looked at. */
  admits(ip: string, login: string): boolean {
    const now = this.#clock.now().getTime();
    const peer = peerKey(normaliseIp(ip));
    const name = nameOf(login);
    const bannedPeer = (this.#addresses.get(peer)?.until ?? 0) > now;
    // A token may come without a name: then there is only the address to go by.
    const bannedName = name !== '' && (this.#accounts.get(name)?.until ?? 0) > now;
    return (!bannedPeer && !bannedName) || this.#isExempt(ip) || this.#isTrusted(peer, name, now);
  }

  /** The password was wrong, or the name unknown: both count alike. */
  failed(ip: string, login: string): void {
    if (this.#isExempt(ip)) return;
    const now = this.#clock.now().getTime();
    const peer = peerKey(normaliseIp(ip));
    const name = nameOf(login);
    const { addressFailures, accountFailures } = this.#settings;
    this.#count(this.#addresses, 'address', peer, addressFailures, now);
    // Who has shown the right password does not count against the account: it is its own client with an old one.
    if (name !== '' && !this.#isTrusted(peer, name, now))
      this.#count(this.#accounts, 'account', name, accountFailures, now);
  }

  /**
   * The right password: from now on no ban stands between this address and this name. What it failed at before still
   * counts: an account of one's own is no pardon for guessing at others.
   */
  passed(ip: string, login: string): void {
    const peer = peerKey(normaliseIp(ip));
    const key = trustKey(peer, nameOf(login));
    this.#trusted.delete(key);
    makeRoom(this.#trusted, MAX_TRUSTED);
    this.#trusted.set(key, this.#clock.now().getTime());
  }

  /** What is banned at present. */
  bans(): readonly Ban[] {
    const now = this.#clock.now().getTime();
    const list = (kind: Ban['kind'], map: ReadonlyMap<string, Counted>): Ban[] =>
      [...map].flatMap(([name, { failures, until }]) =>
        until > now ? [{ kind, name, failures, until: new Date(until) }] : [],
      );
    return [...list('address', this.#addresses), ...list('account', this.#accounts)];
  }

  /** Ends the ban of an address or a login name, and forgets its failures; false where there was none. */
  lift(name: string): boolean {
    const text = name.endsWith('::/64') ? name : peerKey(normaliseIp(name));
    return this.#addresses.delete(text) || this.#accounts.delete(nameOf(name));
  }

  #isExempt(ip: string): boolean {
    return LOOPBACK.contains(ip) || this.#allowed.contains(ip);
  }

  #isTrusted(peer: string, name: string, now: number): boolean {
    const at = this.#trusted.get(trustKey(peer, name));
    return at !== undefined && now - at < TRUST_MS;
  }

  #count(map: Map<string, Counted>, kind: Ban['kind'], name: string, most: number, now: number): void {
    if (most === 0) return;
    const { window, duration, maxDuration } = this.#settings;
    const before = map.get(name);
    const counted = before ?? { failures: 0, at: now, until: 0, bans: 0 };
    if (now - counted.at > REPENT_MS) counted.bans = 0;
    if (now - counted.at > window || (counted.until !== 0 && counted.until <= now)) counted.failures = 0;
    if (counted.until <= now) counted.until = 0;
    counted.failures++;
    counted.at = now;
    map.delete(name);
    makeRoom(map, MAX_COUNTED);
    map.set(name, counted);
    if (counted.failures < most || counted.until !== 0) return;
    counted.until = now + Math.min(duration * 2 ** Math.min(counted.bans, 20), maxDuration);
    counted.bans++;
    const fields = { [kind === 'address' ? 'ip' : 'login']: name, failures: counted.failures };
    this.#log.warn({ ...fields, until: new Date(counted.until).toISOString() }, 'logins banned');
  }
}

function makeRoom(map: Map<string, unknown>, most: number): void {
  if (map.size < most) return;
  const [oldest] = map.keys();
  if (oldest !== undefined) map.delete(oldest);
}

function nameOf(login: string): string {
  return login.slice(0, MAX_NAME).normalize('NFC').toLowerCase();
}

/** An address has no blank, so no two pairs are alike. */
function trustKey(peer: string, name: string): string {
  return `${peer} ${name}`;
}
