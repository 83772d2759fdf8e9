import { createHash } from 'node:crypto';
import type { AccountId } from '../../directory/directory.ts';
import { formatDate } from '../../message/date.ts';
import { textEntity } from '../../sieve/mime-edit.ts';
import type { ActingDeps } from './acting.ts';
import type { Problem } from './decision.ts';
import { header } from './outgoing.ts';

/** How long a script's owner is not told of the same mistake again, ms. */
const TOLD_FOR = 86_400_000;
const TOLD = 'told';

/** A script that fails says so in its owner's inbox, once a day. @param key of the message that it failed for */
export async function tellOwner(
  deps: ActingDeps,
  account: AccountId,
  key: string,
  problem: Problem,
): Promise<void> {
  const { sieve, store, clock, hostname } = deps;
  const digest = createHash('sha256').update(`${problem.script}\0${problem.text}`).digest('base64url');
  if ((await sieve.recall(account, TOLD, digest)) !== undefined) return;
  const now = clock.now().getTime();
  const head = header([
    ['Date', formatDate(now, 0)],
    ['From', `"Mail filter" <postmaster@${hostname}>`],
    ['To', `<${account}>`],
    ['Subject', 'Your mail filter has failed'],
    ['Message-ID', `<${key}.filter@${hostname}>`],
    ['Auto-Submitted', 'auto-generated'],
    ['MIME-Version', '1.0'],
  ]);
  const text =
    `The filter script ${JSON.stringify(problem.script)} could not be run to its end:\n\n${problem.text}\n\n` +
    'The message that it was run for, and all others for which it fails, are kept in the inbox.\n';
  await store.deliver({
    account,
    mailbox: 'INBOX',
    key: `${key}-told`,
    flags: [],
    internalDate: now,
    content: [Buffer.concat([Buffer.from(head, 'latin1'), textEntity(text)])],
    limits: 'ignored',
  });
  await sieve.remember(account, TOLD, digest, '', now + TOLD_FOR);
}
