// Sandboxes by Apptainer, as root or as a plain user, from a SIF. A sandbox is one `apptainer exec`
// in a process namespace of its own. It is a child of ours, and its first process is the holder:
// when we die, the holder's stdin closes, the holder ends, and the kernel ends the rest.

import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod } from "node:fs/promises";
import { MatrixError } from "../../error.ts";
import type { Log } from "../../telemetry/log.ts";
import type { LimitName, Sandbox, Sandboxes, SandboxSpec } from "../contract.ts";
import type { Lease } from "../lease.ts";
import { spawnChild } from "../spawn.ts";
import { runEnvironment } from "./environment.ts";
import { GROUP_LIMITS, isRoot, takesConfiguration } from "./program.ts";
import { ApptainerSandbox } from "./sandbox.ts";
import { commandFor, type Way } from "./settings.ts";

const UNLISTED = 0o300;

export class ApptainerSandboxes implements Sandboxes {
  readonly engine = "apptainer";
  readonly #lease: Lease;
  readonly #log: Log;
  readonly #program: string;
  #configures: Promise<boolean> | null = null;
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

  async #way(): Promise<Way> {
    this.#configures ??= takesConfiguration(this.#program);
    const configures = await this.#configures;
    return {
      program: this.#program,
      configures,
      isRoot: isRoot(),
      unenforced: [...this.#unenforced, ...(configures ? [] : (["disk"] as const))],
    };
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
    // Neither we nor the commands can list it, and each finds the files whose names it knows.
    await chmod(folder, UNLISTED);
    await this.#lease.noteWritable(spec.mounts);
    const marks = this.#lease.marksOf(id, "apptainer", spec.image);
    const way = await this.#way();
    const { file, args } = await commandFor(spec, way, this.#lease, { folder, marks });
    const child = spawnChild(file, args, { env: { ...runEnvironment(), ...marks } });
    const sandbox = new ApptainerSandbox(id, spec, {
      ...{ child, folder, marks },
      unenforced: way.unenforced,
    });
    void sandbox.ended.then(() => this.#lease.makePlain(spec.mounts));
    try {
      if (child.pid !== undefined) await this.#lease.noteSession(id, child.pid);
      await sandbox.ready(signal);
      return sandbox;
    } catch (thrown) {
      await sandbox.stop();
      throw thrown;
    }
  }
}
