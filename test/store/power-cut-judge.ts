import type { AccountStore, Mailbox, MailboxId, MailStore, ModSeq, Uid } from '../../src/store/store.ts';
import { type Instance, type Known, type Op, textOf, words } from './power-cut.ts';
import { alice, all, bytesOf } from './surroundings.ts';

/** Compares what a store has after a power cut with what was known before it: one line for each broken promise. */

export interface Circumstances {
  /** By UIDVALIDITY and UID, of the whole run, also after the cut. */
  readonly tokens: ReadonlyMap<string, string>;
  /** The index was lost too: what is only there for a tenth of a second, and plans of copies, went with it. */
  readonly index: 'kept' | 'lost';
}

interface Actual {
  readonly box: MailboxId;
  readonly uid: number;
  readonly flags: string;
  taken: boolean;
}

export async function judge(store: MailStore, known: Known, circumstances: Circumstances): Promise<string[]> {
  const account = await store.account(alice);
  const problems: string[] = [];
  const boxes = new Map((await account.mailboxes()).map((box) => [box.path, box]));
  // Cut while the account was made: it is finished.
  if (known.boxes.size === 0) {
    for (const path of ['INBOX', 'Archive', 'Drafts', 'Junk', 'Sent', 'Trash'])
      if ((boxes.get(path)?.specialUse ?? 'inbox') !== path.toLowerCase() || !boxes.get(path)?.subscribed)
        problems.push(`a new account has no ${path}`);
    return problems;
  }
  const pending = [...known.pending.values()];
  const now = judgeMailboxes(known, pending, boxes, problems);
  const found = await contents(account, [...boxes.values()], problems);
  judgeMessages(known, pending, now, found, circumstances, problems);
  for (const [id, box] of now) await judgeNumbers(account, id, box, known, circumstances, found, problems);
  const subscribed = new Set(await account.subscriptions());
  for (const path of new Set([...subscribed, ...known.subscribed]))
    if (
      subscribed.has(path) !== known.subscribed.has(path) &&
      !pending.some((op) => op.kind === 'subscribe' && op.path === path)
    )
      problems.push(`${path} is ${subscribed.has(path) ? '' : 'not '}subscribed`);
  await judgeRepetition(store, account, known, pending, now, problems);
  return problems;
}

/** Where each known mailbox is now. */
function judgeMailboxes(
  known: Known,
  pending: readonly Op[],
  boxes: ReadonlyMap<string, Mailbox>,
  problems: string[],
): Map<MailboxId, Mailbox> {
  const now = new Map<MailboxId, Mailbox>();
  const renames = new Set<string>();
  for (const [id, { path, uidValidity, use }] of known.boxes) {
    let box = boxes.get(path);
    if (!box?.selectable) box = undefined;
    const rename = pending.find(
      (op) => op.kind === 'rename' && (path === op.from || path.startsWith(`${op.from}/`)),
    );
    if (rename?.kind === 'rename') {
      const after = boxes.get(rename.to + path.slice(rename.from.length));
      renames.add(box ? 'before' : 'after');
      box ??= after;
    }
    if (!box) {
      if (!pending.some((op) => op.kind === 'delete' && op.box === id))
        problems.push(`mailbox ${path} is gone`);
      continue;
    }
    const used = (known.seen.get(id)?.uids.size ?? 0) > 0;
    if (used && (box.id !== id || box.uidValidity !== uidValidity))
      problems.push(`mailbox ${path} is another one: ${id}.${uidValidity} ${box.id}.${box.uidValidity}`);
    if (box.specialUse !== use) problems.push(`mailbox ${path} was for ${use} and is for ${box.specialUse}`);
    now.set(id, box);
  }
  if (renames.size > 1) problems.push('a rename is half done');
  for (const [path, box] of boxes)
    if (
      box.selectable &&
      ![...now.values()].includes(box) &&
      !pending.some((op) => op.kind === 'create' && (op.path === path || op.path.startsWith(`${path}/`)))
    )
      problems.push(`mailbox ${path} should not be there`);
  return now;
}

