// `matrix drive --dry-run`: which flags it reads, what it prints and when it refuses. How good its
// forecasts are is in tests/e2e/cli/dry-run.test.ts.

import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { withFolder } from "../parts/folder.ts";
import { matrix } from "../parts/program.ts";

const RECIPE = `name = "small"
dataset.path = "d.jsonl"
[models.m]
kind = "simulated"
latency = "1ms"
price = { prompt = 1, completion = 1 }
[roles.a]
agent = "llm"
model = "m"
prompt = { text = "{{ row.q }}" }
[orchestrator]
pattern = "sequence"
roles = ["a"]
`;

const withRecipe = (
  use: (folder: string, drive: (...args: string[]) => ReturnType<typeof matrix>) => Promise<void>,
) =>
  withFolder(async (folder) => {
    await writeFile(join(folder, "r.toml"), RECIPE);
    await writeFile(join(folder, "d.jsonl"), '{"q":"a"}\n{"q":"b"}\n{"q":"c"}\n');
    await use(folder, (...args) => matrix(["drive", "r.toml", ...args], { cwd: folder }));
  });
const tasksIn = async (
  drive: (...args: string[]) => ReturnType<typeof matrix>,
  ...args: string[]
) => JSON.parse((await drive("--dry-run", "--json", ...args)).stdout);

test("a dry run prints a forecast, as text or as one object, and makes no directory", () =>
  withRecipe(async (folder, drive) => {
    const { code, stdout, stderr } = await drive("--dry-run", "--trials", "2");
    expect(stdout).toContain(
      "small: a forecast for 6 tasks (simulated model); nothing was asked\n",
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(await tasksIn(drive)).toMatchObject({
      name: "small",
      tasks: 3,
      recorded: 0,
      source: { kind: "rehearsal", samples: 3 },
      budget: null,
    });
    expect(existsSync(join(folder, "runs"))).toBe(false);
  }));

test("recorded tasks are not forecast again, unless the run is to begin anew", () =>
  withRecipe(async (_folder, drive) => {
    expect((await drive("-q")).code).toBe(0);
    expect(await tasksIn(drive, "--trials", "3")).toMatchObject({ tasks: 6, recorded: 3 });
    expect(await tasksIn(drive, "--trials", "3", "--fresh")).toMatchObject({
      tasks: 9,
      recorded: 0,
    });
    expect(await tasksIn(drive, "-o", "other")).toMatchObject({ tasks: 3, recorded: 0 });
  }));

test("a forecast is computed from the records of the run that --like names", () =>
  withRecipe(async (folder, drive) => {
    expect((await drive("-q", "--trials", "4")).code).toBe(0);
    expect(await tasksIn(drive, "-o", "other", "--like", "runs/small")).toMatchObject({
      source: { kind: "records", directory: join(folder, "runs/small"), samples: 12 },
    });
    const lone = await drive("--like", "runs/small");
    expect(lone.stderr).toContain("--like is for a forecast: it needs --dry-run");
    expect(lone.code).toBe(2);
  }));

test("a forecast over the budget is printed and refused with what to change", () =>
  withRecipe(async (_folder, drive) => {
    const { code, stdout, stderr } = await drive("--dry-run", "run.budget.tokens=5");
    expect(stdout).toContain(" of 5 tokens: NOT ENOUGH");
    expect(stderr).toContain("error: the run would go over run.budget: ");
    expect(stderr).toContain(
      "hint: raise run.budget, or make fewer tasks with --limit or --trials",
    );
    expect(code).toBe(2);
    expect((await drive("--dry-run", "run.budget.tokens=1000000")).code).toBe(0);
  }));

test("hosts share the work: more workers than one are counted in the forecast", () =>
  withRecipe(async (_folder, drive) => {
    const slow = ['models.m.latency="1s"', "models.m.concurrency=1", "--json", "--dry-run"];
    const timeOf = async (...args: string[]) =>
      JSON.parse((await drive(...slow, ...args)).stdout).time_ms.expected as number;
    expect(await timeOf("--workers", "3")).toBeLessThan(await timeOf());
  }));
