// Progress on stderr: a bounded panel on a terminal, a plain line every few seconds elsewhere, nothing when quiet.

import { createLogUpdate } from "log-update";
import type { Display, Snapshot } from "../run/snapshot.ts";
import { renderLine, renderPanel } from "./panel.ts";

const PANEL_MS = 200;
const LINE_MS = 5000;
const COLUMNS_DEFAULT = 80;

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
