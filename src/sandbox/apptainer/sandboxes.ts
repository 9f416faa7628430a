// Sandboxes by Apptainer, as root or as a plain user, from a SIF. A sandbox is one `apptainer exec`
// in a process namespace of its own. It is a child of ours, and its first process is the holder:
// when we die, the holder's stdin closes, the holder ends, and the kernel ends the rest.

import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { MatrixError } from "../../error.ts";
import { SCRATCH } from "../../recipe/schema/sandbox-schema.ts";
import type { Log } from "../../telemetry/log.ts";
import type { LimitName, Sandbox, Sandboxes, SandboxSpec } from "../contract.ts";
import { BRIDGE, HOLDER, scriptOf } from "../holder.ts";
import type { Lease } from "../lease.ts";
import { environment, spawnChild } from "../spawn.ts";
import { GROUP_LIMITS } from "./program.ts";
import { ApptainerSandbox, PIPES } from "./sandbox.ts";

export class ApptainerSandboxes implements Sandboxes {
  readonly engine = "apptainer";
  readonly #lease: Lease;
  readonly #log: Log;
  readonly #program: string;
  /** Limits that control groups cannot enforce here. The first start finds out. */
  #unenforced: readonly LimitName[] = [];

  constructor(program: string, lease: Lease, log: Log) {
    this.#program = program;
    this.#lease = lease;
    this.#log = log;
  }

  async start(spec: SandboxSpec, signal?: AbortSignal): Promise<Sandbox> {
    try {
      return await this.#start(spec, signal);
    } catch (thrown) {
      const isGroups = thrown instanceof MatrixError && /cgroup/i.test(thrown.message);
      if (!isGroups || this.#unenforced.length > 0) throw thrown;
      this.#unenforced = GROUP_LIMITS;
      this.#log.write(
        "warning",
        `Apptainer cannot limit ${GROUP_LIMITS.join(", ")} of sandboxes here`,
        { why: "run `matrix sandbox check` for the reason" },
      );
      return this.#start(spec, signal);
    }
  }

  async #start(spec: SandboxSpec, signal: AbortSignal | undefined): Promise<Sandbox> {
    if (!existsSync(spec.image))
      throw new MatrixError(
        "sandbox_invalid",
        `there is no SIF ${spec.image} (sandboxes.${spec.name}.image)`,
        { hint: "`matrix sandbox build` makes one" },
      );
    signal?.throwIfAborted();
    const id = `matrix-${randomUUID()}`;
    const folder = await this.#lease.folderOf(id);
    const unenforced = this.#unenforced;
    const marks = this.#lease.marksOf(id, "apptainer", spec.image);
    const child = spawnChild(this.#program, this.#arguments(spec, folder, marks), {
      env: { ...environment(), ...marks },
    });
    const sandbox = new ApptainerSandbox(id, spec, { child, folder, marks, unenforced });
    try {
      if (child.pid !== undefined) await this.#lease.noteSession(id, child.pid);
      await sandbox.ready(signal);
      return sandbox;
    } catch (thrown) {
      await sandbox.stop();
      throw thrown;
    }
  }

  #arguments(spec: SandboxSpec, folder: string, marks: Readonly<Record<string, string>>): string[] {
    const mounts = [
      { source: this.#lease.bridge, target: BRIDGE, writable: false },
      // Read-only: a command can still write to a named pipe, but neither make nor remove one.
      { source: folder, target: PIPES, writable: false },
      ...spec.mounts,
    ];
    const holder = ["/bin/sh", "-c", HOLDER, "matrix-holder", `${BRIDGE}/lease`, PIPES];
    return [
      ...["exec", "--containall", "--cleanenv", "--no-home", "--no-privs", "--pid", "--no-init"],
      ...(spec.network === "none" ? ["--net", "--network", "none"] : []),
      ...(spec.readOnly ? [] : writableRoot()),
      ...(spec.workdir === SCRATCH ? ["--scratch", SCRATCH] : []),
      ...["--pwd", spec.workdir],
      ...mounts.flatMap((mount) => ["--mount", mountOf(mount)]),
      ...this.#limits(spec),
      spec.image,
      // A script sets the variables, because Apptainer's own option splits them at commas.
      ...["/bin/sh", "-c", scriptOf(holder, "/", { ...spec.env, ...marks })],
    ];
  }

  #limits({ memoryBytes, cpus, pids }: SandboxSpec): readonly string[] {
    const memory = String(memoryBytes);
    const limits = [
      ["memory", "--memory", memory, "--memory-swap", memory],
      ["cpus", "--cpus", String(cpus)],
      ["pids", "--pids-limit", String(pids)],
    ] as const;
    return limits.flatMap(([limit, ...args]) => (this.#unenforced.includes(limit) ? [] : args));
  }
}

/** Root owns the files of an image, so a plain user must be root inside, and only there. */
function writableRoot(): readonly string[] {
  return ["--writable-tmpfs", ...(process.getuid?.() === 0 ? [] : ["--fakeroot"])];
}

/**
 * Apptainer reads a mount as comma-separated values, quoted where a path has a comma or a quote.
 */
function mountOf({ source, target, writable }: SandboxSpec["mounts"][number]): string {
  const field = (name: string, value: string) =>
    /[",]/.test(value) ? `"${name}=${value.replaceAll('"', '""')}"` : `${name}=${value}`;
  const options = writable ? [] : ["ro"];
  return ["type=bind", field("source", source), field("destination", target), ...options].join(",");
}
