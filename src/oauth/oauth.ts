/** Whom a token was given to, after everything about it has been checked. */
export interface TokenOwner {
  /** The account's login name, as the token names it. */
  readonly login: string;
}

/** What the mechanisms of OAuth need to know of it. */
export interface OAuth {
  /**
   * Whose token it is. Throws TokenRefused where it is not good for us, OAuthUnavailable where nobody could tell.
   * What was found is remembered for a short while.
   */
  owner(token: string): Promise<TokenOwner>;
  /** What a client with a bad token is told (RFC 7628 3.2.2). */
  readonly hints: {
    readonly scope: string | null;
    /** `openid-configuration`. */
    readonly discoveryUrl: string | null;
  };
}

/** RFC 6750 2.1: `b64token`. */
export const TOKEN: RegExp = /^[A-Za-z0-9._~+/-]+=*$/;
/** Tokens with many groups in them come to some kilobytes; what is longer does not fit the line of POP3 or SMTP. */
export const MAX_TOKEN = 8192;
