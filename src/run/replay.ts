// A replay: the orchestration of a run once more, from its records. Roles that asked a model get
// the recorded answers; everything else runs again. No model is asked.

import { resolve } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { Recordings } from "../agent/recording.ts";
import { MatrixError } from "../error.ts";
import { joinKey, valueAt } from "../recipe/key-path.ts";
import { type Manifest, readManifest } from "../records/manifest.ts";
import { openRecordRows, scanRecordRows } from "../records/record-rows.ts";
import type { JsonObject } from "../task/json.ts";
import type { Plan } from "./plan.ts";
import type { Work } from "./run-rows.ts";

export interface ReplayOptions {
  /** The run directory whose records are replayed. */
  readonly replay: string;
  /** The run directory of the replay itself. */
  readonly directory: string;
  /** Number of records that an earlier start of this replay had. */
  readonly checkpoint: number | undefined;
}

/** Fails with `usage` or `run_refused`. */
export async function replayWork(plan: Plan, options: ReplayOptions): Promise<Work> {
  const { replay, directory, checkpoint } = options;
  const path = resolve(replay);
  if (path === resolve(directory))
    throw new MatrixError(
      "usage",
      `--replay ${replay}: the replay is a run of its own, and cannot be written there`,
      { hint: "choose another directory with -o" },
    );
  const source = await readManifest(path);
  if (source === null)
    throw new MatrixError(
      "usage",
      `--replay ${replay} is not a run directory: it has no manifest.json`,
    );
  refuseOtherRoles(plan, source, replay);
  refuseOtherPrompts(plan, source, replay);
  const scan = await scanRecordRows(path, checkpoint);
  const recordings = new Recordings();
  const { roles } = plan.recipe;
  const agents = [...plan.agents].map(([name, agent]) => {
    if (roles[name]?.agent !== "llm") return [name, agent] as const;
    const recorded = recordings.createAgent(name, new Set(roles[name]?.accepts));
    return [name, { ...agent, open: () => recorded }] as const;
  });
  const { trials, seed, simulated } = source;
  const open = async () => openRecordRows(path, scan.rows, (record) => recordings.add(record));
  return {
    plan: plan.withAgents(new Map(agents)),
    rows: { expected: scan.rows, trials, seed, simulated, scan, replay: path, open },
  };
}

/** The roles of a resolved recipe that ask models. */
export function llmRolesOf({ roles = {} }: JsonObject): string[] {
  return Object.keys(roles as JsonObject).filter(
    (name) => valueAt(roles, `${joinKey("", name)}.agent`) === "llm",
  );
}

/** Refuses a recipe whose llm roles all have other names than those of the records. */
function refuseOtherRoles({ loaded }: Plan, source: Manifest, directory: string): void {
  const [recorded, wanted] = [llmRolesOf(source.recipe), llmRolesOf(loaded.resolved)];
  if (recorded.length + wanted.length === 0 || wanted.some((name) => recorded.includes(name)))
    return;
  const [there, here] = [recorded, wanted].map((names) => names.join(", ") || "none");
  throw new MatrixError(
    "run_refused",
    `${directory} cannot be replayed with this recipe: its llm roles are ${there}, those of the recipe are ${here}`,
    {
      hint: "a replay may change rules, code and scores; roles that ask models keep their names",
    },
  );
}

/** Keys of a role that decide what its model is asked. */
const ASKED_BY = [
  "system",
  "prompt",
  "conversation",
  "request",
  "tools",
  "schema",
  "attachments",
  "sampling",
] as const;

/** Refuses changed prompts: records must not claim an answer to a prompt that no model saw. */
function refuseOtherPrompts({ loaded, hashes }: Plan, source: Manifest, directory: string): void {
  const meaning = (key: string, recipe: Manifest["recipe"], known: Manifest["hashes"]) => {
    const value = valueAt(recipe, key);
    return typeof value === "string" ? (known[value] ?? value) : value;
  };
  const recorded = llmRolesOf(source.recipe);
  const problems = llmRolesOf(loaded.resolved)
    .filter((name) => recorded.includes(name))
    .flatMap((name) => ASKED_BY.map((part) => `${joinKey("roles", name)}.${part}`))
    .filter(
      (key) =>
        !isDeepStrictEqual(
          meaning(key, loaded.resolved, hashes),
          meaning(key, source.recipe, source.hashes),
        ),
    )
    .map((key) => loaded.problemAt(key, "it differs from the run whose answers are replayed"));
  if (problems.length === 0) return;
  throw new MatrixError("run_refused", `${directory} cannot be replayed with this recipe`, {
    problems,
    hint: "a replay may change rules, code and scores; for other prompts, start a new run",
  });
}
