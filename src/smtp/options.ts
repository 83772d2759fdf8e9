import { z } from 'zod';
import { duration, size } from '../lib/options.ts';

export interface SmtpOptions {
  readonly maxMessageSize: number;
  readonly maxRecipients: number;
  readonly maxHops: number;
  readonly bareNewline: 'refuse' | 'normalise';
  readonly unauthorizedPipelining: 'refuse' | 'allow';
  readonly greetingDelay: number;
  readonly maxErrors: number;
  readonly maxIdleCommands: number;
  readonly maxRefusedRecipients: number;
  readonly maxAuthFailures: number;
  readonly maxTransactions: number;
  readonly timeouts: {
    readonly command: number;
    readonly data: number;
    readonly message: number;
    readonly tls: number;
  };
  readonly minDataRate: number;
  readonly authOnPort25: boolean;
  readonly hideClient: boolean;
}

/** The settings of the receiving SMTP side: `smtp:` in the configuration. They hold for all its services. */
export const smtpOptions: z.ZodType<SmtpOptions, object> = z.strictObject({
  maxMessageSize: size()
    .prefault('50MB')
    .describe('The largest message taken, announced by SIZE; larger ones are refused with 552.'),
  maxRecipients: z
    .int()
    .min(100)
    .max(50_000)
    .default(1000)
    .describe('Recipients in one transaction; RFC 5321 asks for at least 100. More get 452.'),
  maxHops: z
    .int()
    .min(10)
    .max(1000)
    .default(50)
    .describe('A message with more Received lines than this is taken for a mail loop and refused.'),
  bareNewline: z
    .enum(['refuse', 'normalise'])
    .default('refuse')
    .describe(
      'Lone CR or LF in a message, as SMTP smuggling uses them: refuse the message, or make them CRLF. Where a user has ' +
        'logged in, refuse only refuses a lone LF; a lone CR becomes a space, as some mail programs need it.',
    ),
  unauthorizedPipelining: z
    .enum(['refuse', 'allow'])
    .default('refuse')
    .describe('Clients that send on without waiting where RFC 2920 tells them to wait (HELO, EHLO, DATA).'),
  greetingDelay: duration()
    .prefault('0s')
    .describe('Pause before the greeting on port 25; clients that talk before it are refused. 0s: none.'),
  maxErrors: z
    .int()
    .min(1)
    .default(20)
    .describe(
      'Wrong commands in a row of one session before it is ended; an accepted message forgives them.',
    ),
  maxIdleCommands: z
    .int()
    .min(10)
    .default(100)
    .describe('NOOP, RSET, VRFY and the like without a message between them before the session is ended.'),
  maxRefusedRecipients: z
    .int()
    .min(1)
    .default(100)
    .describe('Refused recipients in a session before it is ended: address harvesting.'),
  maxAuthFailures: z.int().min(1).default(5).describe('Failed logins in one session before it is ended.'),
  maxTransactions: z
    .int()
    .min(1)
    .default(10_000)
    .describe('Messages in one session; the client may connect again for more.'),
  timeouts: z
    .strictObject({
      command: duration()
        .prefault('5m')
        .describe('Wait for a complete command; RFC 5321 4.5.3.2.7 asks for 5m.'),
      data: duration()
        .prefault('3m')
        .describe('Wait for the next part of a message; RFC 5321 4.5.3.2.5 gives 3m.'),
      message: duration().prefault('2h').describe('A whole message, from DATA to its last line.'),
      tls: duration().prefault('30s').describe('The TLS handshake after STARTTLS.'),
    })
    .prefault({}),
  minDataRate: size()
    .prefault('64B')
    .describe('Octets a second, on average after the first minute, below which a sender is cut off.'),
  authOnPort25: z
    .boolean()
    .default(false)
    .describe('Offer AUTH to clients of the smtp listeners as well, under the same rules as on submission.'),
  hideClient: z
    .boolean()
    .default(true)
    .describe('Leave the address of submitting users out of the Received line.'),
});
