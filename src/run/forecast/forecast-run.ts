// The forecast of a run: what it would use, computed before anything is spent. It is based on the
// records of the run itself or of another run, or on a rehearsal with stand-ins for the models. It
// makes no directory, starts no sandbox and asks no endpoint.

import { type Budget, usedUp } from "../../driver/ledger.ts";
import { MatrixError } from "../../error.ts";
import type { ChatMessage } from "../../model/contract.ts";
import { joinKey, valueAt } from "../../recipe/key-path.ts";
import { readManifest } from "../../records/manifest.ts";
import { readRecords } from "../../records/read-records.ts";
import { NOTHING_SPENT_BY_HOSTS, type Spent } from "../../task/spent.ts";
import type { Hop } from "../../task/task.ts";
import { checkCache } from "../answers.ts";
import { requestsOf } from "../limits.ts";
import type { Plan } from "../plan.ts";
import { previewFirstRow } from "../preview.ts";
import { llmRolesOf } from "../replay/llm-roles.ts";
import { scanRows } from "../scan-rows.ts";
import { durationOf, type Forecast, forecast, type Sample, type Workload } from "./forecast.ts";
import { rehearse } from "./rehearsal.ts";

/** The basis of a model that stands in for itself. */
export const SELF = "itself, by seed";

/** The source of the samples. */
interface Source {
  readonly kind: "records" | "rehearsal";
  /** The run directory that the records are from; null for a rehearsal. */
  readonly directory: string | null;
  readonly samples: readonly Sample[];
  /** The basis of the forecast for each model's answers. */
  readonly models: Readonly<Record<string, string>>;
  /** True when the length of a model's answers is assumed, because the recipe states none. */
  readonly assumes_length: boolean;
  /** Roles that were not started, each with the number of tasks that ended there. */
  readonly left_out: Readonly<Record<string, number>>;
}

/** The forecast of a whole run, as printed by --json. */
export interface RunForecast extends Forecast {
  readonly name: string;
  readonly simulated: boolean;
  readonly tasks: number;
  readonly recorded: number;
  readonly source: Omit<Source, "samples"> & { readonly samples: number };
  readonly budget: (Budget & { readonly spent: Spent; readonly over: string | null }) | null;
  readonly first_prompts: Readonly<Record<string, readonly ChatMessage[] | null>>;
}

export interface ForecastOptions {
  /** The run directory; absolute. */
  readonly directory: string;
  /** A run directory whose records are taken for the forecast; null for this run's own. */
  readonly like: string | null;
  /** Number of processes that would ask models. */
  readonly hosts: number;
  /** Counts tasks as if nothing was recorded yet. */
  readonly fresh: boolean;
}

/** Number of records that are enough to go by, and the most that are read. */
const RECORDS_MIN = 5;
const RECORDS_MAX = 20_000;

/** `plan` must be made with stand-ins for its models (`planStandIn`). */
export async function forecastRun(plan: Plan, options: ForecastOptions): Promise<RunForecast> {
  const { directory, like, fresh } = options;
  const { recipe } = plan;
  const earlier = fresh ? null : await readManifest(directory);
  const scanned = await scanRows(plan, undefined);
  const preview = await previewFirstRow(plan, scanned);
  await checkCache(plan.loaded);
  const recorded = earlier === null ? 0 : earlier.ok + earlier.failed + earlier.lost;
  const tasks = Math.max(0, scanned.scan.rows * recipe.run.trials - recorded);

  const source =
    (await fromRecords(like, plan, true)) ??
    (earlier === null ? null : await fromRecords(directory, plan, false)) ??
    fromRehearsal(plan, await rehearse(plan, scanned));
  const made = forecast(
    source.samples.length === 0 ? [NO_TASK] : source.samples,
    workloadOf(plan, tasks, source, options.hosts),
  );
  const { hosts: _, ...spent } = earlier?.spent ?? NOTHING_SPENT_BY_HOSTS;
  const { budget } = recipe.run;
  return {
    name: recipe.name,
    simulated: plan.simulated,
    tasks,
    recorded,
    source: { ...source, samples: source.samples.length },
    ...made,
    budget:
      budget === undefined
        ? null
        : { ...budget, spent, over: overBudget(budget, spent, source, made) },
    first_prompts: Object.fromEntries(preview.prompts),
  };
}

const NO_TASK: Sample = { asks: [], ms: 0 };

