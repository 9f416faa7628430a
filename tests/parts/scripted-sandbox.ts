// Sandboxes in memory: real implementations of the contract, whose commands are functions of a test
// over in-memory streams, and whose starts succeed or fail as the test says.

import { PassThrough } from "node:stream";
import { MatrixError } from "../../src/error.ts";
import type {
  Command,
  EngineName,
  LimitName,
  Running,
  Sandbox,
  Sandboxes,
  SandboxSpec,
} from "../../src/sandbox/contract.ts";

/** A command that runs, seen from inside. */
export interface ScriptedProcess {
  readonly command: Command;
  readonly stdin: PassThrough;
  readonly stdout: PassThrough;
  readonly stderr: PassThrough;
  exit(code: number): void;
  /** Ends the command as its sandbox does when it goes. */
  lose(error: Error): void;
}

export interface ScriptedSandboxOptions {
  /** Runs once for each command. The default reads stdin and never ends. */
  readonly program?: (process: ScriptedProcess) => void;
  /** Reaction of a command to a kill. The default ends it with 137. */
  readonly onKill?: (process: ScriptedProcess, sandbox: ScriptedSandbox) => void;
}

export class ScriptedSandbox implements Sandbox {
  readonly engine: EngineName = "process";
  readonly unenforced: readonly LimitName[] = [];
  readonly bridge = "/matrix";
  readonly id: string;
  readonly ended: Promise<string>;
  readonly commands: Command[] = [];
  kills = 0;
  stops = 0;
  readonly #end = Promise.withResolvers<string>();
  readonly #options: ScriptedSandboxOptions;
  #gone: string | null = null;

  constructor(id = "s", options: ScriptedSandboxOptions = {}) {
    this.id = id;
    this.#options = options;
    this.ended = this.#end.promise;
  }

  async open(command: Command): Promise<Running> {
    if (this.#gone !== null) throw new MatrixError("sandbox_lost", `${this.id}: ${this.#gone}`);
    this.commands.push(command);
    const { promise: exited, resolve, reject } = Promise.withResolvers<number>();
    exited.catch(() => undefined);
    const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
    const process: ScriptedProcess = {
      ...{ command, stdin, stdout, stderr },
      exit: (code) => {
        stdout.end();
        stderr.end();
        setImmediate(() => resolve(code));
      },
      lose: reject,
    };
    void this.ended.then((why) => reject(new MatrixError("sandbox_lost", `${this.id}: ${why}`)));
    const { program = () => stdin.resume(), onKill = () => process.exit(137) } = this.#options;
    program(process);
    const kill = async (): Promise<void> => {
      this.kills++;
      onKill(process, this);
    };
    return { stdin, stdout, stderr, exited, kill };
  }

  async stop(): Promise<void> {
    this.stops++;
    this.end("it was stopped");
  }

  /** Ends the sandbox as an engine reports it. */
  end(reason: string): void {
    if (this.#gone !== null) return;
    this.#gone = reason;
    this.#end.resolve(reason);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

export class ScriptedEngine implements Sandboxes {
  readonly engine: EngineName = "process";
  readonly started: ScriptedSandbox[] = [];
  readonly specs: SandboxSpec[] = [];
  /** Errors of the next starts, in order; later starts succeed. */
  readonly failures: Error[] = [];
  /** Starts wait for it. */
  gate: Promise<unknown> = Promise.resolve();
  attempts = 0;
  readonly #options: ScriptedSandboxOptions;

  constructor(options: ScriptedSandboxOptions = {}) {
    this.#options = options;
  }

  async start(spec: SandboxSpec): Promise<ScriptedSandbox> {
    this.attempts++;
    this.specs.push(spec);
    await this.gate;
    const failure = this.failures.shift();
    if (failure !== undefined) throw failure;
    const sandbox = new ScriptedSandbox(`s${this.started.length}`, this.#options);
    this.started.push(sandbox);
    return sandbox;
  }
}

/** Lets everything that is ready run. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
}
