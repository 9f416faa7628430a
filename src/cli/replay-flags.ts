// Flags of `matrix drive --replay`: those that it needs, and those that it refuses.

import { Option } from "commander";
import { MatrixError } from "../error.ts";
import type { OverrideFlags } from "./flags.ts";
import type { HostsFlags } from "./hosts-flags.ts";

/** Flags that mend a run, or make another one of its records. */
export const mendOptions: readonly Option[] = [
  new Option(
    "--retry <what>",
    "run failed tasks again: failed, lost, error codes or stop reasons, with commas between them",
  ).env("MATRIX_RETRY"),
  new Option(
    "--replay <dir>",
    "run the recorded answers of another run through this recipe again, without asking a model",
  ).env("MATRIX_REPLAY"),
  new Option(
    "--ask <roles>",
    "with --replay: ask these roles anew; every other answer is from the records",
  ).env("MATRIX_ASK"),
  new Option(
    "--from <role|hop>",
    "with --replay: keep each task up to this role or hop, and make the rest anew",
  ).env("MATRIX_FROM"),
  new Option(
    "--plan",
    "with --retry or --replay: count what would be reused and asked; ask nothing and write nothing",
  ).env("MATRIX_PLAN"),
];

export interface ReplayFlags extends HostsFlags, OverrideFlags {
  readonly replay?: string;
  /** Roles with commas between them. */
  readonly ask?: string;
  readonly from?: string;
  readonly retry?: string;
  readonly plan?: boolean;
  readonly dryRun?: boolean;
}

export function rolesToAsk({ ask }: Pick<ReplayFlags, "ask">): string[] {
  return ask === undefined ? [] : ask.split(",").map((role) => role.trim());
}

/** Fails with `usage` when a flag has no meaning for a replay. */
export function checkReplayFlags(flags: ReplayFlags): void {
  if (flags.plan === true && flags.retry === undefined && flags.replay === undefined)
    throw new MatrixError("usage", "--plan is for --retry and --replay", {
      hint: "--dry-run forecasts a run of the dataset",
    });
  if (flags.dryRun === true && flags.retry !== undefined)
    throw new MatrixError("usage", "--dry-run forecasts a new run, and --retry mends one", {
      hint: "--plan counts what a retry would ask",
    });
  const asks = flags.ask !== undefined || flags.from !== undefined;
  if (flags.replay === undefined) {
    if (!asks) return;
    const flag = flags.ask === undefined ? "--from" : "--ask";
    throw new MatrixError("usage", `${flag} is for a replay: it needs --replay`, {
      hint: "--replay takes the run directory whose answers are kept",
    });
  }
  if (!asks && (flags.workers !== undefined || flags.listen !== undefined))
    throw new MatrixError(
      "usage",
      "--replay without --ask and --from runs in this process alone: it asks no model, so other hosts would not speed it up",
      {
        hint: "leave out --workers and --listen",
      },
    );
  if (flags.dryRun === true)
    throw new MatrixError("usage", "--dry-run forecasts a new run, and --replay replays one", {
      hint: "--plan counts what a replay would reuse and ask",
    });
  for (const flag of ["trials", "limit"] as const)
    if (flags[flag] !== undefined)
      throw new MatrixError(
        "usage",
        "--replay makes one record for each record of the other run, whatever the dataset holds",
        {
          hint: `leave out --${flag}`,
        },
      );
}
