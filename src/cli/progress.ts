// Progress on stderr: a panel on a terminal, a line every few seconds elsewhere, none with --quiet.

import { createLogUpdate } from "log-update";
import type { Display, Snapshot } from "../run/snapshot.ts";
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
  const say = (line: string): void => void stream.write(`${line}\n`);
  if (quiet) return { say, stop: () => undefined };
  if (stream.isTTY !== true || process.env["TERM"] === "dumb") {
    const timer = setInterval(() => say(renderLine(snapshot())), LINE_MS);
    timer.unref();
    return { say, stop: () => clearInterval(timer) };
  }
  const update = createLogUpdate(stream);
  const draw = (): void =>
    update(renderPanel(snapshot(), stream.columns ?? COLUMNS_DEFAULT).join("\n"));
  const timer = setInterval(draw, PANEL_MS);
  timer.unref();
  return {
    say: (line) => {
      update.clear();
      say(line);
      draw();
    },
    stop: () => {
      clearInterval(timer);
      update.clear();
      update.done();
    },
  };
}