function workloadOf(
  { recipe }: Plan,
  tasks: number,
  { kind, models }: Source,
  hosts: number,
): Workload {
  return {
    tasks,
    isRepeatable: kind === "rehearsal" && Object.values(models).every((how) => how === SELF),
    concurrency: recipe.run.concurrency,
    hosts,
    roles: Object.entries(recipe.roles).map(([name, { model = null, concurrency }]) => ({
      name,
      model,
      concurrency,
    })),
    models: Object.entries(recipe.models).map(([name, config]) => ({
      name,
      concurrency: requestsOf(config),
      rpm: config.kind === "scripted" ? null : (config.rpm ?? null),
      tpm: config.kind === "scripted" ? null : (config.tpm ?? null),
    })),
  };
}

/**
 * The forecast from records; null when they are too few, which is an error when the user named
 * them.
 */
async function fromRecords(
  directory: string | null,
  plan: Plan,
  isAsked: boolean,
): Promise<Source | null> {
  if (directory === null) return null;
  const manifest = await readManifest(directory);
  if (manifest === null)
    throw new MatrixError(
      "usage",
      `--like ${directory} is not a run directory: it has no manifest.json`,
    );
  const [theirs, ours] = [llmRolesOf(manifest.recipe), llmRolesOf(plan.loaded.resolved)].map(
    (roles) => roles.sort().join(", "),
  );
  if (isAsked && theirs !== ours)
    throw new MatrixError(
      "usage",
      `--like ${directory} is a run of other roles: its llm roles are ${theirs || "none"}, those of the recipe are ${ours || "none"}`,
    );
  const samples: Sample[] = [];
  for await (const records of readRecords(directory)) {
    for (const { history, timing } of records)
      samples.push({ asks: asksOf(history, plan), ms: timing.total_ms });
    if (samples.length >= RECORDS_MAX) break;
  }
  if (samples.length >= RECORDS_MIN)
    return { kind: "records", directory, samples, models: {}, assumes_length: false, left_out: {} };
  if (isAsked)
    throw new MatrixError(
      "usage",
      `--like ${directory} has ${samples.length} records, and a forecast needs at least ${RECORDS_MIN}`,
    );
  return null;
}

function fromRehearsal(plan: Plan, rehearsed: Awaited<ReturnType<typeof rehearse>>): Source {
  const { recipe, resolved } = plan.loaded;
  const leftOut: Record<string, number> = {};
  for (const { stoppedAt } of rehearsed)
    if (stoppedAt !== null) leftOut[stoppedAt] = (leftOut[stoppedAt] ?? 0) + 1;
  const used = new Set(Object.values(recipe.roles).map(({ model }) => model));
  const models = Object.entries(recipe.models).filter(([name]) => used.has(name));
  return {
    kind: "rehearsal",
    directory: null,
    samples: rehearsed.map(({ history }) => ({
      asks: asksOf(history, plan),
      ms: durationOf(history),
    })),
    models: Object.fromEntries(
      models.map(([name, { kind }]) => {
        if (kind !== "openai") return [name, SELF];
        const key = `${joinKey("models", name)}.expect`;
        const assumed = ["output_tokens", "latency", "tokens_per_second"].filter(
          (part) => valueAt(resolved, `${key}.${part}`) === undefined,
        );
        return [
          name,
          assumed.length === 0 ? `as ${key} says` : `ASSUMED ${assumed.join(", ")}: state ${key}`,
        ];
      }),
    ),
    assumes_length: models.some(
      ([name, { kind }]) =>
        kind === "openai" &&
        valueAt(resolved, `${joinKey("models", name)}.expect.output_tokens`) === undefined,
    ),
    left_out: leftOut,
  };
}

/** The requests of a history to models, at today's prices. */
function asksOf(history: readonly Hop[], { recipe: { roles }, models }: Plan): Sample["asks"] {
  return history.flatMap(({ role, usage, cost = null, run_ms }) => {
    if (usage === undefined) return [];
    return [
      {
        role,
        ...usage,
        cost: models.get(roles[role]?.model ?? "")?.costOf(usage) ?? cost,
        ms: run_ms,
      },
    ];
  });
}

/** The part of the budget that is too small, in words. Assumed lengths make no budget too small. */
function overBudget(
  budget: Budget,
  spent: Spent,
  source: Source,
  { cost, prompt_tokens, completion_tokens }: Forecast,
): string | null {
  if (source.assumes_length) return usedUp(spent, budget);
  const after = {
    requests: 0,
    prompt_tokens: Math.round(spent.prompt_tokens + prompt_tokens.expected),
    completion_tokens: Math.round(spent.completion_tokens + completion_tokens.expected),
    cost: spent.cost + (cost?.expected ?? 0),
  };
  return usedUp(after, budget);
}
