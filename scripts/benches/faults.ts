// A host killed every 10 s: restarts, time to recover, what is lost or doubled, and throughput against undisturbed runs beside it.
// Coral dialogues against a simulated model that takes 1 s in the median, as in the paper's tables 5 and 6; runs alternate.

import { rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { drive, type Running, withFolder } from "./parts/drive.ts";
import { readRecords, type Span, spanOf, steadyPart } from "./parts/records.ts";
import { printHead, printTable, sum, type TableRow } from "./parts/report.ts";

const ROWS = 40; // questions that ship with the recipe
const LOOK_EVERY_MS = 10;

/** The paper's table 5: an actor killed every 10 minutes. Restarts, seconds, lost tasks. */
const PAPER_RESTARTS: readonly TableRow[] = [
  ["answer_extractor", 2, 0.322, null, 424],
  ["answer_matcher", 2, 0, null, 2],
  ["student", 1, 2.304, null, 1474],
  ["teacher", 2, 2.069, null, 2180],
];
/** The paper's table 6: 200,000 trajectories without and with crashes. */
const PAPER_IMPACT: readonly TableRow[] = [
  ["runtime", "1:26:16", "1:18:43", null],
  ["trajectories", "200k", "200k", null],
  ["lost", "0", "4080", null],
  ["agreement correctness", "0.4781", "0.4856", null],
  ["tokens generated", "391200916", "340338986", null],
  ["tokens/s", "75579", "72059", (72_059 / 75_579) * 100],
];

const { values } = parseArgs({
  options: {
    "in-flight": { type: "string", default: "1000" },
    /** Tasks that each token runs, one after the other. */
    generations: { type: "string", default: "12" },
    workers: { type: "string", default: "4" },
    "every-s": { type: "string", default: "10" },
    /** Pairs of an undisturbed and a disturbed run. */
    rounds: { type: "string", default: "2" },
    seed: { type: "string", default: "0" },
  },
});
const inFlight = Number(values["in-flight"]);

interface Kill {
  readonly worker: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** Until its replacement was started; null when the run ended before. */
  readonly restartMs: number | null;
}

interface Outcome {
  readonly seconds: number;
  readonly records: number;
  readonly lost: number;
  readonly failed: number;
  readonly doubled: number;
  /** Of those that began again from their row. */
  readonly restarted: number;
  readonly score: number;
  readonly tokens: number;
  readonly tokensPerSecond: number;
  readonly perSecond: number;
  /** Each kill, with the time until its replacement began a step; null when it did not any more. */
  readonly kills: readonly (Kill & { readonly serveMs: number | null })[];
}

printHead(`faults: ${values.workers} hosts, ${inFlight} in flight, a host killed every ${values["every-s"]} s`, values.seed);
await withFolder(async (folder) => {
  const calm: Outcome[] = [];
  const killed: Outcome[] = [];
  for (let round = 0; round < Number(values.rounds); round++) {
    // Calm first, then killed first, so that a machine that slows down does not tell.
    const order = [false, true];
    for (const kills of round % 2 === 0 ? order : order.reverse()) (kills ? killed : calm).push(await run(join(folder, "run"), kills));
  }
  printTable("paper, table 5: actors restarted", RESTART_COLUMNS, PAPER_RESTARTS);
  printTable("ours: hosts restarted", RESTART_COLUMNS, restartsByWorker(killed));
  const columns = ["no crash", "with crash", ["%", 1]] as const;
  printTable("paper, table 6: impact of restarts", columns, PAPER_IMPACT);
  printTable(`ours: impact of restarts, of ${values.rounds} runs each`, columns, impact(calm, killed));
});
console.log(`
start: from the kill until the replacement's process was started. serve: from the kill until it began its first step, at worst.
Per second: while all tokens were in use. Restarted: began again from their row; all others went on at the hop that they had reached.`);

async function run(output: string, kills: boolean): Promise<Outcome> {
  const done: Kill[] = [];
  const trials = Math.ceil((inFlight * Number(values.generations)) / ROWS);
  const { summary } = await drive({
    recipe: "recipes/coral.toml",
    output,
    args: [
      ...["--workers", values.workers, "-n", String(inFlight), "--seed", values.seed, "--trials", String(trials)],
      'models.speaker.latency={ kind = "lognormal", median = "1s", sigma = 0.5 }',
      ...["models.speaker.tokens_per_second=1e12", "orchestrator.max_turns=4"],
    ],
    ...(kills ? { meanwhile: (running) => killInTurn(running, done) } : {}),
  });
  const { spans, tokens, restarted, doubled, serveMs } = await read(output, done);
  rmSync(output, { recursive: true });
  const steady = steadyPart(spans, inFlight);
  const seconds = (steady.end - steady.start) / 1000;
  const inSteady = spans.map(({ end }) => end >= steady.start && end < steady.end);
  return {
    seconds: summary.elapsed_ms / 1000,
    records: summary.ok,
    lost: summary.lost,
    failed: summary.failed,
    doubled,
    restarted,
    score: summary.score?.mean ?? 0,
    tokens: summary.usage.completion_tokens,
    perSecond: inSteady.filter(Boolean).length / seconds,
    tokensPerSecond: sum(tokens.filter((_, i) => inSteady[i])) / seconds,
    kills: done.map((kill, i) => ({ ...kill, serveMs: serveMs[i] ?? null })),
  };
}

/** One worker after the other, by SIGKILL. */
async function killInTurn({ workers, ended }: Running, kills: Kill[]): Promise<void> {
  let isOver = false;
  const over = ended.then(() => {
    isOver = true;
  });
  while (!isOver) {
    await Promise.race([over, sleep(Number(values["every-s"]) * 1000)]);
    const running = workers().toSorted((a, b) => a.name.localeCompare(b.name));
    const victim = running[kills.length % running.length];
    if (isOver || victim === undefined) continue;
    const at = performance.timeOrigin + performance.now();
    process.kill(victim.pid, "SIGKILL");
    const isBack = () => workers().some(({ name, pid }) => name === victim.name && pid !== victim.pid);
    while (!isOver && !isBack()) await sleep(LOOK_EVERY_MS);
    kills.push({ worker: victim.name, at, restartMs: isOver ? null : performance.timeOrigin + performance.now() - at });
  }
}

interface Read {
  readonly spans: readonly Span[];
  /** Of each record. */
  readonly tokens: readonly number[];
  readonly restarted: number;
  readonly doubled: number;
  /** From each kill to the first step that a host of that name began after it. */
  readonly serveMs: readonly number[];
}

async function read(output: string, kills: readonly Kill[]): Promise<Read> {
  const spans: Span[] = [];
  const tokens: number[] = [];
  const seen = new Set<string>();
  const serveMs: number[] = [];
  let restarted = 0;
  let doubled = 0;
  for await (const record of readRecords(output)) {
    spans.push(spanOf(record));
    tokens.push(record.usage.completion_tokens);
    if (record.attempt > 1) restarted++;
    const key = `${record.id}/${record.trial}`;
    if (seen.has(key)) doubled++;
    seen.add(key);
    for (const { host, at } of record.history) {
      const began = Date.parse(at);
      for (const [i, kill] of kills.entries()) {
        if (host === kill.worker && began > kill.at) serveMs[i] = Math.min(serveMs[i] ?? Number.POSITIVE_INFINITY, began - kill.at);
      }
    }
  }
  return { spans, tokens, restarted, doubled, serveMs };
}

const RESTART_COLUMNS = ["restarts", ["start s", 3], ["serve s", 3], "lost"] as const;

function restartsByWorker(runs: readonly Outcome[]): TableRow[] {
  const kills = runs.flatMap(({ kills }) => kills).toSorted((a, b) => a.worker.localeCompare(b.worker));
  const names = [...new Set(kills.map(({ worker }) => worker))];
  const worst = (some: typeof kills, ms: (kill: (typeof kills)[number]) => number | null) =>
    Math.max(...some.map((kill) => (ms(kill) ?? 0) / 1000));
  const rowOf = (label: string, some: typeof kills, lost: number | null): TableRow => [
    label,
    some.length,
    worst(some, ({ restartMs }) => restartMs),
    worst(some, ({ serveMs }) => serveMs),
    lost,
  ];
  return [
    ...names.map((name) =>
      rowOf(
        name,
        kills.filter(({ worker }) => worker === name),
        null,
      ),
    ),
    rowOf("all", kills, sum(runs.map(({ lost }) => lost))),
  ];
}

function impact(calm: readonly Outcome[], killed: readonly Outcome[]): TableRow[] {
  const mean = (runs: readonly Outcome[], of: (run: Outcome) => number) => sum(runs.map(of)) / runs.length;
  const both = (label: string, of: (run: Outcome) => number, digits: number): TableRow => [
    label,
    mean(calm, of).toFixed(digits),
    mean(killed, of).toFixed(digits),
    null,
  ];
  const compared = (label: string, of: (run: Outcome) => number): TableRow => [
    label,
    mean(calm, of),
    mean(killed, of),
    (mean(killed, of) / mean(calm, of)) * 100,
  ];
  return [
    both("runtime, s", ({ seconds }) => seconds, 1),
    both("trajectories", ({ records }) => records, 0),
    both("lost", ({ lost }) => lost, 0),
    both("failed", ({ failed }) => failed, 0),
    both("doubled", ({ doubled }) => doubled, 0),
    both("restarted", ({ restarted }) => restarted, 1),
    both("agreement correctness", ({ score }) => score, 4),
    both("tokens generated", ({ tokens }) => tokens, 0),
    compared("tokens/s", ({ tokensPerSecond }) => tokensPerSecond),
    compared("trajectories/s", ({ perSecond }) => perSecond),
  ];
}
