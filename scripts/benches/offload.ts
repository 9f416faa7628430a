// Bytes between hosts with the store on and off. Conversations are as large as Tau2's, and each
// role is on its own host. Of the contents, 12 % are larger than 512 bytes, and the largest have
// 100 kB. Sizes are drawn by seed and are the same in both runs.

import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { chatContent } from "../../src/task/record.ts";
import { drive, withFolder } from "./parts/drive.ts";
import { readRecords, readTimes } from "./parts/records.ts";
import { printHead, printTable, quantile, sorted, sum, type TableRow } from "./parts/report.ts";

const LARGE_BYTES = 512;

const { values } = parseArgs({
  options: {
    tasks: { type: "string", default: "2000" },
    "in-flight": { type: "string", default: "200" },
    seed: { type: "string", default: "0" },
  },
});
const tasks = Number(values.tasks);

interface Measured {
  /** Bytes in bodies of requests between processes. */
  readonly wireBytes: number;
  readonly hops: number;
  readonly perSecond: number;
}

printHead(
  `offload: ${tasks} conversations, ${values["in-flight"]} in flight, 3 hosts with one role each`,
  values.seed,
);
await withFolder(async (folder) => {
  const dataset = join(folder, "scenarios.jsonl");
  writeFileSync(
    dataset,
    Array.from(
      { length: tasks },
      (_, i) => `${JSON.stringify({ scenario: `Scenario ${i}.` })}\n`,
    ).join(""),
  );
  const off = await run(folder, dataset, false);
  const on = await run(folder, dataset, true);
  const row = (label: string, { wireBytes, hops, perSecond }: Measured): TableRow => [
    label,
    ...[wireBytes / 1e6, wireBytes / tasks / 1000, hops / tasks, perSecond],
  ];
  printTable(
    "bytes between hosts (paper: about 20 % less at the peak, 1 GB/s to 760 MB/s)",
    ["wire MB", ["wire kB/task", 1], ["hops/task", 1], "traj/s"],
    [
      row("store off", off),
      row("store on", on),
      ["fewer, %", (1 - on.wireBytes / off.wireBytes) * 100],
    ],
  );
});
console.log(
  "\nwire: bytes in the bodies of all requests between processes. The paper measured all traffic of a node, including that of its models.",
);

async function run(folder: string, dataset: string, isOn: boolean): Promise<Measured> {
  const { summary, output } = await drive({
    recipe: "scripts/benches/parts/tool-use.toml",
    output: join(folder, `store-${isOn}`),
    args: [
      `dataset.path=${dataset}`,
      `store.enabled=${isOn}`,
      "-n",
      values["in-flight"],
      "--seed",
      values.seed,
    ],
    agents: ["user", "assistant", "tools"],
  });
  const { elapsedMs } = await readTimes(output);
  if (isOn) await printSizes(output);
  rmSync(output, { recursive: true });
  return {
    wireBytes: summary.wire_bytes ?? 0,
    hops: summary.hops,
    perSecond: (tasks / elapsedMs) * 1000,
  };
}

async function printSizes(output: string): Promise<void> {
  const contents: number[] = [];
  const conversations: number[] = [];
  for await (const { history } of readRecords(output)) {
    const sizes = history.map(({ result }) => (chatContent(result) ?? "").length);
    contents.push(...sizes);
    conversations.push(sum(sizes));
  }
  const row = (label: string, sizes: readonly number[]): TableRow => {
    const large = sizes.filter((size) => size > LARGE_BYTES).length;
    return [
      label,
      (large / sizes.length) * 100,
      ...[0.5, 0.9, 0.99, 1].map((q) => quantile(sorted(sizes), q) / 1000),
    ];
  };
  const columns = [
    [`over ${LARGE_BYTES} B, %`, 1],
    ["p50 kB", 1],
    ["p90 kB", 1],
    ["p99 kB", 1],
    ["most kB", 1],
  ] as const;
  printTable("sizes (paper, figure 9: 12 % over 512 B)", columns, [
    row("contents", contents),
    row("conversations", conversations),
  ]);
}
