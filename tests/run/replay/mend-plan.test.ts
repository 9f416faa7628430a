// What a retry or a replay would reuse and ask, before anything is spent.

import { expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { planStandIn } from "../../../src/model/stand-in.ts";
import { prepare } from "../../../src/run/prepare.ts";
import { type MendOptions, planMend } from "../../../src/run/replay/mend-plan.ts";
import { runRecipe } from "../../../src/run/run-recipe.ts";
import { withFolder } from "../../parts/folder.ts";
import { readRecords } from "../../parts/records.ts";
import { prepareSmallRun, type SmallRun, writeSmallRun } from "../small-run.ts";

const FAR =
  'models.far={kind="openai", base_url="http://127.0.0.1:9/v1", model="far", price={prompt=100, completion=100}}';
const JUDGE = [
  FAR,
  'roles.judge={agent="llm", model="far", prompt={text="Judge {{ history[0].result.content }}"}}',
  'orchestrator.roles=["student", "grader", "judge"]',
];

async function play(folder: string, small: SmallRun, drain?: AbortSignal) {
  const plan = await prepareSmallRun(folder, small);
  const directory = join(folder, "run");
  return runRecipe(plan, { directory }, drain === undefined ? {} : { drain });
}

async function planned(folder: string, small: SmallRun, more: Partial<MendOptions>) {
  const path = await writeSmallRun(folder, small);
  const { overrides = [] } = small;
  const plan = await prepare(path, { overrides, env: {}, cwd: folder, planModel: planStandIn });
  const directory = join(folder, "new");
  return planMend(plan, { directory, retry: null, replay: null, ask: [], from: null, ...more });
}

const stepsOf = ({ roles }: Awaited<ReturnType<typeof planned>>) =>
  Object.fromEntries(roles.map(({ name, reused, asked }) => [name, [reused, asked]]));

test("a plan counts for each role the steps that it would reuse and ask, and what those cost", () =>
  withFolder(async (folder) => {
    await play(folder, { rows: 6 });
    const small = { rows: 6, overrides: [...JUDGE, "run.budget.tokens=100"] };
    const replay = join(folder, "run");
    const plan = await planned(folder, small, { replay, ask: ["judge"] });
    expect(plan).toMatchObject({
      ...{ name: "small", directory: join(folder, "new"), replay, tasks: 6, retried: 0 },
      ...{ counted: 6, left_out: {}, assumed: ["far"] },
    });
    expect(stepsOf(plan)).toEqual({ student: [6, 0], judge: [0, 6] });
    const [student, judge] = plan.roles;
    expect(student).toMatchObject({ requests: 0, prompt_tokens: 0, cost: null });
    expect(judge?.requests).toBe(6);
    const tokens = (judge?.prompt_tokens ?? 0) + (judge?.completion_tokens ?? 0);
    expect(judge?.cost).toBeCloseTo((tokens * 100) / 1e6, 9);
    expect(plan.cost).toBe(judge?.cost ?? 0);
    expect(plan.budget).toMatchObject({ tokens: 100, spent: { requests: 0, cost: 0 } });
    expect(plan.budget?.over).toEndWith("of 100 tokens");
    expect(await readdir(folder)).not.toContain("new");
    expect(
      (await planned(folder, { rows: 6, overrides: JUDGE }, { replay, ask: ["judge"] })).budget,
    ).toBeNull();
  }));

test("a plan of a replay that asks nothing reuses every step, and one from a hop asks the rest", () =>
  withFolder(async (folder) => {
    const overrides = [
      'roles.second={agent="llm", model="m", prompt={text="Again"}}',
      'orchestrator.roles=["student", "grader", "second"]',
    ];
    await play(folder, { rows: 3, overrides });
    const replay = join(folder, "run");
    const steps = async (more: Partial<MendOptions>) =>
      stepsOf(await planned(folder, { rows: 3, overrides }, { replay, ...more }));
    expect(await steps({})).toEqual({ student: [3, 0], second: [3, 0] });
    expect(await steps({ from: "1" })).toEqual({ student: [3, 0], second: [0, 3] });
    expect(await steps({ from: "student" })).toEqual({ student: [0, 3], second: [0, 3] });
    expect(await steps({ ask: ["student"] })).toEqual({ student: [0, 3], second: [3, 0] });
    const { assumed } = await planned(folder, { rows: 3, overrides }, { replay, from: "0" });
    expect(assumed).toEqual([]);
  }));

test("tasks of a replay that are recorded already are not counted, unless they would be retried", () =>
  withFolder(async (folder) => {
    await play(folder, { rows: 4 });
    const replay = join(folder, "run");
    const files = {
      "half.ts":
        "export default ({ row }) => { if (row.n > 1) throw new Error('no'); return { score: 1 }; };\n",
    };
    const small = { rows: 4, files, overrides: ["roles.grader.agent=half.ts"] };
    const made = await prepareSmallRun(folder, small);
    const directory = join(folder, "new");
    await runRecipe(made, { directory, replay });
    expect(await planned(folder, small, { replay })).toMatchObject({
      tasks: 0,
      counted: 0,
      cost: null,
    });
    const retry = new Set(["failed"]);
    const again = await planned(folder, small, { replay, retry });
    expect(again).toMatchObject({ tasks: 2, retried: 2, counted: 2 });
    expect(stepsOf(again)).toEqual({ student: [2, 0] });
  }));

test("a plan of a retry counts the chosen tasks and those without a record, by tasks that ended well", () =>
  withFolder(async (folder) => {
    const files = {
      "odd.ts":
        "export default ({ row }) => { if (row.n % 2 === 1) throw new Error('no'); return { score: 1 }; };\n",
    };
    const small = { rows: 6, files, overrides: ["roles.grader.agent=odd.ts"] };
    await play(folder, small);
    const directory = join(folder, "run");
    const plan = await planned(folder, small, { directory, retry: new Set(["failed"]) });
    expect(plan).toMatchObject({ tasks: 3, retried: 3, counted: 3, replay: null, assumed: [] });
    expect(stepsOf(plan)).toEqual({ student: [0, 3] });
    const more = { ...small, rows: 8 };
    const grown = await planned(folder, more, { directory, retry: new Set(["model_failed"]) });
    expect(grown).toMatchObject({ tasks: 2, retried: 0 });
    const records = await readRecords(directory);
    const ok = records.filter(({ status }) => status === "ok");
    const tokens = ok.reduce((sum, { usage }) => sum + usage.prompt_tokens, 0);
    expect(plan.roles[0]?.prompt_tokens).toBe(tokens);
    expect(grown.roles[0]?.prompt_tokens).toBe(Math.round((tokens * 2) / 3));
  }));

test("a retry without a task that ended well is rehearsed, and a sandbox is not started for it", () =>
  withFolder(async (folder) => {
    const files = { "never.ts": "export default () => { throw new Error('no'); };\n" };
    const small = { rows: 3, files, overrides: ["roles.grader.agent=never.ts"] };
    await play(folder, small);
    const directory = join(folder, "run");
    const retry = new Set(["failed"]);
    const plan = await planned(folder, small, { directory, retry });
    expect(plan).toMatchObject({ tasks: 3, retried: 3, counted: 3 });
    expect(stepsOf(plan)).toEqual({ student: [0, 3] });
    // A model without a price costs nothing that a plan could state.
    expect([plan.roles[0]?.cost, plan.cost]).toEqual([null, null]);
  }));

test("a plan of a retry needs a run, and a plan of a replay is refused as the replay would be", () =>
  withFolder(async (folder) => {
    await expect(planned(folder, {}, { retry: new Set(["failed"]) })).rejects.toMatchObject({
      code: "usage",
      message: `--retry: there is no run in ${join(folder, "new")}`,
    });
    await play(folder, {});
    const replay = join(folder, "run");
    await expect(planned(folder, { overrides: JUDGE }, { replay })).rejects.toMatchObject({
      code: "run_refused",
      hint: expect.stringContaining("--ask judge"),
    });
  }));

test("a plan in the directory of another run is refused, as that run would be", () =>
  withFolder(async (folder) => {
    await play(folder, {});
    const replay = join(folder, "run");
    const plan = await prepareSmallRun(folder, {});
    await runRecipe(plan, { directory: join(folder, "new"), replay });
    await expect(planned(folder, {}, { replay, from: "0" })).rejects.toMatchObject({
      code: "run_refused",
      message: `${join(folder, "new")} holds another run`,
    });
    const fresh = await planned(folder, {}, { replay, from: "0", fresh: true });
    expect(fresh).toMatchObject({ tasks: 4, counted: 4 });
    const overrides = ["run.seed=9"];
    const directory = join(folder, "run");
    await expect(
      planned(folder, { overrides }, { directory, retry: new Set(["failed"]) }),
    ).rejects.toMatchObject({ code: "run_refused" });
  }));
