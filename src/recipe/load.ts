// Loading a recipe: layers → one table → typed recipe, with every problem placed in the file or override that wrote it.

import { MatrixError, type Problem } from "../error.ts";
import type { JsonObject } from "../task/json.ts";
import {
  type Environment,
  fillSecrets,
  leafProblems,
  mergeTables,
  resolveLayer,
} from "./compose.ts";
import { joinKey, splitKey, valueAt } from "./key-path.ts";
import type { SimulatedModelConfig } from "./model-schema.ts";
import { positionsOf } from "./position.ts";
import { mayHoldSecret } from "./problem.ts";
import { withProcesses } from "./process-role.ts";
import { checkReferences, filesOf } from "./references.ts";
import type { Recipe } from "./schema.ts";
import { readOverride, readSources, type Source, writeToml } from "./source.ts";
import { type Complaint, validateRecipe } from "./validate.ts";

export interface LoadedRecipe {
  readonly recipe: Recipe;
  /** The merged table as written, paths absolute, secrets still references. */
  readonly resolved: JsonObject;
  /** `resolved` as TOML: itself a recipe. */
  readonly text: string;
  /** Prompts, modules, tools and schemas that the recipe reads. */
  readonly files: readonly string[];
  /** A problem at the place that set a key. */
  problemAt(key: string, message: string): Problem;
}

export interface LoadOptions {
  /** `key=value`, applied in order after the file. */
  readonly overrides?: readonly string[];
  readonly env: Environment;
  /** Where relative paths in overrides start. */
  readonly cwd: string;
}

/** Fails with `recipe_invalid` and all problems at once. */
export async function loadRecipe(
  path: string,
  { overrides = [], env, cwd }: LoadOptions,
): Promise<LoadedRecipe> {
  const sources = [
    ...(await readSources(path)),
    ...overrides.map((override) => readOverride(override, cwd)),
  ];
  const { recipe: written, resolved, problems } = compose(sources, env);
  if (written === null) throw invalid(path, problems);
  const recipe = withProcesses(written, env);
  const all = [
    ...problems,
    ...checkReferences(recipe).map((complaint) => locate(sources, complaint)),
  ];
  if (all.length > 0) throw invalid(path, all);
  return {
    recipe,
    resolved,
    text: writeToml(resolved),
    files: [...new Set(filesOf(recipe).map(([, file]) => file))],
    problemAt: (key, message) => locate(sources, { key, message }),
  };
}

/** The layers as one table, and as a recipe when nothing is wrong with it. */
function compose(
  sources: readonly Source[],
  env: Environment,
): { recipe: Recipe | null; resolved: JsonObject; problems: readonly Problem[] } {
  const layers = sources.map((source) => resolveLayer(source, env));
  const resolved = layers.reduce((below, above) => mergeTables(below, above));
  const leaves = leafProblems(resolved, env);
  const { recipe, complaints } = validateRecipe(readNumbers(fillSecrets(resolved, env), sources));
  // A value that could not be filled in is reported once, not again for what it is now.
  const further = complaints.filter(({ key }) => !leaves.some((problem) => problem.key === key));
  return {
    recipe,
    resolved,
    problems: [...leaves, ...further].map((complaint) => locate(sources, complaint)),
  };
}

function invalid(what: string, problems: readonly Problem[]): MatrixError {
  return new MatrixError(
    "recipe_invalid",
    `${what}: ${problems.length === 1 ? "1 problem" : `${problems.length} problems`}`,
    { problems },
  );
}

/** One simulated model of its own, from overrides alone: what `matrix model serve` runs without a recipe. */
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
  if (problems.length > 0 || model?.kind !== "simulated") throw invalid("the model", problems);
  return model;
}

/** A value that is wholly one reference may stand for a number or truth value: "${env:SEED}". */
function readNumbers(table: JsonObject, sources: readonly Source[]): JsonObject {
  const { complaints } = validateRecipe(table);
  let read = table;
  for (const { key } of complaints) {
    const written = sources
      .map((source) => valueAt(source.table, key))
      .findLast((value) => value !== undefined);
    const value = valueAt(table, key);
    if (
      typeof written !== "string" ||
      !/^\$\{env:[^}]*\}$/.test(written) ||
      typeof value !== "string"
    )
      continue;
    try {
      read = mergeTables(read, readOverride(`${key}=${value}`, "/").table);
    } catch {
      // No TOML value: the complaint stands.
    }
  }
  return read;
}

function locate(sources: readonly Source[], { key, message, suggestion }: Complaint): Problem {
  const problem = { key, message, ...(suggestion === undefined ? {} : { suggestion }) };
  const parts = splitKey(key);
  // The longest part of the path that some layer wrote; of the layers that wrote it, the last.
  for (let length = parts.length; length > 0; length--) {
    const path = parts.slice(0, length).reduce(joinKey, "");
    const source = sources.findLast(({ table }) => valueAt(table, path) !== undefined);
    if (source === undefined) continue;
    if ("override" in source.origin)
      return { file: `override ${shownOverride(source.origin.override, key)}`, ...problem };
    const position = positionsOf(source.origin.text).get(path);
    // What is missing in a table, or a key that is itself wrong, is shown at the key; a wrong value at the value.
    const atKey = length < parts.length || message.startsWith("unknown key");
    return { file: source.origin.file, ...(atKey ? position?.key : position?.value), ...problem };
  }
  const main = sources.findLast(({ origin }) => "file" in origin)?.origin;
  return {
    ...(main !== undefined && "file" in main ? { file: main.file, line: 1, column: 1 } : {}),
    ...problem,
  };
}

/** A secret that was typed in by mistake is not repeated. */
function shownOverride(override: string, key: string): string {
  return mayHoldSecret(key, override) ? `${key}=…` : override;
}
