// One container of Docker's. The engine's `exec` starts commands beside the holder. The engine can
// neither end a command nor reliably report that it died with its container, so this file does
// both.

import { randomUUID } from "node:crypto";
import { type Duplex, PassThrough, type Transform, Writable } from "node:stream";
import { finished } from "node:stream/promises";
import { setTimeout as pause } from "node:timers/promises";
import type Docker from "dockerode";
import { MatrixError, messageOf } from "../../error.ts";
import type { Log } from "../../telemetry/log.ts";
import type { Command, LimitName, Running, Sandbox, SandboxSpec } from "../contract.ts";
import { exec } from "../exec.ts";
import { BRIDGE } from "../holder.ts";
import { MARK } from "../marked-processes.ts";
import { demultiplex } from "./demultiplex.ts";
import { ANNOUNCED, FirstLine } from "./first-line.ts";

/** A command that is still there this long after it was killed takes its sandbox along. */
const KILL_TIMEOUT_MS = 5000;
const HUNT_EVERY_MS = 50;
/** Kills, from inside, every process that carries a mark in its environment. */
const HUNT = {
  args: [
    "/bin/sh",
    "-c",
    `kill -KILL $(grep -lasF "$1" /proc/[0-9]*/environ | tr -dc '0-9\\n')`,
    "sh",
  ],
  cwd: "/",
  timeoutMs: 10 * KILL_TIMEOUT_MS,
  outputBytesMax: 0,
} as const;
const EXIT_POLL_MS = 5;
const KILLED = 137;

export class DockerSandbox implements Sandbox {
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
  /** Fails every running command when the container goes. */
  readonly #lost: Promise<never>;
  /** Aborts with the container, because the engine may never answer requests about it. */
  readonly #life = new AbortController();
  #gone: string | null = null;
  /** Number of commands that were started, which names the next one. */
  #commands = 0;

  constructor(
    id: string,
    spec: SandboxSpec,
    container: Docker.Container,
    streams: NodeJS.ReadWriteStream,
    log: Log,
  ) {
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
    if (this.#gone !== null)
      throw new MatrixError("sandbox_lost", `sandbox ${this.id} is gone: ${this.#gone}`);
    try {
      return await Promise.race([this.#lost, this.#start(command)]);
    } catch (cause) {
      if (cause instanceof MatrixError) throw cause;
      throw new MatrixError(
        "sandbox_lost",
        `sandbox ${this.id} cannot run a command: ${messageOf(cause)}`,
        { cause },
      );
    }
  }

  async stop(): Promise<void> {
    this.#leave("it was stopped");
    // Removal kills. It fails for a container that is already being removed, which is as good.
    await this.#container.remove({ force: true }).catch(() => undefined);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #start({ args, cwd, env }: Command): Promise<Running> {
    const begins = randomUUID();
    const mark = `${this.#commands++}.`;
    const abortSignal = this.#life.signal;
    const started = await this.#container.exec({
      abortSignal,
      // A shell exits with 127 for a missing program, where the engine would answer with an error.
      Cmd: ["/bin/sh", "-c", ANNOUNCED, "sh", begins, cwd ?? this.#spec.workdir, ...args],
      Env: Object.entries({ ...env, [MARK.command]: mark }).map(
        ([name, value]) => `${name}=${value}`,
      ),
      AttachStdin: true,
      AttachStdout: true,
      AttachStderr: true,
    });
    const stream = (await started.start({ abortSignal, hijack: true, stdin: true })) as Duplex;
    const [stdout, stderr] = [new FirstLine(begins), new PassThrough()];
    const complete = demultiplex(stream, stdout, stderr);
    let killed = false;
    const ended = complete.then(async () => {
      const code = await this.#exitCodeOf(started);
      if (killed) return code;
      if (!stdout.begun) throw this.#notBegun(stdout.reason);
      // A command also dies with its container, a moment before the engine reports the container.
      if (code === KILLED) await this.#proveAlive();
      return code;
    });
    const exited = Promise.race([this.#lost, ended]).finally(() =>
      closeOutputs(stream, [stdout, stderr]),
    );
    exited.catch(() => undefined);
    const kill = (): Promise<void> => {
      killed = true;
      return this.#kill(mark, exited);
    };
    return { stdin: inputOf(stream), stdout, stderr, exited, kill };
  }

  /** Fails with `sandbox_lost` when no further command can be started. */
  async #proveAlive(): Promise<void> {
    const running = await this.open({ args: ["true"] });
    running.stdout.resume();
    running.stderr.resume();
    running.stdin.end();
    await running.exited;
  }

  /** Polls, because the engine closes the stream a moment before it knows the exit code. */
  async #exitCodeOf(started: Docker.Exec): Promise<number> {
    // The engine may report commands of a killed container as running without end.
    while (this.#gone === null) {
      const { Running, ExitCode } = await started.inspect({ abortSignal: this.#life.signal });
      if (!Running && ExitCode !== null) return ExitCode;
      await pause(EXIT_POLL_MS);
    }
    return this.#lost;
  }

  #notBegun(reason: string): MatrixError {
    return new MatrixError(
      "sandbox_lost",
      `sandbox ${this.id} starts no more commands: ${reason || "its engine gives no reason"}`,
    );
  }

  /**
   * Kills from inside the processes that carry the command's mark, because the engine has no call
   * for it. When a process survives, the container is removed.
   */
  async #kill(mark: string, exited: Promise<number>): Promise<void> {
    let done = false;
    const settle = () => {
      done = true;
    };
    const settled = exited.then(settle, settle);
    const hunt = async (): Promise<void> => {
      while (!done) {
        // Repeated, because the command may not have begun yet, and because a sandbox at its limit
        // of processes may have no room for the hunt.
        await exec(this, { ...HUNT, args: [...HUNT.args, `${MARK.command}=${mark}`] }).catch(
          () => undefined,
        );
        await Promise.race([settled, pause(HUNT_EVERY_MS)]);
      }
    };
    void hunt();
    if (await within(KILL_TIMEOUT_MS, settled)) return;
    done = true;
    this.#log.write("warning", "a command could not be killed and takes its sandbox along", {
      sandbox: this.id,
    });
    await this.stop();
  }

  #leave(reason: string): void {
    if (this.#gone !== null) return;
    this.#gone = reason;
    this.#streams.end();
    this.#end.resolve(reason);
    this.#life.abort();
  }
}

/** The command's stdin. Writes after the command has closed its end are dropped. */
function inputOf(stream: Duplex): Writable {
  return new Writable({
    write: (chunk, _encoding, done) => {
      if (stream.writable) stream.write(chunk, () => done());
      else done();
    },
    final: (done) => {
      stream.end();
      done();
    },
  });
}

/** Resolves when all output has been read. */
async function closeOutputs(stream: Duplex, outputs: readonly Transform[]): Promise<void> {
  const read = outputs.map((output) =>
    finished(output, { writable: false }).catch(() => undefined),
  );
  for (const output of outputs) output.end();
  stream.destroy();
  await Promise.all(read);
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
