// Signals of the user: the first SIGINT, SIGTERM or SIGHUP (a terminal that was closed) drains the
// run, the second halts it. A program that was started with nohup does not hear SIGHUP.

import { readFileSync } from "node:fs";

/** Two signals for a run, and the end of listening for them. */
export interface Interrupts {
  readonly drain: AbortSignal;
  readonly halt: AbortSignal;
  dispose(): void;
}

export function catchInterrupts(): Interrupts {
  const drain = new AbortController();
  const halt = new AbortController();
  const dispose = onInterrupt(() => (drain.signal.aborted ? halt.abort() : drain.abort()));
  return { drain: drain.signal, halt: halt.signal, dispose };
}

/** Calls `act` at each signal that asks this process to end. Returns a function that stops that. */
export function onInterrupt(act: () => void): () => void {
  const signals = ["SIGINT", "SIGTERM", ...(ignoresHangups() ? [] : ["SIGHUP"])] as const;
  for (const signal of signals) process.on(signal, act);
  return () => {
    for (const signal of signals) process.off(signal, act);
  };
}

/**
 * Tells whether SIGHUP is ignored, as nohup asks for: a listener would undo that. `status` is the
 * text of /proc/self/status; where there is none, only a program on a terminal hears SIGHUP.
 */
export function ignoresHangups(
  status = readStatus(),
  isOnTerminal = process.stderr.isTTY === true,
): boolean {
  const ignored = /^SigIgn:\s*([0-9a-f]+)$/m.exec(status ?? "")?.[1];
  return ignored === undefined ? !isOnTerminal : (Number.parseInt(ignored.slice(-1), 16) & 1) === 1;
}

function readStatus(): string | null {
  try {
    return readFileSync("/proc/self/status", "utf8");
  } catch {
    return null;
  }
}
