// Servers and callers in virtual time: minutes of a run with thousands of requests in flight take
// a moment and are the same each time. Everything between the retry loop and the connection is the
// real thing.

import { setImmediate as turn } from "node:timers/promises";
import { type ErrorCode, MatrixError } from "../../../src/error.ts";
import type { Clock } from "../../../src/model/clock.ts";
import type { ChatAnswer, ChatRequest } from "../../../src/model/contract.ts";
import { RequestLimit } from "../../../src/model/limit.ts";
import { askOneOf } from "../../../src/model/replica/openai.ts";
import { Replicas } from "../../../src/model/replica/replicas.ts";
import { pause, retry } from "../../../src/model/retry.ts";
import type { OpenaiModelConfig } from "../../../src/recipe/schema/model-schema.ts";
import { createRandom } from "../../../src/task/seed.ts";
import { openaiConfig } from "../endpoint/config.ts";

/** Time that passes only in `run`. */
export class VirtualClock implements Clock {
  #now = 0;
  #number = 0;
  /** What is due, the earliest last. */
  #due: { readonly at: number; readonly number: number; readonly act: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  later(ms: number, act: () => void): () => void {
    const one = { at: this.#now + Math.max(0, ms), number: this.#number++, act };
    const isBefore = (other: typeof one) =>
      other.at > one.at || (other.at === one.at && other.number > one.number);
    let [low, high] = [0, this.#due.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (isBefore(this.#due[middle] as typeof one)) low = middle + 1;
      else high = middle;
    }
    this.#due.splice(low, 0, one);
    return () => {
      this.#due = this.#due.filter((other) => other !== one);
    };
  }

  async run(untilMs: number): Promise<void> {
    await turn();
    for (let next = this.#due.at(-1); next !== undefined && next.at <= untilMs; ) {
      this.#now = next.at;
      while (this.#due.at(-1)?.at === this.#now) this.#due.pop()?.act();
      await turn();
      next = this.#due.at(-1);
    }
    this.#now = untilMs;
  }
}

export interface ServerOptions {
  /** Requests at once; more are turned away. */
  readonly capacity?: number;
  /** Requests at once that are worked on; more wait in the server. */
  readonly slots?: number;
  readonly answerMs: (random: () => number) => number;
  /** The error that a request ends with at once, in place of its answer. */
  readonly fault?: (now: number, random: () => number) => Fault | null;
}

export interface Fault {
  readonly code: ErrorCode;
  readonly retryAfterMs?: number;
  /** The time until the fault is seen. */
  readonly afterMs?: number;
}

const QUICK_MS = 5;

export class VirtualServer {
  inFlight = 0;
  refused = 0;
  readonly answeredAt: number[] = [];
  /** Rows of the requests that were answered. */
  readonly rows = new Set<string>();
  /** Times at which requests and probes came. */
  readonly askedAt: number[] = [];
  readonly probedAt: number[] = [];
  readonly #options: ServerOptions;
  readonly #clock: VirtualClock;
  readonly #random: () => number;
  readonly #slots: RequestLimit;

  constructor(options: ServerOptions, clock: VirtualClock, random: () => number) {
    this.#options = options;
    this.#clock = clock;
    this.#random = random;
    this.#slots = new RequestLimit(options.slots ?? Number.POSITIVE_INFINITY);
  }

  async ask({ origin }: ChatRequest, signal: AbortSignal): Promise<ChatAnswer> {
    const { capacity = Number.POSITIVE_INFINITY, answerMs, fault } = this.#options;
    const clock = this.#clock;
    this.askedAt.push(clock.now());
    const wrong = fault?.(clock.now(), this.#random) ?? null;
    const full = this.inFlight >= capacity ? ({ code: "model_overloaded" } as const) : null;
    const failure: Fault | null = wrong ?? full;
    if (failure !== null) {
      const { code, afterMs = QUICK_MS, retryAfterMs } = failure;
      if (code === "model_overloaded") this.refused++;
      await pause(afterMs, signal, clock);
      throw new MatrixError(code, code, retryAfterMs === undefined ? {} : { retryAfterMs });
    }
    this.inFlight++;
    await this.#slots.run(() => pause(answerMs(this.#random), signal, clock), signal);
    this.inFlight--;
    this.answeredAt.push(clock.now());
    this.rows.add(origin?.row ?? "");
    return { message: { role: "assistant", content: "yes" }, finishReason: "stop", usage: USAGE };
  }

  async isThere(): Promise<boolean> {
    this.probedAt.push(this.#clock.now());
    await pause(QUICK_MS, new AbortController().signal, this.#clock);
    return this.#options.fault?.(this.#clock.now(), () => 1)?.code !== "model_unavailable";
  }

  /** Answers a second, between two times. */
  rate(fromMs: number, toMs: number): number {
    const answered = this.answeredAt.filter((at) => at >= fromMs && at < toMs);
    return (answered.length * 1000) / (toMs - fromMs);
  }
}

const USAGE = { requests: 1, prompt_tokens: 0, completion_tokens: 0 };

export interface World {
  readonly clock: VirtualClock;
  readonly servers: readonly VirtualServer[];
  readonly replicas: Replicas;
  readonly said: readonly string[];
  /** Requests that failed for good, by code. */
  readonly failed: readonly string[];
}

/** `tasks` callers, each of which asks one request after the other for one row after the other. */
export function createWorld(
  options: readonly ServerOptions[],
  {
    tasks,
    turns = 1,
    found = null,
    noted = [],
    ...config
  }: {
    tasks: number;
    /** Requests of one row. */
    turns?: number;
    /** The window that each replica begins with, and those that it finds. */
    found?: number | null;
    noted?: (number | null)[];
  } & Partial<OpenaiModelConfig>,
): World {
  const clock = new VirtualClock();
  const random = createRandom(1);
  const servers = options.map((one) => new VirtualServer(one, clock, random));
  const urls = options.map((_, index) => `http://${index}`);
  const said: string[] = [];
  const failed: string[] = [];
  const replicas = new Replicas(
    "m",
    openaiConfig({ base_url: urls, concurrency: 100_000, ...config }),
    {
      random,
      clock,
      findWindow: () => found,
      noteWindow: (_, size) => noted.push(size),
      say: (level, what) => said.push(`${level}: ${what}`),
      connect: ({ label }) => servers[urls.indexOf(label)] as VirtualServer,
    },
  );
  const attempt = askOneOf(replicas, clock);
  const { signal } = new AbortController();
  let row = 0;
  const work = async (): Promise<void> => {
    for (;;) {
      const origin = { row: `${row++}`, trial: 0, attempt: 1, role: "r" };
      for (let turn = 0; turn < turns; turn++) {
        const request = { messages: [], seed: row, sampling: {}, origin: { ...origin, turn } };
        await retry(
          (tries, deadline) =>
            attempt(request, {
              ...{ tries, deadline, signal },
              permit: () => Promise.resolve(),
              onRejected: () => undefined,
            }),
          { retries: 5, deadlineMs: 600_000, signal, random, clock },
        ).catch((error: MatrixError) => failed.push(error.code));
      }
    }
  };
  for (let task = 0; task < tasks; task++) void work();
  return { clock, servers, replicas, said, failed };
}
