// `matrix drive RECIPE` runs a recipe, or continues the run in its run directory.

import { join, resolve } from "node:path";
import { Command, Option } from "commander";
import { EXIT, MatrixError } from "../error.ts";
import { parseAddress, VIEW_ADDRESS } from "../http/address.ts";
import { serveHealth } from "../http/health-server.ts";
import { masked, maskedJson } from "../known-secrets.ts";
import { planStandIn } from "../model/stand-in.ts";
import { parseRetryChoice, type RetryChoice } from "../records/retry-choice.ts";
import { forecastRun } from "../run/forecast/forecast-run.ts";
import { readToken } from "../run/join.ts";
import type { Plan } from "../run/plan.ts";
import { prepare } from "../run/prepare.ts";
import { planMend } from "../run/replay/mend-plan.ts";
import { runRecipe } from "../run/run-recipe.ts";
import type { RunSettings } from "../run/settings.ts";
import type { Summary } from "../run/summary.ts";
import { printable } from "../task/printable.ts";
import {
  advertiseOption,
  healthOption,
  insecureOption,
  jsonOption,
  listenOption,
  metricsOption,
  noCodeOption,
  type OverrideFlags,
  overrideOptions,
  overridesOf,
  patienceOption,
  RECIPE_HELP,
  viewOption,
  wholeNumber,
} from "./flags.ts";
import { type HostsFlags, parseHosts } from "./hosts-flags.ts";
import { catchInterrupts } from "./interrupts.ts";
import { startProgress } from "./progress.ts";
import { checkReplayFlags, mendOptions, rolesToAsk } from "./replay-flags.ts";
import { renderForecast } from "./text/forecast.ts";
import { renderMendPlan } from "./text/mend-plan.ts";
import { renderSummary } from "./text/summary.ts";

interface DriveFlags extends OverrideFlags, HostsFlags {
  /** False with --no-code. */
  readonly code: boolean;
  readonly metrics?: string;
  readonly view?: string;
  readonly health?: string;
  readonly quiet?: boolean;
  readonly dryRun?: boolean;
  readonly like?: string;
  readonly fresh?: boolean;
  /** Statuses, error codes and stop reasons. */
  readonly retry?: string;
  /** Path of a run directory. */
  readonly replay?: string;
  /** Roles with commas between them. */
  readonly ask?: string;
  /** A role, or the number of a hop. */
  readonly from?: string;
  readonly plan?: boolean;
  readonly json?: boolean;
}

export function driveCommand(): Command {
  const command = new Command("drive")
    .description(
      "run a recipe, or continue the run in its run directory (exit 0: complete, 1: too many tasks failed, 2: refused, nothing started, 3: stopped, can be continued, 4: another driver works in the run directory)",
    )
    .argument("<recipe>", RECIPE_HELP)
    .argument(
      "[key=value...]",
      "recipe keys to override: run.concurrency=500 dataset.path=mine.jsonl",
    );
  for (const option of overrideOptions) command.addOption(option);
  command
    .addOption(
      new Option("--workers <n>", "start n host processes on this machine")
        .env("MATRIX_WORKERS")
        .argParser(wholeNumber),
    )
    .addOption(listenOption("listen at host:port for hosts that `matrix agent` starts"))
    .addOption(
      advertiseOption(
        "how hosts reach the driver: a hostname, a network interface, or a block such as 10.0.0.0/8",
      ),
    )
    .addOption(insecureOption())
    .addOption(patienceOption())
    .addOption(metricsOption())
    .addOption(viewOption())
    .addOption(healthOption())
    .addOption(
      new Option("--fresh", "begin anew; an existing run directory is moved to DIR.1").env(
        "MATRIX_FRESH",
      ),
    );
  for (const option of mendOptions) command.addOption(option);
  return command
    .addOption(
      new Option(
        "--dry-run",
        "forecast requests, tokens, money and time; ask nothing and write nothing",
      ).env("MATRIX_DRY_RUN"),
    )
    .addOption(
      new Option("--like <dir>", "with --dry-run: forecast from the records of another run").env(
        "MATRIX_LIKE",
      ),
    )
    .addOption(noCodeOption("with --dry-run or --plan: load no module of the recipe"))
    .addOption(jsonOption("print the summary as one object on stdout"))
    .addOption(new Option("-q, --quiet", "show no progress").env("MATRIX_QUIET"))
    .action(async (recipe: string, keyValues: readonly string[], flags: DriveFlags) => {
      process.exitCode = await drive(recipe, keyValues, flags);
    });
}

