// Sandboxes by Docker, through the engine's API: the local socket, DOCKER_HOST or the current context. A container's first
// process is the holder, attached to us by its stdin; commands are started beside it by `exec`.

import { createHash, randomUUID } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type Duplex, PassThrough, type Readable, Writable } from "node:stream";
import { finished } from "node:stream/promises";
import { setTimeout as pause } from "node:timers/promises";
import type Docker from "dockerode";
import { MatrixError, messageOf } from "../error.ts";
import { machineId } from "../process.ts";
import type { Log } from "../telemetry/log.ts";
import type { Command, EngineReport, FoundSandbox, LimitName, Running, Sandbox, Sandboxes, SandboxSpec } from "./contract.ts";
import { exec } from "./exec.ts";
import { HOLDER, START } from "./holder.ts";
import type { Lease } from "./lease.ts";

/** Where the bridge folder stands in a container. */
const BRIDGE = "/matrix";
const LABEL = {
  sandbox: "matrix.sandbox",
  run: "matrix.run",
  host: "matrix.host",
  lease: "matrix.lease",
  machine: "matrix.machine",
} as const;
const COMMAND_MARK = "MATRIX_COMMAND";
/** Of a read-only root's writable places: they live in memory, count as such, and get no more than half of it. */
const tmpfs = (memoryBytes: number) => `rw,exec,nosuid,nodev,mode=1777,size=${Math.floor(memoryBytes / 2)}`;
/** What root in a container may still do with its own files and users; nothing of it reaches out of it. */
const CAPABILITIES = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "SETGID", "SETUID"];
const KILL_TIMEOUT_MS = 5000;
const HUNT_EVERY_MS = 50;
/** Kills what carries a mark in its environment, seen from inside. */
const HUNT = {
  args: ["/bin/sh", "-c", `kill -KILL $(grep -las "$1" /proc/[0-9]*/environ | tr -dc '0-9\\n')`, "sh"],
  cwd: "/",
  timeoutMs: 10 * KILL_TIMEOUT_MS,
  outputBytesMax: 0,
} as const;
const EXIT_POLL_MS = 5;
const PING_TIMEOUT_MS = 5000;

export class DockerSandboxes implements Sandboxes {
  readonly engine = "docker";
  readonly #docker: Docker;
  readonly #lease: Lease;
  readonly #log: Log;
  /** Where the engine runs on another machine, nothing of ours can be mounted. */
  readonly #remote: boolean;

  static async connect(lease: Lease, log: Log): Promise<DockerSandboxes> {
    const { docker, remote } = await connect();
    return new DockerSandboxes(docker, remote, lease, log);
  }

  private constructor(docker: Docker, remote: boolean, lease: Lease, log: Log) {
    this.#docker = docker;
    this.#remote = remote;
    this.#lease = lease;
    this.#log = log;
  }

