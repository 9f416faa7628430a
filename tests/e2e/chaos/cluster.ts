// A run as its processes: a driver and hosts of the compiled binary (or of the source under another
// runtime), what the run directory says of them, and signals to each. Whatever is started for a
// cluster, by whomever, carries its mark in the environment: that is how its processes are found
// when it is no process's child any more, and how nothing else is ever killed.

import {
  closeSync,
  existsSync,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
} from "node:fs";
import { join } from "node:path";
import { BINARY } from "../../parts/binary.ts";
import { ROOT } from "../../parts/repository.ts";
import { until } from "../../parts/until.ts";

const MARK = "MATRIX_TEST_MARK";
const NEWLINE = 10;

/** DIR/driver.json. */
export interface JoinFile {
  readonly url: string;
  readonly token: string;
  readonly run: string;
  readonly driver: { readonly pid: number };
  readonly workers: readonly { readonly name: string; readonly pid: number }[];
}

export interface StartOptions {
  /** The beginning of the command line: the binary, unless the process is to run elsewhere. */
  readonly program?: readonly string[];
  /** What that is run by: `ip netns exec …`. */
  readonly inside?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * A command that was started. Its output goes to files: pipes would tie it to the fate of its own
 * children.
 */
export interface Started {
  readonly pid: number;
  /** The exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>;
  /** Null while it runs. */
  end(): number | string | null;
  stdout(): string;
  stderr(): string;
  signal(signal: NodeJS.Signals): void;
}

export class Cluster implements AsyncDisposable {
  readonly folder: string;
  /** The run directory. */
  readonly directory: string;
  readonly #mark = crypto.randomUUID();
  #starts = 0;

  constructor(folder: string, directory = join(folder, "run")) {
    this.folder = folder;
    this.directory = directory;
  }

  get joinPath(): string {
    return join(this.directory, "driver.json");
  }

  drive(recipe: string, args: readonly string[], options: StartOptions = {}): Started {
    return this.start("drive", [recipe, "-o", this.directory, "-q", ...args], options);
  }

  /** A host on the run directory's file system. */
  agent(roles: string, args: readonly string[] = [], options: StartOptions = {}): Started {
    return this.start("agent", ["--role", roles, "--join", this.joinPath, ...args], options);
  }

  start(
    command: string,
    args: readonly string[],
    { program = [BINARY], inside = [], env = {} }: StartOptions = {},
  ): Started {
    const output = join(this.folder, `${++this.#starts}-${command}`);
    const child = Bun.spawn([...inside, ...program, command, ...args], {
      cwd: this.folder,
      env: { ...process.env, ...env, [MARK]: this.#mark },
      stdin: "ignore",
      stdout: Bun.file(`${output}.stdout`),
      stderr: Bun.file(`${output}.stderr`),
    });
    const end = () => child.signalCode ?? child.exitCode;
    const read = (path: string) => (existsSync(path) ? readFileSync(path, "utf8") : "");
    return {
      pid: child.pid,
      ended: child.exited.then(() => end() ?? "unknown"),
      end,
      stdout: () => read(`${output}.stdout`),
      stderr: () => read(`${output}.stderr`),
      signal: (signal) => void signalTo(child.pid, signal),
    };
  }

  /** The driver's own account of itself; null while there is none. */
  joinFile(): JoinFile | null {
    try {
      return JSON.parse(readFileSync(this.joinPath, "utf8")) as JoinFile;
    } catch {
      return null;
    }
  }

  /** Workers that the driver says it has and that live. */
  workers(): readonly { readonly name: string; readonly pid: number }[] {
    return (this.joinFile()?.workers ?? []).filter(({ pid }) => isRunning(pid));
  }

  /** Records that are written whole. */
  recordCount(): number {
    const path = join(this.directory, "trajectories.jsonl");
    if (!existsSync(path)) return 0;
    const file = openSync(path, "r");
    try {
      const bytes = Buffer.alloc(Math.max(0, fstatSync(file).size - this.#countedBytes));
      readSync(file, bytes, 0, bytes.length, this.#countedBytes);
      for (let at = bytes.indexOf(NEWLINE); at !== -1; at = bytes.indexOf(NEWLINE, at + 1))
        this.#countedRecords++;
      this.#countedBytes += bytes.lastIndexOf(NEWLINE) + 1;
      return this.#countedRecords;
    } finally {
      closeSync(file);
    }
  }
  #countedBytes = 0;
  #countedRecords = 0;

  /** Every process that lives because of this cluster. */
  alive(): number[] {
    return readdirSync("/proc").flatMap((name) => {
      const pid = Number(name);
      return Number.isInteger(pid) && isRunning(pid) && this.#isOurs(pid) ? [pid] : [];
    });
  }

  /** Describes each live process, for a message. */
  describeAlive(): string[] {
    return this.alive().map((pid) => `${pid} (${stateOf(pid)}) ${commandOf(pid)}`);
  }

  /** Nothing lives any more that this cluster started. */
  async gone(): Promise<void> {
    try {
      await until(() => this.alive().length === 0, "no process of the run is left");
    } catch {
      throw new Error(`processes outlive their run:\n${this.describeAlive().join("\n")}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await until(() => {
      const pids = this.alive();
      for (const pid of pids) signalTo(pid, "SIGKILL");
      return pids.length === 0;
    }, "every process of the cluster is killed");
  }

  #isOurs(pid: number): boolean {
    try {
      return readFileSync(`/proc/${pid}/environ`, "utf8").includes(`${MARK}=${this.#mark}`);
    } catch {
      return false;
    }
  }
}

/** The source of this repository under a runtime: what a host of another runtime or version is. */
export function fromSource(runtime: readonly string[], root = ROOT): readonly string[] {
  return [...runtime, join(root, "src/main.ts")];
}

/** False when there is no such process any more. */
export function signalTo(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}

/** True when the process has neither ended nor become a zombie. */
export function isRunning(pid: number): boolean {
  return !["", "Z", "X"].includes(stateOf(pid));
}

/** The letter of proc(5); empty when there is no such process. */
function stateOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat[stat.lastIndexOf(")") + 2] ?? "";
  } catch {
    return "";
  }
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
  } catch {
    return "";
  }
}
