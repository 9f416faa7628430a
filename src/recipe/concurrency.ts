// The limits of roles and endpoints that the recipe does not state: they follow `run.concurrency`,
// so that one number says how much a run does at once. Values that are written bind as they are.

import { isJsonObject, type JsonObject } from "../task/json.ts";
import { valueAt } from "./key-path.ts";
import type { Recipe } from "./schema/schema.ts";

/** `written`: the table from which the recipe was read. */
export function withConcurrency(recipe: Recipe, written: JsonObject): Recipe {
  const follow = <T extends { readonly concurrency: number }>(
    tables: Readonly<Record<string, T>>,
    key: "roles" | "models",
  ): Record<string, T> =>
    Object.fromEntries(
      Object.entries(tables).map(([name, table]) => {
        const own = valueAt(written, key);
        const asWritten = isJsonObject(own) ? own[name] : undefined;
        if (isJsonObject(asWritten) && "concurrency" in asWritten) return [name, table];
        const concurrency = Math.max(table.concurrency, recipe.run.concurrency);
        return [name, { ...table, concurrency }];
      }),
    );
  return {
    ...recipe,
    roles: follow(recipe.roles, "roles"),
    models: follow(recipe.models, "models"),
  };
}
