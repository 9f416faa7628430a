// The contract of a sandbox: a running container with an agent in it, or, by explicit choice, plain
// processes. An engine implements this page. Everything else (commands with limits, files,
// channels, pools) is built on `open` alone, once for all engines.
//
// The end of a command is data: exit 1, exit 137, a timeout and cut output are outcomes. A sandbox
// that cannot be started or is gone is an operating error: `sandbox_unavailable`, `sandbox_lost`.

import type { Readable, Writable } from "node:stream";

export const ENGINES = ["docker", "apptainer", "process"] as const;
export type EngineName = (typeof ENGINES)[number];

export const LIMITS = ["memory", "cpus", "pids", "disk", "network", "read_only"] as const;
/** A limit that an engine can hold a sandbox to. */
export type LimitName = (typeof LIMITS)[number];

export interface Mount {
  readonly source: string;
  readonly target: string;
  readonly writable: boolean;
}

/** A sandbox as the recipe describes it. */
export interface SandboxSpec {
  readonly name: string;
  /** A Docker reference or the path of a SIF. The engine `process` ignores it. */
  readonly image: string;
  readonly memoryBytes: number;
  readonly cpus: number;
  /**
   * Room for files in /tmp, and as much in the working directory `/work`. It is memory on top of
   * `memoryBytes`. Null takes a quarter of `memoryBytes` for each.
   */
  readonly diskBytes: number | null;
  /** Upper bound of processes and threads together. */
  readonly pids: number;
  readonly network: "none" | "host";
  /** True for a read-only root file system. /tmp and the working directory stay writable. */
  readonly readOnly: boolean;
  /** `root` has a few powers over the files and users of its own container. */
  readonly user: "caller" | "root";
  readonly mounts: readonly Mount[];
  readonly env: Readonly<Record<string, string>>;
  /** The folder in which commands start. */
  readonly workdir: string;
}

export interface Command {
  readonly args: readonly string[];
  /** Default: the sandbox's working directory. */
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** A command in a sandbox. A command whose output is not read waits. */
export interface Running {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /**
   * The exit code (128 + n after signal n), once the output is complete. Processes that the command
   * left in the background do not hold it up. Fails with `sandbox_lost` when the sandbox went
   * first.
   */
  readonly exited: Promise<number>;
  /**
   * Kills the command and everything that it started. Never fails. A command that cannot be killed
   * takes its sandbox along.
   */
  kill(): Promise<void>;
}

export interface Sandbox extends AsyncDisposable {
  /** A unique name of letters, digits and `-`, and the name of the container where there is one. */
  readonly id: string;
  readonly engine: EngineName;
  /** Limits of the specification that this engine cannot enforce here. */
  readonly unenforced: readonly LimitName[];
  /** The folder of the agents' libraries, as the sandbox sees it: `/matrix` in a container. */
  readonly bridge: string;
  /** Resolves when the sandbox is gone, with the reason. */
  readonly ended: Promise<string>;
  /** Starts a command. A missing program is an outcome (exit 127). */
  open(command: Command): Promise<Running>;
  /** Ends everything in the sandbox. May be called again. */
  stop(): Promise<void>;
}

/** A sandbox that was found on this machine, alive or left behind. */
export interface FoundSandbox {
  readonly engine: EngineName;
  readonly id: string;
  readonly run: string;
  readonly host: string;
  /** The folder of the lease that keeps it, on the machine named below. */
  readonly lease: string;
  readonly machine: string;
  readonly image: string;
  readonly startedAt: number;
}

export interface EngineReport {
  readonly usable: boolean;
  /** The version and address, or the reason why the engine cannot be used. */
  readonly says: string;
  /** Limits that this engine cannot enforce here. */
  readonly unenforced: readonly LimitName[];
  /** Advice for the user, one sentence each. */
  readonly hints: readonly string[];
}

/** An engine, which starts sandboxes. */
export interface Sandboxes {
  readonly engine: EngineName;
  /**
   * Fails with `sandbox_invalid` when the start can never succeed, and with `sandbox_unavailable`
   * when it may succeed later.
   */
  start(spec: SandboxSpec, signal?: AbortSignal): Promise<Sandbox>;
}
