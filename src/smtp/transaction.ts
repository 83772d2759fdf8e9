import { checkRoom } from '../checks/quota.ts';
import { recipientDestinations } from '../checks/recipient.ts';
import { checkAuthors, checkReversePath } from '../checks/sender.ts';
import { type Address, formatAddress, parseDomain, type ReversePath } from '../mail/address.ts';
import { formatReply, type Reply, SmtpError } from '../mail/reply.ts';
import { deliveredToField, receivedField, returnPathField } from '../mail/trace.ts';
import type { NewMessage } from '../queue/queue.ts';
import { authors } from './authors.ts';
import { type Client, mayRelay, type SmtpRoom } from './client.ts';
import { countReceived, deliveredTo } from './header.ts';
import { asRefusal, Incoming } from './incoming.ts';
import type { BareNewline } from './line-ends.ts';
import { type MailParameters, parseMailParameters, parseRcptParameters } from './parameters.ts';
import { parseForwardPath, parseReversePath, splitArguments } from './path.ts';
import { type AcceptedRecipient, type FinalRecipient, finalOf, finalRecipients } from './recipients.ts';
import { completeHeader } from './submitted-header.ts';

interface Message {
  readonly incoming: Incoming;
  readonly envelope: NewMessage;
  /** Recipients whose scripts may yet refuse it, before we answer. */
  readonly mayRefuse: Promise<readonly FinalRecipient[]>;
}

/**
 * One mail transaction (RFC 5321 3.3): MAIL, RCPTs, then the message by DATA or in chunks (RFC 3030). Ends with
 * the message durable in the queue and a 250, or with nothing of it left.
 */
export class Transaction {
  readonly #room: SmtpRoom;
  readonly #client: Client;
  readonly #from: ReversePath;
  readonly #parameters: MailParameters;
  readonly #recipients: AcceptedRecipient[] = [];
  #refusedRecipients = 0;
  #message: Message | undefined;

  private constructor(room: SmtpRoom, client: Client, from: ReversePath, parameters: MailParameters) {
    this.#room = room;
    this.#client = client;
    this.#from = from;
    this.#parameters = parameters;
  }

  /** MAIL (RFC 5321 4.1.1.2). @throws SmtpError */
  static begin(text: string, room: SmtpRoom, client: Client): Transaction | Promise<Transaction> {
    const { path, parameters: items } = splitArguments(text, 'FROM');
    const parameters = parseMailParameters(items, { requireTls: client.tls !== null });
    const from = parseReversePath(path, parameters.smtputf8 ? 'utf-8' : 'ascii');
    if (parameters.size !== undefined && parameters.size > room.settings.maxMessageSize)
      throw new SmtpError(552, '5.3.4', `Message too big: at most ${room.settings.maxMessageSize} octets`);
    const transaction = new Transaction(room, client, from, parameters);
    if (client.account === null) return transaction;
    return checkReversePath(room.directory, client.account, from).then(() => transaction);
  }

  get from(): ReversePath {
    return this.#from;
  }

  /** Whether chunks of the message have come: nothing but more chunks may follow (RFC 3030 2). */
  get inChunks(): boolean {
    return this.#message !== undefined;
  }

