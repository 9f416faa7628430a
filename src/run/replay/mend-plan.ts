// `--plan`: what a retry or a replay would reuse and ask, counted before anything is spent. Records
// are played through the recipe's own rule and code, with stand-ins for the models that are asked.
// Nothing is written, no endpoint is asked and no sandbox is started.

import { isAsked, type ReplayWish, stepsOf } from "../../agent/replay-wish.ts";
import { type Budget, usedUp } from "../../driver/ledger.ts";
import { MatrixError } from "../../error.ts";
import { startTask } from "../../orchestrator/advance.ts";
import { joinKey, valueAt } from "../../recipe/key-path.ts";
import { readManifest } from "../../records/manifest.ts";
import { readRecords } from "../../records/read-records.ts";
import { isChosen, type RetryChoice } from "../../records/retry-choice.ts";
import { refuseOtherRun } from "../../records/same-run.ts";
import { taskName } from "../../records/superseded.ts";
import type { Later } from "../../task/later.ts";
import type { TrajectoryRecord } from "../../task/record.ts";
import { addSpent, NO_USAGE, NOTHING_SPENT, type Spent } from "../../task/spent.ts";
import type { Hop, Message, Usage } from "../../task/task.ts";
import { rehearse, rehearseTasks } from "../forecast/rehearsal.ts";
import { identityOf } from "../identity.ts";
import type { Plan } from "../plan.ts";
import { datasetWork, type Work } from "../run-rows.ts";
import { scanRows } from "../scan-rows.ts";
import type { ReplayFlags } from "./read-wish.ts";
import type { Replay } from "./replay-source.ts";
import { replayWork } from "./replay-work.ts";

/** Records are played for at most this long. More of them are taken to be like those. */
const PLAYING_MS = 60_000;

export interface MendOptions extends ReplayFlags {
  /** The run directory; absolute. */
  readonly directory: string;
  readonly retry: RetryChoice | null;
  readonly replay: string | null;
  /** Counts tasks as if the directory was not there. */
  readonly fresh?: boolean;
}

export interface RolePlan extends Usage {
  readonly name: string;
  /** Steps whose answers come from records. */
  readonly reused: number;
  /** Steps that ask the role's model. */
  readonly asked: number;
  /** Cost of the asked steps; null without a price. */
  readonly cost: number | null;
}

/** The plan as --json prints it. */
export interface MendPlan {
  readonly name: string;
  readonly directory: string;
  readonly replay: string | null;
  /** Tasks that would run. */
  readonly tasks: number;
  /** Records of these tasks, which would move to superseded.jsonl. */
  readonly retried: number;
  /** Tasks, or records like them, that were played to count their steps. */
  readonly counted: number;
  /** Steps of llm roles, and what the asked ones use. */
  readonly roles: readonly RolePlan[];
  readonly cost: number | null;
  /** Models that would be asked, and whose recipe does not say how long their answers are. */
  readonly assumed: readonly string[];
  /** Roles in sandboxes, which were not started, with the tasks whose further steps are missing. */
  readonly left_out: Readonly<Record<string, number>>;
  readonly budget: (Budget & { readonly spent: Spent; readonly over: string | null }) | null;
}

/** `plan` must be made with stand-ins for its models. Fails as the run itself would. */
export async function planMend(plan: Plan, options: MendOptions): Promise<MendPlan> {
  const { directory, retry, replay, fresh = false } = options;
  const earlier = fresh ? null : await readManifest(directory);
  if (retry !== null && earlier === null)
    throw new MatrixError("usage", `--retry: there is no run in ${directory}`, {
      hint: "leave out --retry, or name the directory of the run with -o",
    });
  const checkpoint = earlier?.dataset.rows;
  const work =
    replay === null
      ? await datasetWork(plan, checkpoint)
      : await replayWork(plan, { ...options, replay, checkpoint });
  const { scan } = work.rows;
  if (earlier !== null)
    refuseOtherRun(directory, earlier, identityOf(plan, work.rows), scan.checkpointDigest);
  const done = earlier === null ? NOTHING_DONE : await readDone(directory, retry);
  const counted =
    work.rows.replay === null
      ? await countRetry(plan, directory, done)
      : await countReplay(work, work.rows.replay, done);
  const { cost, roles } = rolesOf(plan, counted);
  const { hosts: _, ...spent } = earlier?.spent ?? { ...NOTHING_SPENT, hosts: {} };
  const { budget } = plan.recipe.run;
  const used = roles.reduce(addRole, { ...spent, cost: spent.cost + (cost ?? 0) });
  return {
    name: plan.recipe.name,
    ...{ directory, replay },
    tasks: counted.tasks,
    retried: done.chosen,
    counted: counted.samples,
    ...{ roles, cost, left_out: counted.leftOut },
    // Records tell how long the answers were.
    assumed: counted.isFromRecords ? [] : assumedOf(plan, roles),
    budget: budget === undefined ? null : { ...budget, spent, over: usedUp(used, budget) },
  };
}

interface Done {
  /** Names of tasks that have a record and would keep it. */
  readonly kept: ReadonlySet<string>;
  readonly chosen: number;
}

const NOTHING_DONE: Done = { kept: new Set(), chosen: 0 };

async function readDone(directory: string, choice: RetryChoice | null): Promise<Done> {
  const kept = new Set<string>();
  let chosen = 0;
  for await (const records of readRecords(directory))
    for (const record of records)
      if (choice !== null && isChosen(choice, record)) chosen++;
      else kept.add(taskName(record.id, record.trial));
  return { kept, chosen };
}

/** Steps of the tasks that were played. */
interface Counted {
  readonly tasks: number;
  readonly samples: number;
  /** True when asked steps are counted as they were recorded, and not with stand-ins. */
  readonly isFromRecords: boolean;
  readonly histories: Tally;
  readonly leftOut: Readonly<Record<string, number>>;
}

