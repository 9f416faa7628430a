// The sandboxes of one host: its lease, its engines, and a pool for each name. The constructor
// touches nothing of the machine, so that a recipe can be checked without an engine.

import { randomUUID } from "node:crypto";
import { availableParallelism, hostname } from "node:os";
import { join } from "node:path";
import { MatrixError } from "../error.ts";
import { isOfRole } from "../recipe/process-role.ts";
import type { SandboxConfig } from "../recipe/schema/sandbox-schema.ts";
import type { Log } from "../telemetry/log.ts";
import { findApptainer, reportApptainer } from "./apptainer/program.ts";
import { ApptainerSandboxes } from "./apptainer/sandboxes.ts";
import type { EngineName, Sandboxes, SandboxSpec } from "./contract.ts";
import { reportDocker } from "./docker/client.ts";
import { DockerSandboxes } from "./docker/sandboxes.ts";
import { LEASE_MS } from "./holder.ts";
import { prepareImage } from "./image/prepare.ts";
import { Lease } from "./lease.ts";
import { SandboxPool } from "./pool.ts";
import { ProcessSandboxes } from "./process.ts";
import { reap } from "./reaper.ts";
import type { Prepared } from "./seats.ts";
import { type Brought, stage } from "./staging.ts";
import { Starts } from "./starts.ts";

export interface SiteOptions {
  readonly run: string;
  readonly host?: string;
  readonly log: Log;
  /** Upper bound of a task's life. */
  readonly taskMs: number;
  readonly configs: Readonly<Record<string, SandboxConfig>>;
  /** Reads the files that roles bring into a sandbox. */
  readonly filesOf: (sandbox: string) => Promise<readonly Brought[]>;
  /** Sandboxes with a role that may ask what a task changed. */
  readonly watched: ReadonlySet<string>;
}

/** Upper bound of starts in progress: each keeps the engine busy. */
const STARTS_PER_CORE = 4;
/** Time that an engine may need to restart. */
const PATIENCE_MS = 45_000;
/** Interval at which the host looks for sandboxes of dead hosts. */
const REAP_MS = 2 * LEASE_MS;

export class SandboxSite implements AsyncDisposable {
  readonly #options: SiteOptions;
  readonly #starts: Starts;
  readonly #pools = new Map<string, SandboxPool>();
  readonly #prepared = new Map<string, Promise<Prepared>>();
  readonly #engines = new Map<EngineName, Promise<Sandboxes>>();
  /** Ends pulls and builds of images. */
  readonly #life = new AbortController();
  #lease: Promise<Lease> | null = null;
  #reaping: NodeJS.Timeout | null = null;
  #apptainer: Promise<string | null> | null = null;

  constructor(options: SiteOptions) {
    this.#options = options;
    const atOnceMax = STARTS_PER_CORE * availableParallelism();
    this.#starts = new Starts({ atOnceMax, log: options.log, clock: () => performance.now() });
  }

  /** The pool of a name, which is made at its first use. */
  pool(name: string): SandboxPool {
    const made = this.#pools.get(name);
    if (made !== undefined) return made;
    const config = this.#configOf(name);
    const { serves, count, warm, stateful } = config;
    const pool = new SandboxPool({
      ...{ serves, count, warm, stateful },
      watches: this.#options.watched.has(name),
      taskMs: this.#options.taskMs,
      patienceMs: PATIENCE_MS,
      spec: specOf(name, config),
      starts: this.#starts,
      log: this.#options.log,
      clock: () => performance.now(),
      prepare: () => this.#readyFor(name, config),
    });
    this.#pools.set(name, pool);
    return pool;
  }

