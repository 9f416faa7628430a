// Orchestration's share of a task's time, and throughput with 400 to 10,000 tasks in flight, when
// the model takes 1 s in the median. The tasks are Coral dialogues with a simulated model in the
// same process, whose latencies are log-normal. The breakdown is that of the paper's tables 2 and
// 3.

import { join } from "node:path";
import { parseArgs } from "node:util";
import { coralTasks, secondsLongAnswers } from "./parts/coral.ts";
import { createDrawnLatencies } from "./parts/drawn.ts";
import { drive, withFolder } from "./parts/drive.ts";
import { readRecords, type Span, spanOf, steadyPart, timeOf } from "./parts/records.ts";
import { printHead, printTable, sum, type TableRow } from "./parts/report.ts";
import { printShares, type Stage, stages, type TaskTime } from "./parts/shares.ts";

const IN_FLIGHT = [400, 1_000, 4_000, 10_000];
/** Number of tasks whose latencies are drawn again: enough for a p99. */
const SAMPLED_TASKS = 2_000;
const SLOWEST = 0.1;

/** A stage beside those of the paper's tables 2 and 3: all time that the model did not draw. */
const ORCHESTRATION: Stage<Breakdown> = {
  name: "orchestration",
  ms: ({ totalMs, drawnMs }) => totalMs - drawnMs,
  paper: null,
};
const ALL = [
  ...stages([80.12, 99.3, 99.92], [0.0289, 0.851, 5.73], [0.0051, 1.18, 7.34]),
  ORCHESTRATION,
];
const SLOW = [
  ...stages([99.72, 99.92, 99.97], [0.00172, 0.025, 0.093], [0.000005, 0.034, 0.128]),
  ORCHESTRATION,
];

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "0" },
    /** Number of tasks that each token runs, one after the other. */
    generations: { type: "string", default: "6" },
    turns: { type: "string", default: "4" },
    workers: { type: "string" },
  },
});

interface Breakdown extends TaskTime {
  /** Latencies that the model drew, summed. */
  readonly drawnMs: number;
}

interface Measured {
  readonly inFlight: number;
  readonly perSecond: number;
  readonly messagesPerSecond: number;
  /** Share of time in which a task held the token, averaged over all tokens. */
  readonly tokensUsed: number;
  /** Number of processors that driver and hosts kept busy. */
  readonly cores: number;
  readonly cpuMsPerTask: number;
  readonly tasks: readonly Breakdown[];
}

printHead(
  `latency: log-normal model steps, median 1 s, at most ${values.turns} turns, ${values.generations} tasks a token`,
  values.seed,
);
await withFolder(async (folder) => {
  const layouts = values.workers === undefined ? [[]] : [[], ["--workers", values.workers]];
  for (const layout of layouts) {
    const measured: Measured[] = [];
    for (const inFlight of IN_FLIGHT)
      measured.push(await measure(join(folder, `${inFlight}${layout.join("")}`), inFlight, layout));
    const where = layout.length === 0 ? "one process" : `${values.workers} workers`;
    printScaling(where, measured);
    const most = measured.at(-1);
    if (most === undefined) continue;
    const slow = most.tasks
      .toSorted((a, b) => b.totalMs - a.totalMs)
      .slice(0, Math.ceil(most.tasks.length * SLOWEST));
    printShares(`${where}, ${most.inFlight} in flight, all tasks (table 2)`, ALL, most.tasks);
    printShares(
      `${where}, ${most.inFlight} in flight, the slowest ${SLOWEST * 100} % (table 3)`,
      SLOW,
      slow,
    );
  }
  console.log(`
initialisation: time that is neither agent nor queue. orchestration: time beyond the latencies that the model drew.
in the model: share of the tokens' time that the model drew as latency. The rest is orchestration, which also makes steps late.
of linear: this share, compared with that at ${IN_FLIGHT[0]} in flight. Unlike traj/s a token, it does not depend on what was drawn.
The measured part begins when the first generation, which starts all at once, has ended, and lasts until the last admission.`);
});

async function measure(
  output: string,
  inFlight: number,
  layout: readonly string[],
): Promise<Measured> {
  const { summary, driver, hosts } = await drive({
    recipe: "recipes/coral.toml",
    output,
    args: [
      ...layout,
      ...["-n", String(inFlight), "--seed", values.seed],
      ...coralTasks(inFlight * Number(values.generations)),
      ...secondsLongAnswers(Number(values.turns)),
      ...["student", "teacher", "extractor", "matcher"].map(
        (role) => `roles.${role}.concurrency=${inFlight}`,
      ),
    ],
  });
  const spans: Span[] = [];
  const hops: number[] = [];
  for await (const record of readRecords(output)) {
    spans.push(spanOf(record));
    hops.push(record.history.length);
  }
  const steady = steadyPart(spans, inFlight);
  const steadyMs = steady.end - steady.start;
  const endsIn = ({ end }: Span) => end >= steady.start && end < steady.end;
  const ended = spans.flatMap((span, i) => (endsIn(span) ? [hops[i] ?? 0] : []));
  return {
    inFlight,
    perSecond: (ended.length / steadyMs) * 1000,
    messagesPerSecond: ((sum(ended) + ended.length) / steadyMs) * 1000,
    tokensUsed:
      sum(
        spans.map(({ start, end }) =>
          Math.max(0, Math.min(end, steady.end) - Math.max(start, steady.start)),
        ),
      ) /
      inFlight /
      steadyMs,
    cores: (driver.cpuMs + hosts.cpuMs) / summary.elapsed_ms,
    cpuMsPerTask: (driver.cpuMs + hosts.cpuMs) / summary.ok,
    tasks: await breakDown(output, ended.length, endsIn),
  };
}

/** Breaks down a sample of the tasks that ended in the steady part. */
async function breakDown(
  output: string,
  ended: number,
  isMeant: (span: Span) => boolean,
): Promise<Breakdown[]> {
  const every = Math.ceil(ended / SAMPLED_TASKS);
  const drawnOf = await createDrawnLatencies(output);
  const tasks: Breakdown[] = [];
  let met = 0;
  for await (const record of readRecords(output)) {
    if (!isMeant(spanOf(record)) || met++ % every !== 0) continue;
    tasks.push({ ...timeOf(record), drawnMs: sum(await drawnOf(record)) });
  }
  return tasks;
}

function printScaling(where: string, measured: readonly Measured[]): void {
  const inModel = ({ tasks, tokensUsed }: Measured) =>
    (tokensUsed * sum(tasks.map(({ drawnMs }) => drawnMs))) /
    sum(tasks.map(({ totalMs }) => totalMs));
  const perToken = ({ perSecond, inFlight }: Measured) => perSecond / inFlight;
  const [least] = measured;
  const rows = measured.map((one): TableRow => {
    const late = sum(one.tasks.map(({ runMs, drawnMs }) => runMs - drawnMs)) / one.tasks.length;
    const share = (of: (one: Measured) => number) =>
      least === undefined ? null : (of(one) / of(least)) * 100;
    return [
      `${one.inFlight} in flight`,
      one.perSecond,
      one.messagesPerSecond,
      share(perToken),
      inModel(one) * 100,
      share(inModel),
      late,
      one.cpuMsPerTask,
      one.cores,
    ];
  });
  const columns = [
    "traj/s",
    "messages/s",
    ["traj/s a token %", 1],
    ["in the model %", 2],
    ["of linear %", 2],
    ["late ms/task", 1],
    ["cpu ms/task", 2],
    ["cores busy", 2],
  ] as const;
  printTable(`${where}: throughput (paper: almost linear from 400 to 10,000)`, columns, rows);
}
