import type { NextHop } from './next-hop.ts';
import type { Capacity, Job } from './queue.ts';

/** What is left of a capacity, and of the number of jobs asked for, while a claim collects jobs. */
export class Room {
  readonly #capacity: Capacity | undefined;
  #left: number;
  readonly #agents: Record<Job['agent'], number> = { local: 0, remote: 0 };
  readonly #hops = new Map<string, number>();

  constructor(limit: number, capacity: Capacity | undefined) {
    this.#left = limit;
    this.#capacity = capacity;
  }

  agent(agent: Job['agent']): number {
    const allowed = this.#capacity?.agent(agent) ?? Number.POSITIVE_INFINITY;
    return Math.min(this.#left, allowed - this.#agents[agent]);
  }

  nextHop(agent: Job['agent'], name: string): number {
    const allowed = this.#capacity?.nextHop(agent, name) ?? Number.POSITIVE_INFINITY;
    return Math.min(this.agent(agent), allowed - (this.#hops.get(`${agent} ${name}`) ?? 0));
  }

  use({ agent, name }: NextHop): void {
    this.#left--;
    this.#agents[agent]++;
    const key = `${agent} ${name}`;
    this.#hops.set(key, (this.#hops.get(key) ?? 0) + 1);
  }
}