async function contents(
  account: AccountStore,
  boxes: readonly Mailbox[],
  problems: string[],
): Promise<Map<string, Actual[]>> {
  const found = new Map<string, Actual[]>();
  for (const box of boxes) {
    if (!box.selectable) continue;
    const messages = await all(account.messages(box.id, [{ first: 1, last: '*' }]));
    for (const { uid, flags, size } of messages) {
      const bytes = await bytesOf(await account.raw(box.id, uid));
      const token = /^Subject: (\S+)\r$/m.exec(bytes.toString('latin1'))?.[1] ?? '';
      if (!bytes.equals(textOf(token)) || size !== bytes.length)
        problems.push(`${box.path} ${uid} is torn (${bytes.length} octets)`);
      const list = found.get(token) ?? [];
      list.push({ box: box.id, uid, flags: words(flags), taken: false });
      found.set(token, list);
    }
  }
  return found;
}

function judgeMessages(
  known: Known,
  pending: readonly Op[],
  now: ReadonlyMap<MailboxId, Mailbox>,
  found: ReadonlyMap<string, Actual[]>,
  { index }: Circumstances,
  problems: string[],
): void {
  const take = (token: string, box: MailboxId, uid: number | null): Actual | undefined => {
    const here = now.get(box)?.id;
    const one = found
      .get(token)
      ?.find((actual) => !actual.taken && actual.box === here && (uid === null || actual.uid === uid));
    if (one) one.taken = true;
    return one;
  };
  const describe = (instance: Instance): string =>
    `${instance.token} (${known.boxes.get(instance.box)?.path} ${instance.uid})`;
  for (const instance of known.instances.values()) {
    if (pending.some((op) => op.kind === 'delete' && op.box === instance.box) && !now.has(instance.box))
      continue;
    const op = pending.find(
      (one) => 'targets' in one && one.kind !== 'copy' && one.targets.includes(instance.number),
    );
    const actual = take(instance.token, instance.box, instance.uid);
    if (!actual) {
      if (op?.kind !== 'expunge' && op?.kind !== 'move' && op?.kind !== 'replace')
        problems.push(`${describe(instance)} is lost`);
      continue;
    }
    const allowed = [instance.flags];
    if (op?.kind === 'flags') allowed.push(op.flags);
    if (index === 'lost') allowed.push(...instance.former);
    if (!allowed.includes(actual.flags))
      problems.push(
        `${describe(instance)} has the flags "${actual.flags}", not ${allowed.map((flags) => `"${flags}"`).join(' or ')}`,
      );
  }
  for (const op of pending) judgeUnfinished(op, known, take, found, now, index, problems);
  if (index === 'lost')
    for (const instance of known.leaving) take(instance.token, instance.box, instance.uid);
  for (const [token, list] of found)
    for (const { taken, box, uid } of list)
      if (!taken) problems.push(`${token} should not be there: ${box} ${uid}`);
}

/** All or nothing, and never both here and there. */
function judgeUnfinished(
  op: Op,
  known: Known,
  take: (token: string, box: MailboxId, uid: number | null) => Actual | undefined,
  found: ReadonlyMap<string, Actual[]>,
  now: ReadonlyMap<MailboxId, Mailbox>,
  index: Circumstances['index'],
  problems: string[],
): void {
  if (op.kind === 'deliver' || op.kind === 'append' || op.kind === 'outside') take(op.token, op.box, null);
  if (op.kind === 'appendAll') {
    const there = op.tokens.filter((token) => take(token, op.box, null) !== undefined).length;
    if (index === 'kept' && there > 0 && there < op.tokens.length)
      problems.push(`${there} of ${op.tokens.length} messages were appended`);
  }
  if (op.kind === 'replace') {
    const old = known.instances.get(op.targets[0] ?? -1);
    const place = old && now.get(old.box)?.id;
    const stayed = found.get(old?.token ?? '')?.some(({ box, uid }) => box === place && uid === old?.uid);
    const arrived = take(op.token, op.to, null) !== undefined;
    if (!stayed && !arrived) problems.push(`${old?.token} is lost while it was replaced`);
    if (index === 'kept' && stayed && arrived) problems.push(`${op.token} is there beside what it replaces`);
  }
  if (op.kind !== 'copy' && op.kind !== 'move') return;
  let done = 0;
  for (const target of op.targets) {
    const instance = known.instances.get(target);
    if (!instance) continue;
    const source = now.get(instance.box)?.id;
    const stayed = found.get(instance.token)?.some(({ box, uid }) => box === source && uid === instance.uid);
    if (op.kind === 'move' && stayed) continue;
    const arrived = take(instance.token, op.to, null);
    if (arrived) done++;
    else if (op.kind === 'move') problems.push(`${instance.token} is lost while it was moved`);
  }
  if (index === 'kept' && done > 0 && done < op.targets.length)
    problems.push(`a ${op.kind} of ${op.targets.length} is half done: ${done}`);
}