  /**
   * Finds the engines of these sandboxes, makes their images, and starts the warm ones. Fails with
   * `sandbox_invalid` or `sandbox_unavailable`, before any task has come. A pull or a build, which
   * can take minutes, ends with the signal.
   */
  async begin(names: Iterable<string>, signal?: AbortSignal): Promise<void> {
    for (const name of names) await this.#readyFor(name, this.#configOf(name), signal);
    for (const name of names) if (this.#configOf(name).warm > 0) this.pool(name);
  }

  /** Ends the task's sessions in every sandbox of this host, whichever host it ended on. */
  release(rowId: string, trial: number): void {
    for (const pool of this.#pools.values()) pool.release(rowId, trial);
  }

  /** Ends every sandbox of this host. */
  async stop(): Promise<void> {
    this.#life.abort(new MatrixError("sandbox_unavailable", "the run was stopped"));
    if (this.#reaping !== null) clearInterval(this.#reaping);
    await Promise.all([...this.#pools.values()].map((pool) => pool.stop()));
    await (await this.#lease?.catch(() => null))?.release();
    this.#lease = null;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #configOf(name: string): SandboxConfig {
    const config = this.#options.configs[name];
    if (config === undefined) throw new Error(`bug: no sandbox is named ${name}`);
    return config;
  }

  /** A failure is not kept: the engine may come up, or the disk get room. */
  #readyFor(name: string, config: SandboxConfig, signal?: AbortSignal): Promise<Prepared> {
    const known = this.#prepared.get(name);
    if (known !== undefined) return known;
    const life = this.#life.signal;
    const ready = this.#ready(
      name,
      config,
      signal === undefined ? life : AbortSignal.any([life, signal]),
    );
    this.#prepared.set(name, ready);
    ready.catch(() => this.#prepared.delete(name));
    return ready;
  }

  async #ready(
    name: string,
    { image = "", engine }: SandboxConfig,
    signal: AbortSignal,
  ): Promise<Prepared> {
    const { log } = this.#options;
    const chosen = await chooseEngine(engine, image);
    const prepared = await prepareImage(image, chosen.engine, {
      log,
      apptainer: (await this.#findApptainer()) ?? "apptainer",
      signal,
    });
    signal.throwIfAborted();
    const sandboxes = await this.#engine(chosen.engine);
    // A program role always runs as a plain process, so that is not a reason to warn.
    log.write(
      chosen.engine === "process" && !isOfRole(name) ? "warning" : "info",
      `sandbox ${name} runs by ${chosen.says}`,
    );
    const brought = await this.#options.filesOf(name);
    const lease = await this.#takeLease();
    const mounts = await stage(brought, join(lease.folder, "files", randomUUID()));
    return { sandboxes, image: prepared, mounts };
  }

  #engine(engine: EngineName): Promise<Sandboxes> {
    const made = this.#engines.get(engine);
    if (made !== undefined) return made;
    const making = this.#connect(engine);
    this.#engines.set(engine, making);
    making.catch(() => this.#engines.delete(engine));
    return making;
  }

  async #connect(engine: EngineName): Promise<Sandboxes> {
    const { log } = this.#options;
    const lease = await this.#takeLease();
    if (engine === "docker") return DockerSandboxes.connect(lease, log);
    if (engine === "process") return new ProcessSandboxes(lease);
    return new ApptainerSandboxes((await this.#findApptainer()) ?? "apptainer", lease, log);
  }

  #takeLease(): Promise<Lease> {
    if (this.#lease !== null) return this.#lease;
    const { run, host = `${hostname()}-${process.pid}`, log } = this.#options;
    const lease = Lease.take({ run, host });
    this.#lease = lease;
    lease.catch(() => {
      this.#lease = null;
    });
    void reap(log);
    this.#reaping ??= setInterval(() => void reap(log), REAP_MS);
    this.#reaping.unref();
    return lease;
  }

  #findApptainer(): Promise<string | null> {
    this.#apptainer ??= findApptainer();
    return this.#apptainer;
  }
}

/** The isolation that a recipe gives up with the engine `process`. */
export function unisolated(image: string): string {
  const without = image === "" ? "" : `, and its image ${image} is not used`;
  return `nothing is isolated, nothing but time is limited${without}`;
}

interface Chosen {
  readonly engine: EngineName;
  readonly says: string;
}

/**
 * Chooses Docker before Apptainer, and Apptainer for a SIF. Fails with `sandbox_unavailable` and
 * the reason why each engine cannot be used.
 */
export async function chooseEngine(
  wanted: SandboxConfig["engine"],
  image: string,
): Promise<Chosen> {
  if (wanted === "process")
    return { engine: "process", says: `plain processes: ${unisolated(image)}` };
  const reports = { docker: reportDocker, apptainer: reportApptainer };
  const candidates =
    wanted !== "auto"
      ? [wanted]
      : image.endsWith(".sif")
        ? (["apptainer"] as const)
        : (["docker", "apptainer"] as const);
  const failures: string[] = [];
  for (const engine of candidates) {
    const { usable, says } = await reports[engine]();
    if (usable) return { engine, says };
    failures.push(says);
  }
  throw new MatrixError("sandbox_unavailable", failures.join("; "), {
    hint: "run `matrix sandbox check` to see what this machine can do",
  });
}

function specOf(name: string, config: SandboxConfig): SandboxSpec {
  const { image = "", memory, disk = null, cpus, pids, network, read_only: readOnly } = config;
  const { env, mounts, user, workdir } = config;
  return {
    ...{ name, image, memoryBytes: memory, diskBytes: disk, cpus, pids, network, readOnly, user },
    ...{ env, mounts, workdir },
  };
}
