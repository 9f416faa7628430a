// What user code prints: lines of the log that name its role and its task, on whatever host it runs. Standard output stays
// free for results. Prints of this program itself never come this way: it writes to its streams.

import { format } from "node:util";
import type { Level, Log } from "../telemetry/log.ts";
import { currentOwner } from "./stray-error.ts";

const LEVELS: readonly (readonly [
  method: "debug" | "log" | "info" | "warn" | "error",
  level: Level,
])[] = [
  ["debug", "info"],
  ["log", "info"],
  ["info", "info"],
  ["warn", "warning"],
  ["error", "error"],
];

/** Until disposed. */
export function captureConsole(log: Log): () => void {
  const restore = LEVELS.map(([method, level]) => {
    const original = console[method];
    console[method] = (...parts: unknown[]) => {
      const owner = currentOwner();
      log.write(
        level,
        format(...parts),
        owner === undefined ? {} : { role: owner.role, task: owner.task },
      );
    };
    return () => {
      console[method] = original;
    };
  });
  return () => {
    for (const one of restore) one();
  };
}
