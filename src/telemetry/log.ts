// The program's own log: one line an event, `time level message key=value …`, in the run directory; warnings and errors also
// on stderr. A message that repeats is counted, not repeated.

import { createWriteStream } from "node:fs";

export type Level = "info" | "warning" | "error";

export interface Log {
  write(level: Level, message: string, fields?: Readonly<Record<string, string | number>>): void;
  close(): Promise<void>;
}

/** How often the same message is written before it is only counted. */
const REPEATS_MAX = 20;
const MESSAGES_KEPT = 10_000;

/** `show` prints a line above whatever is drawn on the terminal. */
export function openLog(path: string, show: (line: string) => void): Log {
  const stream = createWriteStream(path, { flags: "a" });
  // A log that cannot be written must not end the run; the records are the run.
  stream.on("error", () => undefined);
  const repeats = new Map<string, number>();
  return {
    write: (level, message, fields = {}) => {
      const count = (repeats.get(message) ?? 0) + 1;
      if (repeats.size >= MESSAGES_KEPT) repeats.clear();
      repeats.set(message, count);
      if (count > REPEATS_MAX && !isRound(count)) return;
      const line = formatLine(level, count > REPEATS_MAX ? `${message} (${count} times)` : message, fields);
      stream.write(`${new Date().toISOString()} ${line}\n`);
      if (level !== "info") show(line);
    },
    close: () => new Promise((resolve) => stream.end(() => resolve())),
  };
}

function formatLine(level: Level, message: string, fields: Readonly<Record<string, string | number>>): string {
  const pairs = Object.entries(fields).map(
    ([key, value]) => ` ${key}=${/^[\w.:/-]*$/.test(String(value)) ? value : JSON.stringify(value)}`,
  );
  // One event, one line.
  return `${level} ${message.replaceAll("\n", "\\n")}${pairs.join("")}`;
}

/** 100, 1,000, 10,000 … */
function isRound(count: number): boolean {
  return Number.isInteger(Math.log10(count));
}
