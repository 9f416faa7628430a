// The content of a lock file: which process has the run directory, or had it last. A file that is
// empty, torn or full of zeros is what a power cut leaves, so its holder is dead.

import { hostname } from "node:os";
import * as v from "valibot";
import { isRunning, machineId, startTimeOf } from "../process.ts";

const schema = v.object({
  host: v.string(),
  /** The machine on which `pid` means something. */
  machine: v.string(),
  pid: v.number(),
  /** See ProcessId. */
  startTime: v.nullable(v.string()),
  since: v.string(),
  released: v.optional(v.boolean(), false),
});

export type Holder = v.InferOutput<typeof schema>;

/** This process, from now on. */
export function holderHere(): Holder {
  return {
    host: hostname(),
    machine: machineId(),
    pid: process.pid,
    startTime: startTimeOf(process.pid),
    since: new Date().toISOString(),
    released: false,
  };
}

/** Returns null for text that is not the content of a lock file. */
export function parseHolder(text: string): Holder | null {
  try {
    const result = v.safeParse(schema, JSON.parse(text));
    return result.success ? result.output : null;
  } catch {
    return null;
  }
}

/**
 * `elsewhere`: only the age of its lock file tells whether the holder lives, because its process
 * number means nothing here.
 */
export function stateOf(holder: Holder): "released" | "dead" | "alive" | "elsewhere" {
  if (holder.released) return "released";
  if (holder.machine !== machineId()) return "elsewhere";
  return isRunning(holder) ? "alive" : "dead";
}

export function describeHolder({ pid, host, since }: Holder): string {
  return `process ${pid} on ${host}, since ${since}`;
}