  async start(spec: SandboxSpec, signal?: AbortSignal): Promise<Sandbox> {
    if (this.#remote)
      throw new MatrixError("sandbox_unavailable", "the Docker engine runs on another machine, where our files cannot be mounted", {
        hint: "start `matrix agent` on that machine, or use a local engine",
      });
    const id = `matrix-${randomUUID()}`;
    let container: Docker.Container | null = null;
    try {
      signal?.throwIfAborted();
      container = await this.#docker.createContainer({ name: id, ...this.#settings(id, spec) });
      const streams = await container.attach({ stream: true, hijack: true, stdin: true, stdout: true, stderr: true });
      await container.start();
      signal?.throwIfAborted();
      return new DockerSandbox(id, spec, container, streams, this.#log);
    } catch (cause) {
      await container?.remove({ force: true }).catch(() => undefined);
      if (signal?.aborted === true) throw signal.reason;
      throw unavailable(spec, cause);
    }
  }

  #settings(id: string, spec: SandboxSpec): Docker.ContainerCreateOptions {
    const { owner, folder, bridge } = this.#lease;
    const env = { ...spec.env, ...this.#lease.marksOf(id, "docker", spec.image) };
    const mounts = [{ source: bridge, target: BRIDGE, writable: false }, ...spec.mounts];
    return {
      Image: spec.image,
      Entrypoint: ["/bin/sh"],
      Cmd: ["-c", HOLDER, "matrix-holder", `${BRIDGE}/lease`, "-"],
      Env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
      WorkingDir: spec.workdir,
      Labels: {
        [LABEL.sandbox]: spec.name,
        [LABEL.run]: owner.run,
        [LABEL.host]: owner.host,
        [LABEL.lease]: folder,
        [LABEL.machine]: machineId(),
      },
      OpenStdin: true,
      // When we are gone, so is the holder's stdin.
      StdinOnce: true,
      AttachStdin: true,
      HostConfig: {
        AutoRemove: true,
        Memory: spec.memoryBytes,
        // No swap on top.
        MemorySwap: spec.memoryBytes,
        NanoCpus: Math.round(spec.cpus * 1e9),
        PidsLimit: spec.pids,
        NetworkMode: spec.network,
        ReadonlyRootfs: spec.readOnly,
        ...(spec.readOnly ? { Tmpfs: { "/tmp": tmpfs(spec.memoryBytes), [spec.workdir]: tmpfs(spec.memoryBytes) } } : {}),
        Mounts: mounts.map(({ source, target, writable }) => ({ Type: "bind", Source: source, Target: target, ReadOnly: !writable })),
        CapDrop: ["ALL"],
        CapAdd: CAPABILITIES,
        SecurityOpt: ["no-new-privileges"],
        // Output of commands comes to us alone.
        LogConfig: { Type: "none", Config: {} },
      },
    };
  }
}

class DockerSandbox implements Sandbox {
  readonly engine = "docker";
  readonly unenforced: readonly LimitName[] = [];
  readonly bridge = BRIDGE;
  readonly id: string;
  readonly ended: Promise<string>;
  readonly #end = Promise.withResolvers<string>();
  readonly #spec: SandboxSpec;
  readonly #container: Docker.Container;
  readonly #streams: NodeJS.ReadWriteStream;
  readonly #log: Log;
  /** Fails whatever runs when the container goes. */
  readonly #lost: Promise<never>;
  #gone: string | null = null;

  constructor(id: string, spec: SandboxSpec, container: Docker.Container, streams: NodeJS.ReadWriteStream, log: Log) {
    this.id = id;
    this.#spec = spec;
    this.#container = container;
    this.#streams = streams;
    this.#log = log;
    this.ended = this.#end.promise;
    this.#lost = this.ended.then((reason) => {
      throw new MatrixError("sandbox_lost", `sandbox ${id} is gone: ${reason}`);
    });
    this.#lost.catch(() => undefined);
    streams.on("error", () => undefined);
    // The attached stream ends with the container.
    streams.on("end", () => this.#leave("its container ended"));
    streams.on("close", () => this.#leave("its container ended"));
    streams.resume();
  }

  async open(command: Command): Promise<Running> {
    if (this.#gone !== null) throw new MatrixError("sandbox_lost", `sandbox ${this.id} is gone: ${this.#gone}`);
    const mark = randomUUID();
    const env = { ...command.env, [COMMAND_MARK]: mark };
    try {
      return await Promise.race([this.#lost, this.#exec(command, env, mark)]);
    } catch (cause) {
      if (cause instanceof MatrixError) throw cause;
      throw new MatrixError("sandbox_lost", `sandbox ${this.id} cannot run a command: ${messageOf(cause)}`, { cause });
    }
  }

  async stop(): Promise<void> {
    this.#leave("it was stopped");
    // Removal kills; a container that is being removed already is as good as gone.
    await this.#container.remove({ force: true }).catch(() => undefined);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #exec({ args, cwd }: Command, env: Readonly<Record<string, string>>, mark: string): Promise<Running> {
    const started = await this.#container.exec({
      // A shell says 127 for what is not there; the engine would answer with an error.
      Cmd: ["/bin/sh", "-c", START, "sh", cwd ?? this.#spec.workdir, ...args],
      Env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
      AttachStdin: true,
      AttachStdout: true,
      AttachStderr: true,
    });
    const stream = (await started.start({ hijack: true, stdin: true })) as Duplex;
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    const complete = demultiplex(stream, stdout, stderr);
    const exited = Promise.race([this.#lost, complete.then(() => this.#exitCodeOf(started, stdout))]).finally(async () => {
      const read = [stdout, stderr].map((output) => finished(output, { writable: false }).catch(() => undefined));
      stdout.end();
      stderr.end();
      stream.destroy();
      await Promise.all(read);
    });
    exited.catch(() => undefined);
    const stdin = new Writable({
      write: (chunk, _encoding, done) => {
        if (stream.writable) stream.write(chunk, () => done());
        else done();
      },
      final: (done) => {
        stream.end();
        done();
      },
    });
    return { stdin, stdout, stderr, exited, kill: () => this.#kill(mark, exited) };
  }

  /** The engine closes the stream a moment before it knows the exit code. */
  async #exitCodeOf(started: Docker.Exec, stdout: PassThrough): Promise<number> {
    for (;;) {
      const { Running, ExitCode, Pid } = await started.inspect();
      if (!Running && ExitCode !== null) {
        // Never a process: the engine could not start one in this container, and says why in the place of output.
        if (Pid === 0)
          throw new MatrixError("sandbox_lost", `sandbox ${this.id} starts no more commands: ${String(stdout.read() ?? "").trim()}`);
        return ExitCode;
      }
      await pause(EXIT_POLL_MS);
    }
  }

  /** The engine has no call for it: what carries the command's mark is killed from inside, or else the container. */
  async #kill(mark: string, exited: Promise<number>): Promise<void> {
    let done = false;
    const settle = () => {
      done = true;
    };
    const settled = exited.then(settle, settle);
    const hunt = async (): Promise<void> => {
      while (!done) {
        // It may not have begun yet, and what hunts it may find no process left to be.
        await exec(this, { ...HUNT, args: [...HUNT.args, `${COMMAND_MARK}=${mark}`] }).catch(() => undefined);
        await Promise.race([settled, pause(HUNT_EVERY_MS)]);
      }
    };
    void hunt();
    if (await within(KILL_TIMEOUT_MS, settled)) return;
    done = true;
    this.#log.write("warning", "a command could not be killed and takes its sandbox along", { sandbox: this.id });
    await this.stop();
  }

  #leave(reason: string): void {
    if (this.#gone !== null) return;
    this.#gone = reason;
    this.#streams.end();
    this.#end.resolve(reason);
  }
}

/** Containers of ours, of every run and host, on the engine that answers here. */
export async function findContainers(): Promise<FoundSandbox[]> {
  const { docker } = await connect();
  const containers = await docker.listContainers({ all: true, filters: { label: [LABEL.lease] } });
  return containers.map(({ Names, Labels, Image, Created }) => ({
    engine: "docker",
    id: (Names[0] ?? "").replace(/^\//, ""),
    run: Labels[LABEL.run] ?? "?",
    host: Labels[LABEL.host] ?? "?",
    lease: Labels[LABEL.lease] ?? "",
    machine: Labels[LABEL.machine] ?? "",
    image: Image,
    startedAt: Created * 1000,
  }));
}

export async function removeContainer(id: string): Promise<void> {
  const { docker } = await connect();
  await docker
    .getContainer(id)
    .remove({ force: true })
    .catch((cause: { statusCode?: number }) => {
      // 404: gone already; 409: being removed.
      if (cause.statusCode !== 404 && cause.statusCode !== 409) throw cause;
    });
}

export async function reportDocker(): Promise<EngineReport> {
  let address = "";
  try {
    const { docker, address: at, remote } = await connect();
    address = at;
    const { Version } = await withTimeout(docker.version());
    const { MemoryLimit, PidsLimit, CpuCfsQuota } = (await withTimeout(docker.info())) as Readonly<Record<string, unknown>>;
    const unenforced: LimitName[] = [];
    if (MemoryLimit === false) unenforced.push("memory");
    if (CpuCfsQuota === false) unenforced.push("cpus");
    if (PidsLimit === false) unenforced.push("pids");
    const says = `Docker ${Version} at ${address}`;
    if (remote)
      return { usable: false, says: `${says}: it runs on another machine`, unenforced, hints: ["start `matrix agent` on that machine"] };
    return { usable: true, says, unenforced, hints: [] };
  } catch (thrown) {
    const at = address === "" ? "" : ` at ${address}`;
    return { usable: false, says: `no Docker engine answers${at}: ${messageOf(thrown)}`, unenforced: [], hints: [hintFor(thrown)] };
  }
}

/** The id of an image that the engine has; null when it has none of that name. Fails when no engine answers. */
export async function dockerImageId(reference: string): Promise<string | null> {
  const { docker } = await connect();
  return docker
    .getImage(reference)
    .inspect()
    .then(
      ({ Id }) => Id,
      (cause: { statusCode?: number }) => {
        if (cause.statusCode === undefined) throw cause;
        return null;
      },
    );
}

export interface BuildOptions {
  readonly log: Log;
  readonly signal?: AbortSignal;
}

/** Builds the Dockerfile of a folder. Steps use the machine's own network, and nothing of it remains in the image. */
export async function buildDockerImage(
  folder: string,
  files: readonly string[],
  tag: string,
  { log, signal }: BuildOptions,
): Promise<void> {
  const { docker } = await connect();
  const fail = (why: string, cause?: unknown): MatrixError =>
    new MatrixError("sandbox_unavailable", `Docker cannot build ${folder}: ${why}`, cause === undefined ? {} : { cause });
  const stream = (await docker
    .buildImage({ context: folder, src: [...files] }, { t: tag, networkmode: "host", rm: true, forcerm: true })
    .catch((cause: unknown) => {
      throw fail(messageOf(cause), cause);
    })) as Readable;
  const abort = () => stream.destroy(signal?.reason as Error);
  signal?.addEventListener("abort", abort, { once: true });
  try {
    for await (const line of createInterface({ input: stream })) {
      const { stream: said = "", error } = JSON.parse(line) as { stream?: string; error?: string };
      if (error !== undefined) throw fail(error);
      if (said.trim() !== "") log.write("info", said.trim(), { image: tag });
    }
    signal?.throwIfAborted();
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

interface Connection {
  readonly docker: Docker;
  readonly address: string;
  readonly remote: boolean;
}

/** The engine that the `docker` command would talk to. */
async function connect(): Promise<Connection> {
  // Loaded only where it is used: it takes a tenth of a second.
  const { default: Client } = await import("dockerode");
  const address = process.env["DOCKER_HOST"] ?? contextAddress() ?? defaultSocket();
  if (address.startsWith("unix://")) return { docker: new Client({ socketPath: address.slice("unix://".length) }), address, remote: false };
  const url = new URL(address.replace(/^tcp:/, "http:"));
  const protocol = url.protocol === "ssh:" ? "ssh" : url.protocol === "https:" ? "https" : "http";
  const docker = new Client({
    protocol,
    host: url.hostname,
    port: Number(url.port) || (protocol === "ssh" ? 22 : 2375),
    ...(url.username === "" ? {} : { username: url.username }),
  });
  return { docker, address, remote: !["localhost", "127.0.0.1", "[::1]"].includes(url.hostname) };
}

/** The endpoint of the current context (`docker context use`), from the files that the command keeps. */
function contextAddress(): string | null {
  const folder = process.env["DOCKER_CONFIG"] ?? join(homedir(), ".docker");
  try {
    const { currentContext } = JSON.parse(readFileSync(join(folder, "config.json"), "utf8")) as { currentContext?: string };
    const name = process.env["DOCKER_CONTEXT"] ?? currentContext ?? "default";
    if (name === "default") return null;
    const meta = join(folder, "contexts/meta", createHash("sha256").update(name).digest("hex"), "meta.json");
    const { Endpoints } = JSON.parse(readFileSync(meta, "utf8")) as { Endpoints?: { docker?: { Host?: string } } };
    return Endpoints?.docker?.Host ?? null;
  } catch {
    return null;
  }
}

function defaultSocket(): string {
  const mine = [join(process.env["XDG_RUNTIME_DIR"] ?? "/nonexistent", "docker.sock"), join(homedir(), ".docker/run/docker.sock")];
  const found = existsSync("/var/run/docker.sock") ? "/var/run/docker.sock" : mine.find((path) => existsSync(path));
  return `unix://${found ?? "/var/run/docker.sock"}`;
}

/** The engine sends both outputs through one stream, in frames of 8 bytes of head (stream, length) and a body. */
function demultiplex(stream: NodeJS.ReadableStream, stdout: PassThrough, stderr: PassThrough): Promise<void> {
  return new Promise((resolve) => {
    const head = Buffer.alloc(8);
    let headBytes = 0;
    let bodyLeft = 0;
    const waiting = new Set<PassThrough>();
    stream.on("data", (chunk: Buffer) => {
      let at = 0;
      while (at < chunk.length) {
        if (bodyLeft === 0) {
          const taken = chunk.copy(head, headBytes, at, at + 8 - headBytes);
          at += taken;
          headBytes += taken;
          if (headBytes < 8) continue;
          headBytes = 0;
          bodyLeft = head.readUInt32BE(4);
          continue;
        }
        const part = chunk.subarray(at, at + bodyLeft);
        at += part.length;
        bodyLeft -= part.length;
        const output = head[0] === 2 ? stderr : stdout;
        if (output.write(part) || waiting.has(output)) continue;
        // Who reads slowly holds the engine up, not our memory.
        waiting.add(output);
        stream.pause();
        output.once("drain", () => {
          waiting.delete(output);
          if (waiting.size === 0) stream.resume();
        });
      }
    });
    stream.on("end", resolve);
    stream.on("close", resolve);
    stream.on("error", resolve);
  });
}

function unavailable(spec: SandboxSpec, cause: unknown): MatrixError {
  const { statusCode } = cause as { statusCode?: number };
  if (statusCode === 404)
    return new MatrixError("sandbox_unavailable", `Docker has no image ${spec.image} (sandboxes.${spec.name}.image)`, {
      cause,
      hint: `\`docker pull ${spec.image}\`, or \`matrix sandbox build\` where it has a Dockerfile`,
    });
  return new MatrixError("sandbox_unavailable", `Docker cannot start sandbox ${spec.name}: ${messageOf(cause)}`, {
    cause,
    hint: hintFor(cause),
  });
}

function hintFor(cause: unknown): string {
  const code = (cause as { code?: string }).code ?? "";
  if (code === "EACCES") return "this user may not talk to Docker: add it to the group `docker`, or use Apptainer";
  if (code === "ENOENT" || code === "ECONNREFUSED" || code === "FailedToOpenSocket")
    return "start Docker, set DOCKER_HOST, or use Apptainer";
  return "`matrix sandbox check` says what this machine can do";
}

async function within(ms: number, settled: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  try {
    return await Promise.race([settled.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}

async function withTimeout<T>(answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${PING_TIMEOUT_MS} ms`)), PING_TIMEOUT_MS);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}
