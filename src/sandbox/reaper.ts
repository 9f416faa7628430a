// The reaper removes sandboxes of dead hosts once their lease has passed. It finds containers by
// their labels and processes by the marks in their environment. It never touches a sandbox whose
// host renews the lease, nor one of another user or another machine.

import { sep } from "node:path";
import { messageOf } from "../error.ts";
import { machineId } from "../process.ts";
import type { Log } from "../telemetry/log.ts";
import type { FoundSandbox } from "./contract.ts";
import { findContainers, removeContainer } from "./docker/client.ts";
import { allLeases, isRenewed, leaseRoot, removeLease, sessionsOf } from "./lease.ts";
import {
  allPids,
  environmentOf,
  killAllMarked,
  killFileServers,
  MARK,
  markedPids,
} from "./marked-processes.ts";

export interface SandboxStatus extends FoundSandbox {
  /** True while its host renews its lease. */
  readonly kept: boolean;
  /** True for a sandbox of this machine and this user: only those may be removed. */
  readonly ours: boolean;
}

/**
 * Every sandbox of all runs that can be seen from here. An engine that does not answer has none.
 */
export async function findSandboxes(root: string = leaseRoot()): Promise<SandboxStatus[]> {
  const containers = await findContainers().catch(() => []);
  return [...containers, ...findProcesses()].map((found) => ({
    ...found,
    kept: isRenewed(found.lease),
    ours: found.machine === machineId() && found.lease.startsWith(`${root}${sep}`),
  }));
}

export interface Reaped {
  readonly removed: readonly SandboxStatus[];
  /** Sandboxes that could not be removed, each with the reason. */
  readonly failures: readonly string[];
}

/** Removes every sandbox of this user whose lease has passed, and then its lease. */
export async function reap(log: Log, root: string = leaseRoot()): Promise<Reaped> {
  const removed: SandboxStatus[] = [];
  const failures: string[] = [];
  for (const sandbox of await findSandboxes(root)) {
    if (sandbox.kept || !sandbox.ours) continue;
    const failure = await remove(sandbox).then(
      () => null,
      (thrown: unknown) => messageOf(thrown),
    );
    if (failure !== null) failures.push(`${sandbox.id}: ${failure}`);
    else removed.push(sandbox);
  }
  for (const lease of await allLeases(root)) {
    if (isRenewed(lease) || markedPids(`${MARK.lease}=${lease}`).length > 0) continue;
    for (const session of await sessionsOf(lease)) killFileServers(session);
    await removeLease(lease).catch(() => undefined);
  }
  for (const { id, run, host } of removed)
    log.write("info", "removed a sandbox whose host is gone", { sandbox: id, run, host });
  for (const failure of failures)
    log.write("warning", `cannot remove a sandbox whose host is gone: ${failure}`);
  return { removed, failures };
}

async function remove({ engine, id }: FoundSandbox): Promise<void> {
  if (engine === "docker") await removeContainer(id);
  else if (!(await killAllMarked(`${MARK.sandbox}=${id}`)))
    throw new Error("its processes cannot be killed");
}

/** Sandboxes that the environment of a process names, of the engines `process` and Apptainer. */
function findProcesses(): FoundSandbox[] {
  const found = new Map<string, FoundSandbox>();
  for (const pid of allPids()) {
    const variables = new Map(environmentOf(pid).map((entry) => splitEntry(entry)));
    const id = variables.get(MARK.sandbox);
    const lease = variables.get(MARK.lease);
    const engine = variables.get(MARK.engine);
    // A process in a Docker container goes with its container.
    if (
      id === undefined ||
      lease === undefined ||
      found.has(id) ||
      (engine !== "process" && engine !== "apptainer")
    )
      continue;
    found.set(id, {
      engine,
      id,
      run: variables.get(MARK.run) ?? "?",
      host: variables.get(MARK.host) ?? "?",
      lease,
      machine: machineId(),
      image: variables.get(MARK.image) ?? "",
      startedAt: Number(variables.get(MARK.startedAt) ?? 0),
    });
  }
  return [...found.values()];
}

function splitEntry(entry: string): readonly [string, string] {
  const split = entry.indexOf("=");
  return [entry.slice(0, split), entry.slice(split + 1)];
}
