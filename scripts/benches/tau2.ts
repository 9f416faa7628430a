// The tau2 recipe compared with tau2 itself: gold replays of one domain by the recipe, by tau2's
// own runner, and by the floor. The floor makes the same environment and evaluator calls without
// any runner, in one Python process for each core. All run one after another on one machine. Rates
// leave out the start-up, which has its own column. The sandboxes are plain processes here, so that
// CPU and memory are counted alike. In the `served` rows both sides ask `matrix model serve` over
// HTTP, each through its own client. The bench needs scripts/tau2-python.

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { addUsed, ProcessWatch } from "./parts/processes.ts";
import { printHead, printTable } from "./parts/report.ts";

const ROOT = resolve(import.meta.dir, "../..");
const MATRIX = join(ROOT, "dist/matrix");
const OTHERS = join(import.meta.dir, "tau2_others.py");
const PYTHON = join(ROOT, ".tools/tau2/bin");
const SAMPLE_EVERY_MS = 500;
/** The default of tau2's runner. */
const RUNNER_CONCURRENCY = 3;

const { values } = parseArgs({
  options: {
    domain: { type: "string", default: "retail" },
    tasks: { type: "string", default: "114" },
    trials: { type: "string", default: "4" },
  },
});
const { domain, tasks, trials } = values;
const cores = cpus().length;
const expected = Number(tasks) * Number(trials);
if (!existsSync(PYTHON)) throw new Error("no Python with tau2: run scripts/tau2-python");

interface Measured {
  readonly label: string;
  /** Time from the first task to the last. */
  readonly seconds: number;
  readonly wallSeconds: number;
  readonly cpuSeconds: number;
  readonly peakMb: number;
}

const folder = mkdtempSync(join(tmpdir(), "matrix-bench-"));
const prompts = join(folder, "prompts.json");
const env = {
  ...process.env,
  PATH: `${PYTHON}:${process.env["PATH"]}`,
  TAU2_GOLD_PROMPTS: prompts,
};
try {
  printHead(
    `tau2: ${expected} gold replays of ${domain} (${tasks} tasks, ${trials} trials)`,
    "300",
  );
  writeFileSync(prompts, (await run(["python3", OTHERS, "prompts", domain])).stdout);
  const server = Bun.spawn(
    [
      MATRIX,
      "model",
      "serve",
      `replies=${import.meta.dir}/parts/tau2-gold.ts`,
      "--listen",
      "127.0.0.1:0",
    ],
    {
      ...{ env, stdout: "pipe", stderr: "ignore" },
    },
  );
  const url = new TextDecoder().decode((await server.stdout.getReader().read()).value).trim();
  const floor = await python(`floor, ${cores} processes`, "floor", [String(cores)]);
  const width = String(RUNNER_CONCURRENCY);
  const rows = [
    floor,
    await recipe("matrix", []),
    await python(`tau2's runner, ${width} threads`, "runner", [width]),
    await recipe(
      "matrix, served",
      ["agent", "user"].map(
        (name) => `models.${name}={ kind = "openai", base_url = "${url}", model = "gold" }`,
      ),
    ),
    await python("tau2's runner, served", "runner", [width], [url]),
  ];
  server.kill();
  printTable(
    "without start-up",
    ["tasks/h", "of floor", ["start-up s", 1], ["CPU s/task", 3], "peak MB"],
    rows.map(({ label, seconds, wallSeconds, cpuSeconds, peakMb }) => [
      label,
      (expected / seconds) * 3600,
      `${((100 * floor.seconds) / seconds).toFixed(0)} %`,
      wallSeconds - seconds,
      cpuSeconds / expected,
      peakMb,
    ]),
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function python(
  label: string,
  mode: "floor" | "runner",
  width: readonly string[],
  more: readonly string[] = [],
): Promise<Measured> {
  const { stdout, ...spent } = await run([
    "python3",
    OTHERS,
    mode,
    domain,
    ...width,
    tasks,
    trials,
    ...more,
  ]);
  return { label, seconds: Number(stdout), ...spent };
}

/**
 * Runs the recipe. One Python process has the environments, and the children of another compute the
 * rewards, so that about one process for each core is at work.
 */
async function recipe(label: string, models: readonly string[]): Promise<Measured> {
  const output = join(folder, label);
  const filter = `dataset.filter="row.domain == '${domain}' && 'base' in row.splits"`;
  const sandboxes = ["tau2", "tau2-rewards"].flatMap((name) =>
    ["engine=process", "warm=1", "count=1"].map((s) => `sandboxes.${name}.${s}`),
  );
  const command = [
    MATRIX,
    "drive",
    join(ROOT, "recipes/tau2-gold.toml"),
    "-o",
    output,
    "--json",
    "-q",
  ];
  const { stdout, ...spent } = await run([
    ...command,
    "--limit",
    tasks,
    "--trials",
    trials,
    filter,
    ...sandboxes,
    ...models,
  ]);
  const { ok, score } = JSON.parse(stdout) as { ok: number; score: { mean: number } };
  if (ok !== expected || score.mean !== 1)
    throw new Error(`not every gold replay was rewarded with 1: ${stdout}`);
  return { label, seconds: secondsOf(output), ...spent };
}

interface Timed {
  readonly timing: { readonly ended_at: string };
  readonly history: readonly { readonly at: string; readonly run_ms: number }[];
}

/** Seconds from the moment when the first environment was ready to the last record. */
function secondsOf(output: string): number {
  const records = readFileSync(join(output, "trajectories.jsonl"), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Timed);
  const loads = records.map(
    ({ history: [load] }) => Date.parse(load?.at ?? "") + (load?.run_ms ?? 0),
  );
  return (
    (Math.max(...records.map(({ timing }) => Date.parse(timing.ended_at))) - Math.min(...loads)) /
    1000
  );
}

interface Ran {
  readonly stdout: string;
  readonly wallSeconds: number;
  readonly cpuSeconds: number;
  readonly peakMb: number;
}

/** Runs a command. Returns its stdout, and the time and peak memory of all its processes. */
async function run(command: readonly string[]): Promise<Ran> {
  const began = performance.now();
  const child = Bun.spawn([...command], { stdout: "pipe", stderr: "pipe", env });
  const watch = new ProcessWatch([child.pid]);
  let peakKb = 0;
  const sampling = setInterval(() => {
    peakKb = Math.max(peakKb, treeKb(child.pid));
  }, SAMPLE_EVERY_MS);
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  const wallSeconds = (performance.now() - began) / 1000;
  clearInterval(sampling);
  const { cpuMs } = addUsed(watch.stop().values());
  console.error(
    `  ${wallSeconds.toFixed(0)} s, ${(cpuMs / 1000).toFixed(0)} s of CPU: ${command.slice(0, 4).join(" ")}`,
  );
  if (code !== 0) throw new Error(`${command.join(" ")} ended with exit ${code}: ${stderr}`);
  return { stdout, wallSeconds, cpuSeconds: cpuMs / 1000, peakMb: peakKb / 1000 };
}

/** Memory of a process and its descendants in kB. Pages that several of them share count once. */
function treeKb(root: number): number {
  const parents = new Map<number, number>();
  for (const name of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    const stat = read(`/proc/${name}/stat`);
    parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]));
  }
  const isBelow = (pid: number): boolean =>
    pid === root || (pid > 1 && isBelow(parents.get(pid) ?? 0));
  const sizes = [...parents.keys()]
    .filter(isBelow)
    .map((pid) => Number(/^Pss:\s+(\d+)/m.exec(read(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0));
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** Empty when the process has ended meanwhile. */
function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
