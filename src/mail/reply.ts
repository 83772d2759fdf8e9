export type EnhancedCode = `${2 | 4 | 5}.${number}.${number}`;

/** One SMTP reply, ours or theirs (RFC 5321 4.2, RFC 3463). `text` may have several lines, split by \n. */
export interface Reply {
  readonly code: number;
  readonly enhanced?: EnhancedCode;
  readonly text: string;
}

/** Thrown to answer the peer with `reply`; `cause` is for our log and never leaves the house. */
export class SmtpError extends Error {
  override readonly name = 'SmtpError';
  readonly reply: Reply;

  constructor(code: number, enhanced: EnhancedCode, text: string, cause?: unknown) {
    super(`${code} ${enhanced} ${text}`, { cause });
    this.reply = { code, enhanced, text };
  }
}

export function isTransient(reply: Reply): boolean {
  return reply.code >= 400 && reply.code < 500;
}

/** `250 2.0.0 text` on one line, for logs and DSN diagnostics. */
export function formatReply(reply: Reply): string {
  const enhanced = reply.enhanced ? `${reply.enhanced} ` : '';
  return `${reply.code} ${enhanced}${reply.text.replace(/\s*\n\s*/g, ' ')}`;
}
