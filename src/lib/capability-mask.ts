import { type Networks, networks } from './ip.ts';

/** Capabilities that are not shown to programs which cannot live with them (`mask` of IMAP and POP3). */

/** One rule; it holds where everything that it names is so. */
export interface MaskRule {
  /** An account, or `*@domain`. */
  readonly account?: string | undefined;
  /** Part of what the client calls itself. */
  readonly client?: string | undefined;
  /** The network that the client is in. */
  readonly address?: string | undefined;
  readonly hide: readonly string[];
}

/** What is known of a client so far. */
export interface Masked {
  readonly account: string | null;
  /** Vendor, name and version as the client says them. */
  readonly client: string | null;
  readonly ip: string;
}

interface Compiled extends MaskRule {
  readonly network: Networks | null;
}

export class CapabilityMask {
  readonly #rules: readonly Compiled[];

  constructor(rules: readonly MaskRule[]) {
    this.#rules = rules.map((rule) => ({
      ...rule,
      network: rule.address === undefined ? null : networks([rule.address]),
    }));
  }

  /** In capitals. */
  hiddenFrom(client: Masked): ReadonlySet<string> {
    if (this.#rules.length === 0) return NOTHING;
    const holding = this.#rules.filter((rule) => holds(rule, client));
    return new Set(holding.flatMap(({ hide }) => hide.map((name) => name.toUpperCase())));
  }
}

const NOTHING: ReadonlySet<string> = new Set();

function holds({ account, client, network }: Compiled, known: Masked): boolean {
  if (account !== undefined && (known.account === null || !isAccount(account, known.account))) return false;
  if (client !== undefined && known.client?.toLowerCase().includes(client.toLowerCase()) !== true)
    return false;
  return network === null || network.contains(known.ip);
}

function isAccount(wanted: string, account: string): boolean {
  const [name, whose] = [wanted.toLowerCase(), account.toLowerCase()];
  return name.startsWith('*@') ? whose.endsWith(name.slice(1)) : whose === name;
}
