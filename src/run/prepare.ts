// From a recipe file to a plan. Everything that can be known before anything is spent is checked
// here: the models, the agents with their prompts and modules, and the rule. All problems are
// reported at once, each with its place.

import { createHash } from "node:crypto";
import { type AgentPlan, loadTemplate, planAgent } from "../agent/create.ts";
import { hashUserModule, loadUserModule } from "../agent/user-module.ts";
import type { Problem } from "../error.ts";
import { type ModelPlan, planModel } from "../model/create.ts";
import { createOrchestrator } from "../orchestrator/create.ts";
import type { Environment } from "../recipe/compose.ts";
import { isModule, readRecipeFile } from "../recipe/files.ts";
import { joinKey } from "../recipe/key-path.ts";
import { loadRecipe } from "../recipe/load.ts";
import { limitProblems } from "./limits.ts";
import { Plan } from "./plan.ts";
import { problemsOf, recipeInvalid } from "./recipe-problems.ts";
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
}

/** Fails with `recipe_invalid`, and with every problem that was found. */
export async function prepare(recipePath: string, options: PrepareOptions): Promise<Plan> {
  const { overrides = [], env, cwd } = options;
  await provideUserImports();
  const loaded = await loadRecipe(recipePath, { overrides, env, cwd });
  const { recipe } = loaded;
  const problems: Problem[] = [];
  /** Makes one part, or notes what is wrong with it under its key. */
  const attempt = async <T>(key: string, make: () => Promise<T>): Promise<T | null> => {
    try {
      return await make();
    } catch (thrown) {
      problems.push(...problemsOf(thrown, key, loaded));
      return null;
    }
  };

  const models = new Map<string, ModelPlan>();
  const loaders = { loadModule: loadUserModule, loadTemplate };
  for (const [name, config] of Object.entries(recipe.models)) {
    const make = () => (options.planModel ?? planModel)(name, config, loaders);
    const model = await attempt(joinKey("models", name), make);
    if (model !== null) models.set(name, model);
  }
  const agents = new Map<string, AgentPlan>();
  const parts = { recipe, cwd, loadModule: loadUserModule };
  for (const [name, config] of Object.entries(recipe.roles)) {
    // A role whose model failed has been reported already.
    if (config.agent === "llm" && !models.has(config.model ?? "")) continue;
    const agent = await attempt(joinKey("roles", name), () => planAgent(name, config, parts));
    if (agent !== null) agents.set(name, agent);
  }
  const orchestrator = await attempt("orchestrator", () =>
    createOrchestrator(recipe.orchestrator, loadUserModule, Object.keys(recipe.roles)),
  );
  if (orchestrator?.join !== undefined && recipe.run.delivery === "at-most-once")
    problems.push(loaded.problemAt("run.delivery", FORKS_NEED_RETRY));
  problems.push(...limitProblems(loaded));
  if (orchestrator === null || problems.length > 0) throw recipeInvalid(recipePath, problems);

  const { max_hops: maxHops, task_limit: limit } = recipe.run;
  const rule = { orchestrator, roles: new Set(agents.keys()), maxHops, limit };
  return new Plan({ loaded, models, agents, rule, hashes: await hashFiles(loaded.files) });
}

const FORKS_NEED_RETRY =
  'this orchestrator sends a task several ways at once, which needs delivery = "retry"';

async function hashFiles(paths: readonly string[]): Promise<Record<string, string>> {
  const hashes: Record<string, string> = {};
  for (const path of paths)
    hashes[path] = isModule(path) ? await hashUserModule(path) : await hashFile(path);
  return hashes;
}

async function hashFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  for (const { bytes } of await readRecipeFile(path)) hash.update(bytes);
  return hash.digest("hex");
}
