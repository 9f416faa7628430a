// Flags that `matrix drive --replay` refuses.

import { MatrixError } from "../error.ts";
import type { OverrideFlags } from "./flags.ts";
import type { HostsFlags } from "./hosts-flags.ts";

export interface ReplayFlags extends HostsFlags, OverrideFlags {
  readonly dryRun?: boolean;
}

/** Fails with `usage` when a flag has no meaning for a replay. */
export function checkReplayFlags(flags: ReplayFlags): void {
  if (flags.workers !== undefined || flags.listen !== undefined)
    throw new MatrixError(
      "usage",
      "--replay runs in this process alone: it asks no model, so other hosts would not speed it up",
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
        "--replay makes one record for each record of the other run, whatever the dataset holds",
        {
          hint: `leave out --${flag}`,
        },
      );
}
