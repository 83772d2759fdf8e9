import { isUtf8 } from 'node:buffer';
import { formatReply, type Reply, SmtpError } from '../mail/reply.ts';
import type { Peer, TlsState } from '../net/connection.ts';
import { type Client, mayRelay, offersAuth, plaintextAllowed, type SmtpRoom } from './client.ts';
import { CountFraming, DotFraming, type Framing } from './framing.ts';
import { asRefusal } from './incoming.ts';
import { Login, type LoginStep } from './login.ts';
import { Transaction } from './transaction.ts';

/**
 * What one client and we say to each other (RFC 5321 4): commands in, replies out, in order. Knows nothing of
 * sockets. A wrong command costs the client a point, not the session; too many points end it.
 */
export interface Wire {
  /** Replies are sent together, when the client's input is done. */
  reply(reply: Reply): void;
  /** Content comes next. */
  expect(framing: Framing): void;
  /** Whether the client has sent on behind the present command. */
  readonly more: boolean;
  /** Sends what waits, then makes the TLS handshake; secured() follows. */
  startTls(): void;
  /** Sends what waits, then closes; a client that is still sending gets the time to read it. */
  close(): void;
  /** The same for a client that has said QUIT, and so has nothing more to say. */
  quit(): void;
}

type Work = Promise<void> | undefined;

/** RFC 5321 4.5.3.1.4 asks for 512 octets; the parameters of RFC 1870, 3461, 4954 and 6531 come on top. */
const MAX_COMMAND_LINE = 4096;
/** RFC 4954 4. */
const MAX_AUTH_LINE = 12_288;
/** RFC 5321 4.5.3.1.2 gives a domain 255 octets. */
const MAX_HELO = 255;
/** Recipients beyond `maxRecipients` that are answered 452, in one session; more than that is a flood. */
const MAX_TOO_MANY = 10_000;

/** What web browsers are made to say to port 25. */
const HTTP_VERBS: ReadonlySet<string> = new Set(['GET', 'POST', 'PUT', 'HEAD', 'OPTIONS', 'CONNECT']);
/** Of RFC 821 and RFC 1985, not offered. */
const NOT_IMPLEMENTED: ReadonlySet<string> = new Set(['ETRN', 'TURN', 'ATRN', 'SEND', 'SOML', 'SAML']);

/** Stands for a line that is no text: no base64 either. */
const NOT_TEXT = '?';
/** A chunk that is not wanted is read to its end, unless it is bigger than any message we might take by this much. */
const MAX_UNWANTED_CHUNK = 256 * 1024 * 1024;

export class Session {
  readonly #room: SmtpRoom;
  readonly #wire: Wire;
  readonly #client: Client;
  #transaction: Transaction | undefined;
  #login: Login | undefined;
  /** What the content that comes now belongs to. */
  #content: 'data' | 'chunk' | 'last-chunk' | 'discard' | undefined;
  /** The reply to a chunk that is not wanted. */
  #discardReply: Reply | undefined;
  #errors = 0;
  #idleCommands = 0;
  #refusedRecipients = 0;
  #tooMany = 0;
  #authFailures = 0;
  #transactions = 0;
  #stopping = false;

  constructor(room: SmtpRoom, wire: Wire, sid: string, peer: Peer, tls: TlsState | null) {
    this.#room = room;
    this.#wire = wire;
    this.#client = { sid, peer, tls, helo: null, greeting: 'HELO', account: null };
  }

  /** A transaction or a login is under way: stopping waits for it. */
  get underWay(): boolean {
    return this.#transaction !== undefined || this.#login !== undefined;
  }

  greet(): void {
    const protocol = this.#room.service === 'lmtp' ? 'LMTP' : 'ESMTP';
    this.#wire.reply({ code: 220, text: `${this.#room.hostname} ${protocol} Facteur` });
  }

  lineLimit(start: Buffer): number {
    const auth = this.#login !== undefined || /^auth\b/i.test(start.toString('latin1', 0, 5));
    return auth ? MAX_AUTH_LINE : MAX_COMMAND_LINE;
  }

