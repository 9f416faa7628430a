// Flags of `matrix drive --replay` that contradict each other.

import { MatrixError } from "../error.ts";
import type { OverrideFlags } from "./flags.ts";
import type { HostsFlags } from "./hosts-flags.ts";

export interface ReplayFlags extends HostsFlags, OverrideFlags {
  readonly dryRun?: boolean;
}

/** Fails with `usage` where flags mean nothing to a replay. */
export function checkReplayFlags(flags: ReplayFlags): void {
  if (flags.workers !== undefined || flags.listen !== undefined)
    throw new MatrixError(
      "usage",
      "--replay runs in this process alone: it asks no model, so hosts have nothing to wait for",
      {
        hint: "leave out --workers and --listen",
      },
    );
  if (flags.dryRun === true)
    throw new MatrixError("usage", "--replay asks no model, so there is nothing to forecast", {
      hint: "leave out --dry-run",
    });
  for (const flag of ["trials", "limit"] as const)
    if (flags[flag] !== undefined)
      throw new MatrixError(
        "usage",
        "--replay makes one record of each that the other run has, whatever the dataset holds",
        {
          hint: `leave out --${flag}`,
        },
      );
}
