// Progress on stderr: a panel on a terminal, a line every few seconds elsewhere, none with --quiet.

import { createLogUpdate } from "log-update";
import type { Display, Snapshot } from "../run/snapshot.ts";
import { printable } from "../task/printable.ts";
import { renderLine, renderPanel } from "./text/panel.ts";

const PANEL_MS = 200;
const LINE_MS = 5000;
const COLUMNS_DEFAULT = 80;

/** The part of a terminal that the progress needs; `process.stderr` is one. */
export type ProgressStream = NodeJS.WritableStream & {
  readonly isTTY?: boolean;
  readonly columns?: number;
};

/** Shows the run until `stop`. `say` prints a line that stays, above the panel. */
export function startProgress(
  snapshot: () => Snapshot,
  quiet: boolean,
  stream: ProgressStream = process.stderr,
): Display {
  if (!stream.listeners("error").includes(ignore)) stream.on("error", ignore);
  const say = (line: string): void => whileOpen(() => void stream.write(`${printable(line)}\n`));
  if (quiet) return { say, stop: () => undefined };
  // A terminal without a size, as some programs make them, has no room for a panel.
  if (stream.isTTY !== true || stream.columns === 0 || process.env["TERM"] === "dumb") {
    const timer = setInterval(() => say(renderLine(snapshot())), LINE_MS);
    timer.unref();
    return { say, stop: () => clearInterval(timer) };
  }
  const update = createLogUpdate(stream);
  const draw = (): void => whileOpen(() => update(drawn(snapshot(), stream)));
  const timer = setInterval(draw, PANEL_MS);
  timer.unref();
  return {
    say: (line) => {
      whileOpen(() => update.clear());
      say(line);
      draw();
    },
    stop: () => {
      clearInterval(timer);
      whileOpen(() => {
        update.clear();
        update.done();
      });
    },
  };
}

function drawn(snapshot: Snapshot, { columns = COLUMNS_DEFAULT }: ProgressStream): string {
  return printable(renderPanel(snapshot, columns).join("\n"));
}

/** Stays on the stream, because the errors of a terminal that was closed may come after `stop`. */
function ignore(): void {}

/** Writes to a terminal. One that was closed takes nothing more, which must not end the run. */
function whileOpen(write: () => void): void {
  try {
    write();
  } catch {
    // The log in the run directory has the lines that matter.
  }
}
