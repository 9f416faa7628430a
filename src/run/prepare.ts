// Everything about a recipe that can be known before anything is spent: its models, agents and rule are made, its prompts
// and modules read. All that is wrong is reported at once, each problem with its place. Used by `drive` and `check` alike.

import { createHash } from "node:crypto";
import { type CreatedAgent, createAgent, loadTemplate } from "../agent/create.ts";
import { agentMounts, roleInSandbox } from "../agent/sandboxed.ts";
import { hashUserModule, loadUserModule } from "../agent/user-module.ts";
import { findFiles } from "../dataset/files.ts";
import { openDataset } from "../dataset/open.ts";
import { type DatasetScan, scanDataset } from "../dataset/scan.ts";
import type { DatasetSource } from "../dataset/source.ts";
import { MatrixError, type Problem } from "../error.ts";
import type { ChatMessage, Model } from "../model/contract.ts";
import { createModel } from "../model/create.ts";
import { ModelSite } from "../model/site.ts";
import { type Rule, startTask } from "../orchestrator/advance.ts";
import type { Orchestrator } from "../orchestrator/contract.ts";
import { createOrchestrator } from "../orchestrator/create.ts";
import type { Environment } from "../recipe/compose.ts";
import { compileExpression } from "../recipe/expression.ts";
import { isModule, readRecipeFile } from "../recipe/files.ts";
import { joinKey } from "../recipe/key-path.ts";
import { type LoadedRecipe, loadRecipe } from "../recipe/load.ts";
import type { Recipe, RoleConfig } from "../recipe/schema.ts";
import type { SandboxPool } from "../sandbox/pool.ts";
import { SandboxSite } from "../sandbox/site.ts";
import { moveTask } from "../task/encoded.ts";
import { deriveSeed } from "../task/seed.ts";
import type { Log } from "../telemetry/log.ts";
import { limitProblems } from "./limits.ts";

export interface Prepared {
  readonly loaded: LoadedRecipe;
  readonly models: ReadonlyMap<string, Model>;
  /** Open to whoever runs the recipe: limits, journal and cache come with the run. */
  readonly modelSite: ModelSite;
  readonly agents: ReadonlyMap<string, CreatedAgent>;
  /** What these roles need in sandboxes, before the first task comes; whoever opens it stops it at the end. */
  readonly openSandboxes: (
    host: string,
    roles: readonly string[],
    log: Log,
  ) => Promise<SandboxSite>;
  readonly rule: Rule;
  /** Whether any model in use is known to be simulated. */
  readonly simulated: boolean;
  /** sha256 of every prompt, module, tool list and schema, by path. */
  readonly hashes: Readonly<Record<string, string>>;
}

/** `env` fills in the recipe's references; `makeModel` may put others in place of its models. */
export async function prepare(
  recipePath: string,
  overrides: readonly string[],
  env: Environment = process.env,
  makeModel: typeof createModel = createModel,
): Promise<Prepared> {
  const loaded = await loadRecipe(recipePath, { overrides, env, cwd: process.cwd() });
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

  const modelSite = new ModelSite();
  const models = new Map<string, Model>();
  for (const [name, config] of Object.entries(recipe.models)) {
    const model = await attempt(joinKey("models", name), () =>
      makeModel(name, config, { loadModule: loadUserModule, loadTemplate, site: modelSite }),
    );
    if (model !== null) models.set(name, model);
  }
  const sandboxes = sandboxesOf(recipe);
  const agents = new Map<string, CreatedAgent>();
  for (const [name, config] of Object.entries(recipe.roles)) {
    // A role whose model failed was reported already.
    if (config.agent === "llm" && !models.has(config.model ?? "")) continue;
    const inSandbox = (name: string, config: RoleConfig) =>
      roleInSandbox(name, config, recipe, sandboxes.pool);
    const parts = {
      models,
      orchestrator: recipe.orchestrator,
      inSandbox,
      loadModule: loadUserModule,
    };
    const agent = await attempt(joinKey("roles", name), () => createAgent(name, config, parts));
    if (agent !== null) agents.set(name, agent);
  }
  const orchestrator = await attempt("orchestrator", () =>
    createOrchestrator(recipe.orchestrator, loadUserModule, Object.keys(recipe.roles)),
  );
  if (orchestrator?.join !== undefined && recipe.run.delivery === "at-most-once")
    problems.push(
      loaded.problemAt(
        "run.delivery",
        "this orchestrator goes several ways at once, and branches are delivered by retry alone",
      ),
    );
  problems.push(...limitProblems(loaded));
  if (orchestrator === null || problems.length > 0) throw recipeInvalid(recipePath, problems);

  return {
    loaded,
    models,
    modelSite,
    agents,
    openSandboxes: sandboxes.open,
    rule: ruleOf(orchestrator, agents, recipe.run.max_hops),
    simulated: modelsInUse(recipe, models).some(({ simulated }) => simulated),
    hashes: await hashFiles(loaded.files),
  };
}

