// Rehearsals: tasks that go all the way with stand-ins for their models.

import { expect, test } from "bun:test";
import { planStandIn } from "../../../src/model/stand-in.ts";
import { rehearse } from "../../../src/run/forecast/rehearsal.ts";
import { prepare } from "../../../src/run/prepare.ts";
import { scanRows } from "../../../src/run/scan-rows.ts";
import { withFolder } from "../../parts/folder.ts";
import { type SmallRun, writeSmallRun } from "../small-run.ts";

async function rehearseSmall(folder: string, small: SmallRun) {
  const path = await writeSmallRun(folder, small);
  const { overrides = [] } = small;
  const plan = await prepare(path, { overrides, env: {}, cwd: folder, planModel: planStandIn });
  return rehearse(plan, await scanRows(plan, undefined));
}

test("up to 100 tasks are rehearsed, each as long as its model would take", () =>
  withFolder(async (folder) => {
    const overrides = ['models.m.latency="5s"'];
    const all = await rehearseSmall(folder, { rows: 100, overrides });
    expect(all).toHaveLength(100);
    for (const { history, stoppedAt } of all) {
      expect(stoppedAt).toBeNull();
      expect(history.map(({ role }) => role)).toEqual(["student", "grader"]);
      expect(history[0]?.run_ms).toBeGreaterThanOrEqual(5000);
      expect(history[1]?.run_ms).toBeLessThan(5000);
    }
  }));

test("a rehearsal of more than 100 tasks plays 100 that the run's seed draws, with different trials", () =>
  withFolder(async (folder) => {
    const drawn = async (seed: number) => {
      const overrides = ["run.trials=2", `run.seed=${seed}`];
      const files = { "grade.ts": "export default ({ row, trial }) => `${row.n}/${trial}`;\n" };
      const all = await rehearseSmall(folder, { rows: 80, overrides, files });
      return all.map(({ history }) => String(history[1]?.result)).sort();
    };
    const first = await drawn(1);
    expect([first.length, new Set(first).size]).toEqual([100, 100]);
    expect(await drawn(1)).toEqual(first);
    expect(await drawn(2)).not.toEqual(first);
    expect(new Set(first.map((name) => name.split("/")[1]))).toEqual(new Set(["0", "1"]));
    expect(Math.max(...first.map((name) => Number(name.split("/")[0])))).toBeGreaterThan(50);
  }));

test("a task that comes to a role in a sandbox stops there, and no sandbox is started", () =>
  withFolder(async (folder) => {
    const recipe = `
name = "boxed"
[dataset]
path = "rows.jsonl"
[models.m]
kind = "simulated"
[sandboxes.box]
image = "none:latest"
[roles.student]
agent = "llm"
model = "m"
prompt = { text = "hi" }
[roles.tools]
agent = "exec"
sandbox = "box"
with = { command = ["true"] }
[orchestrator]
pattern = "sequence"
roles = ["student", "tools"]
`;
    const all = await rehearseSmall(folder, { rows: 3, recipe });
    expect(all.map(({ stoppedAt }) => stoppedAt)).toEqual(["tools", "tools", "tools"]);
    expect(all[0]?.history.map(({ role }) => role)).toEqual(["student"]);
  }));

test("a task that fails stops nowhere: it has come to its end", () =>
  withFolder(async (folder) => {
    const files = { "grade.ts": `export default () => { throw new Error("no"); };\n` };
    const all = await rehearseSmall(folder, { rows: 1, files });
    expect(all.map(({ stoppedAt }) => stoppedAt)).toEqual([null]);
  }));

test("a shard without rows has nothing to rehearse", () =>
  withFolder(async (folder) => {
    const small: SmallRun = { rows: 2, overrides: ["dataset.shard=3/4"] };
    expect(await rehearseSmall(folder, small)).toEqual([]);
  }));
