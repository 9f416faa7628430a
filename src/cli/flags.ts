// Flags that several commands share, and the recipe keys that some of them override. Every flag can
// also be set in the environment, as MATRIX_….

import { InvalidArgumentError, Option } from "commander";
import { MatrixError, messageOf } from "../error.ts";
import { compileExpression, type Expression } from "../recipe/expression/expression.ts";
import { parseDuration } from "../recipe/unit.ts";

/** The recipe key that each of these flags overrides. */
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
  new Option("--seed <n>", "the seed of everything random")
    .env("MATRIX_SEED")
    .argParser(wholeNumber),
];

/** Lists overrides from `key=value` arguments, then from flags: a later one wins. */
export function overridesOf(keyValues: readonly string[], flags: OverrideFlags): string[] {
  const fromFlags = Object.entries(OVERRIDES).flatMap(([flag, key]) => {
    const value = flags[flag as keyof typeof OVERRIDES];
    return value === undefined
      ? []
      : [`${key}=${typeof value === "number" ? value : JSON.stringify(value)}`];
  });
  return [...keyValues, ...fromFlags];
}

/** Parses the value of a flag. Fails with commander's error, which names the flag. */
export function wholeNumber(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value))
    throw new InvalidArgumentError("It must be a whole number.");
  return value;
}

export const RECIPE_HELP = "path of a recipe or of its folder, or a name of `matrix recipes`";

/** Compiles the CEL of a flag. Fails with commander's error, which names the flag. */
export function celExpression(source: string): Expression {
  try {
    return compileExpression(source);
  } catch (thrown) {
    throw new InvalidArgumentError(messageOf(thrown));
  }
}

/** Default of --patience. */
const PATIENCE = "10m";

export const jsonOption = (text = "print one object on stdout") =>
  new Option("--json", text).env("MATRIX_JSON");
/** `flags.code` is false with it. */
export const noCodeOption = (text: string) => new Option("--no-code", text).env("MATRIX_NO_CODE");
export const listenOption = (text: string) =>
  new Option("--listen <addr>", text).env("MATRIX_LISTEN");
export const advertiseOption = (text: string) =>
  new Option("--advertise <where>", text).env("MATRIX_ADVERTISE");
export const healthOption = () =>
  new Option("--health <addr>", "answer /healthz at host:port, over HTTP/1.1, for probes").env(
    "MATRIX_HEALTH",
  );
export const insecureOption = () =>
  new Option("--insecure", "no TLS between machines: data is readable on the network").env(
    "MATRIX_INSECURE",
  );
export const patienceOption = () =>
  new Option("--patience <duration>", "how long hosts wait for a driver that is gone")
    .env("MATRIX_PATIENCE")
    .default(PATIENCE);

export function parsePatience(text: string): number {
  const ms = parseDuration(text);
  if (ms === null)
    throw new MatrixError("usage", `--patience: "${text}" is not a duration`, {
      hint: 'write "90s", "10m" or "2h"',
    });
  return ms;
}

export const viewOption = () =>
  new Option(
    "--view <addr>",
    "serve the web page of the run at host:port while it goes on, with a token off loopback",
  ).env("MATRIX_VIEW");
export const metricsOption = () =>
  new Option(
    "--metrics <addr>",
    "serve /metrics (Prometheus) and /healthz at host:port, over HTTP/1.1",
  ).env("MATRIX_METRICS");
