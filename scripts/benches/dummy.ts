// The runtime alone: coral-dummy through the compiled binary, no model behind it, 12 hops and 6 kB of history a task, at 100,
// 1,000 and 10,000 in flight. Beside it a plain loop that builds and writes the same records: the ceiling of the machine.

import { closeSync, createReadStream, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { cpus, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import type { TrajectoryRecord } from "../../src/task/record.ts";

const IN_FLIGHT = [100, 1_000, 10_000];
const ROWS = 40; // questions that ship with the recipe
const SAMPLE_EVERY_MS = 50;

const { values } = parseArgs({ options: { tasks: { type: "string", default: "100000" }, seed: { type: "string", default: "0" } } });
const trials = Math.ceil(Number(values.tasks) / ROWS);
const tasks = trials * ROWS;
const folder = mkdtempSync(join(tmpdir(), "matrix-bench-"));

interface Measured {
  readonly label: string;
  readonly perSecond: number;
  readonly messagesPerSecond: number | null;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  readonly share: number | null;
  readonly peakMb: number;
  readonly kbPerTask: number | null;
}

try {
  console.log(
    `dummy: ${tasks} tasks, ${cpus().length} cores (${cpus()[0]?.model.trim()}), ${Math.round(totalmem() / 2 ** 30)} GiB, bun ${Bun.version}, ${new Date().toISOString()}, seed ${values.seed}\n`,
  );
  const idle = await drive(1, 1);
  const rows: Measured[] = [];
  for (const inFlight of IN_FLIGHT) rows.push(await measure(inFlight, idle.peakBytes));
  rows.push(ceiling());
  print(rows);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function measure(inFlight: number, idleBytes: number): Promise<Measured> {
  const { summary, peakBytes, output } = await drive(inFlight, trials);
  const { p50Ms, p99Ms, share } = await taskTimes(output);
  rmSync(output, { recursive: true });
  const seconds = summary.elapsed_ms / 1000;
  return {
    label: `${inFlight} in flight`,
    perSecond: tasks / seconds,
    messagesPerSecond: (summary.hops + tasks) / seconds,
    p50Ms,
    p99Ms,
    share,
    peakMb: peakBytes / 1e6,
    kbPerTask: (peakBytes - idleBytes) / inFlight / 1000,
  };
}

interface Driven {
  readonly summary: { readonly elapsed_ms: number; readonly hops: number };
  readonly peakBytes: number;
  readonly output: string;
}

/** One whole run; the peak of its resident memory is sampled from outside. */
async function drive(inFlight: number, trials: number): Promise<Driven> {
  const output = join(folder, `run-${inFlight}-${trials}`);
  const args = [
    "drive",
    "recipes/coral-dummy.toml",
    "-o",
    output,
    "-n",
    String(inFlight),
    "--trials",
    String(trials),
    "--seed",
    values.seed,
    "--json",
    "--quiet",
  ];
  const child = Bun.spawn(["dist/matrix", ...args], { stdout: "pipe", stderr: "inherit" });
  let peakBytes = 0;
  const sampling = setInterval(() => {
    peakBytes = Math.max(peakBytes, residentBytes(child.pid));
  }, SAMPLE_EVERY_MS);
  const text = await new Response(child.stdout).text();
  const code = await child.exited;
  clearInterval(sampling);
  if (code !== 0) throw new Error(`matrix drive exited with ${code}`);
  return { summary: JSON.parse(text), peakBytes, output };
}

function residentBytes(pid: number): number {
  try {
    return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/** From the records: time of a task and the share of it that is neither agent nor queue. */
async function taskTimes(output: string): Promise<{ p50Ms: number; p99Ms: number; share: number }> {
  const totals: number[] = [];
  let total = 0;
  let ours = 0;
  for await (const line of createInterface({ input: createReadStream(join(output, "trajectories.jsonl")) })) {
    const { timing } = JSON.parse(line) as TrajectoryRecord;
    totals.push(timing.total_ms);
    total += timing.total_ms;
    ours += timing.total_ms - timing.run_ms - timing.queue_ms;
  }
  totals.sort((a, b) => a - b);
  const at = (q: number) => totals[Math.floor(q * (totals.length - 1))] ?? 0;
  return { p50Ms: at(0.5), p99Ms: at(0.99), share: ours / total };
}

/** What a loop without any runtime reaches: it builds the same history hop by hop, makes the record and writes it. */
function ceiling(): Measured {
  const row = JSON.parse(readFileSync("recipes/coral/questions.jsonl", "utf8").split("\n")[0] ?? "{}");
  const filler = "We take the numbers of the question one by one and check each step before we go on to the next. ".repeat(14);
  const fd = openSync(join(folder, "ceiling.jsonl"), "w");
  const started = performance.now();
  let batch = "";
  for (let task = 0; task < tasks; task++) {
    const history = [];
    for (let hop = 0; hop < 12; hop++) {
      const result =
        hop % 3 === 0
          ? { role: "assistant", content: `${filler}The answer is (A).` }
          : { speaker: "student", answer: "A", agreed: hop === 11 };
      history.push({ hop, role: "student", host: "driver", at: "2026-01-01T00:00:00.000Z", queue_ms: 0.001, run_ms: 0.002, result });
    }
    batch += `${JSON.stringify({ format: "matrix-trajectory-1", id: String(task), trial: 0, seed: task, attempt: 1, status: "ok", row, history })}\n`;
    if (task % 100 === 99) {
      writeSync(fd, batch);
      batch = "";
    }
  }
  writeSync(fd, batch);
  closeSync(fd);
  const seconds = (performance.now() - started) / 1000;
  return {
    label: "plain loop",
    perSecond: tasks / seconds,
    messagesPerSecond: null,
    p50Ms: null,
    p99Ms: null,
    share: null,
    peakMb: 0,
    kbPerTask: null,
  };
}

function print(rows: readonly Measured[]): void {
  const cell = (value: number | null, digits = 0) => (value === null ? "" : value.toFixed(digits)).padStart(12);
  console.log(
    `${"".padEnd(16)}${["traj/s", "messages/s", "p50 ms", "p99 ms", "ours %", "peak MB", "kB/task"].map((head) => head.padStart(12)).join("")}`,
  );
  for (const row of rows) {
    const cells = [
      cell(row.perSecond),
      cell(row.messagesPerSecond),
      cell(row.p50Ms, 1),
      cell(row.p99Ms, 1),
      cell(row.share === null ? null : row.share * 100, 1),
      cell(row.peakMb),
      cell(row.kbPerTask, 1),
    ];
    console.log(row.label.padEnd(16) + cells.join(""));
  }
  console.log("\nours: the share of a task's time that is neither in an agent nor in a role's queue. messages: hops and ends.");
}
