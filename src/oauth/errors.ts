/** No verdict on a token: whoever we ask did not answer, or not in words we know. The next login asks again. */
export class OAuthUnavailable extends Error {
  override readonly name = 'OAuthUnavailable';
}

/** The token is not good for us; `message` says why, for the log, and never has anything of the token in it. */
export class TokenRefused extends Error {
  override readonly name = 'TokenRefused';
  /** RFC 6750 3.1. */
  readonly status: 'invalid_token' | 'insufficient_scope';

  constructor(message: string, status: TokenRefused['status'] = 'invalid_token') {
    super(message);
    this.status = status;
  }
}
