// Sandboxes by Apptainer, as root or as a plain user, from a SIF. A sandbox is one `apptainer exec` in a process namespace of its
// own, a child of ours, whose first process is the holder: when we die its stdin closes, the holder ends, and the kernel ends
// the rest. Commands are started by the holder over named pipes, in milliseconds, where a further `apptainer exec` into an
// instance takes tens of them. Relays (`cat`) stand between the pipes and us: no runtime opens a named pipe without holding a
// thread until its other end comes.

import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { MatrixError, messageOf } from "../error.ts";
import type { Log } from "../telemetry/log.ts";
import type { Command, EngineReport, LimitName, Running, Sandbox, Sandboxes, SandboxSpec } from "./contract.ts";
import { HOLDER, scriptOf } from "./holder.ts";
import { type Lease, MARK } from "./lease.ts";
import { type Child, endOf, environment, killFileServers, killGroup, killMarked, outputEnd, runChild, spawnChild } from "./spawn.ts";

const BRIDGE = "/matrix";
const PIPES = "/matrix-pipes";
const COMMAND_MARK = "MATRIX_COMMAND";
/** What is limited by control groups. */
const GROUP_LIMITS: readonly LimitName[] = ["memory", "cpus", "pids"];
const START_TIMEOUT_MS = 60_000;
/** How long a killed command may take to be gone before its sandbox goes too. */
const KILL_TIMEOUT_MS = 5000;
const HUNT_EVERY_MS = 50;
/** How long a holder may take to end by itself before it is killed. */
const STOP_TIMEOUT_MS = 2000;
/** Named pipes are made for so many commands at once. */
const PIPES_AHEAD = 8;

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
      if (this.#unenforced.length > 0 || !(thrown instanceof MatrixError) || !/cgroup/i.test(thrown.message)) throw thrown;
      this.#unenforced = GROUP_LIMITS;
      this.#log.write("warning", `Apptainer cannot limit ${GROUP_LIMITS.join(", ")} of sandboxes here`, {
        why: "`matrix sandbox check` says it",
      });
      return this.#start(spec, signal);
    }
  }

  async #start(spec: SandboxSpec, signal: AbortSignal | undefined): Promise<Sandbox> {
    const id = `matrix-${randomUUID()}`;
    const folder = await this.#lease.folderOf(id);
    const unenforced = this.#unenforced;
    const marks = this.#lease.marksOf(id, "apptainer", spec.image);
    const child = spawnChild(this.#program, this.#arguments(spec, folder, marks), { env: { ...environment(), ...marks } });
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
      ...(spec.readOnly ? [] : ["--writable-tmpfs"]),
      ...["--scratch", spec.workdir, "--pwd", spec.workdir],
      ...mounts.flatMap(({ source, target, writable }) => ["--mount", mountOf(source, target, writable)]),
      ...Object.entries(limits).flatMap(([limit, args]) => (this.#unenforced.includes(limit as LimitName) ? [] : args)),
      spec.image,
      // Variables are set by a script: Apptainer's own option splits them at commas.
      ...["/bin/sh", "-c", scriptOf(["/bin/sh", "-c", HOLDER, "matrix-holder", `${BRIDGE}/lease`, PIPES], "/", { ...spec.env, ...marks })],
    ];
  }
}

