// Lines that user code prints with `console` go to the log, with the role and the task that printed
// them. Standard output stays free for results. This program itself never prints this way: it
// writes to its streams.

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

/** Captures `console` until the returned function is called. */
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
