// The timers of the program: which of them wait, and the end of their time without the wait.

import { join } from "node:path";
import { ROOT } from "./repository.ts";

const OWN_SOURCE = join(ROOT, "src/");

export interface Timers {
  /** Milliseconds of the timeouts and intervals that wait. */
  waiting(): readonly number[];
  /** Runs those of this length now, as if their time was over. */
  ring(ms: number): void;
}

type Act = (...args: unknown[]) => void;

/** Watches the timers that the program's source sets until `use` has ended. */
export async function withTimers<T>(use: (timers: Timers) => T | Promise<T>): Promise<T> {
  const before = { setTimeout, setInterval, clearTimeout, clearInterval };
  const waiting = new Map<unknown, { readonly ms: number; readonly run: () => void }>();
  const isOwn = () => new Error().stack?.split("\n")[3]?.includes(OWN_SOURCE) === true;
  const timeout = (act: Act, ms = 0, ...args: unknown[]) => {
    const run = (): void => {
      clear(timer);
      act(...args);
    };
    const timer = before.setTimeout(run, ms);
    if (isOwn()) waiting.set(timer, { ms, run });
    return timer;
  };
  const interval = (act: Act, ms = 0, ...args: unknown[]) => {
    const timer = before.setInterval(act, ms, ...args);
    if (isOwn()) waiting.set(timer, { ms, run: () => act(...args) });
    return timer;
  };
  const clear = (timer: NodeJS.Timeout | undefined): void => {
    waiting.delete(timer);
    before.clearTimeout(timer);
  };
  Object.assign(globalThis, {
    ...{ setTimeout: timeout, setInterval: interval },
    ...{ clearTimeout: clear, clearInterval: clear },
  });
  try {
    return await use({
      waiting: () => [...waiting.values()].map(({ ms }) => ms),
      ring: (ms) => {
        const due = [...waiting.values()].filter((timer) => timer.ms === ms);
        if (due.length === 0) throw new Error(`no timer of ${ms} ms waits`);
        for (const { run } of due) run();
      },
    });
  } finally {
    Object.assign(globalThis, before);
  }
}

/**
 * Milliseconds of the timers that the program's source has set during `use`, and that still wait
 * when it has ended. One that stays keeps its process alive, or acts on what is over.
 */
export function timersLeftBy(use: (timers: Timers) => unknown): Promise<readonly number[]> {
  return withTimers(async (timers) => {
    await use(timers);
    return timers.waiting();
  });
}
