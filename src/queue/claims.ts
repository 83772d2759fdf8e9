import { isDiskFull } from '../lib/sqlite.ts';
import type { Entry } from './entry.ts';
import type { Live } from './live.ts';
import type { NextHop } from './next-hop.ts';
import type { Job } from './queue.ts';
import type { QueueIndex } from './queue-index.ts';
import type { Ready } from './ready.ts';
import type { Room } from './room.ts';

/** Next hops looked at in one claim from the index. */
const MAX_HOPS = 64;

export interface ClaimSources {
  readonly live: Live;
  readonly index: QueueIndex;
  readonly ready: Ready;
}

export interface ClaimTerms {
  readonly now: number;
  /** Leases last until then. */
  readonly until: number;
}

/**
 * Collects jobs: new messages from memory, older ones from the index. Both take turns, so that neither a flood of new
 * mail nor a big backlog keeps the other waiting; so do local and remote mail, and next hops among themselves.
 */
export function claimJobs(
  sources: ClaimSources,
  terms: ClaimTerms,
  limit: number,
  room: Room,
): readonly Job[] {
  const { live } = sources;
  live.expireLeases(terms.now);
  if (live.parkedDue(terms.now)) live.flush('ripe');
  const jobs: Job[] = [];
  const half = Math.ceil(limit / 2);
  fill('local', half);
  fill('remote', limit);
  fill('local', limit);
  return jobs;

  function fill(agent: Job['agent'], most: number): void {
    const indexed = live.indexDue(terms.now);
    takeReady(sources, terms, agent, indexed ? Math.ceil(most / 2) : most, room, jobs);
    if (!indexed) return;
    takeIndexed(sources, terms, agent, most, room, jobs);
    takeReady(sources, terms, agent, most, room, jobs);
  }
}

function takeReady(
  { live, ready }: ClaimSources,
  { now, until }: ClaimTerms,
  agent: Job['agent'],
  most: number,
  room: Room,
  jobs: Job[],
): void {
  if (ready.empty || room.agent(agent) <= 0) return;
  ready.take(agent, most, room, (entry, hop) => {
    if (!entry.lined) return false;
    const job = lease(live, entry, hop, now, until);
    if (!job) return false;
    jobs.push(job);
    room.use(hop);
    // More than one job's worth of recipients at this next hop.
    if (job.recipients.length < entry.message.recipients.length) ready.add(entry, hop);
    return true;
  });
}

function takeIndexed(
  { live, index }: ClaimSources,
  { now, until }: ClaimTerms,
  agent: Job['agent'],
  most: number,
  room: Room,
  jobs: Job[],
): void {
  const wanted = Math.min(most, room.agent(agent));
  if (wanted <= 0) return;
  const hops = index.dueHops(agent, now, Math.min(wanted, MAX_HOPS), (name) => room.nextHop(agent, name) > 0);
  if (hops.length === 0) return;
  const share = Math.max(1, Math.floor(wanted / hops.length));
  const taken: Job[] = [];
  const take = (): void => {
    // What one next hop leaves of its share, others may have in a further round.
    for (let before = -1; before < taken.length && taken.length < wanted; ) {
      before = taken.length;
      for (const hop of hops) {
        const most = Math.min(share, wanted - taken.length, room.nextHop(agent, hop.name));
        if (most > 0) takeHop(hop, most);
      }
    }
    for (const hop of hops) index.recountHop(hop);
  };
  try {
    index.transaction(take);
  } catch (error) {
    // A full disk must not stop what empties it: the leases in memory are enough while this process lives.
    if (!isDiskFull(error)) throw error;
    live.indexFull = true;
  }
  jobs.push(...taken);
  live.recountDue();

  function takeHop(hop: NextHop, most: number): void {
    // On a full disk leased messages still look due: look past them.
    for (const id of index.dueMessages(hop, now, most + (live.indexFull ? live.leases : 0))) {
      const entry = live.load(id);
      const job = entry && lease(live, entry, hop, now, until);
      if (entry && job) {
        taken.push(job);
        room.use(hop);
        index.lease(
          id,
          job.recipients.map((recipient) => recipient.index),
          until,
        );
        if (room.nextHop(agent, hop.name) <= 0 || --most <= 0) return;
      } else if (entry) {
        // Memory knows better than this row, and will write it.
        for (const recipient of entry.message.recipients)
          index.lease(id, [recipient.index], entry.due(recipient) ?? until);
      }
    }
  }
}

function lease(live: Live, entry: Entry, hop: NextHop, now: number, until: number): Job | undefined {
  const lease = entry.claim(hop, now, until);
  if (!lease) return undefined;
  live.addLease(lease);
  return lease.job;
}
