// Loads a recipe in two steps: from its layers to one table, and from the table to a typed recipe.
// Every problem names the file or the override that wrote the key.

import type { Problem } from "../error.ts";
import type { JsonObject } from "../task/json.ts";
import { BUILT_IN, openBuiltIn, unplaced } from "./built-in/place.ts";
import type { Complaint } from "./complaint.ts";
import {
  type Environment,
  fillSecrets,
  leafProblems,
  mapLeaves,
  mergeTables,
  type Reference,
  referencesIn,
  resolveLayer,
  resolveValue,
  singleReference,
} from "./compose.ts";
import { withConcurrency } from "./concurrency.ts";
import { doubtsIn } from "./doubts/doubts.ts";
import { fieldDoubts } from "./doubts/request-fields.ts";
import { filesOf } from "./files.ts";
import { joinKey, splitKey, valueAt } from "./key-path.ts";
import { learnRecipe } from "./learn-secrets.ts";
import type { Soundness } from "./mending.ts";
import { positionsOf } from "./position.ts";
import { mayHoldSecret, recipeInvalid } from "./problem.ts";
import { withProcesses } from "./process-role.ts";
import { checkReferences } from "./references.ts";
import type { SimulatedModelConfig } from "./schema/model-schema.ts";
import type { Recipe } from "./schema/schema.ts";
import { readOverride, readSources, type Source, writeToml } from "./source.ts";
import { type Settle, validateRecipe } from "./validate.ts";

export interface LoadedRecipe {
  readonly recipe: Recipe;
  /**
   * The merged table as written, with absolute paths, or `built-in:` for files of the binary.
   * Secrets are still references.
   */
  readonly resolved: JsonObject;
  /** `resolved` as TOML, which is itself a recipe. */
  readonly text: string;
  /** Variables of the environment that the recipe names. */
  readonly references: readonly Reference[];
  /** Prompts, modules, programs, tools and schemas that the recipe names. */
  readonly files: readonly string[];
  /** Probable mistakes with which the recipe can still be used. */
  readonly doubts: readonly Problem[];
  /** A problem at the place that wrote the key. */
  problemAt(key: string, message: string): Problem;
}

export interface LoadOptions {
  /** `key=value`, laid over the file in this order. */
  readonly overrides?: readonly string[];
  readonly env: Environment;
  /** The folder where relative paths in overrides start. */
  readonly cwd: string;
}

/** A recipe with its problems, for checks that go on over what is sound. */
export interface ExaminedRecipe {
  /** The sound part of the recipe. It is the whole recipe when there are no problems. */
  readonly loaded: LoadedRecipe;
  readonly problems: readonly Problem[];
  readonly soundness: Soundness;
}

/** Fails with `recipe_invalid`, which lists all problems at once. */
export async function loadRecipe(path: string, options: LoadOptions): Promise<LoadedRecipe> {
  const { loaded, problems } = await examineRecipe(path, options);
  if (problems.length > 0) throw recipeInvalid(path, problems, loaded.doubts);
  return loaded;
}

/** Fails with `recipe_invalid` when there is no table to look at. */
export async function examineRecipe(
  path: string,
  { overrides = [], env, cwd }: LoadOptions,
): Promise<ExaminedRecipe> {
  if (overrides.some((override) => override.includes(BUILT_IN))) await openBuiltIn();
  const sources = [
    ...(await readSources(path)),
    ...overrides.map((override) => readOverride(override, cwd)),
  ];
  const { mended, resolved, references, problems, soundness } = compose(sources, env);
  const at = (complaint: Complaint) =>
    locate(sources, { ...complaint, key: soundness.writtenAs(complaint.key) });
  const recipe = withProcesses(withConcurrency(mended, resolved), env);
  const portable = mapLeaves(resolved, "", unplaced);
  const all = [...problems, ...checkReferences(recipe, soundness).map(at)];
  // Most doubts need a whole recipe.
  const doubts = all.length === 0 ? doubtsIn(recipe, resolved) : fieldDoubts(resolved);
  const loaded: LoadedRecipe = {
    recipe,
    resolved: portable,
    references,
    text: writeToml(portable),
    doubts: doubts.map((doubt) => locate(sources, doubt)),
    files: [...new Set(filesOf(recipe).map(([, file]) => file))],
    problemAt: (key, message) => at({ key, message }),
  };
  return { loaded, problems: all, soundness };
}

interface Composed {
  readonly recipe: Recipe | null;
  readonly mended: Recipe;
  readonly resolved: JsonObject;
  readonly references: readonly Reference[];
  readonly problems: readonly Problem[];
  readonly soundness: Soundness;
}

