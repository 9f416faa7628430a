// The names of hosts, each as the host itself has told it. Log lines of a host go under its name,
// so no other host may take a name that belongs to a host that is present, or the driver's.

import { fingerprintIn } from "../http/identity.ts";
import type { HostId } from "../peer/member.ts";

/** The name of the driver in records and logs, which no host may have. */
export const DRIVER_NAME = "driver";
/** Hosts whose names are remembered. */
const HOSTS_KEPT = 10_000;

export class HostNames {
  readonly #isPresent: (id: HostId) => boolean;
  readonly #names = new Map<HostId, string>();
  /** The host that each name belongs to. */
  readonly #owners = new Map<string, HostId>();

  constructor(isPresent: (id: HostId) => boolean) {
    this.#isPresent = isPresent;
  }

  /** Takes the name that a host gives itself. */
  note(id: HostId, name: string): void {
    this.#names.delete(id);
    this.#names.set(id, name);
    const owner = this.#owners.get(name);
    if (owner === undefined || isSameKey(owner, id) || !this.#isPresent(owner))
      this.#owners.set(name, id);
    if (this.#names.size > HOSTS_KEPT) this.#forgetOldest();
  }

  /** The name of a host, or its id where another process has the name; null for an unknown host. */
  nameOf(id: HostId): string | null {
    const name = this.#names.get(id);
    if (name === undefined) return null;
    const isOfOther = isDriverName(name) || (name !== id && this.#names.has(name));
    return this.#owners.get(name) === id && !isOfOther ? name : id;
  }

  #forgetOldest(): void {
    for (const [id, name] of this.#names) {
      this.#names.delete(id);
      if (this.#owners.get(name) === id) this.#owners.delete(name);
      return;
    }
  }
}

/** Some file systems take `Driver.log` for the log of the driver. */
export function isDriverName(name: string): boolean {
  return name.toLowerCase() === DRIVER_NAME;
}

/** True for two lives of one worker: its watcher gives both the same key. */
export function isSameKey(one: HostId, other: HostId): boolean {
  return (
    one === other || (fingerprintIn(one) !== null && fingerprintIn(one) === fingerprintIn(other))
  );
}
