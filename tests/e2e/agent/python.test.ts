// A recipe in Python alone, through the binary: the rule, the request, the replies and the agent of
// one file, interpreters that are killed, and needs that uv installs.

import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { matrix, spawnMatrix } from "../../parts/binary.ts";
import { withFolder } from "../../parts/folder.ts";
import { readRecords } from "../../parts/records.ts";
import { ROOT } from "../../parts/repository.ts";
import { until } from "../../parts/until.ts";

const ROWS = 300;
/** The file notes the interpreters that load it. */
const FILE = `import asyncio, os
from matrix_agent import agent, done, orchestrator, replies, request, to

open(os.path.join(os.environ["PIDS"], str(os.getpid())), "w").close()

@orchestrator
class Tries:
    def start(self, row, context):
        return to("solver", {"tries": 1})

    def next(self, state, result, context):
        if context.role == "solver":
            return to("grader", state)
        if result["score"] == 1 or state["tries"] == 3:
            return done(score=result["score"], outcome={**state, "q": context.row["q"]})
        return to("solver", {"tries": state["tries"] + 1})

@request
def ask(task, settings):
    tries = task["state"]["tries"]
    content = f"{settings['ask']} {task['row']['q']}, try {tries}, after {len(task['history'])}"
    return {"messages": [{"role": "user", "content": content}]}

@replies
def say(request, settings, random):
    return f"{request['messages'][-1]['content']}: {random.randrange(3)}"

@agent(threads=4)
async def grade(task, settings):
    await asyncio.sleep(0)
    return {"score": float(task["last"]["content"].endswith(": 0"))}
`;
const RECIPE = `name = "python"
dataset.path = "rows.jsonl"
[models.m]
kind = "simulated"
replies = "all.py"
latency = "20ms"
[roles.solver]
agent = "llm"
model = "m"
request = "all.py"
with = { ask = "Solve" }
[roles.grader]
agent = "all.py"
[orchestrator]
module = "all.py"
`;

async function withRecipe(use: (folder: string) => Promise<void>): Promise<void> {
  await withFolder(async (folder) => {
    await mkdir(join(folder, "pids"));
    const rows = Array.from({ length: ROWS }, (_, q) => JSON.stringify({ id: q, q }));
    const files = { "all.py": FILE, "recipe.toml": RECIPE, "rows.jsonl": rows.join("\n") };
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
    await use(folder);
  });
}

const inFolder = (cwd: string) => ({ cwd, env: { PIDS: join(cwd, "pids") } });

/** The parts of records that a repeated run has, too. */
const contentOf = async (run: string) =>
  (await readRecords(run))
    .map(({ id, status, score, outcome, history }) => ({
      ...{ id, status, score, outcome },
      results: history.map(({ role, result }) => [role, result]),
    }))
    .sort((a, b) => Number(a.id) - Number(b.id));

test(
  "a recipe in Python alone runs in one process and in several, with the same records",
  () =>
    withRecipe(async (folder) => {
      const drive = (...more: readonly string[]) =>
        matrix(["drive", "recipe.toml", "-q", "-n", "50", ...more], inFolder(folder));
      expect(await drive("-o", "one")).toMatchObject({ code: 0, stderr: "" });
      const one = await contentOf(join(folder, "one"));
      expect(one).toHaveLength(ROWS);
      expect(one[7]?.results[0]).toEqual([
        "solver",
        { role: "assistant", content: expect.stringMatching(/^Solve 7, try 1, after 0: [012]$/) },
      ]);
      expect(new Set(one.map(({ outcome }) => outcome?.["tries"]))).toEqual(new Set([1, 2, 3]));
      expect(await drive("-o", "two", "--workers", "2")).toMatchObject({ code: 0 });
      expect(await contentOf(join(folder, "two"))).toEqual(one);
    }),
  120_000,
);

test(
  "interpreters that are killed again and again change no record",
  () =>
    withRecipe(async (folder) => {
      const { finished } = spawnMatrix(["drive", "recipe.toml", "-q", "-n", "10", "-o", "killed"], {
        ...inFolder(folder),
      });
      const records = join(folder, "killed/trajectories.jsonl");
      const count = async () =>
        existsSync(records) ? (await readFile(records, "utf8")).split("\n").length - 1 : 0;
      const killed = new Set<string>();
      for (let least = 30; least <= 240; least += 30) {
        await until(async () => (await count()) >= least, `${least} records`);
        for (const pid of await readdir(join(folder, "pids"))) {
          if (killed.has(pid)) continue;
          killed.add(pid);
          try {
            process.kill(Number(pid), "SIGKILL");
          } catch {
            // It has ended by itself.
          }
        }
      }
      expect(await finished).toMatchObject({ code: 0 });
      expect(killed.size).toBeGreaterThan(10);
      await matrix(["drive", "recipe.toml", "-q", "-n", "10", "-o", "whole"], inFolder(folder));
      expect(await contentOf(join(folder, "killed"))).toEqual(
        await contentOf(join(folder, "whole")),
      );
    }),
  120_000,
);

