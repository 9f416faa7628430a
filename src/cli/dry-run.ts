// `matrix drive RECIPE --dry-run`: what a run would use, before anything is spent: from its own records or another run's, or
// from a rehearsal with stand-ins for the models. It makes no directory, starts no sandbox and asks no endpoint.

import { join, resolve } from "node:path";
import { type Budget, usedUp } from "../driver/ledger.ts";
import { MatrixError } from "../error.ts";
import { createStandIn } from "../model/stand-in.ts";
import { joinKey, valueAt } from "../recipe/key-path.ts";
import { readManifest } from "../records/manifest.ts";
import { readRecords } from "../records/read-records.ts";
import { checkCache } from "../run/answers.ts";
import { durationOf, type Forecast, forecast, type Plan, type Sample } from "../run/forecast.ts";
import { requestsOf } from "../run/limits.ts";
import { type Prepared, prepare, previewFirstRow, scanRows } from "../run/prepare.ts";
import { rehearse } from "../run/rehearsal.ts";
import { llmRolesOf } from "../run/replay.ts";
import { NOTHING_SPENT_BY_HOSTS, type Spent } from "../task/spent.ts";
import type { Hop } from "../task/task.ts";
import { type DryRun, renderForecast, SELF, type Source } from "./forecast-text.ts";

export interface DryRunFlags {
  readonly like?: string;
  readonly workers?: number;
  readonly fresh?: boolean;
  readonly json?: boolean;
}

/** Records that are enough to go by, and that are read at the most. */
const RECORDS_MIN = 5;
const RECORDS_MAX = 20_000;

/** Fails with `run_refused` when the forecast is over run.budget. */
export async function dryRun(
  recipePath: string,
  overrides: readonly string[],
  flags: DryRunFlags,
): Promise<void> {
  const prepared = await prepare(recipePath, overrides, process.env, createStandIn);
  const { recipe } = prepared.loaded;
  const directory = resolve(recipe.run.output ?? join("runs", recipe.name));
  const earlier = flags.fresh === true ? null : await readManifest(directory);
  const scanned = await scanRows(prepared, undefined);
  const preview = await previewFirstRow(prepared, scanned);
  await checkCache(prepared);
  const recorded = earlier === null ? 0 : earlier.ok + earlier.failed + earlier.lost;
  const tasks = Math.max(0, scanned.scan.rows * recipe.run.trials - recorded);

  const source =
    (await fromRecords(flags.like === undefined ? null : resolve(flags.like), prepared, true)) ??
    (earlier === null ? null : await fromRecords(directory, prepared, false)) ??
    fromRehearsal(prepared, await rehearse(prepared, scanned));
  const made = forecast(
    source.samples.length === 0 ? [NO_TASK] : source.samples,
    planOf(prepared, tasks, source, flags),
  );
  const { hosts: _, ...spent } = earlier?.spent ?? NOTHING_SPENT_BY_HOSTS;
  const result: DryRun = {
    name: recipe.name,
    simulated: prepared.simulated,
    tasks,
    recorded,
    source: { ...source, samples: source.samples.length },
    ...made,
    budget:
      recipe.run.budget === undefined
        ? null
        : {
            ...recipe.run.budget,
            spent,
            over: source.assumes_length
              ? usedUp(spent, recipe.run.budget)
              : overBudget(recipe.run.budget, spent, made),
          },
    first_prompts: Object.fromEntries(preview.prompts),
  };
  console.log(flags.json === true ? JSON.stringify(result) : renderForecast(result));
  if (result.budget?.over == null) return;
  throw new MatrixError("run_refused", `the run would go over run.budget: ${result.budget.over}`, {
    hint: "raise run.budget, or make fewer tasks with --limit or --trials",
  });
}

const NO_TASK: Sample = { asks: [], ms: 0 };

function planOf(
  { loaded }: Prepared,
  tasks: number,
  { kind, models }: Source,
  { workers = 1 }: DryRunFlags,
): Plan {
  const { recipe } = loaded;
  return {
    tasks,
    isRepeatable: kind === "rehearsal" && Object.values(models).every((how) => how === SELF),
    concurrency: recipe.run.concurrency,
    hosts: workers,
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

/** Null where there are too few; `isAsked`: an error then. */
async function fromRecords(
  directory: string | null,
  prepared: Prepared,
  isAsked: boolean,
): Promise<Source | null> {
  if (directory === null) return null;
  const manifest = await readManifest(directory);
  if (manifest === null)
    throw new MatrixError(
      "usage",
      `--like ${directory} is no run directory: it has no manifest.json`,
    );
  const [theirs, ours] = [llmRolesOf(manifest.recipe), llmRolesOf(prepared.loaded.resolved)].map(
    (roles) => roles.sort().join(", "),
  );
  if (isAsked && theirs !== ours)
    throw new MatrixError(
      "usage",
      `--like ${directory} is a run of other roles: models speak there for ${theirs || "none"}, here for ${ours || "none"}`,
    );
  const samples: Sample[] = [];
  for await (const records of readRecords(directory)) {
    for (const { history, timing } of records)
      samples.push({ asks: asksOf(history, prepared), ms: timing.total_ms });
    if (samples.length >= RECORDS_MAX) break;
  }
  if (samples.length >= RECORDS_MIN)
    return { kind: "records", directory, samples, models: {}, assumes_length: false, left_out: {} };
  if (isAsked)
    throw new MatrixError(
      "usage",
      `--like ${directory} has ${samples.length} records: ${RECORDS_MIN} are the least to go by`,
    );
  return null;
}

function fromRehearsal(
  prepared: Prepared,
  rehearsed: Awaited<ReturnType<typeof rehearse>>,
): Source {
  const { recipe, resolved } = prepared.loaded;
  const leftOut: Record<string, number> = {};
  for (const { stoppedAt } of rehearsed)
    if (stoppedAt !== null) leftOut[stoppedAt] = (leftOut[stoppedAt] ?? 0) + 1;
  const used = new Set(Object.values(recipe.roles).map(({ model }) => model));
  const models = Object.entries(recipe.models).filter(([name]) => used.has(name));
  return {
    kind: "rehearsal",
    directory: null,
    samples: rehearsed.map(({ history }) => ({
      asks: asksOf(history, prepared),
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

/** At today's prices. */
function asksOf(history: readonly Hop[], { loaded, models }: Prepared): Sample["asks"] {
  const { roles } = loaded.recipe;
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

function overBudget(
  budget: Budget,
  spent: Spent,
  { cost, prompt_tokens, completion_tokens }: Forecast,
): string | null {
  const after = {
    requests: 0,
    prompt_tokens: Math.round(spent.prompt_tokens + prompt_tokens.expected),
    completion_tokens: Math.round(spent.completion_tokens + completion_tokens.expected),
    cost: spent.cost + (cost?.expected ?? 0),
  };
  return usedUp(after, budget);
}
