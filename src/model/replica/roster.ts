// The replicas that a model has at the moment, found by their addresses. A replica that is found
// again keeps its state; one that is gone finishes what it has in flight.

import type { OpenaiModelConfig } from "../../recipe/schema/model-schema.ts";
import type { Address, Addresses } from "./addresses.ts";
import { Replica, type ReplicaParts } from "./replica.ts";

export class Roster {
  readonly #model: string;
  readonly #config: OpenaiModelConfig;
  readonly #parts: ReplicaParts;
  readonly #addresses: Addresses;
  #replicas: readonly Replica[] = [];
  #foundAt: number | null = null;
  #finding: Promise<void> | null = null;
  #problem: string | null = null;

  constructor(model: string, config: OpenaiModelConfig, parts: ReplicaParts, addresses: Addresses) {
    this.#model = model;
    this.#config = config;
    this.#parts = parts;
    this.#addresses = addresses;
  }

  get replicas(): readonly Replica[] {
    return this.#replicas;
  }

  /** A sentence that says why replicas cannot be found, or null. */
  get problem(): string | null {
    return this.#problem;
  }

  /**
   * Looks for the addresses again when those that are known are old, never twice at once. Null when
   * they are not.
   */
  find(): Promise<void> | null {
    const isStale =
      this.#foundAt === null || this.#parts.clock.now() - this.#foundAt > this.#addresses.maxAgeMs;
    if (isStale) this.#finding ??= this.#find();
    return this.#finding;
  }

  async #find(): Promise<void> {
    const { addresses, problem } = await this.#addresses.find();
    const isFirst = this.#foundAt === null;
    this.#foundAt = this.#parts.clock.now();
    this.#finding = null;
    if (problem !== null && problem !== this.#problem)
      this.#parts.say("warning", `models.${this.#model}: ${problem}`);
    this.#problem = problem;
    if (addresses === null) return;
    if (!isFirst && problem === null) this.#sayChange(addresses);
    const known = new Map(this.#replicas.map((replica) => [replica.label, replica]));
    this.#replicas = addresses.map(
      (address) => known.get(address.label) ?? new Replica(this.#config, address, this.#parts),
    );
  }

  #sayChange(addresses: readonly Address[]): void {
    const before = new Set(this.#replicas.map(({ label }) => label));
    const now = new Set(addresses.map(({ label }) => label));
    const [came, went] = [now.difference(before), before.difference(now)];
    const changes = [
      ...(came.size > 0 ? [`new: ${[...came].join(", ")}`] : []),
      ...(went.size > 0 ? [`gone: ${[...went].join(", ")}`] : []),
    ];
    if (changes.length > 0)
      this.#parts.say(
        "info",
        `models.${this.#model}: the replicas changed, ${now.size} now; ${changes.join("; ")}`,
      );
  }
}
