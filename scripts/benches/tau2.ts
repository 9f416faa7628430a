// tau2 beside tau2: gold replays of one domain by the recipe, by tau2's own runner, and by the floor, which is the same
// environment and evaluator calls made bare by as many Python processes. One after another on one machine. The sandboxes are
// processes here, so that CPU and memory of all three can be counted alike. Needs scripts/tau2-python.

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

const ROOT = resolve(import.meta.dir, "../..");
const PYTHON = join(ROOT, ".tools/tau2/bin");
const SAMPLE_EVERY_MS = 200;
const RUNNER_CONCURRENCY = 3; // its default

const { values } = parseArgs({ options: { domain: { type: "string", default: "retail" }, tasks: { type: "string", default: "114" } } });
const cores = cpus().length;
if (!existsSync(PYTHON)) throw new Error("no Python with tau2: run scripts/tau2-python");
const env = { ...process.env, PATH: `${PYTHON}:${process.env["PATH"]}` };

interface Measured {
  readonly label: string;
  readonly tasks: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly peakMb: number;
}

console.log(`tau2: ${values.domain}, ${cores} cores (${cpus()[0]?.model.trim()}), bun ${Bun.version}, ${new Date().toISOString()}\n`);
const floor = await python("floor", cores);
const rows = [floor, await recipe(), await python("runner", RUNNER_CONCURRENCY)];
console.log(
  ["", "tasks", "tasks/h", "of floor", "CPU s/task", "peak MB"]
    .map((title, i) => (i === 0 ? title.padEnd(22) : title.padStart(11)))
    .join(""),
);
for (const { label, tasks, seconds, cpuSeconds, peakMb } of rows) {
  const cells = [tasks, (tasks / seconds) * 3600, (tasks / seconds / (floor.tasks / floor.seconds)) * 100, cpuSeconds / tasks, peakMb];
  console.log(
    label.padEnd(22) +
      cells.map((cell, i) => (i === 3 ? cell.toFixed(3) : i === 2 ? `${cell.toFixed(0)} %` : cell.toFixed(0)).padStart(11)).join(""),
  );
}

async function python(mode: "floor" | "runner", width: number): Promise<Measured> {
  const { stdout, ...spent } = await run([
    "python3",
    join(import.meta.dir, "tau2_others.py"),
    mode,
    values.domain,
    String(width),
    values.tasks,
  ]);
  const label = mode === "floor" ? `floor, ${width} processes` : `tau2's runner, ${width} threads`;
  return { label, tasks: Number(values.tasks), seconds: Number(stdout), ...spent };
}

async function recipe(): Promise<Measured> {
  const folder = mkdtempSync(join(tmpdir(), "matrix-bench-"));
  try {
    const filter = `dataset.filter="row.domain == '${values.domain}' && 'base' in row.splits"`;
    const sandbox = ["tau2", "tau2-rewards"].flatMap((name) => [`sandboxes.${name}.engine=process`, `sandboxes.${name}.warm=1`]);
    const command = [join(ROOT, "dist/matrix"), "drive", writeRecipes(folder), "-o", join(folder, "run")];
    const { stdout, ...spent } = await run([...command, "--json", "-q", "--limit", values.tasks, filter, ...sandbox]);
    const { ok, elapsed_ms, score } = JSON.parse(stdout) as { ok: number; elapsed_ms: number; score: { mean: number } };
    if (ok !== Number(values.tasks) || score.mean !== 1) throw new Error(`not every gold replay was rewarded with 1: ${stdout}`);
    return { label: "matrix, 2 + 2 sandboxes", tasks: ok, seconds: elapsed_ms / 1000, ...spent };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The shipped recipe without its image, which plain processes do not have. */
function writeRecipes(folder: string): string {
  for (const name of ["tau2.toml", "tau2-gold.toml"]) {
    const shipped = readFileSync(join(ROOT, "recipes", name), "utf8").replaceAll(/image = .+\n/g, "");
    const placed = shipped.replaceAll('"tau2/', `"${ROOT}/recipes/tau2/`).replaceAll('"../', `"${ROOT}/`);
    writeFileSync(join(folder, name), placed);
  }
  return join(folder, "tau2-gold.toml");
}

/** What a command prints, with the CPU time and the peak memory of all its processes. */
async function run(command: readonly string[]): Promise<{ stdout: string; cpuSeconds: number; peakMb: number }> {
  const child = Bun.spawn([...command], { stdout: "pipe", stderr: "inherit", env });
  let peakKb = 0;
  const sampling = setInterval(() => {
    peakKb = Math.max(peakKb, treeKb(child.pid));
  }, SAMPLE_EVERY_MS);
  const stdout = await new Response(child.stdout).text();
  const code = await child.exited;
  clearInterval(sampling);
  if (code !== 0) throw new Error(`${command.join(" ")} ended with exit ${code}`);
  return { stdout, cpuSeconds: Number(child.resourceUsage()?.cpuTime.total ?? 0) / 1e6, peakMb: peakKb / 1000 };
}

/** Memory of a process and all below it; pages that several share are counted once. */
function treeKb(root: number): number {
  const parents = new Map<number, number>();
  for (const name of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    const stat = read(`/proc/${name}/stat`);
    parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]));
  }
  const isBelow = (pid: number): boolean => pid === root || (pid > 1 && isBelow(parents.get(pid) ?? 0));
  const sizes = [...parents.keys()]
    .filter(isBelow)
    .map((pid) => Number(/^Pss:\s+(\d+)/m.exec(read(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0));
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** Empty where the process has ended meanwhile. */
function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
