// Timers that the program leaves behind. One that stays keeps its process alive, or acts on what is
// over.

import { join } from "node:path";
import { ROOT } from "./repository.ts";

const OWN_SOURCE = join(ROOT, "src/");

/**
 * Milliseconds of the timeouts and intervals that the program's source has set during `use`, and
 * that are still waiting when it has ended. `use` can ask for them as well.
 */
export async function timersLeftBy(
  use: (waiting: () => readonly number[]) => unknown,
): Promise<readonly number[]> {
  const before = { setTimeout, setInterval, clearTimeout, clearInterval };
  const left = new Map<unknown, number>();
  const waiting = () => [...left.values()];
  type Act = (...args: unknown[]) => void;
  const isOwn = () => new Error().stack?.split("\n")[3]?.includes(OWN_SOURCE) === true;
  const timeout = (act: Act, ms = 0, ...args: unknown[]) => {
    const run = (): void => {
      left.delete(timer);
      act(...args);
    };
    const timer = before.setTimeout(run, ms);
    if (isOwn()) left.set(timer, ms);
    return timer;
  };
  const interval = (act: Act, ms = 0, ...args: unknown[]) => {
    const timer = before.setInterval(act, ms, ...args);
    if (isOwn()) left.set(timer, ms);
    return timer;
  };
  const clear = (timer: NodeJS.Timeout | undefined): void => {
    left.delete(timer);
    before.clearTimeout(timer);
  };
  Object.assign(globalThis, {
    ...{ setTimeout: timeout, setInterval: interval },
    ...{ clearTimeout: clear, clearInterval: clear },
  });
  try {
    await use(waiting);
    return waiting();
  } finally {
    Object.assign(globalThis, before);
  }
}