/** A mount as Apptainer reads it: a line of comma-separated values, quoted where a path holds a comma or a quote. */
function mountOf(source: string, target: string, writable: boolean): string {
  const field = (name: string, value: string) => (/[",]/.test(value) ? `"${name}=${value.replaceAll('"', '""')}"` : `${name}=${value}`);
  return ["type=bind", field("source", source), field("destination", target), ...(writable ? [] : ["ro"])].join(",");
}

interface Parts {
  readonly child: Child;
  readonly folder: string;
  readonly marks: Readonly<Record<string, string>>;
  readonly unenforced: readonly LimitName[];
}

class ApptainerSandbox implements Sandbox {
  readonly engine = "apptainer";
  readonly bridge = BRIDGE;
  readonly id: string;
  readonly unenforced: readonly LimitName[];
  readonly ended: Promise<string>;
  readonly #end = Promise.withResolvers<string>();
  readonly #ready = Promise.withResolvers<void>();
  readonly #spec: SandboxSpec;
  readonly #child: Child;
  readonly #folder: string;
  readonly #marks: Readonly<Record<string, string>>;
  /** Commands that run, by number: what to do with their exit code, and their relay. */
  readonly #commands = new Map<number, { readonly settle: (code: number) => void; readonly relay: Child }>();
  #next = 0;
  #pipes: Promise<unknown> = Promise.resolve();
  #gone: string | null = null;
  #stopping = false;
  #said = "";

  constructor(id: string, spec: SandboxSpec, { child, folder, marks, unenforced }: Parts) {
    this.id = id;
    this.#spec = spec;
    this.#child = child;
    this.#folder = folder;
    this.#marks = marks;
    this.unenforced = unenforced;
    this.ended = this.#end.promise;
    this.#ready.promise.catch(() => undefined);
    createInterface({ input: child.stdout }).on("line", (line) => this.#hear(line));
    child.stderr.on("data", (chunk: Buffer) => {
      this.#said = (this.#said + chunk.toString("utf8")).slice(-4000);
    });
    void endOf(child).then(async ({ code, failure }) => {
      await outputEnd(child);
      this.#leave(failure ?? (this.#stopping ? "it was stopped" : `its container ended with exit ${code}`));
    });
  }

  async ready(signal: AbortSignal | undefined): Promise<void> {
    const abort = () => this.#ready.reject(signal?.reason);
    signal?.addEventListener("abort", abort, { once: true });
    if (signal?.aborted === true) abort();
    const timer = setTimeout(
      () => this.#ready.reject(this.#unavailable(`it did not start within ${START_TIMEOUT_MS} ms`)),
      START_TIMEOUT_MS,
    );
    try {
      await this.#ready.promise;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    }
  }

  async open({ args, cwd, env }: Command): Promise<Running> {
    if (this.#gone !== null) throw this.#lost();
    const number = this.#next++;
    const mark = `${this.id}/${number}`;
    const stem = join(this.#folder, String(number));
    const variables = { ...env, [COMMAND_MARK]: mark };
    try {
      await Promise.all([
        this.#makePipes(number),
        writeFile(`${stem}.sh`, scriptOf(args, cwd ?? this.#spec.workdir, variables), { mode: 0o600 }),
      ]);
    } catch (cause) {
      throw new MatrixError("sandbox_lost", `sandbox ${this.id} cannot run a command: ${messageOf(cause)}`, { cause });
    }
    if (this.#gone !== null) throw this.#lost();
    const relay = spawnChild("/bin/sh", ["-c", RELAY, "matrix-relay", stem], {
      env: { ...environment(), ...this.#marks },
    });
    const ended = Promise.withResolvers<number>();
    this.#commands.set(number, { settle: ended.resolve, relay });
    this.#child.stdin.write(`run ${number}\n`);
    const code = Promise.race([
      ended.promise,
      this.ended.then(() => {
        throw this.#lost();
      }),
    ]);
    const exited = code
      .then(async (code) => {
        await outputEnd(relay);
        return code;
      })
      .finally(async () => {
        killGroup(relay.pid);
        this.#commands.delete(number);
        await Promise.all(["sh", "in", "out", "err"].map((end) => rm(`${stem}.${end}`, { force: true })));
      });
    exited.catch(() => undefined);
    return { stdin: relay.stdin, stdout: relay.stdout, stderr: relay.stderr, exited, kill: () => this.#kill(mark, exited) };
  }

  /** The holder ends and the kernel ends what is left; a holder that cannot is killed. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#child.stdin.end();
    const timer = setTimeout(() => {
      killMarked(`${MARK.sandbox}=${this.id}`);
      killGroup(this.#child.pid);
      if (this.#child.pid !== undefined) killFileServers(this.#child.pid);
    }, STOP_TIMEOUT_MS);
    await this.ended;
    clearTimeout(timer);
    await rm(this.#folder, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #makePipes(number: number): Promise<void> {
    if (number % PIPES_AHEAD === 0) {
      const names = Array.from({ length: PIPES_AHEAD }, (_, ahead) => number + ahead).flatMap((n) =>
        ["in", "out", "err"].map((end) => join(this.#folder, `${n}.${end}`)),
      );
      this.#pipes = runChild("mkfifo", ["-m", "600", "--", ...names]).then(({ code, stderr }) => {
        if (code !== 0) throw new Error(`no named pipes: ${stderr.split("\n")[0]}`);
      });
    }
    await this.#pipes;
  }

  /** From outside, where no limit of the sandbox is in the way; again and again, for it may not have begun yet. */
  async #kill(mark: string, exited: Promise<number>): Promise<void> {
    const hunt = setInterval(() => killMarked(`${COMMAND_MARK}=${mark}`), HUNT_EVERY_MS);
    const timer = setTimeout(() => void this.stop(), KILL_TIMEOUT_MS);
    killMarked(`${COMMAND_MARK}=${mark}`);
    await exited.catch(() => undefined);
    clearInterval(hunt);
    clearTimeout(timer);
  }

  #hear(line: string): void {
    if (line === "ready") this.#ready.resolve();
    const [, number, code] = /^exit (\d+) (\d+)$/.exec(line) ?? [];
    if (number !== undefined) this.#commands.get(Number(number))?.settle(Number(code));
  }

  #leave(reason: string): void {
    if (this.#gone !== null) return;
    this.#gone = reason;
    this.#ready.reject(this.#unavailable(reason));
    for (const { relay } of this.#commands.values()) killGroup(relay.pid);
    this.#end.resolve(reason);
  }

  #lost(): MatrixError {
    return new MatrixError("sandbox_lost", `sandbox ${this.id} is gone: ${this.#gone}${this.#words()}`);
  }

  #unavailable(reason: string): MatrixError {
    return new MatrixError("sandbox_unavailable", `Apptainer cannot start sandbox ${this.#spec.name}: ${reason}${this.#words()}`, {
      hint: "`matrix sandbox check` says what this machine can do",
    });
  }

  #words(): string {
    const said = this.#said.trim();
    return said === "" ? "" : `; it said: ${said}`;
  }
}

/** Between the named pipes of a command and our ends. What it reads last from is stdin, which a command may never close. */
const RELAY = 'cat <"$1.out" & cat <"$1.err" >&2 & cat >"$1.in"; exec <&- ; wait';

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
    return { usable: false, says: "no apptainer or singularity in PATH", unenforced: [], hints: ["install Apptainer 1.1 or newer"] };
  const { stdout } = await runChild(program, ["--version"]);
  if (groupsAreOurs()) return { usable: true, says: stdout.trim(), unenforced: [], hints: [] };
  const hint = "limits of memory, CPU and processes need control groups v2 that systemd delegates to this user, or root";
  return { usable: true, says: stdout.trim(), unenforced: GROUP_LIMITS, hints: [`${hint}; those of the batch system still hold`] };
}
