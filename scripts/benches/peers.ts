// Two and four host processes over the wire, without a model: tasks of 12 hops and 6 kB of history,
// with up to 10,000 in flight. In one layout each host has all roles, and tasks tend to stay on a
// host. In the other the roles are split, and every hop to a speaker and back crosses processes.

import { rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { coralTasks } from "./parts/coral.ts";
import { drive, withFolder } from "./parts/drive.ts";
import { readTimes, type TaskTimes } from "./parts/records.ts";
import { printHead, printTable, type TableRow } from "./parts/report.ts";
import { printShares, stages } from "./parts/shares.ts";

const IN_FLIGHT = [100, 1_000, 10_000];

interface Layout {
  readonly hosts: number;
  readonly name: string;
  readonly args: readonly string[];
  readonly agents: readonly string[];
}
const LAYOUTS: readonly Layout[] = [
  { hosts: 2, name: "all roles on each", args: ["--workers", "2"], agents: [] },
  { hosts: 2, name: "roles split", args: [], agents: ["student", "teacher,extractor,matcher"] },
  { hosts: 4, name: "all roles on each", args: ["--workers", "4"], agents: [] },
  {
    hosts: 4,
    name: "roles split",
    args: [],
    agents: ["student", "teacher", "extractor", "matcher"],
  },
];
/** The paper's table 4, which measures dummy agents. */
const STAGES = stages([36.72, 62.81, 82.63], [0.074, 1.13, 6.95], [0.768, 10.72, 24.51]);

const { values } = parseArgs({
  options: { tasks: { type: "string", default: "40000" }, seed: { type: "string", default: "0" } },
});

printHead(`peers: ${values.tasks} tasks`, values.seed);
await withFolder(async (folder) => {
  const rows: TableRow[] = [];
  const least: [string, TaskTimes][] = [];
  for (const layout of LAYOUTS) {
    const idle = await run(folder, layout, 1, 1);
    const idleBytes = idle.driver.peakBytes + idle.hosts.peakBytes;
    for (const inFlight of IN_FLIGHT) {
      const { summary, driver, hosts, output } = await run(
        folder,
        layout,
        inFlight,
        Number(values.tasks),
      );
      const times = await readTimes(output);
      const tasks = summary.ok;
      rmSync(output, { recursive: true });
      const seconds = times.elapsedMs / 1000;
      const peakBytes = driver.peakBytes + hosts.peakBytes;
      rows.push([
        `${layout.hosts} hosts, ${layout.name}, ${inFlight}`,
        ...[tasks / seconds, (summary.hops + tasks) / seconds, times.p50Ms, times.p99Ms],
        ...[
          (driver.cpuMs / tasks) * 1000,
          (hosts.cpuMs / tasks) * 1000,
          (driver.cpuMs + hosts.cpuMs) / times.elapsedMs,
        ],
        ...[peakBytes / 1e6, (peakBytes - idleBytes) / inFlight / 1000],
        (summary.wire_bytes ?? 0) / tasks / 1000,
      ]);
      if (inFlight !== IN_FLIGHT[0] || layout.hosts !== 2) continue;
      least.push([`2 hosts, ${layout.name}, ${inFlight} in flight (paper: table 4)`, times]);
    }
  }
  printTable(
    "no model, over the wire (paper, dummy agents: 1,100 traj/s, 12,000 messages/s, 1.6 MB/s)",
    [
      "traj/s",
      "messages/s",
      ["p50 ms", 1],
      ["p99 ms", 1],
      "driver us",
      "hosts us",
      ["cores busy", 2],
      "peak MB",
      ["kB/task", 1],
      ["wire kB", 1],
    ],
    rows,
  );
  for (const [title, times] of least) printShares(title, STAGES, times.tasks);
});
console.log(`
Each label ends with the number of tasks in flight. messages: hops and ends. us: processor time for each task.
kB/task: peak memory of all processes, less their memory at rest, for each task in flight.
wire kB: bodies of requests between processes, for each task.`);

function run(
  folder: string,
  { hosts, name, args, agents }: Layout,
  inFlight: number,
  tasks: number,
) {
  return drive({
    recipe: "recipes/coral-dummy.toml",
    output: join(folder, `${hosts}-${name}-${inFlight}-${tasks}`.replaceAll(/[ ,]+/g, "-")),
    args: [...args, "-n", String(inFlight), "--seed", values.seed, ...coralTasks(tasks)],
    agents,
  });
}
