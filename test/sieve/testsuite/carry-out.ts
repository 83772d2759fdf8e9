import { carryOut as carry, type Ports } from '../../../src/delivery/sieve/carry-out.ts';
import { type Bytes, parted } from '../../../src/delivery/sieve/parted.ts';
import type { SieveAction } from '../../../src/sieve/action.ts';
import { flagVariable } from '../../../src/sieve/flags.ts';
import type { MessageVersion } from '../../../src/sieve/message.ts';
import { scriptAddress } from '../../../src/sieve/script-address.ts';
import { StoreError } from '../../../src/store/store.ts';
import { runListed } from './host.ts';
import type { State } from './state.ts';

/** Carries the pending result out as the product does, into the folders of the suite and its outbox. */
export async function carryOut(state: State): Promise<void> {
  const { result } = state;
  if (!result) return;
  const actions: SieveAction[] = result.actions.filter((action) => !state.done.has(action));
  for (const action of actions) state.done.add(action);
  if (result.implicitKeep) {
    result.implicitKeep = false;
    const flags = flagVariable(result, undefined);
    actions.push({ type: 'keep', implicit: true, flags, message: result.message });
  }
  const original = state.message();
  await carry(
    actions,
    original,
    {
      account: state.account(),
      envelope: state.envelope,
      fields: original.fields,
      now: new Date(),
      hostname: 'host.example.com',
      id: `suite-${state.executions++}`,
    },
    {
      postmaster: 'postmaster@example.com',
      settings: {
        redirectSender: senderSetting(state, 'sieve_redirect_envelope_from') ?? 'sender',
        notifySender: senderSetting(state, 'sieve_notify_mailto_envelope_from'),
        reportSender: senderSetting(state, 'sieve_report_from') ?? 'postmaster',
        vacation: {
          minPeriod: 0,
          maxPeriod: 60 * 86_400_000,
          subject: (state.setting('sieve_vacation_default_subject_template') || 'Auto: %{subject}').replace(
            /%\{subject\}|%s\b|%\$/g,
            '{subject}',
          ),
          noSubject: state.setting('sieve_vacation_default_subject') || 'Automated reply',
          sender: state.setting('sieve_vacation_send_from_recipient') === 'yes' ? 'recipient' : 'none',
          from: state.setting('sieve_user_email') === undefined ? 'recipient' : 'account',
          originalRecipient: state.setting('sieve_vacation_use_original_recipient') === 'yes',
          checkRecipient: state.setting('sieve_vacation_check_recipient') !== 'no',
          answerTo:
            state.setting('sieve_vacation_to_header_ignore_envelope') === 'yes' ? 'header' : 'envelope',
        },
      },
    },
    portsOf(state),
  );
}

/** Pigeonhole's names for what the product's settings have. */
function senderSetting(state: State, name: string): string | null {
  const setting = state.setting(name);
  if (setting === undefined) return null;
  const names: Readonly<Record<string, string>> = { orig_recipient: 'original', user_email: 'account' };
  return names[setting] ?? setting;
}

function portsOf(state: State): Ports<MessageVersion> {
  return {
    async find({ mailbox }) {
      const path = mailbox.replace(/^inbox(?=$|\.)/i, 'INBOX');
      return { path, isThere: state.folders.has(path) };
    },
    async create(path) {
      if (path.includes('//')) throw new StoreError('invalid-name', 'invalid name');
      state.folders.set(path, []);
    },
    async store(path, message, flags) {
      const bytes = message instanceof Uint8Array ? message : await message.whole();
      // What the suite's store says of every message without attachments.
      state.folders.get(path)?.push({ bytes, flags: [...flags, '$HasNoAttachment'] });
    },
    async send({ from, to, content }) {
      const bytes = await whole(content);
      for (const one of to) state.outbox.push({ from, to: one, bytes });
    },
    content: async (message) => parted(await message.whole()),
    async run({ program, args, message }) {
      const result = await runListed(state, ['pipe'], program, args, await message.whole());
      return result?.ok ?? false;
    },
    recall: async (space, key) => state.memory.get(`${space} ${key}`),
    async remember(space, key, value) {
      state.memory.set(`${space} ${key}`, value);
    },
    isOwn: async (address) => scriptAddress(state.setting('sieve_user_email') ?? '') === address,
    note(text, problem) {
      if (problem) state.errors.push(text);
    },
  };
}

async function whole(content: Bytes): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of content) chunks.push(chunk);
  return Buffer.concat(chunks);
}
