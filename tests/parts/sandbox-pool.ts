// A pool of one sandbox that a test brings: every call gets the same place.

import type { Sandbox } from "../../src/sandbox/contract.ts";
import { type Caller, type PoolOptions, SandboxPool } from "../../src/sandbox/pool.ts";
import { Starts } from "../../src/sandbox/starts.ts";
import { quiet } from "./quiet.ts";
import { SPEC } from "./sandbox-spec.ts";

export interface PoolCall {
  readonly caller: Caller;
  readonly digest: string;
}

/** A pool over `start`, with a note of each call. */
export function poolOver(
  start: () => Promise<Sandbox>,
  more: Partial<Pick<PoolOptions, "watches">> = {},
): {
  readonly pool: SandboxPool;
  readonly calls: readonly PoolCall[];
} {
  const calls: PoolCall[] = [];
  class NotingPool extends SandboxPool {
    override call: SandboxPool["call"] = (caller, digest, use, signal) => {
      calls.push({ caller, digest });
      return super.call(caller, digest, use, signal);
    };
  }
  const pool = new NotingPool({
    spec: SPEC,
    prepare: async () => ({ sandboxes: { engine: "process", start }, image: "", mounts: [] }),
    serves: "many",
    count: 1,
    warm: 0,
    stateful: true,
    watches: false,
    taskMs: 60_000,
    patienceMs: 0,
    starts: new Starts({ atOnceMax: 1, log: quiet, clock: () => 0 }),
    log: quiet,
    clock: () => 0,
    ...more,
  });
  return { pool, calls };
}
