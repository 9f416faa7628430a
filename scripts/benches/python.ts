// A rule in Python: dialogues of 12 hops without a model, by a rule in TypeScript, and in Python
// with one and with two interpreters. LangGraph for Python does the same work in one process, when
// the interpreter that --langgraph names has it.

import { rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { coralTasks } from "./parts/coral.ts";
import { drive, withFolder } from "./parts/drive.ts";
import { printHead, printTable, type TableRow } from "./parts/report.ts";

const IN_FLIGHT = 1000;
const LANGGRAPH_TASKS = 500;

const { values } = parseArgs({
  options: {
    tasks: { type: "string", default: "50000" },
    seed: { type: "string", default: "0" },
    langgraph: { type: "string" },
  },
});

printHead(`python: ${values.tasks} tasks, ${IN_FLIGHT} in flight`, values.seed);
await withFolder(async (folder) => {
  const recipe = join(folder, "python.toml");
  const rule = { module: resolve("recipes/coral/rule.py"), with: { max_turns: 8 } };
  writeFileSync(
    recipe,
    `extends = ${JSON.stringify(resolve("recipes/coral-dummy.toml"))}
name = "python"
[orchestrator]
module = ${JSON.stringify(rule.module)}
with = { max_turns = ${rule.with.max_turns} }
`,
  );
  const rows: TableRow[] = [];
  for (const [label, file, more] of [
    ["TypeScript", "recipes/coral-dummy.toml", []],
    ["Python, 1 interpreter", recipe, ["python.processes=1"]],
    ["Python, 2 interpreters", recipe, ["python.processes=2"]],
  ] as const) {
    const output = join(folder, label.replaceAll(/\W/g, "-"));
    const args = ["-n", String(IN_FLIGHT), "--seed", values.seed];
    const driven = await drive({
      ...{ recipe: file, output },
      args: [...args, ...coralTasks(Number(values.tasks)), ...more],
    });
    rmSync(output, { recursive: true });
    const { summary, driver, hosts: interpreters } = driven;
    const seconds = summary.elapsed_ms / 1000;
    rows.push([
      label,
      summary.ok / seconds,
      (summary.hops + summary.ok) / seconds,
      driver.peakBytes / 1e6,
      interpreters.peakBytes / 1e6,
      (interpreters.cpuMs / (interpreters.cpuMs + driver.cpuMs)) * 100,
    ]);
  }
  if (values.langgraph !== undefined) rows.push(langgraph(values.langgraph, folder));
  printTable(
    "12 hops and 6 kB a task, no model",
    ["traj/s", "decisions/s", "matrix MB", "Python MB", ["Python % of CPU", 0]],
    rows,
  );
});

function langgraph(python: string, folder: string): TableRow {
  const program = "scripts/benches/parts/langgraph_loop.py";
  const path = join(folder, "langgraph.jsonl");
  const child = Bun.spawnSync([python, program, path, String(LANGGRAPH_TASKS), "100"], {
    stderr: "inherit",
  });
  if (child.exitCode !== 0) throw new Error(`${python} cannot run ${program}`);
  const perSecond = LANGGRAPH_TASKS / Number(child.stdout.toString());
  return ["LangGraph for Python", perSecond, perSecond * 13];
}
