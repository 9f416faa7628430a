// One sandbox of Apptainer's. Its holder starts commands over named pipes in milliseconds; a
// further `apptainer exec` into an instance takes tens of them. Relays (`cat`) stand between the
// pipes and us, because every runtime that opens a named pipe holds a thread until the other end
// opens.

import { randomUUID } from "node:crypto";
import { chmod, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { MatrixError, messageOf } from "../../error.ts";
import type { Command, LimitName, Running, Sandbox, SandboxSpec } from "../contract.ts";
import { BRIDGE, scriptOf } from "../holder.ts";
import { keepMarks, killAllMarked, killFileServers, killUntil, MARK } from "../marked-processes.ts";
import {
  type Child,
  endOf,
  environment,
  killGroup,
  outputEnd,
  runChild,
  spawnChild,
} from "../spawn.ts";

/** The marks by which a command, and all commands of a sandbox, are found from outside. */
const UNMARKED = keepMarks(MARK.command, MARK.sandbox);
const START_TIMEOUT_MS = 60_000;
/** A holder that has not ended by itself after this time is killed. */
const STOP_TIMEOUT_MS = 2000;
/** Commands for which named pipes are made at once. */
const PIPES_AHEAD = 8;
const LAST_OUTPUT_CHARS = 4000;

export interface ApptainerParts {
  readonly child: Child;
  readonly folder: string;
  readonly marks: Readonly<Record<string, string>>;
  readonly unenforced: readonly LimitName[];
  readonly startTimeoutMs?: number;
  readonly stopTimeoutMs?: number;
}

export class ApptainerSandbox implements Sandbox {
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
  readonly #startTimeoutMs: number;
  readonly #stopTimeoutMs: number;
  /** Running commands by name, each with its relay and the receiver of its exit code. */
  readonly #commands = new Map<
    string,
    { readonly settle: (code: number) => void; readonly relay: Child }
  >();
  /** Commands whose files are still there. */
  readonly #clearing = new Set<Promise<unknown>>();
  #next = 0;
  /**
   * Names of the commands' files, by number. A command cannot list the folder, so it finds only its
   * own pipes, and not those of commands that are yet to come.
   */
  readonly #names: string[] = [];
  #pipes: Promise<unknown> = Promise.resolve();
  #pipesMade = 0;
  #gone: string | null = null;
  #stopping = false;
  #lastOutput = "";

  constructor(id: string, spec: SandboxSpec, parts: ApptainerParts) {
    const { child, folder, marks, unenforced } = parts;
    this.#startTimeoutMs = parts.startTimeoutMs ?? START_TIMEOUT_MS;
    this.#stopTimeoutMs = parts.stopTimeoutMs ?? STOP_TIMEOUT_MS;
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
      this.#lastOutput = (this.#lastOutput + chunk.toString("utf8")).slice(-LAST_OUTPUT_CHARS);
    });
    void endOf(child).then(async ({ code, failure }) => {
      await outputEnd(child);
      this.#leave(
        failure ?? (this.#stopping ? "it was stopped" : `its container ended with exit ${code}`),
      );
    });
  }

  async ready(signal: AbortSignal | undefined): Promise<void> {
    const abort = () => this.#ready.reject(signal?.reason);
    signal?.addEventListener("abort", abort, { once: true });
    if (signal?.aborted === true) abort();
    const timer = setTimeout(
      () =>
        this.#ready.reject(this.#unavailable(`it did not start within ${this.#startTimeoutMs} ms`)),
      this.#startTimeoutMs,
    );
    try {
      const pipes = this.#makePipes(0).catch((cause: unknown) => {
        throw this.#unavailable(messageOf(cause));
      });
      await Promise.all([this.#ready.promise, pipes]);
      // The sandbox may have become ready before the caller gave up, or in the same moment.
      signal?.throwIfAborted();
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    }
  }

  async open(command: Command): Promise<Running> {
    if (this.#gone !== null) throw this.#lost();
    const number = this.#next++;
    const mark = `${this.id}/${number}`;
    const name = this.#nameOf(number);
    const stem = join(this.#folder, name);
    await this.#prepare(number, stem, command, mark);
    if (this.#gone !== null) throw this.#lost();
    const relay = spawnChild("/bin/sh", ["-c", RELAY, "matrix-relay", stem], {
      env: { ...environment(), ...this.#marks },
    });
    const exited = this.#run(name, relay).finally(async () => {
      killGroup(relay.pid);
      this.#commands.delete(name);
      await Promise.all(
        ["sh", "in", "out", "err"].map((end) => rm(`${stem}.${end}`, { force: true })),
      );
    });
    const cleared = exited.catch(() => undefined);
    this.#clearing.add(cleared);
    void cleared.then(() => this.#clearing.delete(cleared));
    return {
      stdin: relay.stdin,
      stdout: relay.stdout,
      stderr: relay.stderr,
      exited,
      // The kill comes from outside, where no limit of the sandbox is in its way.
      kill: () => killUntil(`${MARK.command}=${mark}`, exited, () => this.stop()),
    };
  }

  /** Ends the holder, so that the kernel ends the rest. A holder that hangs is killed. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#child.stdin.end();
    const timer = setTimeout(() => {
      void killAllMarked(`${MARK.sandbox}=${this.id}`);
      killGroup(this.#child.pid);
      if (this.#child.pid !== undefined) killFileServers(this.#child.pid);
    }, this.#stopTimeoutMs);
    await this.ended;
    clearTimeout(timer);
    // A removal of the folder would stop at a file that a command removes at the same time.
    await Promise.all(this.#clearing);
    await chmod(this.#folder, 0o700).catch(() => undefined);
    await rm(this.#folder, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /** Makes the command's named pipes and its script. */
  async #prepare(
    number: number,
    stem: string,
    { args, cwd, env }: Command,
    mark: string,
  ): Promise<void> {
    const variables = { ...env, [MARK.command]: mark };
    const script = `${UNMARKED}\n${scriptOf(args, cwd ?? this.#spec.workdir, variables)}`;
    try {
      await Promise.all([
        this.#makePipes(number),
        writeFile(`${stem}.sh`, script, { mode: 0o600 }),
      ]);
    } catch (cause) {
      throw new MatrixError(
        "sandbox_lost",
        `sandbox ${this.id} cannot run a command: ${messageOf(cause)}`,
        { cause },
      );
    }
  }

  /** Tells the holder to start the command, and waits for its exit code and its output. */
  async #run(name: string, relay: Child): Promise<number> {
    const ended = Promise.withResolvers<number>();
    this.#commands.set(name, { settle: ended.resolve, relay });
    this.#child.stdin.write(`run ${name}\n`);
    const gone = this.ended.then(() => {
      throw this.#lost();
    });
    const code = await Promise.race([ended.promise, gone]);
    await outputEnd(relay);
    // The holder may still report commands one by one while the kernel kills them with the sandbox.
    if (this.#stopping) throw this.#lost();
    return code;
  }

  /** Makes pipes for several commands at once. The first are made while the container starts. */
  async #makePipes(number: number): Promise<void> {
    if (number === this.#pipesMade) {
      this.#pipesMade += PIPES_AHEAD;
      const names = Array.from({ length: PIPES_AHEAD }, (_, ahead) =>
        this.#nameOf(number + ahead),
      ).flatMap((name) => ["in", "out", "err"].map((end) => join(this.#folder, `${name}.${end}`)));
      this.#pipes = runChild("mkfifo", ["-m", "600", "--", ...names]).then(({ code, stderr }) => {
        if (code !== 0) throw new Error(`no named pipes: ${stderr.split("\n")[0]}`);
      });
    }
    await this.#pipes;
  }

  #nameOf(number: number): string {
    while (this.#names.length <= number) this.#names.push(randomUUID());
    return this.#names[number] ?? "";
  }

  #hear(line: string): void {
    if (line === "ready") this.#ready.resolve();
    const [, name, code] = /^exit ([\w-]+) (\d+)$/.exec(line) ?? [];
    if (name !== undefined) this.#commands.get(name)?.settle(Number(code));
  }

  #leave(reason: string): void {
    if (this.#gone !== null) return;
    this.#gone = reason;
    this.#ready.reject(this.#unavailable(reason));
    for (const { relay } of this.#commands.values()) killGroup(relay.pid);
    this.#end.resolve(reason);
  }

  #lost(): MatrixError {
    return new MatrixError(
      "sandbox_lost",
      `sandbox ${this.id} is gone: ${this.#gone}${this.#words()}`,
    );
  }

  #unavailable(reason: string): MatrixError {
    return new MatrixError(
      "sandbox_unavailable",
      `Apptainer cannot start sandbox ${this.#spec.name}: ${reason}${this.#words()}`,
      { hint: "run `matrix sandbox check` to see what this machine can do" },
    );
  }

  #words(): string {
    const text = this.#lastOutput.trim();
    return text === "" ? "" : `; its last output: ${text}`;
  }
}

/**
 * Copies between a command's named pipes and our streams. A command may never read its stdin to the
 * end, so the relay is killed once the command has ended.
 */
const RELAY = 'cat <"$1.out" & cat <"$1.err" >&2 & cat >"$1.in"; exec <&- ; wait';
