// Flags that several commands share, and how they become recipe overrides. Every flag also exists as MATRIX_… in the environment.

import { InvalidArgumentError, Option } from "commander";
import { MatrixError } from "../error.ts";
import { parseDuration } from "../recipe/unit.ts";

/** Flags that stand for a recipe key. */
const OVERRIDES = {
  output: "run.output",
  concurrency: "run.concurrency",
  trials: "run.trials",
  limit: "dataset.limit",
  seed: "run.seed",
} as const;

export type OverrideFlags = { readonly [key in keyof typeof OVERRIDES]?: string | number };

export const overrideOptions: readonly Option[] = [
  new Option("-o, --output <dir>", "the run directory (default: runs/NAME)").env("MATRIX_OUTPUT"),
  new Option("-n, --concurrency <n>", "tasks in flight")
    .env("MATRIX_CONCURRENCY")
    .argParser(wholeNumber),
  new Option("--trials <n>", "independent attempts per row")
    .env("MATRIX_TRIALS")
    .argParser(wholeNumber),
  new Option("--limit <n>", "rows at most").env("MATRIX_LIMIT").argParser(wholeNumber),
  new Option("--seed <n>", "what everything random is derived from")
    .env("MATRIX_SEED")
    .argParser(wholeNumber),
];

/** `key=value` arguments and flags as overrides, flags last. */
export function overridesOf(keyValues: readonly string[], flags: OverrideFlags): string[] {
  const fromFlags = Object.entries(OVERRIDES).flatMap(([flag, key]) => {
    const value = flags[flag as keyof typeof OVERRIDES];
    return value === undefined
      ? []
      : [`${key}=${typeof value === "number" ? value : JSON.stringify(value)}`];
  });
  return [...keyValues, ...fromFlags];
}

export function wholeNumber(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value))
    throw new InvalidArgumentError("It must be a whole number.");
  return value;
}

/** How long a host waits for a driver that is gone. */
export const PATIENCE = "10m";

export const listenOption = (text: string) =>
  new Option("--listen <addr>", text).env("MATRIX_LISTEN");
export const insecureOption = () =>
  new Option(
    "--insecure",
    "no TLS between machines: whoever can read the network can read the data",
  ).env("MATRIX_INSECURE");
export const patienceOption = () =>
  new Option("--patience <duration>", "how long hosts wait for a driver that is gone")
    .env("MATRIX_PATIENCE")
    .default(PATIENCE);

export function parsePatience(text: string): number {
  const ms = parseDuration(text);
  if (ms === null)
    throw new MatrixError("usage", `--patience: "${text}" is no duration`, {
      hint: 'write "90s", "10m" or "2h"',
    });
  return ms;
}

export const metricsOption = () =>
  new Option(
    "--metrics <addr>",
    "serve /metrics (Prometheus) and /healthz there, over HTTP/1.1",
  ).env("MATRIX_METRICS");
