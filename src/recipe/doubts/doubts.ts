// Doubts about a recipe: what is probably a mistake, and may be meant. A run goes on with them.

import type { JsonObject } from "../../task/json.ts";
import type { Complaint } from "../complaint.ts";
import type { Recipe } from "../schema/schema.ts";
import { idleKeys } from "./idle-keys.ts";
import { fieldDoubts } from "./request-fields.ts";
import { ruleDoubts } from "./rule.ts";

/** `recipe` is the sound part of what `written` says. */
export function doubtsIn(recipe: Recipe, written: JsonObject): readonly Complaint[] {
  return [...fieldDoubts(written), ...idleKeys(recipe, written), ...ruleDoubts(recipe)];
}
