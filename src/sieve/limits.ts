/** How much a script may ask for. Each has its reason in the room's README; an admin may change some of them. */
export interface SieveLimits {
  /** Octets of a script. */
  readonly scriptSize: number;
  /** Blocks and tests inside each other (RFC 5228 2.10.5 asks for 15). */
  readonly nesting: number;
  /** Redirections of one message (RFC 5228 2.10.4). */
  readonly redirects: number;
  /** Notifications of one message; 0: there are none. */
  readonly notifications: number;
  /** All actions of one message, redirections too. */
  readonly actions: number;
  /** Commands, tests and comparisons of one run. */
  readonly steps: number;
  /** Characters looked at by comparisons of one run, one by one; each takes some 10 ns. */
  readonly characters: number;
  /** Octets of a variable; longer values are cut (RFC 5229 6 asks for 4,000). */
  readonly variable: number;
  /** Characters of a variable's name (RFC 5229 6 asks for 32). */
  readonly variableName: number;
  /** Variables of one script (RFC 5229 6 asks for 128). */
  readonly variables: number;
  /** Scripts included one in the other, and in all (RFC 6609 3.1). */
  readonly includeDepth: number;
  readonly includes: number;
  /** Loops inside each other (RFC 5703 3). */
  readonly loops: number;
  /** Octets of a field that a script adds. */
  readonly fieldValue: number;
  /** Characters of a regular expression. */
  readonly regex: number;
}

export const LIMITS: SieveLimits = {
  scriptSize: 1024 * 1024,
  nesting: 32,
  redirects: 4,
  notifications: 4,
  actions: 32,
  steps: 100_000,
  characters: 200_000_000,
  variable: 65_536,
  variableName: 64,
  variables: 255,
  includeDepth: 10,
  includes: 255,
  loops: 4,
  fieldValue: 16_384,
  regex: 1024,
};
