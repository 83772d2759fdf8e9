import { pieceSize } from '../../lib/pieces.ts';
import type { Reply } from '../../mail/reply.ts';
import type { Receipt, RecipientScripts } from '../recipient-scripts.ts';
import type { SieveCalls } from './calls.ts';
import { scriptEnvelope } from './envelope.ts';
import { DUPLICATE } from './host.ts';
import { rejectReply } from './reject.ts';

/**
 * Refusals while the message is being handed over (RFC 5429 2.1): the scripts run once before it is taken, and again at its
 * delivery if it is. Only what a script does with a message that it refuses and nothing else can be said in a reply.
 * @param delimiter between user and detail of an address
 */
export function recipientScripts(
  sieve: Pick<SieveCalls, 'mayRefuse' | 'decide' | 'remember'>,
  delimiter: string,
): RecipientScripts {
  return {
    mayRefuse: (account) => sieve.mayRefuse(account).catch(() => false),

    async refusal({ account, message, recipient, content }: Receipt): Promise<Reply | undefined> {
      try {
        const { actions, problem, seen } = await sieve.decide({
          account,
          envelope: scriptEnvelope(message, recipient, account, delimiter),
          content,
          size: content.reduce((sum, piece) => sum + pieceSize(piece), 0),
          environment: {},
          mode: 'receipt',
        });
        const refused = actions?.find((action) => action.type === 'reject');
        const isAll = actions?.every(({ type }) => type === 'reject' || type === 'discard');
        if (problem || !refused || !isAll) return undefined;
        for (const { key, expires } of seen) await sieve.remember(account, DUPLICATE, key, '', expires);
        return rejectReply(refused.reason, message.smtputf8);
      } catch {
        // Whatever it was, delivery meets it again and has better means.
        return undefined;
      }
    },
  };
}
