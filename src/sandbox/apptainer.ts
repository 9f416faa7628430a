// Sandboxes by Apptainer, as root or as a plain user, from a SIF. A sandbox is one `apptainer exec` in a process namespace of its
// own, a child of ours, whose first process is the holder: when we die its stdin closes, the holder ends, and the kernel ends
// the rest.

import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { MatrixError } from "../error.ts";
import { SCRATCH } from "../recipe/sandbox-schema.ts";
import type { Log } from "../telemetry/log.ts";
import { ApptainerSandbox, PIPES } from "./apptainer-sandbox.ts";
import type { EngineReport, LimitName, Sandbox, Sandboxes, SandboxSpec } from "./contract.ts";
import { BRIDGE, HOLDER, scriptOf } from "./holder.ts";
import type { Lease } from "./lease.ts";
import { environment, runChild, spawnChild } from "./spawn.ts";

/** What is limited by control groups. */
const GROUP_LIMITS: readonly LimitName[] = ["memory", "cpus", "pids"];

export class ApptainerSandboxes implements Sandboxes {
  readonly engine = "apptainer";
  readonly #lease: Lease;
  readonly #log: Log;
  readonly #program: string;
  /** What control groups do not let us limit here; the first start finds out. */
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
      if (
        this.#unenforced.length > 0 ||
        !(thrown instanceof MatrixError) ||
        !/cgroup/i.test(thrown.message)
      )
        throw thrown;
      this.#unenforced = GROUP_LIMITS;
      this.#log.write(
        "warning",
        `Apptainer cannot limit ${GROUP_LIMITS.join(", ")} of sandboxes here`,
        {
          why: "`matrix sandbox check` says it",
        },
      );
      return this.#start(spec, signal);
    }
  }

  async #start(spec: SandboxSpec, signal: AbortSignal | undefined): Promise<Sandbox> {
    if (!existsSync(spec.image))
      throw new MatrixError(
        "sandbox_invalid",
        `there is no SIF ${spec.image} (sandboxes.${spec.name}.image)`,
        {
          hint: "`matrix sandbox build` makes one",
        },
      );
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
      // A named pipe can be written to on a read-only mount, but not made or removed.
      { source: folder, target: PIPES, writable: false },
      ...spec.mounts,
    ];
    const limits: Readonly<Record<"memory" | "cpus" | "pids", readonly string[]>> = {
      memory: ["--memory", String(spec.memoryBytes), "--memory-swap", String(spec.memoryBytes)],
      cpus: ["--cpus", String(spec.cpus)],
      pids: ["--pids-limit", String(spec.pids)],
    };
    return [
      "exec",
      "--containall",
      "--cleanenv",
      "--no-home",
      "--no-privs",
      "--pid",
      "--no-init",
      ...(spec.network === "none" ? ["--net", "--network", "none"] : []),
      // The files of an image are root's: a plain user is root in there, and nowhere else.
      ...(spec.readOnly
        ? []
        : ["--writable-tmpfs", ...(process.getuid?.() === 0 ? [] : ["--fakeroot"])]),
      ...(spec.workdir === SCRATCH ? ["--scratch", SCRATCH] : []),
      ...["--pwd", spec.workdir],
      ...mounts.flatMap(({ source, target, writable }) => [
        "--mount",
        mountOf(source, target, writable),
      ]),
      ...Object.entries(limits).flatMap(([limit, args]) =>
        this.#unenforced.includes(limit as LimitName) ? [] : args,
      ),
      spec.image,
      // Variables are set by a script: Apptainer's own option splits them at commas.
      ...[
        "/bin/sh",
        "-c",
        scriptOf(["/bin/sh", "-c", HOLDER, "matrix-holder", `${BRIDGE}/lease`, PIPES], "/", {
          ...spec.env,
          ...marks,
        }),
      ],
    ];
  }
}

/** A mount as Apptainer reads it: a line of comma-separated values, quoted where a path holds a comma or a quote. */
function mountOf(source: string, target: string, writable: boolean): string {
  const field = (name: string, value: string) =>
    /[",]/.test(value) ? `"${name}=${value.replaceAll('"', '""')}"` : `${name}=${value}`;
  return [
    "type=bind",
    field("source", source),
    field("destination", target),
    ...(writable ? [] : ["ro"]),
  ].join(",");
}

/** Where the program is, or null. */
export async function findApptainer(): Promise<string | null> {
  for (const program of ["apptainer", "singularity"]) {
    const { code } = await runChild(program, ["--version"]);
    if (code === 0) return program;
  }
  return null;
}

/** Root limits through control groups of either version; a plain user through version 2, where systemd delegates them. */
function groupsAreOurs(): boolean {
  if (process.getuid?.() === 0) return true;
  const bus = process.env["DBUS_SESSION_BUS_ADDRESS"] ?? process.env["XDG_RUNTIME_DIR"];
  return existsSync("/sys/fs/cgroup/cgroup.controllers") && bus !== undefined;
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
  if (groupsAreOurs()) return { usable: true, says: stdout.trim(), unenforced: [], hints: [] };
  const hint =
    "limits of memory, CPU and processes need control groups v2 that systemd delegates to this user, or root";
  return {
    usable: true,
    says: stdout.trim(),
    unenforced: GROUP_LIMITS,
    hints: [`${hint}; those of the batch system still hold`],
  };
}
