// A host is killed every 10 s: restarts, time to recover, lost and doubled tasks, and throughput
// compared with undisturbed runs. The tasks are Coral dialogues with a simulated model that takes
// 1 s in the median, as in the paper's tables 5 and 6. Disturbed and undisturbed runs alternate.

import { rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { coralTasks, secondsLongAnswers } from "./parts/coral.ts";
import { drive, withFolder } from "./parts/drive.ts";
import { type Kill, killInTurn } from "./parts/kills.ts";
import { readRecords, type Span, spanOf, steadyPart } from "./parts/records.ts";
import { printHead, printTable, sum, type TableRow } from "./parts/report.ts";

const RESTART_COLUMNS = ["restarts", ["start s", 3], ["serve s", 3], "lost"] as const;

/**
 * The paper's table 5, where an actor is killed every 10 minutes: restarts, seconds, lost tasks.
 */
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
    /** Number of tasks that each token runs, one after the other. */
    generations: { type: "string", default: "12" },
    workers: { type: "string", default: "4" },
    "every-s": { type: "string", default: "10" },
    /** Number of pairs of an undisturbed and a disturbed run. */
    rounds: { type: "string", default: "2" },
    seed: { type: "string", default: "0" },
  },
});
const inFlight = Number(values["in-flight"]);

interface Outcome {
  readonly seconds: number;
  readonly records: number;
  readonly lost: number;
  readonly failed: number;
  readonly doubled: number;
  /** Number of tasks that began again from their row. */
  readonly restarted: number;
  readonly score: number;
  readonly tokens: number;
  readonly tokensPerSecond: number;
  readonly perSecond: number;
  readonly kills: readonly Kill[];
}

printHead(
  `faults: ${values.workers} hosts, ${inFlight} in flight, a host killed every ${values["every-s"]} s`,
  values.seed,
);
await withFolder(async (folder) => {
  const calm: Outcome[] = [];
  const killed: Outcome[] = [];
  for (let round = 0; round < Number(values.rounds); round++) {
    // The order alternates, so that a machine that slows down favours neither kind of run.
    const order = [false, true];
    for (const kills of round % 2 === 0 ? order : order.reverse())
      (kills ? killed : calm).push(await run(join(folder, "run"), kills));
  }
  printTable("paper, table 5: actors restarted", RESTART_COLUMNS, PAPER_RESTARTS);
  printTable("ours: hosts restarted", RESTART_COLUMNS, restartsByWorker(killed));
  const columns = ["no crash", "with crash", ["%", 1]] as const;
  printTable("paper, table 6: impact of restarts", columns, PAPER_IMPACT);
  printTable(
    `ours: impact of restarts, means of ${values.rounds} runs each`,
    columns,
    impact(calm, killed),
  );
});
console.log(`
start: longest time from a kill until the replacement's process was started. serve: longest time until it began its first step.
Rates count the time in which all tokens were in use. Restarted tasks began again from their row; all others continued at the hop
that they had reached.`);

async function run(output: string, isDisturbed: boolean): Promise<Outcome> {
  const kills: Kill[] = [];
  const { summary } = await drive({
    recipe: "recipes/coral.toml",
    output,
    args: [
      ...["--workers", values.workers, "-n", String(inFlight), "--seed", values.seed],
      ...coralTasks(inFlight * Number(values.generations)),
      ...secondsLongAnswers(4),
    ],
    ...(isDisturbed
      ? { meanwhile: (running) => killInTurn(running, Number(values["every-s"]) * 1000, kills) }
      : {}),
  });
  const ended: (Span & { readonly tokens: number })[] = [];
  const seen = new Set<string>();
  let restarted = 0;
  for await (const record of readRecords(output)) {
    ended.push({ ...spanOf(record), tokens: record.usage.completion_tokens });
    seen.add(`${record.id}/${record.trial}`);
    if (record.attempt > 1) restarted++;
    for (const hop of record.history) for (const kill of kills) kill.see(hop);
  }
  rmSync(output, { recursive: true });
  const steady = steadyPart(ended, inFlight);
  const seconds = (steady.end - steady.start) / 1000;
  const inSteady = ended.filter(({ end }) => end >= steady.start && end < steady.end);
  return {
    seconds: summary.elapsed_ms / 1000,
    records: ended.length,
    lost: summary.lost,
    failed: summary.failed,
    doubled: ended.length - seen.size,
    restarted,
    score: summary.score?.mean ?? 0,
    tokens: summary.usage.completion_tokens,
    perSecond: inSteady.length / seconds,
    tokensPerSecond: sum(inSteady.map(({ tokens }) => tokens)) / seconds,
    kills,
  };
}

function restartsByWorker(runs: readonly Outcome[]): TableRow[] {
  const kills = runs.flatMap(({ kills }) => kills);
  const lost = sum(runs.map(({ lost }) => lost));
  const names = [...new Set(kills.map(({ worker }) => worker))].sort();
  const killsOf = (name: string) => kills.filter(({ worker }) => worker === name);
  return [
    ...names.map((name) => restartRow(name, killsOf(name), null)),
    restartRow("all", kills, lost),
  ];
}

function restartRow(label: string, kills: readonly Kill[], lost: number | null): TableRow {
  const worstSeconds = (times: readonly (number | null)[]) => {
    const known = times.filter((ms) => ms !== null);
    return known.length === 0 ? null : Math.max(...known) / 1000;
  };
  return [
    label,
    kills.length,
    worstSeconds(kills.map(({ startMs }) => startMs)),
    worstSeconds(kills.map(({ serveMs }) => serveMs)),
    lost,
  ];
}

function impact(calm: readonly Outcome[], killed: readonly Outcome[]): TableRow[] {
  const mean = (runs: readonly Outcome[], of: (run: Outcome) => number) =>
    sum(runs.map(of)) / runs.length;
  const row = (label: string, of: (run: Outcome) => number, digits = 0): TableRow => {
    const means = [mean(calm, of), mean(killed, of)] as const;
    return [
      label,
      ...means.map((one) => one.toFixed(digits)),
      means[0] === 0 ? null : (means[1] / means[0]) * 100,
    ];
  };
  return [
    row("runtime, s", ({ seconds }) => seconds, 1),
    row("trajectories", ({ records }) => records),
    row("lost", ({ lost }) => lost),
    row("failed", ({ failed }) => failed),
    row("doubled", ({ doubled }) => doubled),
    row("restarted", ({ restarted }) => restarted, 1),
    row("agreement correctness", ({ score }) => score, 4),
    row("tokens generated", ({ tokens }) => tokens),
    row("tokens/s", ({ tokensPerSecond }) => tokensPerSecond),
    row("trajectories/s", ({ perSecond }) => perSecond),
  ];
}