/** Sums over hops by role. */
class Tally {
  readonly reused = new Map<string, number>();
  readonly asked = new Map<string, { steps: number; spent: Spent; isPriced: boolean }>();

  add(plan: Plan, wish: ReplayWish | null, history: readonly Hop[]): void {
    for (const { hop, before } of stepsOf(history)) {
      const { role, usage } = hop;
      const config = plan.recipe.roles[role];
      if (config?.agent !== "llm") continue;
      if (wish !== null && !isAsked(wish, role, before)) {
        this.reused.set(role, (this.reused.get(role) ?? 0) + 1);
        continue;
      }
      const sum = this.asked.get(role) ?? { steps: 0, spent: NOTHING_SPENT, isPriced: false };
      const { prompt_tokens, completion_tokens, requests } = usage ?? NO_USAGE;
      const cost =
        usage === undefined ? undefined : plan.models.get(config.model ?? "")?.costOf(usage);
      const all = { requests, prompt_tokens, completion_tokens, cost: cost ?? 0 };
      this.asked.set(role, {
        steps: sum.steps + 1,
        spent: addSpent(sum.spent, all),
        isPriced: sum.isPriced || cost !== undefined,
      });
    }
  }
}

/** Plays the records that the replay would still make, until they are done or the time is up. */
async function countReplay(
  { plan }: Work,
  { directory, source, wish }: Replay,
  done: Done,
): Promise<Counted> {
  const histories = new Tally();
  const leftOut: Record<string, number> = {};
  const until = performance.now() + PLAYING_MS;
  let tasks = 0;
  let samples = 0;
  for await (const records of readRecords(directory)) {
    const pending = records.filter(({ id, trial }) => !done.kept.has(taskName(id, trial)));
    tasks += pending.length;
    if (performance.now() > until) continue;
    for (const record of pending) source.hold(record);
    const ended = await rehearseTasks(
      plan,
      await Promise.all(pending.map((record) => firstOf(plan, record))),
    );
    samples += ended.length;
    for (const { history, stoppedAt } of ended) {
      histories.add(plan, wish, history);
      if (stoppedAt !== null) leftOut[stoppedAt] = (leftOut[stoppedAt] ?? 0) + 1;
    }
    for (const { id, trial } of pending) source.release(id, trial);
  }
  await source.close();
  return { tasks, samples, isFromRecords: false, histories, leftOut };
}

function firstOf({ rule }: Plan, { id, trial, row, seed }: TrajectoryRecord): Later<Message> {
  const drawn = { rowId: id, trial, row, seed, attempt: 1, admittedAt: 0, trace: null };
  return startTask(rule, drawn);
}

/**
 * The tasks of a run that would begin anew, or for the first time, are taken to be like those that
 * ended well. Without any, some tasks are rehearsed.
 */
async function countRetry(plan: Plan, directory: string, { kept }: Done): Promise<Counted> {
  const scanned = await scanRows(plan, undefined);
  const tasks = Math.max(0, scanned.scan.rows * plan.recipe.run.trials - kept.size);
  const histories = new Tally();
  const leftOut: Record<string, number> = {};
  let samples = 0;
  for await (const records of readRecords(directory))
    for (const { status, history } of records) {
      if (status !== "ok") continue;
      samples++;
      histories.add(plan, null, history);
    }
  if (samples > 0) return { tasks, samples, isFromRecords: true, histories, leftOut };
  for (const { history, stoppedAt } of await rehearse(plan, scanned)) {
    samples++;
    histories.add(plan, null, history);
    if (stoppedAt !== null) leftOut[stoppedAt] = (leftOut[stoppedAt] ?? 0) + 1;
  }
  return { tasks, samples, isFromRecords: false, histories, leftOut };
}

function rolesOf(
  { recipe }: Plan,
  { tasks, samples, histories }: Counted,
): { readonly roles: readonly RolePlan[]; readonly cost: number | null } {
  const each = samples === 0 ? 0 : tasks / samples;
  const scaled = (value: number) => Math.round(value * each);
  const roles = Object.entries(recipe.roles).flatMap(([name, { agent }]) => {
    if (agent !== "llm") return [];
    const { steps = 0, spent = NOTHING_SPENT, isPriced = false } = histories.asked.get(name) ?? {};
    return [
      {
        name,
        reused: scaled(histories.reused.get(name) ?? 0),
        asked: scaled(steps),
        requests: scaled(spent.requests),
        prompt_tokens: scaled(spent.prompt_tokens),
        completion_tokens: scaled(spent.completion_tokens),
        cost: isPriced ? spent.cost * each : null,
      },
    ];
  });
  const priced = roles.filter(({ cost }) => cost !== null);
  const cost = priced.reduce((sum, role) => sum + (role.cost ?? 0), 0);
  return { roles, cost: priced.length === 0 ? null : cost };
}

/** Stand-ins for these models draw answers of a usual length. */
function assumedOf({ loaded, recipe }: Plan, roles: readonly RolePlan[]): string[] {
  const asked = new Set(
    roles.filter(({ asked }) => asked > 0).map(({ name }) => recipe.roles[name]?.model),
  );
  return Object.entries(recipe.models).flatMap(([name, { kind }]) => {
    const key = `${joinKey("models", name)}.expect.output_tokens`;
    const isAssumed = kind === "openai" && valueAt(loaded.resolved, key) === undefined;
    return isAssumed && asked.has(name) ? [name] : [];
  });
}

function addRole(sum: Spent, { requests, prompt_tokens, completion_tokens }: RolePlan): Spent {
  return addSpent(sum, { requests, prompt_tokens, completion_tokens, cost: 0 });
}
