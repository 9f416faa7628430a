// Rows against batches: the same work on the same slots, row by row and in batches. The batches
// follow the paper's Ray Data baseline (its algorithm 2): a batch ends when its last row
// ends. A filter drops four rows of five early, and latencies have a heavy tail. The binary runs
// the rows once. Both schedules are then computed in virtual time from the latencies of that run.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createDrawnLatencies } from "./parts/drawn.ts";
import { drive, withFolder } from "./parts/drive.ts";
import { readRecords } from "./parts/records.ts";
import { printHead, printTable, sum, type TableRow } from "./parts/report.ts";

/** Numbers of batches that share the slots at one time: the baseline's `concurrency`. */
const BATCHES_AT_A_TIME = [1, 4, 10];

/** The paper's table 9: Ray Data, Matrix. */
const PAPER: readonly TableRow[] = [
  ["concurrent tasks", 14_000, 14_000, null],
  ["documents", 9_300_000, 25_000_000, null],
  ["questions", 410_755, 1_192_799, null],
  ["tokens/s", 2_778, 5_853, 5_853 / 2_778],
];

const { values } = parseArgs({
  options: {
    rows: { type: "string", default: "10000" },
    slots: { type: "string", default: "100" },
    seed: { type: "string", default: "0" },
  },
});
const rowCount = Number(values.rows);
const slots = Number(values.slots);

printHead(`batch: ${rowCount} rows on ${slots} slots, 80 % filtered early`, values.seed);
await withFolder(async (folder) => {
  const dataset = join(folder, "documents.jsonl");
  writeFileSync(
    dataset,
    Array.from(
      { length: rowCount },
      (_, i) => `${JSON.stringify({ text: `Document ${i}.` })}\n`,
    ).join(""),
  );
  const { summary, output } = await drive({
    recipe: "scripts/benches/parts/curation.toml",
    output: join(folder, "run"),
    args: [`dataset.path=${dataset}`, "-n", values.slots, "--seed", values.seed],
  });
  const drawn = await drawnByRow(output);
  const rowsMs = drawn.map((row) => sum(row));
  const leastMs = sum(rowsMs) / slots;
  const rowsElapsedMs = elapsed(rowsMs, slots);

  const line = (label: string, elapsedMs: number): TableRow => [
    label,
    elapsedMs / 1000,
    (rowCount / elapsedMs) * 1000,
    (leastMs / elapsedMs) * 100,
    elapsedMs / rowsElapsedMs,
  ];
  const batches = BATCHES_AT_A_TIME.map((atATime) => {
    const size = Math.ceil(slots / atATime);
    return {
      label: `batches of ${size}, ${atATime} at a time`,
      elapsedMs: elapsed(batchesOf(rowsMs, size), atATime),
    };
  });
  printTable(
    "the same rows",
    [
      ["s", 1],
      ["rows/s", 0],
      ["slots used %", 1],
      ["against rows", 2],
    ],
    [
      line("lower bound", leastMs),
      line("rows, this binary", summary.elapsed_ms),
      line("rows, virtual time", rowsElapsedMs),
      ...batches.map(({ label, elapsedMs }) => line(`${label}, virtual time`, elapsedMs)),
    ],
  );
  console.log(
    "rows leave slots idle only at the end, when no row waits any more. Virtual time has that idle end and no cost of the runtime.",
  );

  const whole = batches[0]?.elapsedMs ?? 0;
  const tokens = summary.usage.completion_tokens;
  const questions = drawn.filter((row) => row.length > 1).length;
  const perSecond = [whole, summary.elapsed_ms].map((elapsedMs) => (tokens / elapsedMs) * 1000);
  const columns = ["batches", "rows", ["rows / batches", 2]] as const;
  printTable("the paper's table 9: Ray Data, Matrix", columns, PAPER);
  printTable("ours: batches in virtual time, rows in the binary", columns, [
    ["concurrent tasks", slots, slots, null],
    ["documents", rowCount, rowCount, null],
    ["questions", questions, questions, null],
    ["tokens/s", ...perSecond, whole / summary.elapsed_ms],
  ]);
});

/** Latencies that the model drew for each row, in milliseconds and in the dataset's order. */
async function drawnByRow(output: string): Promise<number[][]> {
  const drawnOf = await createDrawnLatencies(output);
  const rows: number[][] = [];
  for await (const record of readRecords(output)) rows[Number(record.id)] = await drawnOf(record);
  return rows;
}

/**
 * Time for all work, in milliseconds. Each piece goes, in order, to the place that is free first.
 */
function elapsed(work: readonly number[], places: number): number {
  const freeAt = new Array<number>(places).fill(0);
  for (const ms of work) {
    const first = freeAt.indexOf(Math.min(...freeAt));
    freeAt[first] = (freeAt[first] ?? 0) + ms;
  }
  return Math.max(...freeAt);
}

/** A batch takes as long as its slowest row. */
function batchesOf(rowsMs: readonly number[], size: number): number[] {
  return Array.from({ length: Math.ceil(rowsMs.length / size) }, (_, i) =>
    Math.max(...rowsMs.slice(i * size, (i + 1) * size)),
  );
}
