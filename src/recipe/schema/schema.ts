// The tables of a recipe, put together from the schema of each. Every schema is strict: a key that
// it does not name is an error. Types are inferred from the schemas. A schema also describes its
// keys, and docs/recipe-keys.md is generated from these descriptions.

import * as v from "valibot";
import { dataset } from "./dataset-schema.ts";
import { model } from "./model-schema.ts";
import { orchestrator } from "./orchestrator-schema.ts";
import { python } from "./python-schema.ts";
import { roleSchema } from "./role-schema.ts";
import { run, store } from "./run-schema.ts";
import { sandbox } from "./sandbox-schema.ts";
import { described, name, path } from "./value-schema.ts";

export const recipeSchema = v.strictObject({
  name: described(
    name,
    "The name of the run: letters, digits, `_`, `.` and `-`, beginning with a letter or a digit.",
    "mine",
  ),
  dataset,
  run: v.optional(run, {}),
  store: v.optional(store, {}),
  models: v.optional(v.record(name, model), {}),
  sandboxes: v.optional(v.record(name, sandbox), {}),
  python: v.optional(python, {}),
  roles: v.pipe(v.record(name, roleSchema), v.minEntries(1, "at least one role")),
  orchestrator,
});

/** The key `extends` of a file. It is followed, and removed before the recipe is checked. */
export const extendsSchema = described(
  v.pipe(v.union([path, v.array(path)]), v.title("path, or list of paths")),
  "Recipes over which this one is laid, from left to right. Tables merge; lists and single " +
    "values replace.",
  ["base.toml"],
);

export type Recipe = v.InferOutput<typeof recipeSchema>;
export type StoreConfig = Recipe["store"];
export type RoleConfig = Recipe["roles"][string];
