import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ACCOUNT, type AccountStore, type MailboxId, type SpecialUse } from '../../src/store/store.ts';
import { storeAt } from './power-cut.ts';
import { dice } from './power-cut-rounds.ts';
import { RecordedDisk } from './recorded-disk.ts';
import { type Fate, SimulatedDisk } from './simulated-disk.ts';
import { alice, temporaryDirectory } from './surroundings.ts';

/** What was noted is there after a power cut at any step: all of the last change that was answered, or of the next one. */

interface State {
  readonly account: string;
  readonly box: string;
  readonly copy: string;
  readonly use: SpecialUse | null;
}

const FATES: readonly Fate[] = ['all lost', 'by chance', 'all kept'];

async function stateOf(store: AccountStore): Promise<State> {
  const boxes = await store.mailboxes();
  const box = boxes.find(({ path }) => path === 'Work' || path === 'Else');
  const copy = boxes.find(({ path }) => path === 'Old');
  const text = async (id: MailboxId | undefined): Promise<string> =>
    id === undefined ? 'none' : JSON.stringify([...(await store.annotations(id))]);
  return {
    account: await text(ACCOUNT),
    box: await text(box?.id),
    copy: await text(copy?.id),
    use: box?.specialUse ?? null,
  };
}

test('annotations and special uses at every step of the disk', async () => {
  const { path, remove } = temporaryDirectory();
  const disk = new RecordedDisk<State>(path);
  try {
    const store = storeAt(path);
    const account = await store.account(alice);
    const { id } = await account.create('Work');
    const inbox = (await account.mailbox('INBOX'))?.id ?? ACCOUNT;
    const mark = async (): Promise<void> => disk.mark(await stateOf(account));
    const set = async (
      box: MailboxId,
      entries: Record<string, string | null>,
      specialUse?: SpecialUse | null,
    ): Promise<void> => {
      const use = specialUse === undefined ? {} : { specialUse };
      await account.annotate(box, { entries: new Map(Object.entries(entries)), by: '', ...use });
      await mark();
    };
    await mark();
    await set(id, { '/private/a': '1', '/private/b': 'x'.repeat(5000) });
    await set(id, { '/private/a': '2', '/private/c': '3' }, 'drafts');
    await set(ACCOUNT, { '/private/a': '4' });
    await set(id, { '/private/b': null }, null);
    await set(ACCOUNT, { '/private/a': null });
    await account.rename(id, 'Else');
    await mark();
    await set(inbox, { '/shared/comment': 'in' });
    await account.rename(inbox, 'Old');
    await mark();
    await store.close();
  } finally {
    disk.stop();
    remove();
  }

  const marks = disk.steps.flatMap((step) => (step.is === 'mark' ? [step.mark] : []));
  expect(marks).toHaveLength(9);
  const simulated = new SimulatedDisk();
  const random = dice(1);
  let marked = 0;
  for (const [at, step] of disk.steps.entries()) {
    simulated.do(step);
    if (step.is === 'mark') marked++;
    if (marked === 0) continue;
    const fate = FATES[at % FATES.length] ?? 'all lost';
    const target = temporaryDirectory();
    try {
      simulated.cut(target.path, fate, random);
      const index = at % 2 === 0 ? simulated.databases.at(-1) : undefined;
      const directory = join(target.path, 'mail/example.org/alice');
      if (index && existsSync(directory)) writeFileSync(join(directory, 'index.sqlite'), index);
      const store = storeAt(target.path);
      const found = await stateOf(await store.account(alice));
      await store.close();
      const [before, after = before] = marks.slice(marked - 1, marked + 1);
      const where = `step ${at} (${step.is}), ${fate}, index ${index ? 'kept' : 'lost'}`;
      for (const part of ['account', 'box', 'copy', 'use'] as const)
        expect(
          [before?.[part], after?.[part], '[]'].slice(0, part === 'copy' ? 3 : 2),
          `${where}: ${part}`,
        ).toContain(found[part]);
    } finally {
      target.remove();
    }
  }
}, 60_000);
