// The share of the index in the sink's time: records of 12 hops and 6 kB are accounted for,
// encoded, masked and written, in batches, with the index and without it. Then the index is opened,
// searched and read as lists and a continued run do it.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { maskedJson } from "../../src/known-secrets.ts";
import { DriverIndex } from "../../src/records/index/driver-index.ts";
import type { Recorded } from "../../src/records/index/entry-table.ts";
import { RunIndex } from "../../src/records/index/run-index.ts";
import { RecordWriter } from "../../src/records/record-writer.ts";
import { readRecordedTasks } from "../../src/records/recorded-tasks.ts";
import { hopCount, modelsOf } from "../../src/task/encoded.ts";
import { createHead, encodeRecord, type RecordLine } from "../../src/task/record.ts";
import type { Hop, Task } from "../../src/task/task.ts";
import { printHead, printTable } from "./parts/report.ts";

const { values } = parseArgs({
  options: {
    records: { type: "string", default: "100000" },
    batch: { type: "string", default: "100" },
    rounds: { type: "string", default: "5" },
  },
});
const [records, batch] = [Number(values.records), Number(values.batch)];
const FILLER =
  "We take the numbers of the question one by one and check each step before we go on to the next. ".repeat(
    14,
  );
const ENDING = {
  status: "ok",
  stopReason: "agreed",
  score: 1,
  outcome: null,
  error: null,
} as const;

printHead(`records: ${records} records in batches of ${batch}`, "0");
const folder = mkdtempSync(join(tmpdir(), "matrix-bench-index-"));
try {
  const times: Record<"with" | "without", number[]> = { with: [], without: [] };
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const mode of round % 2 === 0
      ? (["without", "with"] as const)
      : (["with", "without"] as const)) {
      rmSync(folder, { recursive: true });
      times[mode].push(await sinkMicroseconds(folder, mode === "with"));
    }
  }
  const [plain, indexed] = [median(times.without), median(times.with)];
  printTable(
    "processor time of the sink for each record",
    [
      ["µs without", 2],
      ["µs with", 2],
      ["index µs", 2],
      ["share %", 2],
    ],
    [[`${records} records`, plain, indexed, indexed - plain, (100 * (indexed - plain)) / indexed]],
  );
  rmSync(folder, { recursive: true });
  await sinkMicroseconds(folder, true);
  await printReading();
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** Processor time for each record, in microseconds. */
async function sinkMicroseconds(directory: string, withIndex: boolean): Promise<number> {
  const { mkdirSync } = await import("node:fs");
  mkdirSync(directory);
  const path = join(directory, "trajectories.jsonl");
  const writer = await RecordWriter.open(path, 0);
  const index = withIndex ? await DriverIndex.open(path, async () => undefined) : null;
  await index?.begin();
  let spent = 0;
  for (let first = 0; first < records; first += batch) {
    const tasks = Array.from({ length: batch }, (_, n) => taskOf(first + n));
    const before = process.cpuUsage();
    const recorded: Recorded[] = [];
    const lines: RecordLine[] = [];
    for (const task of tasks) {
      const head = createHead(task, ENDING, {
        admittedAt: 1.7e12 + first,
        endedAt: 1.7e12 + first + 20,
      });
      lines.push(encodeRecord(head, task).map((part) => maskedJson(String(part))));
      recorded.push({ head, hops: hopCount(task), models: modelsOf(task) });
    }
    await writer.append(
      lines,
      index === null
        ? null
        : (n, place) => {
            const record = recorded[n];
            if (record !== undefined) index.add(record, place);
          },
    );
    const { user, system } = process.cpuUsage(before);
    spent += user + system;
  }
  const before = process.cpuUsage();
  await index?.close();
  const { user, system } = process.cpuUsage(before);
  await writer.close();
  return (spent + user + system) / records;
}

function taskOf(n: number): Task {
  const history: Hop[] = [];
  for (let hop = 0; hop < 12; hop++)
    history.push({
      hop,
      role: "student",
      host: "driver",
      at: "2026-01-01T00:00:00.000Z",
      queue_ms: 0.001,
      run_ms: 0.002,
      result:
        hop % 3 === 0
          ? { role: "assistant", content: `${FILLER}The answer is (A).` }
          : { speaker: "student", answer: "A", agreed: hop === 11 },
    });
  const row = { question: FILLER };
  const id = `row-${n}`;
  return {
    ...{ rowId: id, trial: 0, row, seed: n, attempt: 1, role: "student", state: {}, history },
    ...{ admittedAt: 0, trace: null },
  };
}

async function printReading(): Promise<void> {
  const path = join(folder, "trajectories.jsonl");
  const rows: [string, number][] = [];
  const timed = async (name: string, work: () => Promise<unknown>): Promise<void> => {
    const before = performance.now();
    await work();
    rows.push([name, performance.now() - before]);
  };
  await timed("open", async () => (await RunIndex.open(folder)).close());
  const index = await RunIndex.open(folder);
  await timed("find the last id", () => index.find(`row-${records - 1}`, 0));
  await timed("read its record", () => index.readRecord(records - 1));
  await timed("filter by error code", () => index.codes("error"));
  await timed("a column of numbers", () => index.numbers("score"));
  await index.close();
  await timed("what a continued run knows", async () => {
    const own = await DriverIndex.open(path, async () => undefined);
    await readRecordedTasks(path, undefined, own);
    await own.close();
  });
  await timed("the same without the index", () => readRecordedTasks(path));
  printTable("reading", [["ms", 1]], rows);
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;
}
