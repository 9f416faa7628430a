// One sandbox of Apptainer's. Commands are started by its holder over named pipes, in milliseconds, where a further `apptainer exec`
// into an instance takes tens of them. Relays (`cat`) stand between the pipes and us: no runtime opens a named pipe without
// holding a thread until its other end comes.

import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { MatrixError, messageOf } from "../error.ts";
import type { Command, LimitName, Running, Sandbox, SandboxSpec } from "./contract.ts";
import { BRIDGE, scriptOf } from "./holder.ts";
import { MARK } from "./lease.ts";
import {
  type Child,
  endOf,
  environment,
  killFileServers,
  killGroup,
  killMarked,
  outputEnd,
  runChild,
  spawnChild,
} from "./spawn.ts";

/** Where the folder of named pipes stands inside. */
export const PIPES = "/matrix-pipes";
const START_TIMEOUT_MS = 60_000;
/** How long a killed command may take to be gone before its sandbox goes too. */
const KILL_TIMEOUT_MS = 5000;
const HUNT_EVERY_MS = 50;
/** How long a holder may take to end by itself before it is killed. */
const STOP_TIMEOUT_MS = 2000;
/** Named pipes are made for so many commands at once. */
const PIPES_AHEAD = 8;

export interface ApptainerParts {
  readonly child: Child;
  readonly folder: string;
  readonly marks: Readonly<Record<string, string>>;
  readonly unenforced: readonly LimitName[];
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
  /** Commands that run, by number: what to do with their exit code, and their relay. */
  readonly #commands = new Map<
    number,
    { readonly settle: (code: number) => void; readonly relay: Child }
  >();
  #next = 0;
  #pipes: Promise<unknown> = Promise.resolve();
  #pipesMade = 0;
  #gone: string | null = null;
  #stopping = false;
  #said = "";

  constructor(id: string, spec: SandboxSpec, { child, folder, marks, unenforced }: ApptainerParts) {
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
      () => this.#ready.reject(this.#unavailable(`it did not start within ${START_TIMEOUT_MS} ms`)),
      START_TIMEOUT_MS,
    );
    try {
      const pipes = this.#makePipes(0).catch((cause: unknown) => {
        throw this.#unavailable(messageOf(cause));
      });
      await Promise.all([this.#ready.promise, pipes]);
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
    const variables = { ...env, [MARK.command]: mark };
    try {
      await Promise.all([
        this.#makePipes(number),
        writeFile(`${stem}.sh`, scriptOf(args, cwd ?? this.#spec.workdir, variables), {
          mode: 0o600,
        }),
      ]);
    } catch (cause) {
      throw new MatrixError(
        "sandbox_lost",
        `sandbox ${this.id} cannot run a command: ${messageOf(cause)}`,
        { cause },
      );
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
        // What is killed with its sandbox may still be told of one by one.
        if (this.#stopping) throw this.#lost();
        return code;
      })
      .finally(async () => {
        killGroup(relay.pid);
        this.#commands.delete(number);
        await Promise.all(
          ["sh", "in", "out", "err"].map((end) => rm(`${stem}.${end}`, { force: true })),
        );
      });
    exited.catch(() => undefined);
    return {
      stdin: relay.stdin,
      stdout: relay.stdout,
      stderr: relay.stderr,
      exited,
      kill: () => this.#kill(mark, exited),
    };
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

  /** Those of a command; made for several at once, the first of them while the container starts. */
  async #makePipes(number: number): Promise<void> {
    if (number === this.#pipesMade) {
      this.#pipesMade += PIPES_AHEAD;
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
    const hunt = setInterval(() => killMarked(`${MARK.command}=${mark}`), HUNT_EVERY_MS);
    const timer = setTimeout(() => void this.stop(), KILL_TIMEOUT_MS);
    killMarked(`${MARK.command}=${mark}`);
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
    return new MatrixError(
      "sandbox_lost",
      `sandbox ${this.id} is gone: ${this.#gone}${this.#words()}`,
    );
  }

  #unavailable(reason: string): MatrixError {
    return new MatrixError(
      "sandbox_unavailable",
      `Apptainer cannot start sandbox ${this.#spec.name}: ${reason}${this.#words()}`,
      {
        hint: "`matrix sandbox check` says what this machine can do",
      },
    );
  }

  #words(): string {
    const said = this.#said.trim();
    return said === "" ? "" : `; it said: ${said}`;
  }
}

/** Between the named pipes of a command and our ends. What it reads last from is stdin, which a command may never close. */
const RELAY = 'cat <"$1.out" & cat <"$1.err" >&2 & cat >"$1.in"; exec <&- ; wait';
