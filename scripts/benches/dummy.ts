// The runtime alone, without a model: tasks of 12 hops and 6 kB of history in one process, with
// 100, 1,000 and 10,000 in flight. A plain loop that builds and writes the same records shows the
// ceiling of the machine.

import { closeSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { coralTasks } from "./parts/coral.ts";
import { type Driven, drive, withFolder } from "./parts/drive.ts";
import { readTimes } from "./parts/records.ts";
import { printHead, printTable, type TableRow } from "./parts/report.ts";

const IN_FLIGHT = [100, 1_000, 10_000];

const { values } = parseArgs({
  options: { tasks: { type: "string", default: "100000" }, seed: { type: "string", default: "0" } },
});

printHead(`dummy: ${values.tasks} tasks`, values.seed);
await withFolder(async (folder) => {
  const run = (inFlight: number, tasks: number): Promise<Driven> =>
    drive({
      recipe: "recipes/coral-dummy.toml",
      output: join(folder, `run-${inFlight}-${tasks}`),
      args: ["-n", String(inFlight), "--seed", values.seed, ...coralTasks(tasks)],
    });
  const idle = await run(1, 1);
  const rows: TableRow[] = [];
  for (const inFlight of IN_FLIGHT) {
    const { summary, driver, output } = await run(inFlight, Number(values.tasks));
    const { p50Ms, p99Ms, ours } = await readTimes(output);
    const tasks = summary.ok;
    rmSync(output, { recursive: true });
    const seconds = summary.elapsed_ms / 1000;
    const kbPerTask = (driver.peakBytes - idle.driver.peakBytes) / inFlight / 1000;
    const messagesPerSecond = (summary.hops + tasks) / seconds;
    rows.push([
      `${inFlight} in flight`,
      tasks / seconds,
      messagesPerSecond,
      p50Ms,
      p99Ms,
      ours * 100,
      driver.peakBytes / 1e6,
      kbPerTask,
    ]);
  }
  printTable(
    "no model, one process (paper, table 4 and text: 1,100 traj/s, 12,000 messages/s; agents take 37 % of a task's time in the median)",
    [
      "traj/s",
      "messages/s",
      ["p50 ms", 1],
      ["p99 ms", 1],
      ["ours %", 1],
      "peak MB",
      ["kB/task", 1],
    ],
    [
      ...rows,
      [
        "plain loop",
        Number(values.tasks) / ceilingSeconds(join(folder, "ceiling.jsonl"), Number(values.tasks)),
      ],
    ],
  );
});
console.log(
  "\nours: the share of a task's time that is neither in an agent nor in a role's queue. messages: hops and ends.",
);

/**
 * Seconds of a loop without any runtime that builds the same history hop by hop, makes the record
 * and writes it.
 */
function ceilingSeconds(path: string, tasks: number): number {
  const row = JSON.parse(
    readFileSync("recipes/coral/questions.jsonl", "utf8").split("\n")[0] ?? "{}",
  );
  const filler =
    "We take the numbers of the question one by one and check each step before we go on to the next. ".repeat(
      14,
    );
  const fd = openSync(path, "w");
  const started = performance.now();
  let batch = "";
  for (let task = 0; task < tasks; task++) {
    const history = [];
    for (let hop = 0; hop < 12; hop++) {
      const result =
        hop % 3 === 0
          ? { role: "assistant", content: `${filler}The answer is (A).` }
          : { speaker: "student", answer: "A", agreed: hop === 11 };
      history.push({
        hop,
        role: "student",
        host: "driver",
        at: "2026-01-01T00:00:00.000Z",
        queue_ms: 0.001,
        run_ms: 0.002,
        result,
      });
    }
    batch += `${JSON.stringify({ format: "matrix-trajectory-1", id: String(task), trial: 0, seed: task, attempt: 1, status: "ok", row, history })}\n`;
    if (task % 100 === 99) {
      writeSync(fd, batch);
      batch = "";
    }
  }
  writeSync(fd, batch);
  closeSync(fd);
  return (performance.now() - started) / 1000;
}