  line(line: Buffer): Work {
    const text = decode(line);
    if (this.#login) return this.#respond(this.#login, text ?? NOT_TEXT);
    if (text === undefined) return this.#wrong(500, '5.5.2', 'Command with forbidden characters');
    const end = text.search(/[ \t]/);
    const verb = (end < 0 ? text : text.slice(0, end)).toUpperCase();
    try {
      return this.#command(verb, end < 0 ? '' : text.slice(end).trim());
    } catch (error) {
      return this.#failed(error);
    }
  }

  badLine(fault: 'too-long' | 'bare-lf'): Work {
    const text = fault === 'too-long' ? 'Line too long' : 'Lines must end with CRLF';
    // A response that is too long has a code of its own (RFC 4954 4), and ends the dialogue.
    const enhanced = this.#login && fault === 'too-long' ? '5.5.6' : '5.5.2';
    this.#login = undefined;
    return this.#wrong(500, enhanced, text);
  }

  content(chunk: Buffer): Work {
    const transaction = this.#transaction;
    if (this.#content === 'discard' || !transaction) return undefined;
    const written = transaction.content(chunk);
    if (transaction.overrun) {
      const reply = transaction.refusal?.reply;
      this.reset();
      if (reply) this.#wire.reply(reply);
      this.#wire.close();
      return undefined;
    }
    return written;
  }

  contentEnd(): Work {
    const content = this.#content;
    this.#content = undefined;
    switch (content) {
      case 'data':
      case 'last-chunk':
        return this.#commit();
      case 'chunk':
        return this.#endChunk();
      case 'discard':
        if (this.#discardReply) this.#wire.reply(this.#discardReply);
        this.#discardReply = undefined;
        return undefined;
      case undefined:
        return undefined;
    }
  }

  /** After the TLS handshake all that was said before is forgotten (RFC 3207 4.2). */
  secured(tls: TlsState): void {
    this.reset();
    this.#client.tls = tls;
    this.#client.helo = null;
    this.#client.greeting = 'HELO';
    this.#client.account = null;
  }

  /** The server stops: what is under way may end, then we part. */
  stop(): void {
    this.#stopping = true;
    if (!this.underWay) this.#partWhenStopping();
  }

  /** Nobody is there any more. Safe at any time. */
  gone(): void {
    const { sid, peer } = this.#client;
    const size = this.#transaction?.size ?? 0;
    if (this.#content !== undefined)
      this.#room.log.info({ sid, ip: peer.ip, size }, 'connection lost within a message');
    this.reset();
  }

  reset(): void {
    this.#transaction?.abort();
    this.#transaction = undefined;
    this.#login = undefined;
    this.#content = undefined;
  }

  #command(verb: string, text: string): Work {
    switch (verb) {
      case 'EHLO':
      case 'HELO':
      case 'LHLO':
        return this.#helo(verb, text);
      case 'MAIL':
        return this.#mail(text);
      case 'RCPT':
        return this.#rcpt(text);
      case 'DATA':
        return this.#data(text);
      case 'BDAT':
        return this.#bdat(text);
      case 'RSET':
        noArgument(verb, text);
        this.#transaction?.abort();
        this.#transaction = undefined;
        return this.#idle({ code: 250, enhanced: '2.0.0', text: 'OK' });
      case 'NOOP':
        return this.#idle({ code: 250, enhanced: '2.0.0', text: 'OK' });
      case 'HELP':
        return this.#idle({ code: 214, enhanced: '2.0.0', text: 'RFC 5321 says it all' });
      case 'VRFY':
      case 'EXPN':
        // Tells nobody who exists (RFC 5321 3.5.3, 7.3).
        if (text === '') throw new SmtpError(501, '5.5.4', `Syntax: ${verb} address`);
        return this.#idle({ code: 252, enhanced: '2.1.5', text: 'Send some mail, and see' });
      case 'STARTTLS':
        return this.#startTls(text);
      case 'AUTH':
        return this.#auth(text);
      case 'QUIT':
        noArgument(verb, text);
        this.reset();
        this.#wire.reply({ code: 221, enhanced: '2.0.0', text: 'Bye' });
        this.#wire.quit();
        return undefined;
      default:
        return this.#unknown(verb);
    }
  }

  #unknown(verb: string): Work {
    if (HTTP_VERBS.has(verb)) {
      this.#part({ code: 421, enhanced: '4.7.0', text: 'This is not the web' });
      return undefined;
    }
    if (NOT_IMPLEMENTED.has(verb)) throw new SmtpError(502, '5.5.1', 'Command not implemented');
    throw new SmtpError(500, '5.5.2', 'Command not recognized');
  }

  /** RFC 5321 4.1.1.1; as tolerant as 2.3.5 and 4.1.4 want it: a strange name is no reason to refuse. */
  #helo(verb: 'EHLO' | 'HELO' | 'LHLO', text: string): Work {
    if ((verb === 'LHLO') !== (this.#room.service === 'lmtp'))
      throw new SmtpError(500, '5.5.1', verb === 'LHLO' ? 'This is not LMTP' : 'This is LMTP: LHLO');
    const [name] = text.split(/[ \t]/);
    if (!name || name.length > MAX_HELO) throw new SmtpError(501, '5.5.4', `Syntax: ${verb} hostname`);
    if (this.#jumpedAhead()) return undefined;
    this.#transaction?.abort();
    this.#transaction = undefined;
    this.#client.helo = name;
    this.#client.greeting = verb;
    const lines = verb === 'HELO' ? [] : this.#extensions();
    this.#wire.reply({ code: 250, text: [this.#room.hostname, ...lines].join('\n') });
    return undefined;
  }

  #extensions(): string[] {
    const { settings, sasl } = this.#room;
    const tls = this.#client.tls !== null;
    const mechanisms = offersAuth(this.#room)
      ? sasl
          .mechanisms(plaintextAllowed(this.#room, this.#client), this.#client.tls, 'smtp')
          .map(({ name }) => name)
      : [];
    return [
      'PIPELINING',
      `SIZE ${settings.maxMessageSize}`,
      ...(tls ? [] : ['STARTTLS']),
      ...(mechanisms.length > 0 && this.#client.account === null ? [`AUTH ${mechanisms.join(' ')}`] : []),
      '8BITMIME',
      'BINARYMIME',
      'CHUNKING',
      'ENHANCEDSTATUSCODES',
      'DSN',
      'SMTPUTF8',
      // Only where the message came by TLS itself (RFC 8689 3).
      ...(tls ? ['REQUIRETLS'] : []),
      `LIMITS RCPTMAX=${settings.maxRecipients} MAILMAX=${settings.maxTransactions}`,
      'HELP',
    ];
  }

  #mail(text: string): Work {
    this.#needGreeting();
    if (this.#transaction) throw new SmtpError(503, '5.5.1', 'There is a transaction already: RSET first');
    const client = this.#client;
    if (this.#room.service === 'submission' && !mayRelay(this.#room, client))
      throw new SmtpError(530, '5.7.0', 'Authentication required');
    if (++this.#transactions > this.#room.settings.maxTransactions) {
      this.#part({ code: 421, enhanced: '4.7.0', text: 'Enough messages in one session' });
      return undefined;
    }
    const begun = Transaction.begin(text, this.#room, client);
    if (begun instanceof Promise) return this.#settle(begun.then((transaction) => this.#begin(transaction)));
    this.#begin(begun);
    return undefined;
  }

  #begin(transaction: Transaction): void {
    this.#transaction = transaction;
    this.#wire.reply({ code: 250, enhanced: '2.1.0', text: 'Sender OK' });
  }

  async #rcpt(text: string): Promise<void> {
    const transaction = this.#transaction;
    try {
      if (!transaction) throw new SmtpError(503, '5.5.1', 'MAIL first');
      if (transaction.inChunks) throw new SmtpError(503, '5.5.1', 'RCPT after BDAT');
      await transaction.recipient(text);
      this.#wire.reply({ code: 250, enhanced: '2.1.5', text: 'Recipient OK' });
    } catch (error) {
      this.#refuseRecipient(text, error);
    }
  }

  #refuseRecipient(text: string, error: unknown): void {
    const { reply, cause } = asRefusal(error);
    const { sid, peer, helo } = this.#client;
    const fields = { sid, ip: peer.ip, helo, to: printable(text), reply: formatReply(reply) };
    if (cause === undefined) this.#room.log.info(fields, 'recipient refused');
    else this.#room.log.error({ ...fields, err: cause }, 'recipient not accepted');
    // A wrong command, not a wrong recipient.
    if (reply.code === 501 || reply.code === 503 || reply.code === 555) this.#wrongReply(reply);
    else {
      this.#wire.reply(reply);
      // A client with many recipients may ask for each of them once and send the rest in its next transaction
      // (RFC 5321 4.5.3.1.10); one that goes on beyond that is no mail client.
      if (reply.enhanced === '4.5.3' && ++this.#tooMany > MAX_TOO_MANY)
        this.#part({ code: 421, enhanced: '4.7.0', text: 'Too many recipients, far too many' });
      if (reply.code >= 500 && ++this.#refusedRecipients >= this.#room.settings.maxRefusedRecipients)
        this.#part({ code: 421, enhanced: '4.7.0', text: 'Too many refused recipients' });
    }
  }

  #data(text: string): Work {
    noArgument('DATA', text);
    if (!this.#transaction) throw new SmtpError(503, '5.5.1', 'MAIL first');
    if (this.#jumpedAhead()) return undefined;
    this.#transaction.beginData();
    this.#content = 'data';
    this.#wire.expect(new DotFraming());
    this.#wire.reply({ code: 354, text: 'Go ahead, end with a line of a single dot' });
    return undefined;
  }

  /** The chunk follows without being asked for: whatever the answer is, it has to be read (RFC 3030 2). */
  #bdat(text: string): Work {
    const match = /^(\d{1,15})(?:[ \t]+(last))?$/i.exec(text);
    if (!match) {
      // How much follows is not known, so that nothing after it can be told from commands.
      this.#part({ code: 501, enhanced: '5.5.4', text: 'Syntax: BDAT size [LAST]' });
      return undefined;
    }
    const size = Number(match[1]);
    this.#wire.expect(new CountFraming(size));
    try {
      this.#needGreeting();
      if (!this.#transaction) throw new SmtpError(503, '5.5.1', 'MAIL first');
      this.#transaction.beginChunk();
      if (this.#transaction.size + size > this.#room.settings.maxMessageSize)
        throw new SmtpError(552, '5.3.4', 'Message too big');
      this.#content = match[2] === undefined ? 'chunk' : 'last-chunk';
    } catch (error) {
      // A refused chunk ends the transaction.
      if (this.#transaction?.inChunks) this.reset();
      const { reply } = asRefusal(error);
      if (size > this.#room.settings.maxMessageSize + MAX_UNWANTED_CHUNK) {
        this.#part(reply);
        return undefined;
      }
      this.#content = 'discard';
      this.#discardReply = reply;
    }
    return undefined;
  }

  #endChunk(): Work {
    const refusal = this.#transaction?.refusal;
    if (refusal) {
      this.reset();
      this.#wire.reply(refusal.reply);
    } else this.#wire.reply({ code: 250, enhanced: '2.0.0', text: 'Chunk OK' });
    return undefined;
  }

  async #commit(): Promise<void> {
    const transaction = this.#transaction;
    if (!transaction) return;
    const replies = await transaction.commit();
    if (this.#transaction === transaction) this.#transaction = undefined;
    for (const reply of replies) this.#wire.reply(reply);
    if (replies.some(({ code }) => code === 250)) {
      this.#errors = 0;
      this.#idleCommands = 0;
    }
    this.#partWhenStopping();
  }

  #startTls(text: string): Work {
    noArgument('STARTTLS', text);
    if (this.#client.tls) throw new SmtpError(503, '5.5.1', 'TLS is active already');
    if (this.#transaction) throw new SmtpError(503, '5.5.1', 'Not within a transaction');
    this.#wire.reply({ code: 220, enhanced: '2.0.0', text: 'Ready to start TLS' });
    this.#wire.startTls();
    return undefined;
  }

  #auth(text: string): Work {
    if (!offersAuth(this.#room)) throw new SmtpError(503, '5.5.1', 'Authentication is not offered here');
    this.#needGreeting();
    if (this.#client.account !== null) throw new SmtpError(503, '5.5.1', 'Already authenticated');
    if (this.#transaction) throw new SmtpError(503, '5.5.1', 'Not within a transaction');
    const { login, first } = Login.begin(text, this.#room, this.#client);
    this.#login = login;
    return first.then((step) => this.#loginStep(login, step));
  }

  #respond(login: Login, text: string): Work {
    return login.respond(text).then((step) => this.#loginStep(login, step));
  }

  #loginStep(login: Login, step: LoginStep): void {
    // The client has gone, or has been sent away.
    if (this.#login !== login) return;
    const { sid, peer } = this.#client;
    if (step.is !== 'challenge') this.#login = undefined;
    if (step.is === 'done') {
      this.#client.account = step.account.id;
      this.#room.log.debug(
        { sid, ip: peer.ip, account: step.account.id, mechanism: login.mechanism },
        'authenticated',
      );
    }
    if (step.is === 'failed' && step.cause !== undefined)
      this.#room.log.error({ sid, ip: peer.ip, err: step.cause }, 'authentication broke');
    this.#wire.reply(step.reply);
    if (step.is === 'failed' && ++this.#authFailures >= this.#room.settings.maxAuthFailures)
      this.#part({ code: 421, enhanced: '4.7.0', text: 'Too many failed logins' });
    if (step.is !== 'challenge') this.#partWhenStopping();
  }

  /** NOOP and its like: no errors, but nobody needs many of them. */
  #idle(reply: Reply): undefined {
    this.#wire.reply(reply);
    if (++this.#idleCommands > this.#room.settings.maxIdleCommands)
      this.#part({ code: 421, enhanced: '4.7.0', text: 'Too many commands without a message' });
    else this.#partWhenStopping();
  }

  #needGreeting(): void {
    if (this.#client.helo !== null) return;
    throw new SmtpError(503, '5.5.1', this.#room.service === 'lmtp' ? 'LHLO first' : 'EHLO first');
  }

  /**
   * Whether the client has sent on where it must wait for our answer (RFC 2920 3.1): then it is no mail server,
   * or it is being used to smuggle commands.
   */
  #jumpedAhead(): boolean {
    if (!this.#wire.more || this.#room.settings.unauthorizedPipelining === 'allow') return false;
    const { sid, peer, helo } = this.#client;
    this.#room.log.info({ sid, ip: peer.ip, helo }, 'client did not wait for the answer');
    this.#part({ code: 554, enhanced: '5.5.0', text: 'Wait for the answer: improper pipelining' });
    return true;
  }

  async #settle(work: Promise<void>): Promise<void> {
    try {
      await work;
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(error: unknown): undefined {
    const { reply, cause } = asRefusal(error);
    const { sid, peer, helo } = this.#client;
    if (cause !== undefined)
      this.#room.log.error({ sid, ip: peer.ip, err: cause, reply: formatReply(reply) }, 'command failed');
    else if (reply.code === 553 || reply.code === 552)
      this.#room.log.info({ sid, ip: peer.ip, helo, reply: formatReply(reply) }, 'sender refused');
    if (reply.code >= 500) this.#wrongReply(reply);
    else this.#wire.reply(reply);
    return undefined;
  }

  #wrong(code: number, enhanced: `5.${number}.${number}`, text: string): undefined {
    this.#wrongReply({ code, enhanced, text });
  }

  #wrongReply(reply: Reply): void {
    this.#wire.reply(reply);
    if (++this.#errors >= this.#room.settings.maxErrors)
      this.#part({ code: 421, enhanced: '4.7.0', text: 'Too many errors' });
    else this.#partWhenStopping();
  }

  #partWhenStopping(): void {
    if (this.#stopping && !this.underWay)
      this.#part({
        code: 421,
        enhanced: '4.3.2',
        text: `${this.#room.hostname} is stopping, come back later`,
      });
  }

  #part(reply: Reply): void {
    this.reset();
    this.#wire.reply(reply);
    this.#wire.close();
  }
}

function noArgument(verb: string, text: string): void {
  if (text !== '') throw new SmtpError(501, '5.5.4', `Syntax: ${verb}`);
}

/** @returns undefined for what cannot be a command: control characters, or octets that are no UTF-8 (RFC 6531). */
function decode(line: Buffer): string | undefined {
  const text = line.toString('latin1');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for. HTAB counts as a blank.
  if (/[\x00-\x08\x0a-\x1f\x7f]/.test(text)) return undefined;
  if (!/[\x80-\xff]/.test(text)) return text;
  return isUtf8(line) ? line.toString() : undefined;
}

/** What a client wrote, for a log line: bounded. */
function printable(text: string): string {
  return text.slice(0, 320);
}