async function drive(
  recipePath: string,
  keyValues: readonly string[],
  flags: DriveFlags,
): Promise<number> {
  const hosts = parseHosts(flags);
  checkReplayFlags(flags);
  const overrides = overridesOf(keyValues, flags);
  if (!flags.code && flags.dryRun !== true && flags.plan !== true)
    throw new MatrixError(
      "usage",
      "--no-code is for a look at a recipe, and a run needs its code",
      {
        hint: "use it with --dry-run or --plan, or with `matrix check`",
      },
    );
  if (flags.dryRun === true) return forecast(recipePath, overrides, flags);
  if (flags.like !== undefined)
    throw new MatrixError("usage", "--like is for a forecast: it needs --dry-run");
  const retry = flags.retry === undefined ? null : parseRetryChoice(flags.retry);
  if (retry !== null && flags.fresh === true)
    throw new MatrixError("usage", "--retry goes on with a run, and --fresh begins anew", {
      hint: "leave out one of them",
    });
  if (flags.plan === true) return planOnly(recipePath, overrides, flags, retry);
  const { env } = process;
  const metrics = flags.metrics === undefined ? null : parseAddress(flags.metrics);
  const view = flags.view === undefined ? null : parseAddress(flags.view, VIEW_ADDRESS);
  const token = await readToken(env);
  const replay = flags.replay ?? null;
  const options = { overrides, env, cwd: process.cwd(), watchesAll: replay !== null };
  const plan = await prepare(recipePath, options);
  const directory = directoryOf(plan, replay !== null);
  return play(plan, flags, {
    ...{ directory, retry, replay, hosts, metrics, view, token, env },
    ...{ ask: rolesToAsk(flags), from: flags.from ?? null },
    fresh: flags.fresh === true,
  });
}

async function play(plan: Plan, flags: DriveFlags, settings: RunSettings): Promise<number> {
  const health =
    flags.health === undefined ? null : serveHealth(parseAddress(flags.health), () => null);
  const interrupts = catchInterrupts();
  const summary = await runRecipe(plan, settings, {
    drain: interrupts.drain,
    halt: interrupts.halt,
    say: (line) => console.error(printable(line)),
    display: (snapshot) => startProgress(snapshot, flags.quiet === true),
    ownsProcess: true,
  }).finally(async () => {
    interrupts.dispose();
    await health?.stop();
  });
  // A run that was refused before it began has no summary to show.
  if (summary.error?.exitCode === EXIT.refused) throw summary.error;
  print(
    flags.json === true
      ? maskedJson(JSON.stringify(jsonOf(summary)))
      : masked(renderSummary(summary)),
  );
  if (summary.error !== null) throw summary.error;
  if (summary.state === "stopped") return EXIT.resumable;
  const missed = summary.failed + summary.lost;
  const allowed = plan.recipe.run.fail_above * summary.expected;
  return missed > allowed ? EXIT.failedAbove : EXIT.complete;
}

/** `--dry-run`. Fails with `run_refused` when the forecast is over run.budget. */
async function forecast(
  recipePath: string,
  overrides: readonly string[],
  flags: DriveFlags,
): Promise<number> {
  const { env } = process;
  const options = {
    overrides,
    env,
    cwd: process.cwd(),
    planModel: planStandIn,
    withCode: flags.code,
  };
  const plan = await prepare(recipePath, options);
  const result = await forecastRun(plan, {
    directory: directoryOf(plan, false),
    like: flags.like === undefined ? null : resolve(flags.like),
    hosts: flags.workers ?? 1,
    fresh: flags.fresh === true,
  });
  print(flags.json === true ? maskedJson(JSON.stringify(result)) : masked(renderForecast(result)));
  sayCode(flags);
  if (result.budget?.over == null) return EXIT.complete;
  throw new MatrixError("run_refused", `the run would go over run.budget: ${result.budget.over}`, {
    hint: "raise run.budget, or make fewer tasks with --limit or --trials",
  });
}

/** `--plan`. */
async function planOnly(
  recipePath: string,
  overrides: readonly string[],
  flags: DriveFlags,
  retry: RetryChoice | null,
): Promise<number> {
  const { env } = process;
  const options = {
    overrides,
    env,
    cwd: process.cwd(),
    planModel: planStandIn,
    withCode: flags.code,
  };
  const plan = await prepare(recipePath, options);
  const replay = flags.replay === undefined ? null : resolve(flags.replay);
  const result = await planMend(plan, {
    directory: directoryOf(plan, replay !== null),
    ...{ retry, replay, ask: rolesToAsk(flags), from: flags.from ?? null },
    fresh: flags.fresh === true,
  });
  print(flags.json === true ? JSON.stringify(result) : renderMendPlan(result));
  sayCode(flags);
  return EXIT.complete;
}

function sayCode({ code }: DriveFlags): void {
  if (!code) console.error("no module of the recipe was loaded (--no-code)");
}

function directoryOf({ recipe }: Plan, isReplay: boolean): string {
  const name = isReplay ? `${recipe.name}-replay` : recipe.name;
  return resolve(recipe.run.output ?? join("runs", name));
}

function jsonOf({ error, ...summary }: Summary): object {
  const { code, message } = error ?? {};
  return { ...summary, error: error === null ? null : { code, message } };
}

function print(text: string): void {
  console.log(printable(text));
}
