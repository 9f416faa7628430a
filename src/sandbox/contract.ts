// The sandbox: a running container with an agent in it, or, by explicit choice, plain processes. This page is what an engine
// implements; everything else (commands with limits, files, channels, pools) is built on `open` alone, once for all engines.
//
// What a command does is data: exit 1, exit 137, a time-out and a cut output are outcomes. That a sandbox cannot be started
// or is gone is an operating error: `sandbox_unavailable`, `sandbox_lost`.

import type { Readable, Writable } from "node:stream";

export const ENGINES = ["docker", "apptainer", "process"] as const;
export type EngineName = (typeof ENGINES)[number];

export const LIMITS = ["memory", "cpus", "pids", "network", "read_only"] as const;
/** What a sandbox can be held to. */
export type LimitName = (typeof LIMITS)[number];

export interface Mount {
  readonly source: string;
  readonly target: string;
  readonly writable: boolean;
}

/** A sandbox as the recipe wants it, sizes in bytes. */
export interface SandboxSpec {
  readonly name: string;
  /** A Docker reference or the path of a SIF; not read by `process`. */
  readonly image: string;
  readonly memoryBytes: number;
  readonly cpus: number;
  /** Processes and threads at once. */
  readonly pids: number;
  readonly network: "none" | "host";
  /** The root file system; /tmp and the working directory stay writable. */
  readonly readOnly: boolean;
  readonly mounts: readonly Mount[];
  readonly env: Readonly<Record<string, string>>;
  /** Where commands start. */
  readonly workdir: string;
}

export interface Command {
  readonly args: readonly string[];
  /** Default: the sandbox's working directory. */
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** A command in a sandbox. Its streams must be read, or it waits. */
export interface Running {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /**
   * Its exit code (128 + n after signal n) once its output is complete; what it left running in the background does not
   * hold it up. Fails with `sandbox_lost` when the sandbox went first.
   */
  readonly exited: Promise<number>;
  /** Ends it with all that it started, by SIGKILL. Never fails; a command that cannot be killed takes its sandbox along. */
  kill(): Promise<void>;
}

export interface Sandbox extends AsyncDisposable {
  /** Unique, of letters, digits and `-`: the container's name where there is one. */
  readonly id: string;
  readonly engine: EngineName;
  /** Limits of the specification that this engine cannot enforce here. */
  readonly unenforced: readonly LimitName[];
  /** Where agents and their libraries stand inside: `/matrix` in a container. */
  readonly bridge: string;
  /** Resolves once when the sandbox is gone, with the reason as a sentence. */
  readonly ended: Promise<string>;
  /** A command that is not there is an outcome (exit 127). */
  open(command: Command): Promise<Running>;
  /** Ends everything in it. May be called again. */
  stop(): Promise<void>;
}

/** What an engine found on this machine, ours or not any more. */
export interface FoundSandbox {
  readonly engine: EngineName;
  readonly id: string;
  readonly run: string;
  readonly host: string;
  /** The lease that keeps it: a folder on the machine of that name. */
  readonly lease: string;
  readonly machine: string;
  readonly image: string;
  readonly startedAt: number;
}

export interface EngineReport {
  readonly usable: boolean;
  /** Version and place, or why not. */
  readonly says: string;
  /** What this engine cannot hold a sandbox to here. */
  readonly unenforced: readonly LimitName[];
  /** What to do about it, one sentence each. */
  readonly hints: readonly string[];
}

/** An engine. */
export interface Sandboxes {
  readonly engine: EngineName;
  /** Fails with `sandbox_invalid` when it never will, with `sandbox_unavailable` when it may another time. */
  start(spec: SandboxSpec, signal?: AbortSignal): Promise<Sandbox>;
}
