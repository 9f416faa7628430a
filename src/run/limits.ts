// The limits of a recipe: the rates of its models, and the problems of rates and budget that can be
// known before anything is spent.

import type { Problem } from "../error.ts";
import type { Rate } from "../model/rate.ts";
import { joinKey } from "../recipe/key-path.ts";
import type { LoadedRecipe } from "../recipe/load.ts";
import type { ModelConfig } from "../recipe/schema/model-schema.ts";
import type { Recipe } from "../recipe/schema/schema.ts";

/** Rates by model, of the models that have one. */
export function ratesOf({ models }: Recipe): ReadonlyMap<string, Rate> {
  const rates = Object.entries(models).flatMap(([name, config]) => {
    if (config.kind === "scripted" || (config.rpm === undefined && config.tpm === undefined))
      return [];
    return [[name, { rpm: config.rpm, tpm: config.tpm }] as const];
  });
  return new Map(rates);
}

/** Most requests in flight from one host to all replicas that the recipe lists. */
export function requestsOf(config: ModelConfig): number {
  const replicas =
    config.kind === "openai" && Array.isArray(config.base_url) ? config.base_url.length : 1;
  return replicas * config.concurrency;
}

export interface Bound {
  /** Steps of the role at once, on one host. */
  readonly steps: number;
  /** The key that sets this number. */
  readonly key: string;
}

/**
 * The limit that keeps a role from working at all tasks in flight at once; null when none does. A
 * task that takes several ways at once may have more than one step of a role.
 */
export function boundOf({ run, roles, models }: Recipe, role: string): Bound | null {
  const { concurrency = run.concurrency, model = "" } = roles[role] ?? {};
  const config = models[model];
  const bounds = [
    { steps: run.concurrency, key: null },
    { steps: concurrency, key: `${joinKey("roles", role)}.concurrency` },
    // The number of replicas behind a file or a name shows only in the run.
    ...(config === undefined || isFound(config)
      ? []
      : [{ steps: requestsOf(config), key: `${joinKey("models", model)}.concurrency` }]),
  ];
  const { steps, key } = bounds.reduce((least, one) => (one.steps < least.steps ? one : least));
  return key === null ? null : { steps, key };
}

function isFound(config: ModelConfig): boolean {
  const { base_url: url = "" } = config.kind === "openai" ? config : {};
  return typeof url !== "string" && !Array.isArray(url);
}

export function limitProblems(loaded: LoadedRecipe): Problem[] {
  return [...unpriced(loaded), ...tooSlow(loaded)];
}

/** A limit of money needs the price of each model. */
function unpriced({ recipe, problemAt }: LoadedRecipe): Problem[] {
  const { budget, task_limit: limit } = recipe.run;
  if (budget?.money === undefined && limit?.cost === undefined) return [];
  const what = budget?.money === undefined ? "run.task_limit.cost" : "run.budget.money";
  const used = new Set(Object.values(recipe.roles).map(({ model }) => model));
  return Object.entries(recipe.models)
    .filter(([name, { price }]) => used.has(name) && price === undefined)
    .map(([name]) => {
      const key = joinKey("models", name);
      return problemAt(
        key,
        `${what} needs the price of every model in use: set ${joinKey(key, "price")} = { prompt = …, completion = … }`,
      );
    });
}

/** Steps that wait for a permit longer than their timeout would fail, one after the other. */
function tooSlow({ recipe: { run, roles, models }, problemAt }: LoadedRecipe): Problem[] {
  return Object.entries(roles).flatMap(([name, { model = "", concurrency, timeout }]) => {
    const config = models[model];
    const rpm = config === undefined || config.kind === "scripted" ? undefined : config.rpm;
    const waiting = Math.min(
      run.concurrency,
      concurrency,
      config === undefined ? 0 : requestsOf(config),
    );
    if (rpm === undefined || (waiting / rpm) * 60_000 < timeout) return [];
    const most = Math.max(1, Math.ceil((rpm * timeout) / 60_000) - 1);
    const what = `${waiting} steps of ${name} at ${rpm} requests a minute take longer than one of them may (${joinKey("roles", name)}.timeout)`;
    return [
      problemAt(
        `${joinKey("models", model)}.rpm`,
        `${what}: set run.concurrency to ${most} or less, or a longer timeout`,
      ),
    ];
  });
}
