import type { HostMail } from '../delivery/sieve/host.ts';
import { Rehearsal, type RehearsalWorld, type Rehearsed } from '../delivery/sieve/rehearsal.ts';
import type { AccountId } from '../directory/directory.ts';
import { formatAddress } from '../mail/address.ts';
import { rawMessage } from '../mail/raw-message.ts';
import type { SieveAction } from '../sieve/action.ts';
import { placeOf } from '../sieve/errors.ts';
import type { TraceEvent } from '../sieve/run.ts';
import { EXIT } from './io.ts';
import { filingMail } from './sieve-mail.ts';
import {
  groundOf,
  orMistakes,
  readInput,
  type SieveWorld,
  scriptFrom,
  withRehearsal,
} from './sieve-world.ts';
import { withFiling } from './transfer-world.ts';

/** `facteur sieve run`: each test with its value, each action. */

export interface RunWishes {
  readonly account?: string;
  readonly from?: string;
  readonly to?: string;
}

/** Whose script it is when nobody says. */
const NOBODY = 'user@localhost' as AccountId;

export function runScript(
  world: SieveWorld,
  script: string,
  message: string,
  wishes: RunWishes,
): Promise<number> {
  const { config } = world;
  const bytes = withCrlf(readInput(message));
  const envelope = {
    ...(wishes.from !== undefined && { from: wishes.from }),
    ...(wishes.to !== undefined && { to: wishes.to }),
  };
  const run = async (ground: Omit<RehearsalWorld, 'mail'>, mail: HostMail | null): Promise<number> => {
    const { account, scripts } = ground;
    const named = scriptFrom(scripts, mail ? account : null, script);
    const trace = new Trace(world);
    const rehearsal = new Rehearsal({ ...ground, mail }, scripts.forDelivery(account, named));
    const sample = { raw: rawMessage([bytes]), date: new Date(), envelope };
    const result = await rehearsal.message(sample, (event) => trace.tell(event));
    trace.end(result);
    return result.problem === null ? EXIT.ok : EXIT.failed;
  };
  return orMistakes(world, script, () => {
    if (wishes.account === undefined) {
      const account = (wishes.to ?? NOBODY) as AccountId;
      return run(
        groundOf(config, account, (address) => formatAddress(address) === account),
        null,
      );
    }
    return withFiling(config, wishes.account, (account, id) =>
      withRehearsal(config, id, (ground) => run(ground, filingMail(account))),
    );
  });
}

/** Files that people have made have any line ends. */
function withCrlf(bytes: Buffer): Buffer {
  return Buffer.from(bytes.toString('latin1').replace(/\r?\n/g, '\r\n'), 'latin1');
}

/** Of a value that is shown. */
const MAX_SHOWN = 100;
/** Of values that are compared with one test. */
const MAX_VALUES = 8;

class Trace {
  readonly #world: SieveWorld;
  #compared: { readonly values: readonly string[]; readonly keys: readonly string[] }[] = [];

  constructor(world: SieveWorld) {
    this.#world = world;
  }

  tell(event: TraceEvent): void {
    switch (event.is) {
      case 'match':
        this.#compared.push(event);
        return;
      case 'command':
        this.#line(event.script.source, event.bound.at, 'command', event.bound.name);
        return;
      case 'test': {
        const compared = this.#compared;
        this.#compared = [];
        if (this.#world.form === 'json') {
          const { line } = placeOf(event.script.source, event.bound.at);
          this.#json({ type: 'test', line, name: event.bound.name, outcome: event.outcome, compared });
          return;
        }
        const shown = compared.map(({ values, keys }) => ` ${list(values)} with ${list(keys)}`).join(',');
        this.#line(
          event.script.source,
          event.bound.at,
          'test',
          `${event.bound.name}${shown}: ${event.outcome}`,
        );
        return;
      }
      case 'action':
        if (this.#world.form === 'json') this.#json({ type: 'action', ...plain(event.action) });
        else this.#world.io.out(`          -> ${inWords(event.action)}\n`);
        return;
      case 'set':
        if (this.#world.form === 'json') this.#json({ type: 'set', name: event.name, value: event.value });
        else this.#world.io.out(`          ${event.name} = ${quoted(event.value)}\n`);
    }
  }

  end(result: Rehearsed): void {
    if (this.#world.form === 'json') {
      this.#json({ type: 'result', ...result });
      return;
    }
    const { io } = this.#world;
    io.out('\n');
    if (result.problem !== null) io.err(`The script could not go on: ${result.problem}\n`);
    for (const line of inLines(result)) io.out(`${line}\n`);
  }

  #line(source: string, at: number, type: string, text: string): void {
    const { line } = placeOf(source, at);
    if (this.#world.form === 'json') this.#json({ type, line, name: text });
    else this.#world.io.out(`line ${String(line).padStart(4)} ${text}\n`);
  }

  #json(value: object): void {
    this.#world.io.out(`${JSON.stringify(value)}\n`);
  }
}

/** What came of it, a line each. */
export function inLines({ places, refused, notes }: Rehearsed): string[] {
  const stored = places.map(
    ({ path, flags, implicit, made }) =>
      `${implicit ? 'kept in' : 'stored in'} ${path}${made ? ' (which would be made)' : ''}${flags.length > 0 ? `, ${flags.join(' ')}` : ''}`,
  );
  const nowhere = places.length === 0 && !refused ? ['not stored anywhere'] : [];
  return [...stored, ...nowhere, ...notes];
}

function inWords(action: SieveAction): string {
  switch (action.type) {
    case 'keep':
      return `keep${flagsText(action.flags)}`;
    case 'fileinto':
      return `fileinto ${quoted(action.mailbox)}${flagsText(action.flags)}`;
    case 'redirect':
      return `redirect to ${action.to}`;
    case 'reject':
      return `${action.extended ? 'ereject' : 'reject'} ${quoted(action.reason)}`;
    case 'vacation':
      return `vacation ${quoted(action.reason)}`;
    case 'pipe':
      return `pipe to ${action.program}`;
    case 'notify':
    case 'report':
    case 'discard':
      return action.type;
  }
}

/** Without the message itself. */
function plain(action: SieveAction): object {
  const { message: _, type, ...rest } = action as SieveAction & { readonly message?: unknown };
  return { action: type, ...rest };
}

function flagsText(flags: readonly string[]): string {
  return flags.length > 0 ? ` ${flags.join(' ')}` : '';
}

function list(values: readonly string[]): string {
  const shown = values.slice(0, MAX_VALUES).map(quoted);
  return `[${shown.join(', ')}${values.length > MAX_VALUES ? ', …' : ''}]`;
}

/** Nothing that a terminal would act upon. */
function quoted(text: string): string {
  const cut = text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
  return JSON.stringify(cut).replace(/\p{Cc}/gu, '?');
}
