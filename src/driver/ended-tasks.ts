// Tasks that have their record, for the hosts that keep something for them, such as a sandbox
// session. A host learns of them in the answer to its next beat.

import type { HostId, Member } from "../peer/member.ts";

type Ended = [rowId: string, trial: number];

/** The most tasks in one answer. A host finds out about the others by itself, later. */
const ENDED_MAX = 10_000;

export class EndedTasks {
  readonly #keepers: ReadonlySet<string>;
  readonly #ended = new Map<HostId, Ended[]>();

  /** `keepers` are the roles whose hosts keep something for a task until it has ended. */
  constructor(keepers: ReadonlySet<string>) {
    this.#keepers = keepers;
  }

  add(rowId: string, trial: number, hosts: readonly Member[]): void {
    for (const { id, roles } of hosts) {
      if (!roles.some((role) => this.#keepers.has(role))) continue;
      const ended = this.#ended.get(id) ?? [];
      if (ended.length < ENDED_MAX) ended.push([rowId, trial]);
      this.#ended.set(id, ended);
    }
  }

  /** Returns the ended tasks that a host has not learned of yet, once. */
  take(host: HostId): Ended[] {
    const ended = this.#ended.get(host) ?? [];
    this.#ended.delete(host);
    return ended;
  }

  /** Drops the news for a host that is gone. */
  forget(host: HostId): void {
    this.#ended.delete(host);
  }
}
