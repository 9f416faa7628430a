// `matrix drive RECIPE --replay DIR`: the orchestration of a run once more, from its records. Roles that asked a model are given
// what it answered then; everything else runs anew. No model is asked, and none need be there.

import { resolve } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { Recordings } from "../agent/recording.ts";
import { MatrixError } from "../error.ts";
import { joinKey, valueAt } from "../recipe/key-path.ts";
import { type Manifest, readManifest } from "../records/manifest.ts";
import { openRecordRows, scanRecordRows } from "../records/record-rows.ts";
import type { JsonObject } from "../task/json.ts";
import type { Prepared } from "./prepare.ts";
import type { RunRows } from "./run-recipe.ts";

/** What is run, and with what. */
export interface Work {
  readonly prepared: Prepared;
  readonly rows: RunRows;
}

/** `checkpoint`: how many records an earlier replay into the same directory had. Fails with `usage` or `run_refused`. */
export async function openReplay(
  prepared: Prepared,
  directory: string,
  checkpoint: number | undefined,
): Promise<Work> {
  const path = resolve(directory);
  const source = await readManifest(path);
  if (source === null)
    throw new MatrixError(
      "usage",
      `--replay ${directory}: it is no run directory, it has no manifest.json`,
    );
  refuseOtherRoles(prepared, source, directory);
  refuseOtherPrompts(prepared, source, directory);
  const scan = await scanRecordRows(path, checkpoint);
  const recordings = new Recordings();
  const { roles } = prepared.loaded.recipe;
  const agents = [...prepared.agents].map(([name, made]) => {
    const agent =
      roles[name]?.agent === "llm"
        ? recordings.createAgent(name, new Set(roles[name]?.accepts))
        : made.agent;
    return [name, { ...made, agent }] as const;
  });
  const { trials, seed, simulated } = source;
  const open = async () => openRecordRows(path, scan.rows, (record) => recordings.add(record));
  return {
    prepared: { ...prepared, agents: new Map(agents) },
    rows: { expected: scan.rows, trials, seed, simulated, scan, replay: path, open },
  };
}

/** `output`: the run directory. Fails with `usage`. */
export function checkReplayOutput(replay: string, output: string): void {
  if (resolve(replay) !== output) return;
  throw new MatrixError(
    "usage",
    `--replay ${replay}: the replay is a run of its own, and cannot be written there`,
    {
      hint: "choose another directory with -o",
    },
  );
}

/** The roles of a resolved recipe that ask models. */
export function llmRolesOf({ roles = {} }: JsonObject): string[] {
  return Object.keys(roles as JsonObject).filter(
    (name) => valueAt(roles, `${joinKey("", name)}.agent`) === "llm",
  );
}

/** What no role said then cannot be said again. */
function refuseOtherRoles({ loaded }: Prepared, source: Manifest, directory: string): void {
  const [recorded, wanted] = [llmRolesOf(source.recipe), llmRolesOf(loaded.resolved)];
  if (recorded.length + wanted.length === 0 || wanted.some((name) => recorded.includes(name)))
    return;
  const [there, here] = [recorded, wanted].map((names) => names.join(", ") || "none");
  throw new MatrixError(
    "run_refused",
    `${directory} cannot be replayed with this recipe: models speak there for ${there}, here for ${here}`,
    {
      hint: "a replay may change rules, code and scores; roles that ask models keep their names",
    },
  );
}

/** What decides the words of an llm role. */
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

/** Records must not claim that an answer was made with a prompt that the model never saw. */
function refuseOtherPrompts(
  { loaded, hashes }: Prepared,
  source: Manifest,
  directory: string,
): void {
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
    .map((key) => loaded.problemAt(key, "it is not what the recorded answers were made with"));
  if (problems.length === 0) return;
  throw new MatrixError("run_refused", `${directory} cannot be replayed with this recipe`, {
    problems,
    hint: "a replay may change rules, code and scores; for other prompts, run it anew",
  });
}
