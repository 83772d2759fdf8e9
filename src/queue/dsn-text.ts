import { formatAddress, sameAddress } from '../mail/address.ts';
import { status } from './dsn-status.ts';
import type { QueuedMessage } from './queue.ts';
import type { DsnEvent, DsnRecipient, DsnTerms } from './report.ts';

/** The part for people: who, what happened, what to do. */

const WIDTH = 76;
/** Of a peer's reply, however long it is. */
const REPLY_LIMIT = 1000;

const HINTS: readonly (readonly [RegExp, string])[] = [
  [
    /^5\.1\.[136]$/,
    'There is no such address there. Look for a slip in the spelling, and ask the recipient by another way for the right address.',
  ],
  [
    /^5\.1\.(2|10)$|^5\.4\.4$/,
    'The domain behind the @ does not exist or takes no mail. Look for a slip in its spelling.',
  ],
  [
    /^5\.1\.[78]$|^5\.7\.(2[0-9]|1)$/,
    'They do not accept mail from your address. If that is wrong, only they can change it: ask the recipient by another way, or their postmaster.',
  ],
  [/^5\.2\.1$/, 'The mailbox is closed or does not take mail now. Ask the recipient by another way.'],
  [/^[45]\.2\.2$/, 'The mailbox is full. The recipient has to make room before it can take mail again.'],
  [/^5\.(2\.3|3\.4)$/, 'The message is too big for them. Send it without its attachments, or in parts.'],
  [
    /^5\.4\.6$/,
    'The message went round in a circle between mail systems: a forwarding there points back. Tell the recipient.',
  ],
  [
    /^5\.7\.(10|30)$/,
    'The message may only travel encrypted, and that was not possible with their mail system.',
  ],
  [
    /^5\.7\./,
    'Their mail system refused it as a matter of policy; the answer above says why. Their postmaster can help, yours can if it names your mail system.',
  ],
  [/^5\.6\./, 'Their mail system cannot deal with the form of the message. Send it again as plain text.'],
  [
    /^4\.4\./,
    'Their mail system could not be reached. This is mostly a fault there, or of the network, and passes.',
  ],
  [/^4\.7\./, 'Their mail system asked us to come back later, as many do with senders they do not know yet.'],
  [/^4\./, 'Their mail system had a problem that should pass.'],
];

export function subject(event: DsnEvent, recipients: readonly DsnRecipient[]): string {
  const [first] = recipients;
  switch (event) {
    case 'failure':
      return 'Undelivered mail returned to sender';
    case 'delay':
      return 'Delayed mail, still being tried';
    case 'success':
      return first?.action === 'delivered' ? 'Your mail was delivered' : 'Your mail was passed on';
  }
}

export function explanation(
  message: QueuedMessage,
  event: DsnEvent,
  recipients: readonly DsnRecipient[],
  terms: DsnTerms,
): string {
  const paragraphs = [
    wrap(`This is the mail system at ${terms.hostname}.`),
    wrap(opening(event, recipients, message, terms)),
    ...recipients.map(about),
    ...closing(event, terms, message),
  ];
  return `${paragraphs.join('\r\n\r\n')}\r\n`;
}

function opening(
  event: DsnEvent,
  recipients: readonly DsnRecipient[],
  message: QueuedMessage,
  terms: DsnTerms,
): string {
  const whom = recipients.length === 1 ? 'this recipient' : `these ${recipients.length} recipients`;
  switch (event) {
    case 'failure': {
      const tried = recipients.every(({ action }) => action === 'expired')
        ? ` We tried for ${span(terms.now - message.queuedAt)} and give up now.`
        : '';
      return `Your message could not be delivered to ${whom}.${tried} Other recipients, if there are any, are not concerned.`;
    }
    case 'delay': {
      const left = message.queuedAt + terms.expire - terms.now;
      return `Your message has not been delivered to ${whom} yet, after ${span(terms.now - message.queuedAt)}. You need not send it again: we keep trying for another ${span(left)} and tell you if we give up.`;
    }
    case 'success':
      return `You asked to be told: your message was ${done(recipients)}.`;
  }
}

function done(recipients: readonly DsnRecipient[]): string {
  if (recipients.every(({ action }) => action === 'delivered')) return 'delivered';
  return 'delivered, or passed on to a mail system that sends no such reports';
}

function about({ recipient, action, reply, remoteMta }: DsnRecipient): string {
  const { address, original } = recipient;
  const via = sameAddress(address, original) ? '' : ` (by way of ${formatAddress(original)})`;
  const speaker = remoteMta === undefined ? 'Our mail system says:' : `${remoteMta} answered:`;
  const answer = `${reply.code} ${reply.enhanced ?? ''} ${reply.text}`.slice(0, REPLY_LIMIT);
  const lines = [
    `<${formatAddress(address)}>${via}`,
    ...lead(action),
    `    ${speaker}`,
    wrap(answer, '      '),
  ];
  const hint = hintFor(action, reply.enhanced === undefined ? '' : status(action, reply));
  if (hint !== undefined) lines.push(wrap(hint, '    '));
  return lines.join('\r\n');
}

function lead(action: DsnRecipient['action']): readonly string[] {
  switch (action) {
    case 'failed':
    case 'delayed':
    case 'delivered':
      return [];
    case 'expired':
      return ['    The last of our attempts ended like this.'];
    case 'relayed':
      return ['    Passed on to a mail system that does not report further.'];
    case 'expanded':
      return ['    Passed on to several recipients behind this address.'];
  }
}

function hintFor(action: DsnRecipient['action'], code: string): string | undefined {
  if (action === 'delivered' || action === 'relayed' || action === 'expanded') return undefined;
  return HINTS.find(([pattern]) => pattern.test(code))?.[1];
}

function closing(event: DsnEvent, { hostname }: DsnTerms, message: QueuedMessage): readonly string[] {
  if (event === 'success') return [];
  return [
    wrap(
      `If you need help, write to postmaster@${hostname} and send this report along, or its number: ${message.id}.`,
    ),
  ];
}

function span(ms: number): string {
  const minutes = Math.max(1, Math.round(ms / 60_000));
  if (minutes < 90) return minutes === 1 ? 'a minute' : `${minutes} minutes`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours} hours` : `${Math.round(hours / 24)} days`;
}

/** Lines of at most WIDTH characters, broken at blanks; whatever could forge a line of ours is a blank. */
function wrap(text: string, indent = ''): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out.
  const words = text.split(/[\s\x00-\x1f\x7f\u0080-\u009f]+/u).filter((word) => word !== '');
  const lines: string[] = [];
  let line = indent;
  for (const word of words) {
    if (line.length + word.length > WIDTH && line !== indent) {
      lines.push(line.trimEnd());
      line = indent;
    }
    line += `${word} `;
  }
  return [...lines, line.trimEnd()].join('\r\n');
}
