// From a recipe file to a plan. Everything that can be known before anything is spent is checked
// here: the models, the agents with their prompts and modules, and the rule. All problems are
// reported at once, each with its place.

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { type AgentPlan, loadTemplate, planAgent } from "../agent/create.ts";
import { CodeLeftOut, hashUserModule, leaveOutCode, loadUserModule } from "../agent/user-module.ts";
import { MatrixError, type Problem } from "../error.ts";
import { type ModelPlan, planModel } from "../model/create.ts";
import type { Orchestrator, RemoteOrchestrator } from "../orchestrator/contract.ts";
import { createOrchestrator } from "../orchestrator/create.ts";
import { createPythonGraph } from "../orchestrator/graph/python-graph.ts";
import { createPythonRule } from "../orchestrator/python-rule.ts";
import { compileOptional } from "../orchestrator/results.ts";
import { PythonFiles, type PythonLoader } from "../python/files.ts";
import { unplaced } from "../recipe/built-in/place.ts";
import type { Environment } from "../recipe/compose.ts";
import { isModule, readRecipeFile } from "../recipe/files.ts";
import { parseGraphPath } from "../recipe/graph-path.ts";
import { joinKey } from "../recipe/key-path.ts";
import { type ExaminedRecipe, examineRecipe, type LoadedRecipe } from "../recipe/load.ts";
import type { Soundness } from "../recipe/mending.ts";
import { recipeInvalid } from "../recipe/problem.ts";
import { isPython } from "../recipe/python-imports.ts";
import type { Recipe } from "../recipe/schema/schema.ts";
import { limitProblems } from "./limits.ts";
import { Plan } from "./plan.ts";
import { problemsOf } from "./recipe-problems.ts";
import { provideUserImports } from "./user-imports.ts";

export interface PrepareOptions {
  /** `key=value` in TOML; the last one wins. */
  readonly overrides?: readonly string[];
  /** Fills in `${env:…}`. */
  readonly env: Environment;
  /** Paths in overrides, and programs without a sandbox, start here. */
  readonly cwd: string;
  /** Makes other models than the recipe's: a forecast has stand-ins. */
  readonly planModel?: typeof planModel;
  /**
   * True to watch every decision in Python and to make it twice, which shows whether it is pure.
   */
  readonly watchesAll?: boolean;
  /** False: no module of the recipe is loaded, and the parts that need one are left out. */
  readonly withCode?: boolean;
}

/** A recipe with everything that is wrong with it. */
export interface Examined {
  /** The sound part of the recipe. It is the whole recipe when there are no problems. */
  readonly loaded: LoadedRecipe;
  readonly models: Plan["models"];
  readonly agents: Plan["agents"];
  /** The sound parts of the plan; null without a rule. */
  readonly plan: Plan | null;
  readonly problems: readonly Problem[];
  readonly soundness: Soundness;
}

/** Fails with `recipe_invalid`, and with every problem that was found. */
export async function prepare(recipePath: string, options: PrepareOptions): Promise<Plan> {
  const { loaded, plan, problems } = await examine(recipePath, options);
  if (plan !== null && problems.length === 0) return plan;
  if (problems.length === 0)
    throw new MatrixError("usage", "the rule of this recipe is code, which --no-code leaves out", {
      hint: "leave out --no-code, once you trust the recipe",
    });
  throw recipeInvalid(recipePath, problems, loaded.doubts);
}

