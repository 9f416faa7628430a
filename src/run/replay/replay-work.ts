// A replay: the orchestration of a run once more, from its records. Roles that asked a model get
// the recorded answers, except those that the user wishes to ask; everything else runs again.

import { resolve } from "node:path";
import { reusedIn } from "../../agent/replay-wish.ts";
import { MatrixError } from "../../error.ts";
import { readManifest } from "../../records/manifest.ts";
import { openRecordRows, scanRecordRows } from "../../records/record-rows.ts";
import { checkCache } from "../answers.ts";
import type { Plan } from "../plan.ts";
import type { Work } from "../run-rows.ts";
import { type ReplayFlags, readWish } from "./read-wish.ts";
import { recordedPlan } from "./recorded-plan.ts";
import { refuseReplay } from "./refuse-replay.ts";
import { type Replay, ReplaySource } from "./replay-source.ts";

export interface ReplayOptions extends ReplayFlags {
  /** The run directory whose records are replayed. */
  readonly replay: string;
  /** The run directory of the replay itself. */
  readonly directory: string;
  /** Number of records that an earlier start of this replay had. */
  readonly checkpoint: number | undefined;
}

/** Fails with `usage` or `run_refused`. */
export async function replayWork(plan: Plan, options: ReplayOptions): Promise<Work> {
  const { replay: named, directory, checkpoint } = options;
  const path = resolve(named);
  if (path === resolve(directory))
    throw new MatrixError(
      "usage",
      `--replay ${named}: the replay is a run of its own, and cannot be written there`,
      { hint: "choose another directory with -o" },
    );
  const manifest = await readManifest(path);
  if (manifest === null)
    throw new MatrixError(
      "usage",
      `--replay ${named} is not a run directory: it has no manifest.json`,
    );
  const wish = readWish(plan, options);
  refuseReplay(plan, wish, manifest, named);
  await checkCache(plan.loaded);
  const scan = await scanRecordRows(path, checkpoint);
  const source = new ReplaySource(directory, path);
  const { trials, seed, simulated } = manifest;
  const replay: Replay = { directory: path, wish, source };
  return {
    plan: recordedPlan(plan, wish, source),
    rows: {
      ...{ expected: scan.rows, trials, seed, simulated, scan, replay },
      open: async () => openRecordRows(path, scan.rows, (record) => source.hold(record)),
      reusedIn: (history) => reusedIn(wish, history),
    },
  };
}
