// The log of a host. It keeps lines until the driver has taken them. It is bounded and never waits:
// when the driver is slow or gone, the oldest lines are dropped, and a line in their place says how
// many.

import { masked } from "../known-secrets.ts";
import { createRepeatCounter, formatLine, type Level, type Log, type LogFields } from "./log.ts";

/** A line on its way to the driver. */
export interface LogLine {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly level: Level;
  readonly message: string;
  readonly fields: LogFields;
}

export interface StreamedLog extends Log {
  /** Removes and returns the oldest lines. */
  take(max: number): readonly LogLine[];
  /** Puts back lines that were taken and could not be sent. */
  giveBack(lines: readonly LogLine[]): void;
}

export interface StreamedLogOptions {
  /** Prints warnings and errors where the host runs. */
  readonly show: (line: string) => void;
  readonly linesMax?: number;
  readonly charsMax?: number;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

const LINES_MAX = 10_000;
const CHARS_MAX = 1024 * 1024;
const LINE_CHARS_MAX = 4096;
/** Counted for each line beside its text. */
const LINE_OVERHEAD_CHARS = 64;

export function createStreamedLog({
  show,
  linesMax = LINES_MAX,
  charsMax = CHARS_MAX,
  now = Date.now,
}: StreamedLogOptions): StreamedLog {
  const counted = createRepeatCounter();
  /**
   * Lines from `first` on wait. Earlier ones have been sent or dropped, and are cut off at times.
   */
  let lines: LogLine[] = [];
  let first = 0;
  let chars = 0;
  /** Dropped lines that no notice has reported yet. */
  let dropped = 0;
  const notices = new WeakMap<LogLine, number>();

  const shift = (): LogLine | undefined => {
    const line = lines[first];
    if (line === undefined) return undefined;
    chars -= charsOf(line);
    first++;
    if (first === lines.length || first > linesMax) {
      lines = lines.slice(first);
      first = 0;
    }
    return line;
  };
  const trim = (): void => {
    while (lines.length - first > linesMax || chars > charsMax) {
      shift();
      dropped++;
    }
  };

  return {
    write: (level, message, fields = {}) => {
      const said = counted(message);
      if (said === null) return;
      const line: LogLine = { at: now(), level, message: cut(said), fields: cutFields(fields) };
      lines.push(line);
      chars += charsOf(line);
      trim();
      if (level !== "info") show(formatLine(level, line.message, line.fields));
    },
    take: (max) => {
      const taken: LogLine[] = [];
      if (dropped > 0 && max > 0) {
        const notice = droppedLine(dropped, lines[first]?.at ?? now());
        notices.set(notice, dropped);
        taken.push(notice);
        dropped = 0;
      }
      while (taken.length < max) {
        const line = shift();
        if (line === undefined) break;
        taken.push(line);
      }
      return taken;
    },
    giveBack: (returned) => {
      const unsent = returned.filter((line) => !notices.has(line));
      for (const line of returned) dropped += notices.get(line) ?? 0;
      for (const line of unsent) chars += charsOf(line);
      lines = [...unsent, ...lines.slice(first)];
      first = 0;
      trim();
    },
    close: () => Promise.resolve(),
  };
}

function droppedLine(count: number, at: number): LogLine {
  return {
    at,
    level: "warning",
    message: `${count} lines of this log were dropped: they came faster than they could be sent`,
    fields: { dropped: count },
  };
}

function charsOf({ message, fields }: LogLine): number {
  let chars = LINE_OVERHEAD_CHARS + message.length;
  for (const [key, value] of Object.entries(fields)) chars += key.length + String(value).length;
  return chars;
}

function cutFields(fields: LogFields): LogFields {
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [
      key,
      typeof value === "string" ? cut(value) : value,
    ]),
  );
}

/** The driver gets lines without secrets, which it may not know. */
function cut(unmasked: string): string {
  const text = masked(unmasked);
  return text.length <= LINE_CHARS_MAX ? text : `${text.slice(0, LINE_CHARS_MAX - 1)}…`;
}
