// An agent that runs in a sandbox: a program there answers one request for each step, over its
// stdin and stdout. The request is `{"op": "step", "session": …, "task": {id, trial, seed, attempt,
// hop, role, row, state, last, history}, "settings": …}`, and its result is the step's. With
// sandboxes/matrix_agent.py or matrix-agent.mjs, such a program has ten lines.

import { createHash } from "node:crypto";
import { basename, join } from "node:path";
import { MatrixError } from "../error.ts";
import { interpreterOf } from "../recipe/interpreter.ts";
import { isOfRole } from "../recipe/process-role.ts";
import type { Recipe, RoleConfig } from "../recipe/schema/schema.ts";
import type { Command, Sandbox } from "../sandbox/contract.ts";
import type { Caller, SandboxPool } from "../sandbox/pool.ts";
import type { Reply } from "../sandbox/reply-lines.ts";
import { hopCount } from "../task/encoded.ts";
import type { JsonObject } from "../task/json.ts";
import type { Task } from "../task/task.ts";
import type { Agent } from "./contract.ts";
import { folderOf } from "./role-files.ts";

export interface SandboxedRole {
  readonly name: string;
  readonly config: RoleConfig;
  /**
   * Roles of the same sandbox, this one included. Their hops in a task's history left state there.
   */
  readonly neighbours: ReadonlySet<string>;
  /** Working folder of its program; null for the sandbox's own folder. */
  readonly cwd: string | null;
  /** Path of its program from the folder of its files; null for `exec` and `process`. */
  readonly program: string | null;
  /** Null for a program that is no Python file. */
  readonly python: PythonProgram | null;
  /** Longest time of one request. */
  readonly timeoutMs: number;
  /** Starts of a row after which a lost sandbox ends its task. */
  readonly attemptsMax: number;
  readonly pool: SandboxPool;
}

export interface PythonProgram {
  /** The interpreter and its arguments. */
  readonly command: readonly string[];
  /** True when `@agent` marks the agent, so that the library starts the file. */
  readonly isMarked: boolean;
}

/** Puts our library before the image's own PYTHONPATH. */
const WITH_BRIDGE = 'export PYTHONPATH="$MATRIX_BRIDGE${PYTHONPATH:+:$PYTHONPATH}"; exec "$@"';
const LIBRARY = "matrix_agent.py";
const LINE_BYTES_MAX = 256 * 2 ** 20;

export function createSandboxedAgent(role: SandboxedRole): Agent {
  const { config, timeoutMs } = role;
  return {
    run: async (task, { signal, tries }) => {
      const body: JsonObject = {
        op: "step",
        task: taskOf(task, config.history),
        settings: config.with,
      };
      const reply = await role.pool.call(
        callerOf(task, tries, role.neighbours),
        digestOf(body),
        async (place) => {
          const agent = { command: commandOf(role, place.sandbox), lineBytesMax: LINE_BYTES_MAX };
          const channel = await place.channel(agent);
          return channel.request({ ...body, session: place.session }, { timeoutMs, signal });
        },
        signal,
      );
      if (!reply.ok) throw failureOf(programOf(config), reply);
      return { result: reply.result };
    },
  };
}

/** The error of a program, with what it says of its place and of further tries. */
function failureOf(program: string, reply: Extract<Reply, { ok: false }>): MatrixError {
  const { kind, message, ...more } = reply;
  const cause = Object.assign(new Error(message), { stack: "" }, more);
  return new MatrixError("agent_failed", `${program}: ${kind}: ${message}`, { cause });
}

/** The caller of a step, for a sandbox that several roles share. */
export function callerOf(task: Task, tries: number, neighbours: ReadonlySet<string>): Caller {
  const { rowId, trial, attempt } = task;
  return {
    rowId,
    trial,
    attempt,
    hop: hopCount(task),
    tries,
    continues: task.history.some(({ role }) => neighbours.has(role)),
  };
}

export function digestOf(body: JsonObject): string {
  return createHash("sha256").update(JSON.stringify(body)).digest("base64url");
}

/** Sandboxes with an exec role, which may be asked what a task changed. */
export function watchedSandboxes({ roles }: Recipe): ReadonlySet<string> {
  return new Set(
    Object.values(roles).flatMap(({ agent, sandbox }) =>
      agent === "exec" && sandbox !== undefined ? [sandbox] : [],
    ),
  );
}

/** Everything about a role in a sandbox but the running sandboxes themselves. */
export function roleInSandbox(
  name: string,
  config: RoleConfig,
  { roles, sandboxes, run }: Recipe,
  parts: Pick<SandboxedRole, "program" | "python"> & { readonly cwd: string },
): Omit<SandboxedRole, "pool"> {
  const { sandbox = "" } = config;
  const neighbours = new Set(
    Object.keys(roles).filter((other) => roles[other]?.sandbox === sandbox),
  );
  const timeoutMs = sandboxes[sandbox]?.timeout ?? config.timeout;
  const attemptsMax = run.delivery === "retry" ? run.max_attempts : 1;
  const cwd = isOfRole(sandbox) ? parts.cwd : null;
  return { ...parts, name, config, neighbours, cwd, timeoutMs, attemptsMax };
}

/** The command that starts a role's program in this sandbox. */
export function commandOf(
  { name, config, cwd, program, python }: SandboxedRole,
  sandbox: Sandbox,
): Command {
  const path =
    sandbox.engine === "process" || program === null
      ? config.agent
      : `${folderOf(name)}/${program}`;
  const start =
    python === null
      ? (interpreterOf(config.agent) ?? [])
      : [...python.command, "-u", ...(python.isMarked ? [join(sandbox.bridge, LIBRARY)] : [])];
  const args = config.command ?? [...start, path];
  return {
    args: ["/bin/sh", "-c", WITH_BRIDGE, "sh", ...args],
    env: {
      MATRIX_BRIDGE: sandbox.bridge,
      ...(config.agent === "process" ? {} : { MATRIX_AGENT: path }),
    },
    ...(cwd === null ? {} : { cwd }),
  };
}

/** The program's name in errors. */
export function programOf({ agent, command }: RoleConfig): string {
  return agent === "process" ? (command ?? []).join(" ") : basename(agent);
}

function taskOf(task: Task, withHistory: boolean): JsonObject {
  const { rowId, trial, seed, attempt, role, row, state, history } = task;
  return {
    ...{ id: rowId, trial, seed, attempt, hop: hopCount(task), role, row, state },
    last: history.at(-1)?.result ?? null,
    ...(withHistory ? { history: history as unknown as readonly JsonObject[] } : {}),
  };
}
