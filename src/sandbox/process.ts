// Plain processes of this machine in place of containers, each sandbox in its own folder. A recipe
// must ask for them by name: only time and output are limited, and nothing is isolated. They are
// for agents that the user trusts, and for tests.

import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import { MatrixError } from "../error.ts";
import {
  type Command,
  LIMITS,
  type LimitName,
  type Running,
  type Sandbox,
  type Sandboxes,
  type SandboxSpec,
} from "./contract.ts";
import { START } from "./holder.ts";
import type { Lease } from "./lease.ts";
import { killAllMarked, killUntil, MARK } from "./marked-processes.ts";
import { endOf, outputEnd, spawnChild } from "./spawn.ts";

/**
 * A stopped sandbox waits this long for its commands: one that waits for a dead disk never ends.
 */
const STOP_TIMEOUT_MS = 5000;

export class ProcessSandboxes implements Sandboxes {
  readonly engine = "process";
  readonly #lease: Lease;

  constructor(lease: Lease) {
    this.#lease = lease;
  }

  async start(spec: SandboxSpec): Promise<Sandbox> {
    const id = `matrix-${randomUUID()}`;
    return new ProcessSandbox(id, spec, this.#lease, await this.#lease.folderOf(id));
  }
}

class ProcessSandbox implements Sandbox {
  readonly engine = "process";
  readonly unenforced: readonly LimitName[] = LIMITS;
  readonly id: string;
  readonly bridge: string;
  readonly ended: Promise<string>;
  readonly #environment: Record<string, string>;
  readonly #folder: string;
  readonly #end = Promise.withResolvers<string>();
  /** Ends of the commands that still run. */
  readonly #running = new Set<Promise<unknown>>();
  #stopped = false;

  constructor(id: string, spec: SandboxSpec, lease: Lease, folder: string) {
    this.id = id;
    this.bridge = lease.bridge;
    this.ended = this.#end.promise;
    this.#folder = folder;
    this.#environment = {
      PATH: process.env["PATH"] ?? "/usr/local/bin:/usr/bin:/bin",
      LANG: process.env["LANG"] ?? "C.UTF-8",
      HOME: folder,
      ...spec.env,
      ...lease.marksOf(id, "process", ""),
    };
  }

  async open(command: Command): Promise<Running> {
    if (this.#stopped) throw new MatrixError("sandbox_lost", `sandbox ${this.id} was stopped`);
    const mark = randomUUID();
    const env = { ...this.#environment, ...command.env, [MARK.command]: mark };
    const child = spawnChild("/bin/sh", ["-c", START, "sh", command.cwd ?? ".", ...command.args], {
      cwd: this.#folder,
      env,
    });
    const end = endOf(child);
    const exited = end.then(async ({ code }) => {
      await outputEnd(child);
      if (this.#stopped) throw new MatrixError("sandbox_lost", `sandbox ${this.id} was stopped`);
      return code;
    });
    this.#running.add(end);
    void end.then(() => this.#running.delete(end));
    exited.catch(() => undefined);
    return {
      stdin: child.stdin,
      stdout: child.stdout,
      stderr: child.stderr,
      exited,
      kill: () => killUntil(`${MARK.command}=${mark}`, exited, () => this.stop()),
    };
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    const mark = `${MARK.sandbox}=${this.id}`;
    // The kernel shows no mark of a command that it is just starting, so one look is not enough.
    const gone = Promise.allSettled(this.#running);
    const ended = Promise.race([gone, pause(STOP_TIMEOUT_MS, undefined, { ref: false })]);
    await killUntil(mark, ended, () => Promise.resolve());
    await killAllMarked(mark);
    await rm(this.#folder, { recursive: true, force: true });
    this.#end.resolve("it was stopped");
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}