export interface Scanned {
  readonly source: DatasetSource;
  readonly scan: DatasetScan;
}

/** Reads the whole dataset once. `checkpoint`: how many rows an earlier run of the same recipe had. */
export async function scanRows(
  { loaded }: Prepared,
  checkpoint: number | undefined,
): Promise<Scanned> {
  const { dataset, run } = loaded.recipe;
  const filter = dataset.filter === undefined ? null : compileExpression(dataset.filter);
  const source: DatasetSource = {
    files: await findFiles([dataset.path].flat(), dataset.format),
    columns: dataset.columns ?? null,
    idField: dataset.id ?? null,
    filter: filter === null ? null : (row) => filter({ row }) === true,
    limit: dataset.limit ?? null,
    shuffle: dataset.shuffle ? run.seed : null,
    shard: dataset.shard ?? null,
  };
  return {
    source,
    scan: await scanDataset(source, {
      trials: run.trials,
      ...(checkpoint === undefined ? {} : { checkpoint }),
    }),
  };
}

/** What each llm role's model would be sent for the first row before any other role has spoken, and which role acts first. */
export interface Preview {
  readonly firstRole: string | null;
  /** Null for other roles, and where a prompt reads what only later steps bring. */
  readonly prompts: ReadonlyMap<string, readonly ChatMessage[] | null>;
}

/** Takes the first row to its first role. Fails when the rule cannot start it or the first prompt does not render. */
export async function previewFirstRow(
  { loaded, agents, rule }: Prepared,
  { source, scan }: Scanned,
): Promise<Preview> {
  const rows = await openDataset(source, scan.rows);
  const first = await rows.next();
  await rows.close();
  if (first === null) return { firstRole: null, prompts: new Map() };
  const { seed } = loaded.recipe.run;
  const message = startTask(rule, {
    rowId: first.id,
    trial: 0,
    row: first.row,
    seed: deriveSeed(seed, first.id, 0),
    attempt: 1,
    admittedAt: 0,
    trace: null,
  });
  if (message.kind === "end") {
    if (message.ending.error === null) return { firstRole: null, prompts: new Map() };
    throw recipeInvalid("the first row", [
      loaded.problemAt("orchestrator", message.ending.error.message),
    ]);
  }
  const prompts = new Map<string, readonly ChatMessage[] | null>();
  for (const [name, { render }] of agents) {
    try {
      prompts.set(name, render?.(moveTask(message.task, name, message.task.state)) ?? null);
    } catch (thrown) {
      if (name === message.task.role)
        throw recipeInvalid(
          "the first row",
          problemsOf(thrown, `${joinKey("roles", name)}.prompt`, loaded),
        );
      prompts.set(name, null);
    }
  }
  return { firstRole: message.kind === "fork" ? null : message.task.role, prompts };
}

/** Agents are made before there is a run; the sandboxes that they run in come with it. */
function sandboxesOf(recipe: Recipe) {
  let site: SandboxSite | null = null;
  return {
    open: async (host: string, roles: readonly string[], log: Log): Promise<SandboxSite> => {
      const { name, run, sandboxes } = recipe;
      site = new SandboxSite({
        run: name,
        host,
        log,
        taskMs: run.timeout,
        configs: sandboxes,
        mounts: agentMounts(recipe),
      });
      const used = roles.flatMap((role) => recipe.roles[role]?.sandbox ?? []);
      try {
        await site.begin(new Set(used));
        return site;
      } catch (thrown) {
        await site.stop();
        throw thrown;
      }
    },
    pool: (name: string): SandboxPool => {
      if (site === null) throw new Error("bug: a step in a sandbox before sandboxes were opened");
      return site.pool(name);
    },
  };
}

function ruleOf(
  orchestrator: Orchestrator,
  agents: ReadonlyMap<string, CreatedAgent>,
  maxHops: number,
): Rule {
  return { orchestrator, roles: new Set(agents.keys()), maxHops };
}

/** A model that no role asks makes nothing simulated. */
function modelsInUse({ roles }: Recipe, models: ReadonlyMap<string, Model>): Model[] {
  const used = new Set(Object.values(roles).map(({ model }) => model));
  return [...models].filter(([name]) => used.has(name)).map(([, model]) => model);
}

/** A foreign problem keeps its own place; one without a place gets the key's. */
function problemsOf(thrown: unknown, key: string, loaded: LoadedRecipe): readonly Problem[] {
  if (!(thrown instanceof MatrixError)) throw thrown;
  if (thrown.problems.length > 0) {
    return thrown.problems.map((problem) =>
      problem.file === undefined ? loaded.problemAt(problem.key ?? key, problem.message) : problem,
    );
  }
  const message = thrown.hint === undefined ? thrown.message : `${thrown.message} (${thrown.hint})`;
  return [loaded.problemAt(key, message)];
}

function recipeInvalid(path: string, problems: readonly Problem[]): MatrixError {
  const many = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
  return new MatrixError("recipe_invalid", `${path}: ${many}`, { problems });
}

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
