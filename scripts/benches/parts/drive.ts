// One whole run of the compiled binary as a user would start it: a driver alone, with workers, or
// with `matrix agent` processes that join it. Memory and processor time of all are measured.

import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { addUsed, ProcessWatch, type Used } from "./processes.ts";

const BINARY = "dist/matrix";
const NOTHING: Used = { peakBytes: 0, cpuMs: 0 };

export interface DriveOptions {
  readonly recipe: string;
  /** The run directory. */
  readonly output: string;
  /** Flags and `key=value` overrides. */
  readonly args: readonly string[];
  /** The roles of each `matrix agent` that joins the driver. */
  readonly agents?: readonly string[];
  /** Called when the run begins. Its promise is awaited after the run. */
  readonly meanwhile?: (run: Running) => Promise<void>;
}

export interface Running {
  /** The driver's own workers that run now. */
  readonly workers: () => readonly Worker[];
  readonly ended: Promise<unknown>;
}

/** A worker as the driver lists it in driver.json. */
export interface Worker {
  readonly name: string;
  readonly pid: number;
}

/** The fields that the benches read from the summary of `matrix drive --json`. */
export interface Summary {
  readonly ok: number;
  readonly failed: number;
  readonly lost: number;
  readonly elapsed_ms: number;
  readonly hops: number;
  readonly usage: { readonly completion_tokens: number };
  readonly score: { readonly mean: number } | null;
  /** Bytes in bodies of all requests between processes; null without hosts. */
  readonly wire_bytes: number | null;
}

export interface Driven {
  readonly summary: Summary;
  readonly output: string;
  readonly driver: Used;
  /** Sums over all other processes. */
  readonly hosts: Used;
}

export async function drive({
  recipe,
  output,
  args,
  agents = [],
  meanwhile,
}: DriveOptions): Promise<Driven> {
  const driverFile = join(output, "driver.json");
  const listening = agents.length > 0 ? ["--listen", "127.0.0.1:0"] : [];
  const driver = spawn(["drive", recipe, "-o", output, "--json", "--quiet", ...listening, ...args]);
  const joining = agents.map((roles) => spawn(["agent", "--role", roles, "--join", driverFile]));
  const all = [driver, ...joining];
  const watch = new ProcessWatch(all.map(({ pid }) => pid));
  const said = all.map(({ stderr }) => new Response(stderr).text());
  const beside = meanwhile?.({ workers: () => workersIn(driverFile), ended: driver.exited });
  // Without this, the driver would wait for a host that cannot run.
  for (const agent of joining) void agent.exited.then((code) => code !== 0 && driver.kill());
  const [text, code] = await Promise.all([new Response(driver.stdout).text(), driver.exited]);
  const { [driver.pid]: own = NOTHING, ...others } = Object.fromEntries(watch.stop());
  for (const agent of joining) agent.kill(code === 0 ? "SIGTERM" : "SIGKILL");
  await Promise.all([beside, ...joining.map((agent) => agent.exited)]);
  if (code !== 0)
    throw new Error(
      `matrix drive ${recipe} ${args.join(" ")} exited with ${code}\n${(await Promise.all(said)).join("")}`,
    );
  return { summary: JSON.parse(text), output, driver: own, hosts: addUsed(Object.values(others)) };
}

/** A folder for the runs of a bench, removed at its end. */
export async function withFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "matrix-bench-"));
  try {
    return await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function spawn(args: readonly string[]) {
  return Bun.spawn([BINARY, ...args], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
}

function workersIn(driverFile: string): readonly Worker[] {
  return existsSync(driverFile) ? JSON.parse(readFileSync(driverFile, "utf8")).workers : [];
}
