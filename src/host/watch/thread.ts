// The thread that watches the event loop of its process (see watchdog.ts). It is a program of its
// own: no code of the process that it watches runs here.

import { writeSync } from "node:fs";
import { workerData } from "node:worker_threads";
import { loadUncatch } from "../../platform.ts";
import { BlockedLoop, describeBlocker, LOOK_MS } from "./blocked-loop.ts";
import { readSteps } from "./steps.ts";
import type { WatchData } from "./watchdog.ts";

/** SIGHUP, SIGINT and SIGTERM, on all systems. */
const SIGNALS = [1, 2, 15];

const { memory, kind, name } = workerData as WatchData;
const loop = new BlockedLoop();
let catchAgain: (() => void) | null = null;

setInterval(() => {
  const { user, system } = process.cpuUsage();
  const { beats } = readSteps(memory);
  const cpuMs = (user + system) / 1000;
  const verdict = loop.look({ beats, nowMs: performance.now(), cpuMs });
  if (verdict === "blocked") void onBlocked();
  if (verdict === "again") onAgain();
  if (verdict === "burned" && kind === "worker") onBurned();
}, LOOK_MS);

async function onBlocked(): Promise<void> {
  const uncatch = await loadUncatch().catch(() => null);
  const end = uncatch === null ? `kill -KILL ${process.pid}` : "Ctrl-C";
  const [what, rest] =
    kind === "run"
      ? ["the run", `${end} ends it now, its records are safe, and the same command continues it`]
      : ["this host", "it ends itself after 30 s of processor time and is replaced"];
  say(`warning: ${blocker()} and blocks ${what}: does it loop for ever? (${rest})`);
  // The line comes first: the next signal ends the process.
  catchAgain = uncatch?.(SIGNALS) ?? null;
}

function onAgain(): void {
  catchAgain?.();
  catchAgain = null;
  say(`${name}: goes on: the step that blocked it has yielded`);
}

/** A supervisor starts the host again, and the driver counts this death against the task. */
function onBurned(): void {
  say(`error: ${blocker()} and burned processor time meanwhile: this host (${name}) ends itself`);
  process.kill(process.pid, "SIGKILL");
}

function blocker(): string {
  const seconds = Math.round(loop.silentMs / 1000);
  return `${describeBlocker(readSteps(memory))}: user code has not yielded for ${seconds} s`;
}

function say(line: string): void {
  try {
    writeSync(2, `${line}\n`);
  } catch {
    // The terminal or the disk is gone.
  }
}
