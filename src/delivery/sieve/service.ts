import type { AccountId } from '../../directory/directory.ts';
import type { Service } from '../../lib/thread-pool.ts';
import { rawMessage } from '../../mail/raw-message.ts';
import type { Script } from '../../sieve/compile.ts';
import { type Complaint, SieveError } from '../../sieve/errors.ts';
import { execute, type SieveResult } from '../../sieve/execute.ts';
import type { MessageVersion } from '../../sieve/message.ts';
import type { AccountStore } from '../../store/store.ts';
import type { Action, Content, Decision, Question } from './decision.ts';
import { type HostOptions, sieveHost, type Traces } from './host.ts';
import { type Original, originalOf } from './original.ts';
import type { NamedScript } from './scripts.ts';

/** Runs scripts in the thread that has the account: the other side of calls.ts. Nothing is sent or stored here. */

/** How long a script may hold the thread before others have their turn, ms. */
const TURN = 5;

export interface ServiceOptions extends HostOptions {
  /** The account's mail, in this thread. */
  account(id: AccountId): Promise<AccountStore>;
}

/** A script that was looked at: warnings, or what is wrong with it. */
export type Checked =
  | { readonly is: 'good'; readonly warnings: readonly Complaint[]; readonly requires: readonly string[] }
  | { readonly is: 'bad'; readonly complaints: readonly Complaint[] };

export function sieveService(options: ServiceOptions): Service {
  const { scripts, memory, clock, log } = options;

  const decide = async (question: Question): Promise<Decision> => {
    const traces: Traces = { seen: [], notes: [] };
    let chosen: readonly NamedScript[];
    try {
      chosen = chosenScripts(question, options);
    } catch (error) {
      if (!(error instanceof SieveError)) throw error;
      return { actions: null, problem: { script: question.script ?? '', text: error.message }, ...traces };
    }
    if (chosen.length === 0) return { actions: null, problem: null, ...traces };
    const store = (): Promise<AccountStore> => options.account(question.account);
    const { content } = question;
    const original = await originalOf(
      'uid' in content ? await (await store()).raw(content.mailbox, content.uid) : rawMessage(content),
    );
    let turn = clock.now().getTime();
    const result = await execute(
      chosen.map(({ script }) => script),
      {
        message: original.message,
        envelope: question.envelope,
        flags: question.flags ?? [],
        host: sieveHost(question, store, options, traces),
        limits: scripts.limits,
        pause() {
          if (clock.now().getTime() - turn < TURN) return undefined;
          return new Promise((resolve) =>
            setImmediate(() => {
              turn = clock.now().getTime();
              resolve();
            }),
          );
        },
      },
    );
    const misplaced = question.mode === 'event' && notForEvents(chosen, result);
    if (misplaced)
      return { actions: null, problem: { script: question.script ?? '', text: misplaced }, ...traces };
    const failed = chosen.find(({ script }) => script === result.failed);
    const actions: Action[] = [];
    for (const action of result.actions) actions.push(await withContent(action, original));
    return {
      actions,
      problem: result.error && { script: failed?.name ?? '', text: result.error.text },
      ...traces,
    };
  };

  return {
    decide: async (question: Question): Promise<Decision> => {
      try {
        return await decide(question);
      } catch (error) {
        // A mistake of ours costs no mail.
        log.error({ account: question.account, err: error }, 'sieve script could not be run');
        return {
          actions: null,
          problem: { script: question.script ?? '', text: 'internal error' },
          seen: [],
          notes: [],
        };
      }
    },

    mayRefuse: ({ account }: { readonly account: AccountId }): boolean => {
      try {
        return scripts.forDelivery(account).some(({ script }) => mayRefuse(script));
      } catch (error) {
        // A script that cannot run refuses nothing.
        if (error instanceof SieveError) return false;
        throw error;
      }
    },

    check: ({ source }: { readonly source: string }): Checked => {
      try {
        const { warnings, requires } = scripts.compile(source);
        return { is: 'good', warnings, requires: [...requires] };
      } catch (error) {
        if (!(error instanceof SieveError)) throw error;
        return { is: 'bad', complaints: error.complaints };
      }
    },

    recall: ({
      account,
      space,
      key,
    }: {
      readonly account: AccountId;
      readonly space: string;
      readonly key: string;
    }) => memory.get(account, space, key),

    remember: (mark: {
      readonly account: AccountId;
      readonly space: string;
      readonly key: string;
      readonly value: string;
      readonly expires: number;
    }) => memory.set(mark.account, mark.space, mark.key, mark.value, mark.expires),
  };
}

/** What a script includes is known only when it runs. */
function mayRefuse({ requires, includes }: Script): boolean {
  return requires.has('reject') || requires.has('ereject') || includes.length > 0;
}

function chosenScripts({ account, script }: Question, { scripts }: ServiceOptions): readonly NamedScript[] {
  if (script === undefined) return scripts.forDelivery(account);
  const named = scripts.personal(account, script);
  return named ? [{ name: script, script: named }] : [];
}

/** RFC 6785 3.11: what answers the sender of new mail. undefined: nothing of it. */
function notForEvents(scripts: readonly NamedScript[], { actions }: SieveResult): string | undefined {
  const required = scripts.flatMap(({ script }) => ANSWERS.filter((name) => script.requires.has(name)));
  const done = actions.map(({ type }) => type).filter((type) => type === 'reject' || type === 'vacation');
  const [name] = [...required, ...done];
  return name === undefined ? undefined : `${name} is for mail that is delivered, not for what IMAP does`;
}

const ANSWERS = ['reject', 'ereject', 'vacation', 'vacation-seconds'] as const;

async function withContent(
  action: Awaited<ReturnType<typeof execute>>['actions'][number],
  original: Original,
): Promise<Action> {
  if (!('message' in action) || typeof action.message === 'string' || action.message === null)
    return action as Action;
  return { ...action, message: await contentOf(action.message as MessageVersion, original) } as Action;
}

async function contentOf(message: MessageVersion, { message: first, bodyAt }: Original): Promise<Content> {
  if (message === first) return { is: 'original' };
  if (message.hasBodyOf(first)) {
    const header = message.fields.map(({ text }) => text).join('');
    return { is: 'edited', header: Buffer.from(header, 'latin1'), bodyAt };
  }
  return { is: 'other', bytes: await message.whole() };
}