test(
  "a replay watches every decision, and names the clock that a run may miss",
  () =>
    withFolder(async (folder) => {
      const rows = Array.from({ length: 40 }, (_, id) => JSON.stringify({ id }));
      const files = {
        "rows.jsonl": rows.join("\n"),
        "a.ts": "export default () => 1;\n",
        "route.py": `import time
from matrix_agent import done, orchestrator, to
@orchestrator
class Rule:
    def start(self, row, context): return to("a")
    def next(self, state, result, context):
        if int(context.id) >= 30: time.time()
        return done()
`,
        "recipe.toml": `name = "late"
dataset = { path = "rows.jsonl", id = "id" }
roles.a.agent = "a.ts"
orchestrator.module = "route.py"
python.processes = 1
run.fail_above = 1.0
`,
      };
      for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
      const drive = (...more: readonly string[]) =>
        matrix(["drive", "recipe.toml", "-q", "-n", "1", ...more], { cwd: folder });
      expect(await drive("-o", "run")).toMatchObject({ code: 0 });
      const failed = async (run: string) =>
        (await readRecords(join(folder, run))).filter(({ status }) => status === "failed");
      expect(await failed("run")).toEqual([]);
      expect(await drive("--replay", "run", "-o", "proved")).toMatchObject({ code: 0 });
      const caught = await failed("proved");
      expect(caught).toHaveLength(10);
      for (const { error } of caught)
        expect([error?.code, error?.message.split(";")[0]]).toEqual([
          ...["orchestrator_failed", "NotPure: route.py, line 7 reads the clock (time.time)"],
        ]);
    }),
  60_000,
);

const UV = join(ROOT, ".tools/langgraph/bin");
const hasUv = existsSync(join(UV, "uv"));
if (!hasUv) console.log("skipped: no uv (scripts/python-env installs it)");

test.if(hasUv)(
  "uv installs what a rule states when the recipe allows it, and nothing else does",
  () =>
    withFolder(async (folder) => {
      const files = {
        "rows.jsonl": '{"q": 1}\n',
        "route.py": `# /// script
# requires-python = ">=3.9"
# dependencies = ["tinydb==4.9.0"]
# ///
import tinydb
from matrix_agent import done, orchestrator, to

@orchestrator
class Rule:
    def start(self, row, context): return to("a")
    def next(self, state, result, context): return done(outcome={"found": tinydb.__version__})
`,
        "a.ts": "export default () => 1;\n",
        "recipe.toml": `name = "uv"\ndataset.path = "rows.jsonl"\nroles.a.agent = "a.ts"\norchestrator.module = "route.py"\n`,
      };
      for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
      const drive = (...more: readonly string[]) =>
        matrix(["drive", "recipe.toml", "-q", "-o", "run", ...more], {
          cwd: folder,
          env: { PATH: `${UV}:${process.env["PATH"]}`, UV_CACHE_DIR: join(folder, "cache") },
        });
      const refused = await drive();
      expect(refused.code).toBe(2);
      expect(refused.stderr).toContain("route.py:5");
      expect(refused.stderr).toContain(
        "let uv install what the file states with python.install = true",
      );
      expect(await drive("python.install=true")).toMatchObject({ code: 0, stderr: "" });
      const [record] = await readRecords(join(folder, "run"));
      expect(record?.outcome).toEqual({ found: "4.9.0" });
    }),
  180_000,
);

const VALUES = `import dataclasses, datetime, decimal
import numpy as np
from pydantic import BaseModel
from matrix_agent import agent, done, orchestrator, to

class Point(BaseModel):
    x: float
    at: datetime.datetime

@dataclasses.dataclass
class Pair:
    point: Point
    array: object

AT = datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc)

@agent
def measure(task):
    if task["row"]["q"] == "agent":
        return {"deep": [np.array([[1.0, np.nan]])]}
    return Pair(Point(x=np.float64(0.5), at=AT), np.arange(4, dtype=np.int8).reshape(2, 2))

@orchestrator
class Rule:
    def start(self, row, context): return to("a", {"n": np.int64(7)})
    def next(self, state, result, context):
        if context.row["q"] == "rule":
            return done(outcome={"p": Point.model_construct(x=float("inf"), at=AT)})
        points = np.array(result["array"])
        return done(score=points.mean(), outcome={"n": state["n"], "ok": points.max() > 2,
            "result": result, "cost": decimal.Decimal("0.25")})
`;

test.if(hasUv)(
  "values of NumPy and pydantic become JSON, and one that JSON lacks is refused with its path",
  () =>
    withFolder(async (folder) => {
      const rows = ["sound", "agent", "rule"].map((q) => JSON.stringify({ id: q, q })).join("\n");
      const recipe = `name = "values"
dataset = { path = "rows.jsonl", id = "id" }
roles.a.agent = "values.py"
orchestrator.module = "values.py"
python.command = ["${join(UV, "python")}"]
run.fail_above = 1.0
`;
      const files = { "rows.jsonl": rows, "recipe.toml": recipe, "values.py": VALUES };
      for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
      expect(
        await matrix(["drive", "recipe.toml", "-q", "-o", "run"], { cwd: folder }),
      ).toMatchObject({
        code: 0,
      });
      const records = new Map((await readRecords(join(folder, "run"))).map((one) => [one.id, one]));
      const result = {
        point: { x: 0.5, at: "2026-01-02T00:00:00+00:00" },
        array: [
          [0, 1],
          [2, 3],
        ],
      };
      expect(records.get("sound")).toMatchObject({
        ...{ status: "ok", score: 1.5 },
        outcome: { n: 7, ok: true, result, cost: 0.25 },
      });
      const messageOf = (id: string) => records.get(id)?.error?.message;
      expect(messageOf("agent")).toBe(
        "values.py: TypeError: result.deep[0][0][1] is nan, which JSON does not have",
      );
      expect(messageOf("rule")).toBe("TypeError: outcome.p.x is inf, which JSON does not have");
    }),
  60_000,
);
