// Watches the event loop of a process that runs steps. A thread of its own looks at the beats, says
// which step blocks the loop, and makes signals of the user work meanwhile.

import { startWatchThread } from "../../platform.ts";
import type { Step } from "../step.ts";
import { WatchedSteps } from "./steps.ts";

const BEAT_MS = 500;

/** The data of the thread. */
export interface WatchData {
  readonly memory: SharedArrayBuffer;
  /** A step that blocks it for good ends a worker, and lets the user end a run. */
  readonly kind: "run" | "worker";
  /** Name of the host. */
  readonly name: string;
}

export class Watchdog {
  readonly #steps = new WatchedSteps();
  readonly #data: WatchData;
  readonly #startThread: typeof startWatchThread;
  #thread: { stop(): void } | null = null;
  #beating: NodeJS.Timeout | undefined;

  constructor(kind: WatchData["kind"], name: string, startThread = startWatchThread) {
    this.#data = { memory: this.#steps.memory, kind, name };
    this.#startThread = startThread;
  }

  /** The agent of a step is called. The thread starts with the first step. */
  begin(step: Step): void {
    if (this.#thread === null) this.#start();
    this.#steps.begin(step.task);
  }

  /** The agent has returned. */
  returned(): void {
    this.#steps.returned();
  }

  /** The agent has returned a promise. */
  keep(step: Step): void {
    this.#steps.keep(step, step.task);
  }

  /** The step is settled. */
  drop(step: Step): void {
    this.#steps.drop(step);
  }

  stop(): void {
    clearInterval(this.#beating);
    this.#thread?.stop();
  }

  #start(): void {
    this.#thread = this.#startThread(this.#data);
    this.#beating = setInterval(() => this.#steps.beat(), BEAT_MS);
    this.#beating.unref();
  }
}
