// Refuses a replay whose records cannot give what its roles would answer.

import { isDeepStrictEqual } from "node:util";
import type { ReplayWish } from "../../agent/replay-wish.ts";
import { MatrixError } from "../../error.ts";
import { joinKey, valueAt } from "../../recipe/key-path.ts";
import type { Manifest } from "../../records/manifest.ts";
import type { Plan } from "../plan.ts";
import { llmRolesOf } from "./llm-roles.ts";

/** Fails with `run_refused`. `named`: the other run, as the user named it. */
export function refuseReplay(plan: Plan, wish: ReplayWish, source: Manifest, named: string): void {
  refuseOtherRoles(wish, source, named);
  refuseOtherPrompts(plan, wish, source, named);
}

/** Refuses roles that the records do not know and that are not asked, and records of no role. */
function refuseOtherRoles({ roles, ask, from }: ReplayWish, source: Manifest, named: string): void {
  const recorded = llmRolesOf(source.recipe);
  const there = recorded.join(", ") || "none";
  if (roles.length === 0 && recorded.length > 0)
    throw new MatrixError(
      "run_refused",
      `${named} cannot be replayed with this recipe: its llm roles are ${there}, and the recipe has none`,
      { hint: "a replay may change rules, code and scores; it keeps roles that ask models" },
    );
  // A role beyond a hop may be new. Whether it acts before that hop, only the rule can say.
  if (typeof from === "number") return;
  const unknown = roles.filter((name) => ![...recorded, ...ask, from].includes(name));
  if (unknown.length === 0) return;
  throw new MatrixError(
    "run_refused",
    `${named} has no answer of ${unknown.join(", ")}: its llm roles are ${there}`,
    {
      hint: `--ask ${[...ask, ...unknown].join(",")} asks the model of a new role, and takes every other answer from the records`,
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
function refuseOtherPrompts(
  { loaded, hashes }: Plan,
  { roles, ask, from }: ReplayWish,
  source: Manifest,
  named: string,
): void {
  const meaning = (key: string, recipe: Manifest["recipe"], known: Manifest["hashes"]) => {
    const value = valueAt(recipe, key);
    return typeof value === "string" ? (known[value] ?? value) : value;
  };
  const recorded = llmRolesOf(source.recipe);
  const changed = roles
    .filter((name) => recorded.includes(name) && !ask.includes(name) && name !== from)
    .flatMap((name) => ASKED_BY.map((part) => [name, `${joinKey("roles", name)}.${part}`] as const))
    .filter(
      ([, key]) =>
        !isDeepStrictEqual(
          meaning(key, loaded.resolved, hashes),
          meaning(key, source.recipe, source.hashes),
        ),
    );
  if (changed.length === 0) return;
  const names = [...new Set([...ask, ...changed.map(([name]) => name)])].join(",");
  throw new MatrixError("run_refused", `${named} cannot be replayed with this recipe`, {
    problems: changed.map(([, key]) =>
      loaded.problemAt(key, "it differs from the run whose answers are replayed"),
    ),
    hint: `a replay may change rules, code and scores; --ask ${names} asks a role anew, with its new prompt`,
  });
}
