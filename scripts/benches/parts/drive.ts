// One whole run of the compiled binary as a user would start it, with its processes watched: a driver alone, with workers, or
// with agents of their own that join it.

import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ProcessWatch, type Used } from "./processes.ts";

const BINARY = "dist/matrix";

export interface DriveOptions {
  readonly recipe: string;
  /** The run directory. */
  readonly output: string;
  /** Flags and `key=value` overrides. */
  readonly args: readonly string[];
  /** The roles of each host process that joins the driver; none: the driver's own business. */
  readonly hosts?: readonly string[];
  /** Called when the driver was started; what it returns is awaited after the run. */
  readonly meanwhile?: (run: { readonly workers: () => readonly Worker[]; readonly ended: Promise<unknown> }) => Promise<void>;
}

/** As the driver lists them in its join file. */
export interface Worker {
  readonly name: string;
  readonly pid: number;
}

/** What the benches read of the summary that `matrix drive --json` prints. */
export interface Summary {
  readonly ok: number;
  readonly failed: number;
  readonly lost: number;
  readonly elapsed_ms: number;
  readonly hops: number;
  readonly usage: { readonly completion_tokens: number };
  readonly score: { readonly mean: number } | null;
  /** Bodies of all requests between peers; of runs with hosts. */
  readonly wire_bytes?: number;
}

export interface Driven {
  readonly summary: Summary;
  readonly output: string;
  readonly driver: Used;
  readonly hosts: Used;
}

export async function drive({ recipe, output, args, hosts = [], meanwhile }: DriveOptions): Promise<Driven> {
  const joinFile = join(output, "driver.json");
  const listening = hosts.length > 0 ? ["--listen", "127.0.0.1:0"] : [];
  const driver = spawn(["drive", recipe, "-o", output, "--json", "--quiet", ...listening, ...args]);
  const agents = hosts.map((roles) => spawn(["agent", "--role", roles, "--join", joinFile]));
  const watch = new ProcessWatch(() => [driver, ...agents, ...workersOf(joinFile)].map(({ pid }) => pid));
  const beside = meanwhile?.({ workers: () => workersOf(joinFile), ended: driver.exited });
  try {
    const text = await new Response(driver.stdout).text();
    const code = await driver.exited;
    if (code !== 0) throw new Error(`matrix drive ${recipe} ${args.join(" ")} exited with ${code}`);
    const used = watch.stop();
    await beside;
    return { summary: JSON.parse(text), output, driver: add([used.get(driver.pid)]), hosts: add(without(used, driver.pid)) };
  } finally {
    watch.stop();
    for (const agent of agents) agent.kill();
    await Promise.all(agents.map((agent) => agent.exited));
  }
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
  return Bun.spawn([BINARY, ...args], { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
}

function workersOf(joinFile: string): readonly Worker[] {
  if (!existsSync(joinFile)) return [];
  return JSON.parse(readFileSync(joinFile, "utf8")).workers ?? [];
}

function without(used: ReadonlyMap<number, Used>, driver: number): Used[] {
  return [...used].filter(([pid]) => pid !== driver).map(([, one]) => one);
}

function add(used: readonly (Used | undefined)[]): Used {
  let peakBytes = 0;
  let cpuMs = 0;
  for (const one of used) {
    peakBytes += one?.peakBytes ?? 0;
    cpuMs += one?.cpuMs ?? 0;
  }
  return { peakBytes, cpuMs };
}
