import { randomBytes } from 'node:crypto';
import type { Account } from '../directory/directory.ts';
import type { Logger } from '../lib/logger.ts';
import type { LineConnection } from '../net/connection.ts';
import { ConnectionLost, IdleTimeout, LineTooLong } from '../net/errors.ts';
import { HandshakeError } from '../net/handshake.ts';
import type { SaslContext, SaslStep } from '../sasl/sasl.ts';
import { plainRights } from '../store/acl.ts';
import { type MailboxId, type Message, StoreError, type Uid } from '../store/store.ts';
import type {
  Announced,
  Command,
  Feature,
  ImapSession,
  ImapWorld,
  LiteralKind,
  News,
  Ok,
  State,
  Tongue,
} from './command.ts';
import { CommandReader, type Received } from './command-reader.ts';
import { tellFetched } from './commands/fetch.ts';
import { QUOTASET } from './commands/quota.ts';
import { ImapBad, ImapNo, toImapNo, uidRequired } from './errors.ts';
import { flagLines } from './flag-lines.ts';
import { responseIn, textIn } from './languages.ts';
import { LiveTelling } from './live-telling.ts';
import { MailboxScripts } from './mailbox-scripts.ts';
import { maskName } from './maskable.ts';
import { limitCapabilities } from './message-limit.ts';
import type { Notify } from './notify.ts';
import { type CommandSource, LiteralAhead, Parser } from './parser.ts';
import { Output } from './response.ts';
import type { Selected } from './selected.ts';
import { formatSet } from './sequence-set.ts';
import { UserView } from './shared/view.ts';
import type { Spool } from './spool.ts';

/**
 * One connection from greeting to BYE: reads a command, runs it, tells what changed, answers; then the next one, so that
 * pipelined commands run in their order (RFC 9051 5.5). All refusals are caught here and nowhere else.
 */

/** A peer that is being thrown out gets this long to take our last word. */
const FAREWELL_MS = 1000;

/** Not offered on a compressed connection: it is (RFC 4978 3), and it ends with its user (commands/unauthenticate.ts). */
const NOT_COMPRESSED = new Set(['COMPRESS=DEFLATE', 'UNAUTHENTICATE']);

/** Without UID they take sequence numbers, or answer with them. */
const NUMBERED = ['FETCH', 'STORE', 'COPY', 'MOVE', 'SEARCH', 'SORT', 'THREAD', 'REPLACE'];

/** One of them at the beginning of a line; in a literal it does no harm to take it for one. */
const BY_NUMBER: RegExp = new RegExp(`^[^ \\r\\n]{1,100} (?:${NUMBERED.join('|')}) `, 'im');