/** Checks every part that can be looked at. Fails when there is no recipe to look at. */
export async function examine(recipePath: string, options: PrepareOptions): Promise<Examined> {
  const { overrides = [], env, cwd, withCode = true } = options;
  const loadModule = withCode ? loadUserModule : leaveOutCode;
  await provideUserImports();
  const examined = await examineRecipe(recipePath, { overrides, env, cwd });
  const { loaded, soundness } = examined;
  const problems = new Problems(examined);
  const { recipe } = loaded;
  const models = new Map<string, ModelPlan>();
  const python = withCode ? pythonOf(recipe, options.watchesAll ?? false) : leftOut;
  const loaders = { loadModule, loadTemplate, python };
  for (const [name, config] of Object.entries(recipe.models)) {
    const make = () => (options.planModel ?? planModel)(name, config, loaders);
    const model = await problems.attempt(joinKey("models", name), make);
    if (model !== null) models.set(name, model);
  }
  const agents = new Map<string, AgentPlan>();
  const parts = { recipe, cwd, loadModule, python };
  for (const [name, config] of Object.entries(recipe.roles)) {
    const key = joinKey("roles", name);
    if (!soundness.isSound(`${key}.agent`)) continue;
    const agent = await problems.attempt(key, () => planAgent(name, config, parts));
    if (agent !== null) agents.set(name, agent);
  }
  const isOut = problems.all.some(({ key }) => key?.startsWith("orchestrator"));
  const orchestrator = isOut
    ? null
    : await problems.attempt("orchestrator", () => createRule(recipe, loaders));
  if (orchestrator?.join !== undefined && recipe.run.delivery === "at-most-once")
    problems.add([loaded.problemAt("run.delivery", FORKS_NEED_RETRY)]);
  problems.add(limitProblems(loaded));
  const { max_hops: maxHops, task_limit: limit } = recipe.run;
  const roles = new Set(Object.keys(recipe.roles));
  const hashes = problems.all.length > 0 ? {} : await hashFiles(loaded.files);
  const rule = orchestrator === null ? null : { orchestrator, roles, maxHops, limit };
  const plan = rule === null ? null : new Plan({ loaded, models, agents, rule, hashes });
  return { loaded, models, agents, plan, problems: problems.all, soundness };
}

async function createRule(
  { orchestrator, roles, run }: Recipe,
  { loadModule, python }: { loadModule: typeof loadUserModule; python: PythonLoader },
): Promise<Orchestrator | RemoteOrchestrator> {
  const canFork = run.delivery !== "at-most-once";
  const names = Object.keys(roles);
  if ("module" in orchestrator && isPython(orchestrator.module)) {
    const { module: path, with: settings } = orchestrator;
    return createPythonRule(await python.open({ kind: "rule", path, settings }));
  }
  if ("graph" in orchestrator) {
    const { graph, with: settings, score } = orchestrator;
    const { module: path, name } = parseGraphPath(graph);
    if (isPython(path)) {
      const told = { path: graph, name, roles: names, canFork };
      const opened = await python.open({ kind: "graph", path, settings, graph: told });
      return createPythonGraph(opened, compileOptional(score));
    }
  }
  return createOrchestrator(orchestrator, loadModule, names, canFork);
}

function pythonOf({ python }: Recipe, watchesAll: boolean): PythonFiles {
  const { timeout: decideMs, ...options } = python;
  return new PythonFiles({ ...options, decideMs, watchesAll });
}

/** Takes the place of `PythonFiles` where no code of the recipe may run. */
const leftOut: PythonLoader = {
  open: ({ path }) => leaveOutCode(path),
  commandFor: async (_, own) => own ?? ["python3"],
};

/** The problems of a recipe, each once. */
class Problems {
  readonly #examined: ExaminedRecipe;
  readonly #all: Problem[];
  /** Files that the checked names refer to and that do not exist. */
  readonly #missing: readonly string[];

  constructor(examined: ExaminedRecipe) {
    this.#examined = examined;
    this.#all = [...examined.problems];
    this.#missing = examined.loaded.files.filter((path) => !existsSync(path));
  }

  get all(): readonly Problem[] {
    return this.#all;
  }

  /** Leaves out what was said before, and what may be the consequence of an earlier problem. */
  add(problems: readonly Problem[]): void {
    for (const problem of problems) if (this.#isNew(problem)) this.#all.push(problem);
  }

  #isNew({ key, file, line, message }: Problem): boolean {
    const { soundness, problems } = this.#examined;
    if (this.#missing.some((path) => path === file || message.includes(path))) return false;
    if (key !== undefined)
      return soundness.isWhole(key) && !problems.some((other) => other.key === key);
    return !this.#all.some((o) => o.file === file && o.line === line && o.message === message);
  }

  /** Makes one part, or notes what is wrong with it under its key. */
  async attempt<T>(key: string, make: () => Promise<T>): Promise<T | null> {
    try {
      return await make();
    } catch (thrown) {
      if (!(thrown instanceof CodeLeftOut))
        this.add(problemsOf(thrown, key, this.#examined.loaded));
      return null;
    }
  }
}

const FORKS_NEED_RETRY =
  'this orchestrator sends a task several ways at once, which needs delivery = "retry"';

async function hashFiles(paths: readonly string[]): Promise<Record<string, string>> {
  const hashes: Record<string, string> = {};
  for (const path of paths)
    hashes[unplaced(path)] = isModule(path) ? await hashUserModule(path) : await hashFile(path);
  return hashes;
}

async function hashFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  for (const { bytes } of await readRecipeFile(path)) hash.update(bytes);
  return hash.digest("hex");
}
