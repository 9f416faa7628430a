// One container of Docker's. Commands are started beside the holder by the engine's `exec`; the engine can neither end them nor say
// reliably that they died with their container, so both are done here.

import { randomUUID } from "node:crypto";
import { type Duplex, PassThrough, Writable } from "node:stream";
import { finished } from "node:stream/promises";
import { setTimeout as pause } from "node:timers/promises";
import type Docker from "dockerode";
import { MatrixError, messageOf } from "../error.ts";
import type { Log } from "../telemetry/log.ts";
import type { Command, LimitName, Running, Sandbox, SandboxSpec } from "./contract.ts";
import { demultiplex } from "./docker-stream.ts";
import { exec } from "./exec.ts";
import { BRIDGE, START } from "./holder.ts";
import { MARK } from "./lease.ts";

const KILL_TIMEOUT_MS = 5000;
const HUNT_EVERY_MS = 50;
/** Kills what carries a mark in its environment, seen from inside. */
const HUNT = {
  args: [
    "/bin/sh",
    "-c",
    `kill -KILL $(grep -las "$1" /proc/[0-9]*/environ | tr -dc '0-9\\n')`,
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
  /** Fails whatever runs when the container goes. */
  readonly #lost: Promise<never>;
  /** Aborts with the container: the engine may leave requests about it without an answer for ever. */
  readonly #life = new AbortController();
  #gone: string | null = null;

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
    const mark = randomUUID();
    const env = { ...command.env, [MARK.command]: mark };
    try {
      return await Promise.race([this.#lost, this.#exec(command, env, mark)]);
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
    // Removal kills; a container that is being removed already is as good as gone.
    await this.#container.remove({ force: true }).catch(() => undefined);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #exec(
    { args, cwd }: Command,
    env: Readonly<Record<string, string>>,
    mark: string,
  ): Promise<Running> {
    const abortSignal = this.#life.signal;
    const started = await this.#container.exec({
      abortSignal,
      // A shell says 127 for what is not there; the engine would answer with an error.
      Cmd: ["/bin/sh", "-c", START, "sh", cwd ?? this.#spec.workdir, ...args],
      Env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
      AttachStdin: true,
      AttachStdout: true,
      AttachStderr: true,
    });
    const stream = (await started.start({ abortSignal, hijack: true, stdin: true })) as Duplex;
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    const complete = demultiplex(stream, stdout, stderr);
    let killed = false;
    const ended = complete.then(async () => {
      const code = await this.#exitCodeOf(started, stdout);
      // With their container, commands die too, and a moment before it is told.
      if (code === KILLED && !killed) await this.#prove();
      return code;
    });
    const exited = Promise.race([this.#lost, ended]).finally(async () => {
      const read = [stdout, stderr].map((output) =>
        finished(output, { writable: false }).catch(() => undefined),
      );
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
    const kill = (): Promise<void> => {
      killed = true;
      return this.#kill(mark, exited);
    };
    return { stdin, stdout, stderr, exited, kill };
  }

  /** Fails with `sandbox_lost` where no further command can be started. */
  async #prove(): Promise<void> {
    const running = await this.open({ args: ["true"] });
    running.stdout.resume();
    running.stderr.resume();
    running.stdin.end();
    await running.exited;
  }

  /** The engine closes the stream a moment before it knows the exit code. */
  async #exitCodeOf(started: Docker.Exec, stdout: PassThrough): Promise<number> {
    // Of a container that was killed, the engine may call commands running for ever.
    while (this.#gone === null) {
      const { Running, ExitCode, Pid } = await started.inspect({ abortSignal: this.#life.signal });
      if (!Running && ExitCode !== null) {
        // Never a process: the engine could not start one in this container, and says why in the place of output.
        if (Pid === 0)
          throw new MatrixError(
            "sandbox_lost",
            `sandbox ${this.id} starts no more commands: ${said(stdout)}`,
          );
        return ExitCode;
      }
      await pause(EXIT_POLL_MS);
    }
    return this.#lost;
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

function said(output: PassThrough): string {
  const text = String(output.read() ?? "").trim();
  return text === "" ? "its engine does not say why" : text;
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
