// Joins a run as a host: asks until there is a driver, and receives the recipe from it.

import { MatrixError, messageOf } from "../../error.ts";
import type { DriverCalls } from "../../host/driver-calls.ts";
import { Patience } from "../../host/patience.ts";
import type { Control } from "../../peer/control.ts";
import { version } from "../../version.ts";

const JOIN_TIMEOUT_MS = 20_000;
const PAUSE_MS = { first: 100, max: 2000 } as const;
/** The terminal says this often that the host waits; the first time after a second. */
const SAY_MS = 10_000;
const FIRST_SAY_MS = 1000;
/**
 * A host that finds a complete run waits this long for a driver, which may be about to begin anew
 * there or to extend the run.
 */
const COMPLETE_MS = 10_000;

export type Welcome = Exclude<Control<"welcome">, { readonly refused: string }>;

export interface JoinOptions {
  readonly name: string;
  /** The life of this host before this one, which is known to be over. */
  readonly replaces: string | null;
  /** The host waits this long for a driver that is not there. */
  readonly patienceMs: number;
  /** Tells whether the files of the run say that it is complete. */
  readonly isComplete: () => Promise<boolean>;
  /** Prints a line on the terminal. */
  readonly show: (line: string) => void;
  /** Aborted: the host gives up joining. */
  readonly signal: AbortSignal;
}

/**
 * The welcome, or why there is none: the host was `told` to leave, its patience is over and the
 * driver `gone`, or the run is `over`. Fails with `usage` when the driver says no.
 */
export async function joinRun(
  driver: DriverCalls,
  options: JoinOptions,
): Promise<Welcome | "told" | "gone" | "over"> {
  const { name, patienceMs, show, signal } = options;
  const patience = new Patience(patienceMs, performance.now());
  const completePatience = new Patience(Math.min(patienceMs, COMPLETE_MS), performance.now());
  let pauseMs: number = PAUSE_MS.first;
  let saidAt = performance.now() - SAY_MS + FIRST_SAY_MS;
  while (!signal.aborted) {
    const asked = await ask(driver, options);
    if (typeof asked !== "string") return asked;
    const isOver = completePatience.ask(performance.now()) === "give up";
    if (isOver && (await options.isComplete())) return "over";
    if (patience.ask(performance.now()) === "give up") return "gone";
    if (performance.now() - saidAt > SAY_MS) {
      saidAt = performance.now();
      show(`${name}: waiting for the driver: ${asked}; ${waitsFor(patienceMs)}`);
    }
    await pause(pauseMs, signal);
    pauseMs = Math.min(PAUSE_MS.max, pauseMs * 2);
  }
  return "told";
}

export function waitsFor(patienceMs: number): string {
  return `this host waits for up to ${patienceMs / 1000} s (--patience)`;
}

/** The driver's welcome, or why there is none yet. */
async function ask(
  driver: DriverCalls,
  { name, replaces }: JoinOptions,
): Promise<Welcome | string> {
  const question = { program: version, name, replaces };
  try {
    const welcome = await driver.call("join", "join", question, "welcome", JOIN_TIMEOUT_MS);
    if (welcome === null) return "no driver runs in the directory of --join now";
    if ("refused" in welcome)
      throw new MatrixError("usage", `the driver refused this host: ${welcome.refused}`);
    return welcome;
  } catch (thrown) {
    if (thrown instanceof MatrixError) throwIfFinal(thrown);
    return messageOf(thrown);
  }
}

/** A driver that cannot be reached may come back. Every other error is final. */
function throwIfFinal(error: MatrixError): void {
  const { code, status } = error;
  if (code !== "peer_failed" && code !== "wire_invalid") throw error;
  if (status === 401)
    throw new MatrixError(
      "usage",
      "the driver does not know this token: it is wrong, or that of another run",
      { hint: "take MATRIX_TOKEN from the run directory's driver.json" },
    );
  if (status === 426)
    throw new MatrixError("usage", "the driver speaks another version of the protocol", {
      hint: "run the same matrix on every node",
    });
}

/** Ends early when the signal aborts. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    const wake = (): void => {
      clearTimeout(timer);
      resolve();
    };
    signal.addEventListener("abort", wake, { once: true });
  });
}