async function judgeNumbers(
  account: AccountStore,
  id: MailboxId,
  box: Mailbox,
  known: Known,
  { tokens }: Circumstances,
  found: ReadonlyMap<string, Actual[]>,
  problems: string[],
): Promise<void> {
  const seen = known.seen.get(id);
  if (!seen || box.id !== id) return;
  for (const [token, list] of found)
    for (const { box: where, uid } of list) {
      if (where !== box.id || !seen.uids.has(uid)) continue;
      const before = tokens.get(`${box.uidValidity}.${uid}`);
      if (before !== undefined && before !== token)
        problems.push(`${box.path} ${uid} was ${before} and is ${token}`);
    }
  const highest = Math.max(0, ...seen.uids);
  if (box.uidNext <= highest) problems.push(`${box.path}: UIDNEXT ${box.uidNext}, UID ${highest} was shown`);
  if (box.highestModSeq < seen.modSeq)
    problems.push(`${box.path}: MODSEQ ${box.highestModSeq}, ${seen.modSeq} was shown`);
  // What a client that was here before makes of QRESYNC's answer (RFC 7162 3.2.5) is what there is.
  const client = new Map(seen.flags);
  for (const uid of await account.vanished(id, seen.modSeq as ModSeq)) client.delete(uid);
  for (const { uid, flags } of await all(
    account.messages(id, [{ first: 1, last: '*' }], seen.modSeq as ModSeq),
  ))
    client.set(uid, words(flags));
  const there = new Map(
    (await all(account.messages(id, [{ first: 1, last: '*' }]))).map((message) => [
      Number(message.uid),
      words(message.flags),
    ]),
  );
  for (const uid of new Set([...client.keys(), ...there.keys()]))
    if (client.get(uid) !== there.get(uid))
      problems.push(`${box.path} ${uid}: a client believes "${client.get(uid)}", it is "${there.get(uid)}"`);
}

/** The queue had no answer, or lost it: it asks again, and the message is there once. */
async function judgeRepetition(
  store: MailStore,
  account: AccountStore,
  known: Known,
  pending: readonly Op[],
  now: ReadonlyMap<MailboxId, Mailbox>,
  problems: string[],
): Promise<void> {
  for (const op of pending) {
    if (op.kind !== 'deliver') continue;
    const { token, box, flags } = op;
    const path = now.get(box)?.path;
    if (path === undefined) continue;
    const answer = await store.deliver({
      account: alice,
      mailbox: path,
      key: token,
      flags: flags === '' ? [] : flags.split(' '),
      internalDate: 1_700_000_000_000,
      content: [textOf(token)],
    });
    if (
      known.seen.get(box)?.uids.has(answer.uid) &&
      ![...known.instances.values()].every((one) => one.uid !== answer.uid || one.box !== box)
    )
      problems.push(`${token} got UID ${answer.uid}, which was another message's`);
    let times = 0;
    for (const one of await account.mailboxes()) {
      if (!one.selectable) continue;
      for (const uid of await account.uids(one.id)) {
        const bytes = await bytesOf(await account.raw(one.id, uid as Uid));
        if (bytes.toString('latin1').includes(`Subject: ${token}\r\n`)) times++;
      }
    }
    if (times !== 1) problems.push(`${token} is there ${times} times after the queue asked again`);
  }
}