/** Makes one table of the layers, and a recipe when the table has no problem. */
function compose(sources: readonly Source[], env: Environment): Composed {
  const layers = sources.map((source) => resolveLayer(source, env));
  const merge = (tables: readonly JsonObject[]) =>
    tables.reduce((below, above) => mergeTables(below, above));
  const resolved = readNumbers(merge(layers), sources, env);
  const found = leafProblems(resolved, env);
  const filled = fillSecrets(resolved, env);
  const references = referencesIn(merge(sources.map(({ table }) => table)), env);
  learnRecipe(filled, references, env);
  const settle: Settle = (value, written, meant) => {
    const layer = sources.findLast(({ table }) => valueAt(table, written) !== undefined);
    return layer === undefined ? value : resolveValue(value, meant, layer.folder, env);
  };
  const { recipe, mended, soundness, complaints } = validateRecipe(filled, settle);
  // Nothing else is said of the value of an unknown key.
  const unknown = complaints.filter(({ message }) => message.startsWith("unknown key"));
  const leaves = found.filter(
    ({ key }) => !unknown.some((one) => `${key}.`.startsWith(`${one.key}.`)),
  );
  // A value with an unresolved reference is reported once, so the schema's complaint is dropped.
  const further = complaints.filter(({ key }) => !leaves.some((problem) => problem.key === key));
  return {
    ...{ recipe: leaves.length === 0 ? recipe : null, mended, resolved },
    references,
    problems: [...leaves, ...further].map((complaint) => locate(sources, complaint)),
    soundness: soundness.without(leaves.map(({ key }) => key)),
  };
}

/** Loads a simulated model from overrides alone, for `matrix model serve` without a recipe. */
export async function loadModel(
  name: string,
  { overrides = [], env, cwd }: LoadOptions,
): Promise<SimulatedModelConfig> {
  const base: Source = {
    table: {
      name,
      dataset: { path: "-" },
      models: { [name]: { kind: "simulated" } },
      roles: { model: { agent: "llm", model: name } },
      orchestrator: { module: "-" },
    },
    folder: cwd,
    origin: { override: "" },
  };
  const { recipe, problems } = compose(
    [base, ...overrides.map((override) => readOverride(override, cwd))],
    env,
  );
  const model = recipe?.models[name];
  if (problems.length > 0 || model?.kind !== "simulated")
    throw recipeInvalid("the model", problems);
  return model;
}

/**
 * Turns a text that came from a single reference, such as "${env:SEED}", into a number or a truth
 * value where the schema refuses text.
 */
function readNumbers(table: JsonObject, sources: readonly Source[], env: Environment): JsonObject {
  const { complaints } = validateRecipe(table);
  let read = table;
  for (const { key } of complaints) {
    const written = sources
      .map((source) => valueAt(source.table, key))
      .findLast((value) => value !== undefined);
    const value = singleReference(written, env);
    if (value === null) continue;
    try {
      read = mergeTables(read, readOverride(`${key}=${value}`, "/").table);
    } catch {
      // The value is not TOML, so it stays text and the schema refuses it.
    }
  }
  return read;
}

/** Adds the place that wrote the key, or that should have written it. */
function locate(sources: readonly Source[], { key, message, suggestion }: Complaint): Problem {
  const problem = { key, message, ...(suggestion === undefined ? {} : { suggestion }) };
  const parts = splitKey(key);
  // The place is that of the longest prefix of the path that any layer wrote, in the last such
  // layer.
  for (let length = parts.length; length > 0; length--) {
    const path = parts.slice(0, length).reduce(joinKey, "");
    const source = sources.findLast(({ table }) => valueAt(table, path) !== undefined);
    if (source === undefined) continue;
    if ("override" in source.origin)
      return { file: `override ${shownOverride(source.origin.override, key)}`, ...problem };
    const position = positionsOf(source.origin.text).get(path);
    // A missing key and an unknown key are shown at a key, a wrong value at the value.
    const atKey = length < parts.length || message.startsWith("unknown key");
    return { file: source.origin.file, ...(atKey ? position?.key : position?.value), ...problem };
  }
  const main = sources.findLast(({ origin }) => "file" in origin)?.origin;
  return {
    ...(main !== undefined && "file" in main ? { file: main.file, line: 1, column: 1 } : {}),
    ...problem,
  };
}

/** Hides the value of an override that may hold a secret. */
function shownOverride(override: string, key: string): string {
  return mayHoldSecret(key, override) ? `${key}=…` : override;
}
