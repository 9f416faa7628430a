// Progress on stderr: a panel on a terminal, a line every few seconds elsewhere, none with --quiet.

import { createLogUpdate } from "log-update";
import type { Display, Snapshot } from "../run/snapshot.ts";
import { renderLine, renderPanel } from "./text/panel.ts";

const PANEL_MS = 200;
const LINE_MS = 5000;
const COLUMNS_DEFAULT = 80;

/** Shows the run until `stop`. `say` prints a line that stays, above the panel. */
export function startProgress(snapshot: () => Snapshot, quiet: boolean): Display {
  const { stderr } = process;
  if (quiet) return { say: (line) => void stderr.write(`${line}\n`), stop: () => undefined };
  if (!stderr.isTTY || process.env["TERM"] === "dumb") {
    const timer = setInterval(() => void stderr.write(`${renderLine(snapshot())}\n`), LINE_MS);
    timer.unref();
    return { say: (line) => void stderr.write(`${line}\n`), stop: () => clearInterval(timer) };
  }
  const update = createLogUpdate(stderr);
  const draw = (): void =>
    update(renderPanel(snapshot(), stderr.columns ?? COLUMNS_DEFAULT).join("\n"));
  const timer = setInterval(draw, PANEL_MS);
  timer.unref();
  return {
    say: (line) => {
      update.clear();
      stderr.write(`${line}\n`);
      draw();
    },
    stop: () => {
      clearInterval(timer);
      update.clear();
      update.done();
    },
  };
}
