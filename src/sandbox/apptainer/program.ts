// The Apptainer program of this machine: where it is, and which limits it can enforce here.

import { existsSync } from "node:fs";
import type { EngineReport, LimitName } from "../contract.ts";
import { runChild } from "../spawn.ts";

/** Limits that need control groups. */
export const GROUP_LIMITS: readonly LimitName[] = ["memory", "cpus", "pids"];

/** The name of the program in PATH, or null. */
export async function findApptainer(): Promise<string | null> {
  for (const program of ["apptainer", "singularity"]) {
    const { code } = await runChild(program, ["--version"]);
    if (code === 0) return program;
  }
  return null;
}

export async function reportApptainer(): Promise<EngineReport> {
  const program = await findApptainer();
  if (program === null)
    return {
      usable: false,
      says: "no apptainer or singularity in PATH",
      unenforced: [],
      hints: ["install Apptainer 1.1 or newer"],
    };
  const { stdout } = await runChild(program, ["--version"]);
  const says = stdout.trim();
  if (hasControlGroups()) return { usable: true, says, unenforced: [], hints: [] };
  return {
    usable: true,
    says,
    unenforced: GROUP_LIMITS,
    hints: [
      "limits of memory, CPU and processes need root, or control groups v2 that systemd " +
        "delegates to this user; the limits of a batch system still hold",
    ],
  };
}

/** Root may use control groups of either version; another user needs version 2 and systemd. */
function hasControlGroups(): boolean {
  if (process.getuid?.() === 0) return true;
  const bus = process.env["DBUS_SESSION_BUS_ADDRESS"] ?? process.env["XDG_RUNTIME_DIR"];
  return existsSync("/sys/fs/cgroup/cgroup.controllers") && bus !== undefined;
}
