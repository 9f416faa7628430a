// The Apptainer program of this machine: where it is, and which limits it can enforce here.

import { existsSync } from "node:fs";
import type { EngineReport, LimitName } from "../contract.ts";
import { runChild } from "../spawn.ts";
import { runEnvironment } from "./environment.ts";

/** Limits that need control groups. */
export const GROUP_LIMITS: readonly LimitName[] = ["memory", "cpus", "pids"];

const NO_GROUPS =
  "limits of memory, CPU and processes need root, or control groups v2 that systemd " +
  "delegates to this user; the limits of a batch system still hold";
const NO_DISK =
  "the size of /tmp and /work is the administrator's (`sessiondir max size`), because Apptainer is " +
  "installed setuid";

/** The name of the program in PATH, or null. */
export async function findApptainer(): Promise<string | null> {
  for (const program of ["apptainer", "singularity"]) {
    const { code } = await runChild(program, ["--version"], { env: runEnvironment() });
    if (code === 0) return program;
  }
  return null;
}

export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/** Root may name a configuration, and so may the user of a program that is not installed setuid. */
export async function takesConfiguration(program: string): Promise<boolean> {
  if (isRoot()) return true;
  const { stdout } = await runChild(program, ["buildcfg"], { env: runEnvironment() });
  return /_SUID_INSTALL=0$/m.test(stdout);
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
  const { stdout } = await runChild(program, ["--version"], { env: runEnvironment() });
  const hasGroups = hasControlGroups();
  const hasDisk = await takesConfiguration(program);
  return {
    usable: true,
    says: stdout.trim(),
    unenforced: [...(hasGroups ? [] : GROUP_LIMITS), ...(hasDisk ? [] : (["disk"] as const))],
    hints: [...(hasGroups ? [] : [NO_GROUPS]), ...(hasDisk ? [] : [NO_DISK])],
  };
}

/** Root may use control groups of either version; another user needs version 2 and systemd. */
function hasControlGroups(): boolean {
  if (isRoot()) return true;
  const bus = process.env["DBUS_SESSION_BUS_ADDRESS"] ?? process.env["XDG_RUNTIME_DIR"];
  return existsSync("/sys/fs/cgroup/cgroup.controllers") && bus !== undefined;
}