  /** RCPT (RFC 5321 4.1.1.3). @throws SmtpError */
  async recipient(text: string): Promise<void> {
    const { path, parameters: items } = splitArguments(text, 'TO');
    const parameters = parseRcptParameters(items);
    const written = parseForwardPath(path, this.#parameters.smtputf8 ? 'utf-8' : 'ascii');
    if (this.#recipients.length >= this.#room.settings.maxRecipients)
      throw new SmtpError(452, '4.5.3', 'Too many recipients');
    try {
      const relay = mayRelay(this.#room, this.#client) ? 'yes' : 'no';
      const destinations = await recipientDestinations(this.#room.directory, written, { relay });
      await checkRoom(this.#room.quota, destinations, this.#parameters.size ?? 0);
      const original = written === 'postmaster' ? this.#postmaster() : written;
      this.#recipients.push({ original, destinations, parameters });
    } catch (error) {
      this.#refusedRecipients++;
      throw error;
    }
  }

  /** DATA (RFC 5321 4.1.1.4): from now on content may come. @throws SmtpError instead of 354 */
  beginData(): void {
    if (this.#message) throw new SmtpError(503, '5.5.1', 'DATA after BDAT');
    // The dot and the line ends of DATA would damage it (RFC 3030 3).
    if (this.#parameters.body === 'binarymime') throw new SmtpError(503, '5.5.1', 'BINARYMIME needs BDAT');
    this.#begin();
  }

  /** BDAT (RFC 3030 2): a chunk may come. @throws SmtpError; the chunk comes all the same */
  beginChunk(): void {
    if (!this.#message) this.#begin();
  }

  /** Resolves when there is room for more. */
  content(chunk: Buffer): Promise<void> | undefined {
    return this.#message?.incoming.take(chunk);
  }

  /** What has gone wrong with the message so far. */
  get refusal(): SmtpError | undefined {
    return this.#message?.incoming.refusal;
  }

  get overrun(): boolean {
    return this.#message?.incoming.overrun ?? false;
  }

  /** Octets of content so far. */
  get size(): number {
    return this.#message?.incoming.size ?? 0;
  }

  /**
   * The end of the message: 250 only when it is durable.
   * @returns one reply, or in LMTP one for each accepted RCPT, in their order (RFC 2033 4.2).
   */
  async commit(): Promise<readonly Reply[]> {
    const message = this.#message;
    if (!message) return [{ code: 503, enhanced: '5.5.1', text: 'No message' }];
    this.#message = undefined;
    const refused = await this.#refusals(message);
    const { envelope } = message;
    const left = envelope.recipients.filter((recipient) => !refused.has(recipient));
    const reply =
      left.length === 0
        ? this.#refuse(message.incoming, [...refused.values()])
        : await this.#commit(message.incoming, { ...envelope, recipients: left });
    if (this.#room.service !== 'lmtp') return [reply];
    return this.#recipients.map(
      (accepted) => refused.get(finalOf(accepted, envelope.recipients)[0] as FinalRecipient) ?? reply,
    );
  }

  /** Nothing more of it is wanted; safe at any time. */
  abort(): void {
    this.#message?.incoming.abort();
    this.#message = undefined;
  }

  #begin(): void {
    if (this.#recipients.length === 0)
      throw this.#refusedRecipients > 0
        ? new SmtpError(554, '5.5.1', 'No valid recipients')
        : new SmtpError(503, '5.5.1', 'RCPT first');
    const { settings, queue } = this.#room;
    const recipients = finalRecipients(this.#recipients);
    const [only] = recipients.length === 1 ? recipients : [];
    const mailbox = only?.account ?? null;
    const finalTrace = mailbox === null ? '' : `${returnPathField(this.#from)}${deliveredToField(mailbox)}`;
    try {
      const draft = queue.draft();
      const incoming = new Incoming(draft, {
        maxSize: settings.maxMessageSize,
        bareNewline: this.#bareNewline(),
        trace: finalTrace + this.#received(draft.id),
        header: (section, extent) => this.#judgeHeader(section, extent, draft.id, mailbox),
      });
      const envelope = this.#envelope(recipients, Buffer.byteLength(finalTrace));
      this.#message = { incoming, envelope, mayRefuse: this.#mayRefuse(recipients) };
    } catch (error) {
      throw asRefusal(error);
    }
  }

  #bareNewline(): BareNewline {
    if (this.#parameters.body === 'binarymime') return 'binary';
    const { bareNewline } = this.#room.settings;
    // RFC 6409 8: a submission server may mend what a user's mail program gets wrong.
    return bareNewline === 'refuse' && this.#client.account !== null ? 'refuse-lf' : bareNewline;
  }

  async #commit(incoming: Incoming, envelope: NewMessage): Promise<Reply> {
    const { log } = this.#room;
    const { sid, peer, account, tls, helo } = this.#client;
    const fields = { sid, qid: incoming.id, ip: peer.ip, helo, from: this.#fromText(), size: incoming.size };
    try {
      await incoming.commit(envelope);
      log.info(
        {
          ...fields,
          to: envelope.recipients.length,
          ...(account === null ? {} : { account }),
          tls: tls?.version ?? null,
        },
        'accepted',
      );
      return { code: 250, enhanced: '2.0.0', text: `OK: queued as ${incoming.id}` };
    } catch (error) {
      const { reply, cause } = asRefusal(error);
      if (cause === undefined) log.info({ ...fields, reply: formatReply(reply) }, 'message refused');
      else log.error({ ...fields, reply: formatReply(reply), err: cause }, 'message not accepted');
      return reply;
    }
  }

  /**
   * Whose scripts are asked: one recipient's, or in LMTP each one's, since there each has a reply of its own. What an alias
   * leads to beside others is asked at delivery only.
   */
  async #mayRefuse(recipients: readonly FinalRecipient[]): Promise<readonly FinalRecipient[]> {
    const { service, scripts } = this.#room;
    if (service !== 'lmtp' && recipients.length > 1) return [];
    // A user's mail program has no use for it: it would keep the message and say that sending has failed.
    if (service === 'submission' || this.#client.account !== null) return [];
    const reached = this.#recipients.map((accepted) => finalOf(accepted, recipients));
    const asked = recipients.filter((recipient) =>
      reached.every((final) => final.length === 1 || !final.includes(recipient)),
    );
    const answers = await Promise.all(
      asked.map(({ account }) => account !== null && scripts.mayRefuse(account)),
    );
    return asked.filter((_, i) => answers[i]);
  }

  async #refusals({ incoming, envelope, mayRefuse }: Message): Promise<ReadonlyMap<FinalRecipient, Reply>> {
    const refused = new Map<FinalRecipient, Reply>();
    for (const recipient of await mayRefuse) {
      const { account } = recipient;
      if (incoming.refusal || account === null) break;
      const content = await incoming.pieces();
      if (content === undefined) break;
      const trace = `${returnPathField(this.#from)}${deliveredToField(account)}`;
      const reply = await this.#room.scripts.refusal({
        account,
        message: envelope,
        recipient,
        content: envelope.finalTrace === 0 ? [Buffer.from(trace), ...content] : content,
      });
      if (reply) refused.set(recipient, reply);
    }
    return refused;
  }

  /** All recipients have: the first one's words are the answer. */
  #refuse(incoming: Incoming, [reply]: readonly Reply[]): Reply {
    const refusal = reply ?? { code: 550, enhanced: '5.7.1', text: 'Refused' };
    incoming.abort();
    const { sid, peer, helo } = this.#client;
    const fields = { sid, qid: incoming.id, ip: peer.ip, helo, from: this.#fromText(), size: incoming.size };
    this.#room.log.info({ ...fields, reply: formatReply(refusal) }, 'message refused');
    return refusal;
  }

  #envelope(recipients: NewMessage['recipients'], finalTrace: number): NewMessage {
    const { body, smtputf8, requireTls, ret, envid } = this.#parameters;
    return {
      from: this.#from,
      body,
      smtputf8,
      requireTls,
      ...(ret === undefined ? {} : { ret }),
      ...(envid === undefined ? {} : { envid }),
      source: this.#room.service,
      account: this.#client.account,
      finalTrace,
      recipients,
    };
  }

  #received(id: string): string {
    const room = this.#room;
    const client = this.#client;
    const [first] = this.#recipients;
    const hidden = room.settings.hideClient && client.account !== null;
    return receivedField({
      from: hidden ? null : { helo: client.helo ?? '', ip: client.peer.ip },
      by: room.hostname,
      protocol: {
        base: client.greeting === 'HELO' ? 'SMTP' : client.greeting === 'LHLO' ? 'LMTP' : 'ESMTP',
        tls: client.tls !== null,
        authenticated: client.account !== null,
        smtputf8: this.#parameters.smtputf8,
      },
      tls: client.tls,
      id,
      for: first && this.#recipients.length === 1 ? first.original : null,
      at: room.clock.now(),
    });
  }

  /** Loops, and on submission what makes a message complete. @param mailbox the only recipient's, when it is here */
  #judgeHeader(
    section: Buffer,
    extent: 'whole' | 'beginning',
    id: string,
    mailbox: string | null,
  ): Buffer | Promise<Buffer> {
    const header = section.toString('latin1');
    if (countReceived(header) > this.#room.settings.maxHops)
      throw new SmtpError(554, '5.4.6', 'Too many hops: mail loop');
    // With more recipients than one, delivery looks at each of them.
    if (mailbox !== null && deliveredTo(header).includes(mailbox.toLowerCase()))
      throw new SmtpError(554, '5.4.6', 'Mail loop: the message has been delivered here before');
    const { account } = this.#client;
    if (this.#room.service !== 'submission' && account === null) return section;
    // A Bcc in the part not looked at would go out.
    if (extent === 'beginning') throw new SmtpError(552, '5.3.4', 'Header too big');
    return this.#complete(header, id);
  }

  #complete(header: string, id: string): Buffer | Promise<Buffer> {
    const { hostname, clock, directory } = this.#room;
    const { account } = this.#client;
    const done = completeHeader(header, { id, hostname, from: this.#from, at: clock.now() });
    const separator = done.body === '' ? '' : '\r\n';
    const bytes = Buffer.from(`${done.header}${separator}${done.body}`, 'latin1');
    if (account === null || done.from.length === 0) return bytes;
    return checkAuthors(directory, account, authors(done.from) ?? []).then(() => bytes);
  }

  #postmaster(): Address {
    const domain = parseDomain(this.#room.hostname);
    if (!domain) throw new SmtpError(451, '4.3.0', 'Internal error, try again later');
    return { local: 'postmaster', domain };
  }

  #fromText(): string {
    return this.#from === null ? '<>' : formatAddress(this.#from);
  }
}
