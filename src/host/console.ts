// Lines that user code prints with `console` go to the log, with the role and the task that printed
// them. Standard output stays free for results. This program itself never prints this way: it
// writes to its streams.

import { format } from "node:util";
import { masked } from "../known-secrets.ts";
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

/**
 * Captures `console`, and masks known secrets in what is written to the streams, until the returned
 * function is called.
 */
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
  restore.push(...(["stdout", "stderr"] as const).map(maskStream));
  return () => {
    for (const one of restore) one();
  };
}

/** User code may write to the streams itself. A secret that it writes in pieces is not found. */
function maskStream(name: "stdout" | "stderr"): () => void {
  const stream = process[name];
  const { write } = stream;
  const masking = (chunk: string | Uint8Array, ...rest: never[]): boolean => {
    const text = typeof chunk === "string" ? chunk : new TextDecoder().decode(chunk);
    const safe = masked(text);
    return write.call(stream, safe === text ? chunk : safe, ...rest);
  };
  stream.write = masking as typeof write;
  return () => {
    stream.write = write;
  };
}