export class Session implements ImapSession {
  readonly world: ImapWorld;
  readonly connection: LineConnection;
  readonly log: Logger;
  readonly out: Output;
  readonly spool: Spool;
  readonly #commands: ReadonlyMap<string, Command>;
  readonly #reader: CommandReader;
  readonly news: Set<News> = new Set();
  readonly #enabled = new Set<Feature>();
  readonly #started: number;
  client: string | null = null;
  #language: Tongue = 'i-default';
  /** Since when it is open without a login. */
  #strangerSince: number;
  #tag = '*';
  /** Ends its share of `maxSessionsPerAccount`. */
  #leaveAccount: (() => void) | undefined;
  #account: Account | null = null;
  #store: UserView | null = null;
  #scripts: MailboxScripts | null = null;
  #selected: Selected | null = null;
  #unwatch: (() => void) | null = null;
  /** Most messages have the same flags as the one before. */
  #lastFlags: {
    readonly flags: readonly string[];
    readonly recent: boolean;
    readonly selected: Selected | null;
    readonly text: string;
  } | null = null;
  #errors = 0;
  #authFailures = 0;
  #ran = 0;
  /** Why the session ends: for the log, and for BYE where `farewell` is to be said. */
  #ending: { readonly reason: string; readonly farewell: string | null } | null = null;
  /** Between commands, or in IDLE: nothing is half done. */
  #waiting = false;
  #notify: Notify | null = null;
  /** Tells between commands what a client with NOTIFY wants to hear at once. */
  #live: LiveTelling | null = null;

  constructor(
    world: ImapWorld,
    connection: LineConnection,
    commands: ReadonlyMap<string, Command>,
    spool: Spool,
  ) {
    this.world = world;
    this.connection = connection;
    this.log = world.log.child({ sid: connection.sid });
    this.out = new Output(connection);
    this.#commands = commands;
    this.spool = spool;
    this.#reader = new CommandReader(connection, this.out, spool);
    this.#started = world.clock.now().getTime();
    this.#strangerSince = this.#started;
  }

  get state(): State {
    if (!this.#store) return 'not-authenticated';
    return this.#selected ? 'selected' : 'authenticated';
  }

  get tag(): string {
    return this.#tag;
  }

  get enabled(): ReadonlySet<Feature> {
    return this.#enabled;
  }

  get store(): UserView {
    if (!this.#store) throw new ImapBad('Log in first');
    return this.#store;
  }

  get scripts(): MailboxScripts | null {
    return this.#scripts;
  }

  get selected(): Selected {
    if (!this.#selected) throw new ImapBad('Select a mailbox first');
    return this.#selected;
  }

  get hasSelected(): boolean {
    return this.#selected !== null;
  }

  get names(): 'utf7' | 'utf8' {
    return this.#enabled.has('IMAP4rev2') || this.#enabled.has('UTF8=ACCEPT') ? 'utf8' : 'utf7';
  }

  get language(): Tongue {
    return this.#language;
  }

  speak(tongue: Tongue): void {
    this.#language = tongue;
    // RFC 5255 3.1: i-default is the English that all begin with.
    const spoken = tongue === 'i-default' ? 'en' : tongue;
    this.out.translate = spoken === 'en' ? null : (response) => responseIn(spoken, response);
  }

  get plaintextAllowed(): boolean {
    return this.connection.tls !== null || this.world.allowPlaintext(this.connection.peer.ip);
  }

  /** Serves the connection until it ends. Never throws. */
  async run(): Promise<void> {
    try {
      this.out.untagged(`OK [CAPABILITY ${this.capabilities()}] ${this.world.hostname} Facteur ready`);
      await this.out.flush();
      while (!this.#ending) await this.#serve();
    } catch (error) {
      this.#endedBy(error);
    } finally {
      for (const news of this.news) news.stop();
      this.deselect();
      this.#scripts?.close();
      this.#store?.close();
      this.#leaveAccount?.();
      await this.#farewell();
      this.#logEnd();
    }
  }

  /** The server stops: at once between commands, after the running one otherwise. */
  stop(reason: string): void {
    this.#ending ??= { reason: 'shutdown', farewell: reason };
    if (this.#waiting) void this.#farewell();
  }

  capabilities(): string {
    const { compressed } = this.connection;
    const admin = this.#account !== null && this.world.quotas?.mayChange(this.#account.id) === true;
    const loaded = this.world.capabilities.filter(
      (name) => (!compressed || !NOT_COMPRESSED.has(name)) && (admin || name !== QUOTASET),
    );
    const { settings } = this.world;
    const url = this.world.scripts?.url;
    if (url != null) loaded.push(`IMAPSIEVE=${url}`);
    const words = [...loaded, `APPENDLIMIT=${settings.maxMessageSize}`, ...limitCapabilities(settings)];
    if (!this.#store) {
      if (!this.connection.tls) words.push('STARTTLS');
      if (!this.plaintextAllowed) words.push('LOGINDISABLED');
      for (const mechanism of this.world.sasl.mechanisms(this.plaintextAllowed, this.connection.tls, 'imap'))
        words.push(`AUTH=${mechanism.name}`);
    }
    const hidden = this.#hidden();
    return ['IMAP4rev1', ...words.filter((word) => !hidden.has(maskName(word)))].join(' ');
  }

  offers(capability: string): boolean {
    return !this.#hidden().has(maskName(capability));
  }

  #hidden(): ReadonlySet<string> {
    return this.world.mask.hiddenFrom({
      account: this.#account?.id ?? null,
      client: this.client,
      ip: this.connection.peer.ip,
    });
  }

  enable(feature: Feature): void {
    this.#enabled.add(feature);
  }

  enableCondstore(): void {
    if (this.#enabled.has('CONDSTORE')) return;
    this.#enabled.add('CONDSTORE');
    if (this.#selected)
      this.out.untagged(`OK [HIGHESTMODSEQ ${this.#selected.settledModSeq}] Highest mod-sequence`);
  }

  saslContext(): SaslContext {
    return {
      service: 'imap',
      hostname: this.world.hostname,
      tls: this.connection.tls,
      random: (size) => randomBytes(size),
      sid: this.connection.sid,
      ip: this.connection.peer.ip,
    };
  }

  async authenticated(step: SaslStep): Promise<void> {
    if (step.is === 'done') {
      const { id } = step.account;
      this.#leaveAccount?.();
      const leave = this.world.accountSessions.take(id, this.world.settings.maxSessionsPerAccount, (reason) =>
        this.stop(reason),
      );
      if (!leave) throw new ImapNo('Too many sessions of this account, close some', 'LIMIT');
      this.#leaveAccount = leave;
      this.#account = step.account;
      const { store, shared, scripts } = this.world;
      this.#store = await UserView.of(store.account(id), id, shared);
      this.#scripts = scripts ? new MailboxScripts(this, scripts.events) : null;
      return;
    }
    if (step.is === 'challenge') throw new Error('a SASL exchange ended with a challenge');
    if (step.reason === 'cancelled') throw new ImapBad('Authentication cancelled');
    if (step.reason === 'protocol') throw new ImapBad('That is not what the mechanism expects');
    if (step.reason === 'temporary') throw new ImapNo('Logins are not possible at the moment', 'UNAVAILABLE');
    if (++this.#authFailures >= this.world.settings.maxAuthFailures)
      this.#ending = { reason: 'too many failed logins', farewell: 'Too many failed logins' };
    // RFC 9051 7.1: an operation ran against a limit of the server.
    if (step.reason === 'limited') throw new ImapNo('Too many failed logins, try again later', 'LIMIT');
    throw new ImapNo('Wrong user name or password', 'AUTHENTICATIONFAILED');
  }

  async readLine(maxBytes: number, timeoutMs: number): Promise<Buffer | null> {
    await this.out.flush();
    this.#waiting = true;
    // It may have ended before we began to wait: rights that were withdrawn, or the server that stops.
    if (this.#ending) void this.#farewell();
    try {
      return await this.connection.readLine({ maxBytes, timeoutMs });
    } catch (error) {
      // What is left of it is skipped.
      if (error instanceof LineTooLong) throw new ImapBad('The line is too long', maxBytes);
      throw error;
    } finally {
      this.#waiting = false;
    }
  }

  get notify(): Notify | null {
    return this.#notify;
  }

  setNotify(notify: Notify): void {
    this.#endNotify();
    this.#notify = notify;
    this.news.add(notify);
    this.notifyChanged();
  }

  #endNotify(): void {
    this.#notify?.stop();
    if (this.#notify) this.news.delete(this.#notify);
    this.#notify = null;
  }

  notifyChanged(): void {
    const notify = this.#notify;
    if (!notify || !this.#selected) return;
    this.#selected.wanted = notify.ofSelected;
    if (notify.fetch) this.#selected.keepsFresh = true;
  }

  select(selected: Selected, unwatch: () => void): void {
    this.deselect();
    this.#selected = selected;
    this.#unwatch = unwatch;
    this.notifyChanged();
  }

  deselect(): void {
    if (this.#selected?.isBehind) this.#notify?.leftBehind(this.#selected.id);
    this.#unwatch?.();
    this.#unwatch = null;
    this.#selected = null;
  }

  unauthenticate(): void {
    this.log.info({ account: this.#account?.id ?? null }, 'imap session has given up its login');
    // What $ stands for, and contexts, go with the mailbox.
    this.deselect();
    for (const news of this.news) news.stop();
    this.news.clear();
    this.#notify = null;
    this.#enabled.clear();
    this.speak('i-default');
    this.#lastFlags = null;
    this.#leaveAccount?.();
    this.#leaveAccount = undefined;
    this.#account = null;
    this.#scripts?.close();
    this.#scripts = null;
    this.#store?.close();
    this.#store = null;
    this.#strangerSince = this.world.clock.now().getTime();
  }

  logout(): void {
    this.#ending = { reason: 'logout', farewell: null };
  }

  flagList(message: Message): string {
    const selected = this.#selected;
    const { flags } = message;
    // IMAP4rev2 knows no \Recent (RFC 9051 appendix E, 12).
    const recent = selected?.isRecent(message.uid) === true && !this.#enabled.has('IMAP4rev2');
    const last = this.#lastFlags;
    if (last?.flags === flags && last.recent === recent && last.selected === selected) return last.text;
    if (selected?.hasNewKeywords(flags)) for (const line of flagLines(selected)) this.out.untagged(line);
    const text = this.world.flagText.of(flags, recent);
    this.#lastFlags = { flags, recent, selected, text };
    return text;
  }

  flagsOf(message: Message, also: { readonly uid: boolean }): string {
    const condstore = this.#enabled.has('CONDSTORE');
    // RFC 7162 3.2.4: UID and MODSEQ from the first CONDSTORE enabling command on; RFC 9051 7.5.2: UID.
    const wantsUid = also.uid || condstore || this.#enabled.has('IMAP4rev2');
    // UIDFETCH begins with it (RFC 9586 3.3).
    const uid = wantsUid && !this.#enabled.has('UIDONLY') ? `UID ${message.uid} ` : '';
    const modSeq = condstore ? ` MODSEQ (${message.modSeq})` : '';
    return `(${uid}FLAGS ${this.flagList(message)}${modSeq})`;
  }

  fetchHead(sequence: number, uid: number): string {
    return this.#enabled.has('UIDONLY') ? `${uid} UIDFETCH` : `${sequence} FETCH`;
  }

  async tell(expunges: 'now' | 'later'): Promise<void> {
    for (const news of this.news) if (news.hasPending) await news.tell();
    const selected = this.#selected;
    if (!selected) return;
    if (selected.rightsChanged) {
      await this.#tellRights(selected);
      if (!this.#selected) return;
    }
    if (selected.hasPending) await this.#tellPending(selected, expunges);
    const fresh = selected.takeFresh();
    let told: ReadonlySet<Uid> | null = null;
    if (selected.contexts?.isBehind(selected)) told = await selected.contexts.tellChanged(this, fresh);
    const untold = told ? fresh.filter((uid) => told?.has(uid) !== true) : fresh;
    // After the ESEARCH responses (RFC 5465 5.2).
    if (this.#notify?.fetch && untold.length > 0) await tellFetched(this, this.#notify.fetch, untold);
  }

  /** FLAGS and PERMANENTFLAGS are as the rights are; who may no longer read is sent away (RFC 4314 5.1.1). */
  async #tellRights(selected: Selected): Promise<void> {
    selected.rightsChanged = false;
    const rights = await this.store.rightsNow(selected.id);
    // It is gone, which is told by other means.
    if (!rights) return;
    if (!rights.has('r')) {
      this.#ending ??= { reason: 'rights withdrawn', farewell: 'You may no longer read this mailbox' };
      this.deselect();
      if (this.#waiting) void this.#farewell();
      return;
    }
    const isSame = plainRights(rights) === plainRights(selected.rights);
    selected.rights = rights;
    if (!isSame) for (const line of flagLines(selected)) this.out.untagged(line);
  }

  async #tellPending(selected: Selected, expunges: 'now' | 'later'): Promise<void> {
    if (selected.hasPendingExpunges) selected.contexts?.tellGoing(this);
    if (expunges === 'now') await this.#tellExpunged(selected);
    if (selected.takeAdded() > 0) await this.#tellAdded(selected);
    const { messages, since } = selected.takeFlags();
    if (since !== null) {
      const view = [{ first: 1, last: selected.lastUid }];
      for await (const batch of this.store.messages(selected.id, view, since))
        await this.#tellFlags(selected, batch);
    }
    await this.#tellFlags(selected, messages);
  }

  async addedHere(mailbox: MailboxId, uids: readonly Uid[]): Promise<void> {
    const selected = this.#selected;
    if (!selected || selected.id !== mailbox) {
      this.#notify?.addedHere(mailbox, uids);
      return;
    }
    selected.addedHere(uids);
    const range = { first: selected.lastUid + 1, last: '*' } as const;
    for await (const batch of this.store.messages(selected.id, [range]))
      selected.catchUp(batch.filter((message) => message.uid >= range.first));
  }

  async #serve(): Promise<void> {
    const { settings, clock } = this.world;
    const loginLeft = this.#strangerSince + settings.loginTimeout - clock.now().getTime();
    const timeoutMs = this.#store ? settings.idleTimeout : Math.max(loginLeft, 1);
    this.#waiting = true;
    if (this.#notify) this.#live = new LiveTelling(this, { expunges: () => this.#expungesNow() });
    let received: Received;
    try {
      received = await this.#reader.next({
        timeoutMs,
        literalTimeoutMs: Math.min(timeoutMs, settings.literalTimeout),
        phase: this.#store ? 'logged-in' : 'before-login',
        accept: (source, announced) => this.#accept(source, announced),
      });
    } finally {
      this.#waiting = false;
      await this.#live?.stop();
    }
    if (this.#ending) return;
    switch (received.is) {
      case 'closed':
        this.#ending = { reason: 'closed by peer', farewell: null };
        return;
      case 'refused':
        this.#refuse(received.line, received.reason);
        break;
      case 'command':
        try {
          await this.#execute(received.source);
        } finally {
          await received.discard();
        }
        break;
    }
    await this.out.flush();
  }

  async #execute(source: CommandSource): Promise<void> {
    const p = this.#parser(source);
    this.#tag = '*';
    let name = '';
    let ok: Ok | undefined;
    let running: Command | undefined;
    try {
      this.#tag = p.tag();
      const found = this.#find(p);
      name = found.name;
      const run = found.command.prepare(p);
      running = found.command;
      this.#ran++;
      ok = await run(this);
      await this.#tellAfter(running, p.uid && ok?.expunges !== 'later');
    } catch (error) {
      if (isEnd(error)) throw error;
      this.#notify?.expectNothing();
      if (running && !(error instanceof ImapBad)) await this.#tellAfter(running, p.uid);
      this.#answerError(error, name);
      return;
    }
    this.#errors = 0;
    this.#answer(ok, name, running, p.uid);
    if (ok?.afterwards) {
      await this.out.flush();
      await ok.afterwards();
    }
  }

  #find(p: Parser): { readonly command: Command; readonly name: string } {
    if (p.atEnd) p.fail('A command is missing');
    p.sp();
    const at = p.at;
    let word = p.atom().toUpperCase();
    let name = word;
    if (word === 'UID') {
      p.uid = true;
      word = p.sp().atom().toUpperCase();
      name = `UID ${word}`;
    }
    const command = this.#commands.get(word);
    if (!command || (p.uid ? command.uid === undefined : command.uid === 'only'))
      throw new ImapBad(`Unknown command ${name.slice(0, 40)}`, at);
    if (!command.states.includes(this.state)) throw this.#wrongState(command);
    if (!p.uid && p.numbers === 'uids' && NUMBERED.includes(word)) throw uidRequired(at);
    return { command, name };
  }

  #wrongState(command: Command): ImapBad {
    if (this.state === 'not-authenticated') return new ImapBad(`Log in before ${command.name}`);
    if (command.states.includes('selected')) return new ImapBad(`Select a mailbox before ${command.name}`);
    return new ImapBad(`${command.name} is over: you are logged in`);
  }

  async #tellAfter(command: Command, mayShift: boolean): Promise<void> {
    if (this.#ending) return;
    const held = (command.expunges === 'held' && !mayShift) || this.#numbersAhead();
    await this.tell(held ? 'later' : 'now');
  }

  /** Between two commands, with NOTIFY (RFC 5465 6.1). */
  #expungesNow(): 'now' | 'later' {
    return this.#notify?.expunges === 'now' && !this.#numbersAhead() ? 'now' : 'later';
  }

  /**
   * Whether the client has already sent a command with sequence numbers, meaning those that it knows now. It should
   * have waited (RFC 9051 5.5); that it did not shall not make it read, or delete, another message than it chose.
   */
  #numbersAhead(): boolean {
    if (this.#selected?.hasPendingExpunges !== true || this.#enabled.has('UIDONLY')) return false;
    return BY_NUMBER.test(this.connection.ahead.toString('latin1'));
  }

  #answer(ok: Ok | undefined, name: string, command: Command, uid: boolean): void {
    let code = ok?.code;
    // RFC 7162 3.2: what we say of MODSEQ must not hide an expunge that is still to be told.
    if (code === undefined && command.expunges === 'held' && !uid && this.#enabled.has('QRESYNC'))
      if (this.#selected?.hasPendingExpunges) code = `HIGHESTMODSEQ ${this.#selected.settledModSeq}`;
    const text = ok?.text ?? `${name} completed`;
    this.#say(`OK ${code === undefined ? '' : `[${code}] `}`, text);
  }

  #answerError(error: unknown, name: string): void {
    if (error instanceof ImapBad) {
      const where = error.at === undefined ? '' : `(byte ${error.at + 1})`;
      const code = error.code === undefined ? '' : `[${error.code}] `;
      this.#say(`BAD ${code}`, error.message, where);
      this.#countError();
      return;
    }
    const no = toImapNo(error);
    if (no.code === 'SERVERBUG') this.log.error({ err: error, command: name }, 'imap command failed');
    else if (no.cause !== undefined && !(no.cause instanceof StoreError))
      this.log.warn({ err: no.cause, command: name }, 'imap command refused');
    else this.log.debug({ command: name, code: no.code }, 'imap command refused');
    this.#say(`NO ${no.code === undefined ? '' : `[${no.code}] `}`, no.message);
  }

  /** A tagged answer, its texts in the client's language. */
  #say(status: string, ...texts: readonly string[]): void {
    const tongue = this.#language;
    const said = texts.filter((text) => text !== '');
    const all = tongue === 'i-default' || tongue === 'en' ? said : said.map((text) => textIn(tongue, text));
    this.out.add(`${this.#tag} ${status}${all.join(' ')}\r\n`);
  }

  #countError(): void {
    if (++this.#errors >= this.world.settings.maxErrors)
      this.#ending ??= { reason: 'too many errors', farewell: 'Too many wrong commands' };
  }

  #refuse(line: Buffer, reason: ImapNo | ImapBad): void {
    const tag = /^[^\s"(){%*\\+]{1,100}(?= )/.exec(line.toString('latin1', 0, 101));
    this.#tag = tag?.[0] ?? '*';
    this.#answerError(reason, '');
  }

  /** What the announced literal is: the command's own policy decides, an argument otherwise. */
  async #accept(source: CommandSource, announced: Announced): Promise<LiteralKind> {
    this.#waiting = false;
    // Nothing is told while a message is on its way.
    await this.#live?.stop();
    const p = this.#parser(source);
    let command: Command;
    try {
      p.tag();
      command = this.#find(p).command;
    } catch (error) {
      // The literal stands in for the command's name or its tag: nothing can come of it.
      if (error instanceof LiteralAhead) throw new ImapBad(error.message, error.at);
      throw error;
    }
    return command.literals ? command.literals(this, p, announced) : 'argument';
  }

  #parser(source: CommandSource): Parser {
    return new Parser(source, {
      utf8: this.names === 'utf8',
      charsets: this.#enabled.has('UTF8=ACCEPT') ? 'utf8-only' : 'any',
      numbers: this.#enabled.has('UIDONLY') ? 'uids' : 'all',
    });
  }

  async #tellExpunged(selected: Selected): Promise<void> {
    const { sequence, uids } = selected.takeExpunged();
    if (uids.length === 0) return;
    if (this.#enabled.has('QRESYNC') || this.#enabled.has('UIDONLY')) {
      this.out.untagged(`VANISHED ${formatSet(uids)}`);
      return;
    }
    for (const number of sequence) {
      this.out.untagged(`${number} EXPUNGE`);
      if (this.out.full) await this.out.flush();
    }
  }

  async #tellAdded(selected: Selected): Promise<void> {
    this.out.untagged(`${selected.exists} EXISTS`);
    if (this.#enabled.has('IMAP4rev2')) return;
    const claimed = await this.#claimRecent(selected);
    if (claimed !== undefined) selected.markRecent(claimed);
    this.out.untagged(`${selected.recentCount} RECENT`);
  }

  /** New mail is \Recent in one session only; a look (EXAMINE) does not take that away (RFC 3501 2.3.2, 6.3.2). */
  async #claimRecent(selected: Selected): Promise<number | undefined> {
    if (selected.access === 'read-only') return undefined;
    try {
      return await this.store.claimRecent(selected.id);
    } catch (error) {
      // The mailbox is gone: the client will hear of that, and nothing is recent in it.
      if (error instanceof StoreError) return undefined;
      throw error;
    }
  }

  async #tellFlags(selected: Selected, messages: readonly Message[]): Promise<void> {
    for (const message of messages) {
      const sequence = selected.sequenceOf(message.uid);
      if (sequence === 0) continue;
      // RFC 5465 5.1: with NOTIFY always with its UID.
      const flags = this.flagsOf(message, { uid: this.#notify !== null });
      this.out.untagged(`${this.fetchHead(sequence, message.uid)} ${flags}`);
      if (this.out.full) await this.out.flush();
    }
  }

  #endedBy(error: unknown): void {
    if (this.#ending) return;
    if (error instanceof IdleTimeout)
      this.#ending = { reason: 'timeout', farewell: 'You were silent for too long' };
    else if (error instanceof HandshakeError) this.#ending = { reason: error.message, farewell: null };
    else if (error instanceof ConnectionLost) this.#ending = { reason: 'connection lost', farewell: null };
    else {
      this.log.error({ err: error }, 'imap session failed');
      this.#ending = { reason: 'bug', farewell: 'Internal error, see the server log' };
    }
  }

  #farewelled: Promise<void> | null = null;

  #farewell(): Promise<void> {
    this.#farewelled ??= this.#sayBye();
    return this.#farewelled;
  }

  async #sayBye(): Promise<void> {
    try {
      const cut = setTimeout(() => this.connection.destroy(), FAREWELL_MS);
      try {
        // Not in the middle of what is being told.
        await this.#live?.stop();
        if (this.#ending?.farewell) this.out.untagged(`BYE ${this.#ending.farewell}`);
        await this.out.flush();
        await this.connection.end();
      } finally {
        clearTimeout(cut);
      }
    } catch {
      // The peer is gone already, or the bug that ends us is in the connection: there is nobody to tell.
      this.connection.destroy();
    }
  }

  #logEnd(): void {
    const account = this.#account?.id ?? null;
    const seconds = Math.round((this.world.clock.now().getTime() - this.#started) / 1000);
    this.log.info(
      {
        account,
        ip: this.connection.peer.ip,
        tls: this.connection.tls?.version ?? null,
        reason: this.#ending?.reason ?? 'unknown',
        commands: this.#ran,
        bytesIn: this.#reader.bytes,
        bytesOut: this.out.bytes,
        seconds,
      },
      'imap session ended',
    );
  }
}

function isEnd(error: unknown): boolean {
  return error instanceof ConnectionLost || error instanceof IdleTimeout;
}
