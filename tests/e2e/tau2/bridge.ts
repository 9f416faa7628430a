// A client of the real tau2 bridge, as a local process or in its real image. Where neither tau2 nor
// its image is on this machine, a line says so and the tests that need them are skipped.

import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import type { Socket } from "node:net";
import { join } from "node:path";
import type { Writable } from "node:stream";
import type { Json, JsonObject } from "../../../src/task/json.ts";
import { ROOT } from "../../parts/repository.ts";

export const TAU2 = join(ROOT, "sandboxes/tau2");
const IMAGE = "matrix-tau2";

/** A Python with tau2's package: `scripts/tau2-python` makes one. */
export const python: string | null =
  [process.env["MATRIX_TAU2_PYTHON"], join(ROOT, ".tools/tau2/bin/python")].find(
    (path) => path !== undefined && existsSync(path),
  ) ?? null;
if (python === null) console.log("skipped: no Python with tau2 (scripts/tau2-python installs one)");

export const hasImage = Bun.spawnSync(["sh", "-c", `docker image inspect ${IMAGE}`], {
  stdout: "ignore",
  stderr: "ignore",
}).success;
if (!hasImage)
  console.log(
    `skipped: no Docker image ${IMAGE} (docker build --network host -t ${IMAGE} sandboxes/tau2)`,
  );

export const inProcess: readonly string[] = [python ?? "python3", join(TAU2, "bridge.py")];
/**
 * As a recipe's sandbox runs it: no network, a root that cannot be written to, the bridge mounted
 * read-only.
 */
export const inContainer: readonly string[] = [
  ...[
    "docker",
    "run",
    "-i",
    "--rm",
    "--network",
    "none",
    "--read-only",
    "--tmpfs",
    "/tmp",
    "--memory",
    "2g",
    "--pids-limit",
    "64",
  ],
  ...["-v", `${TAU2}:/bridge:ro`, IMAGE, "python3", "/bridge/bridge.py"],
];

export class BridgeRefusal extends Error {
  readonly kind: string;

  constructor(kind: string, message: string) {
    super(message);
    this.kind = kind;
  }
}

interface Waiting {
  resolve(result: Json): void;
  reject(error: Error): void;
}

export class Bridge {
  readonly #child: ChildProcessByStdio<Writable, Socket, null>;
  readonly #ended: Promise<unknown>;
  readonly #waiting = new Map<number, Waiting>();
  #next = 0;

  constructor(
    [program = "", ...args]: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ) {
    const child = spawn(program, args, {
      stdio: ["pipe", "pipe", "ignore"],
      env: { ...process.env, ...env },
    });
    this.#child = child as unknown as ChildProcessByStdio<Writable, Socket, null>;
    this.#ended = once(child, "close");
    this.#read();
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** The process does not keep ours alive. */
  unref(): void {
    this.#child.unref();
    this.#child.stdout.unref();
  }

  async request<T = JsonObject>(op: string, parameters: JsonObject = {}): Promise<T> {
    const id = this.#next++;
    const answer = new Promise<Json>((resolve, reject) =>
      this.#waiting.set(id, { resolve, reject }),
    );
    this.#child.stdin.write(`${JSON.stringify({ id, op, ...parameters })}\n`);
    return (await answer) as T;
  }

  /** Sends bytes as they are, for what no client would send. */
  raw(text: string): void {
    this.#child.stdin.write(text);
  }

  /** The next line that answers no request of ours. */
  readonly strays: JsonObject[] = [];

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin.end();
    await this.#ended;
  }

  #read(): void {
    const decoder = new TextDecoder();
    let rest = "";
    this.#child.stdout.on("data", (chunk: Buffer) => {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.#settle(JSON.parse(line));
    });
    this.#child.on("close", () => {
      for (const { reject } of this.#waiting.values()) reject(new Error("the bridge ended"));
    });
  }

  #settle(reply: {
    id: number | null;
    ok: boolean;
    result: Json;
    error: { kind: string; message: string };
  }): void {
    const waiting = reply.id === null ? undefined : this.#waiting.get(reply.id);
    if (waiting === undefined) {
      this.strays.push(reply as unknown as JsonObject);
      return;
    }
    this.#waiting.delete(reply.id as number);
    if (reply.ok) waiting.resolve(reply.result);
    else waiting.reject(new BridgeRefusal(reply.error.kind, reply.error.message));
  }
}
