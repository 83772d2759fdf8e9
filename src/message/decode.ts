/**
 * A message as people see it: decoded by mailparser, for whoever reads one (reports, tests, later web mail).
 * Bounded; what mailparser will not parse becomes a MessageError. Not for structure or offsets: that is scan.ts.
 */
import { simpleParser } from 'mailparser';
import { MAX_PARTS } from './scan.ts';

export interface DecodedMessage {
  readonly subject: string;
  /** Each as `Name <address>`. */
  readonly from: string;
  readonly to: string;
  readonly text: string;
  /** null when there is no HTML part. */
  readonly html: string | null;
  readonly attachments: readonly DecodedAttachment[];
}

export interface DecodedAttachment {
  /** Empty when it has none. */
  readonly name: string;
  readonly type: string;
  readonly content: Uint8Array;
}

/** Attachments are decoded in memory, twice for a moment; larger messages are read by their offsets. */
export const MAX_DECODED: number = 64 * 1024 * 1024;
/** mailparser counts every header line as 64 octets at least; its own bound is reached by a To field that is real. */
const MAX_HEAD = 8 * 1024 * 1024;

export class MessageError extends Error {
  override readonly name = 'MessageError';
  readonly kind: 'too-big' | 'unreadable';

  constructor(kind: MessageError['kind'], message: string, cause?: unknown) {
    super(message, { cause });
    this.kind = kind;
  }
}

/** Rejects with MessageError, and nothing else. */
export async function decodeMessage(bytes: Uint8Array): Promise<DecodedMessage> {
  if (bytes.length > MAX_DECODED) throw new MessageError('too-big', `message has ${bytes.length} octets`);
  try {
    const mail = await simpleParser(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), {
      // html-to-text takes seconds for megabytes of flat HTML.
      skipHtmlToText: true,
      skipTextToHtml: true,
      keepCidLinks: true,
      keepDeliveryStatus: true,
      checksumAlgo: false,
      maxHeadSize: MAX_HEAD,
      maxChildNodes: MAX_PARTS,
    });
    return {
      subject: mail.subject ?? '',
      from: mail.from?.text ?? '',
      to: [mail.to ?? []]
        .flat()
        .map(({ text }) => text)
        .join(', '),
      text: mail.text ?? '',
      html: mail.html || null,
      attachments: mail.attachments.map(({ filename, contentType, content }) => ({
        name: filename ?? '',
        type: contentType,
        content,
      })),
    };
  } catch (error) {
    throw new MessageError('unreadable', 'message cannot be decoded', error);
  }
}
