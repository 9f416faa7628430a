// The user's wishes for a replay, as roles of the recipe: --ask and --from.

import type { ReplayWish } from "../../agent/replay-wish.ts";
import { MatrixError } from "../../error.ts";
import { nearestWord } from "../../recipe/complaint.ts";
import type { Plan } from "../plan.ts";
import { llmRolesOf } from "./llm-roles.ts";

export interface ReplayFlags {
  readonly ask: readonly string[];
  /** A role, or the number of a hop. */
  readonly from: string | null;
}

/** Fails with `usage` and the nearest role when there is no such role. */
export function readWish({ loaded, recipe }: Plan, { ask, from }: ReplayFlags): ReplayWish {
  const roles = llmRolesOf(loaded.resolved);
  const all = Object.keys(recipe.roles);
  for (const role of ask) {
    if (roles.includes(role)) continue;
    if (!all.includes(role)) throw unknownRole("--ask", role, roles);
    throw new MatrixError("usage", `--ask ${role}: this role asks no model`, {
      hint: `every replay runs it anew; roles that ask a model: ${roles.join(", ") || "none"}`,
    });
  }
  const isHop = from !== null && !all.includes(from) && /^\d+$/.test(from);
  if (from !== null && !isHop && !all.includes(from)) throw unknownRole("--from", from, all);
  return { roles, ask: [...ask], from: isHop ? Number(from) : from, salt: recipe.run.seed };
}

function unknownRole(flag: string, role: string, roles: readonly string[]): MatrixError {
  const near = nearestWord(role, roles);
  const hop = flag === "--from" ? ", or the number of a hop" : "";
  return new MatrixError("usage", `${flag} ${role}: the recipe has no such role`, {
    hint:
      near === undefined
        ? `its roles: ${roles.join(", ") || "none"}${hop}`
        : `did you mean "${near}"?`,
  });
}
