// The exec agent: it does what a task asks for in a sandbox. Commands with limits of time and output, files up and down, and
// what changed since the task came. How a command ends is the step's result, never an error.
//
// What it does stands in the last result's `tool_calls` (it is the tools of a model: `run`, `read_file`, `write_file`, `changes`;
// it answers a list of tool messages), or else in the state's `exec`, over the role's `with` table.

import * as v from "valibot";
import { MatrixError } from "../error.ts";
import { parseDuration } from "../recipe/unit.ts";
import { type ExecOutcome, exec } from "../sandbox/exec.ts";
import {
  type Change,
  compareSnapshots,
  download,
  type FileOptions,
  type Snapshot,
  takeSnapshot,
  upload,
} from "../sandbox/files.ts";
import type { Place } from "../sandbox/pool.ts";
import { isJsonObject, type Json, type JsonObject } from "../task/json.ts";
import type { Task } from "../task/task.ts";
import type { Agent } from "./contract.ts";
import { callerOf, digestOf, type SandboxedRole } from "./sandboxed.ts";

/** Of each of stdout and stderr, unless the request says otherwise. */
const OUTPUT_BYTES = 64 * 2 ** 10;
const OUTPUT_BYTES_MAX = 64 * 2 ** 20;
const FILE_BYTES_MAX = 16 * 2 ** 20;

/** Text, or bytes in base64. */
const content = v.union(
  [v.string(), v.strictObject({ base64: v.string() })],
  'text, or { base64 = "…" }',
);
const execRequest = v.strictObject({
  /** Written first, by path from the working directory. */
  files: v.optional(v.record(v.string(), content), {}),
  /** A line for the shell, or a program and its arguments. */
  command: v.optional(
    v.union(
      [v.string(), v.array(v.string())],
      "a line for the shell, or a program and its arguments",
    ),
  ),
  stdin: v.optional(v.string(), ""),
  cwd: v.optional(v.string()),
  env: v.optional(v.record(v.string(), v.string()), {}),
  /** A duration; at most the sandbox's timeout. */
  timeout: v.optional(v.string()),
  output_bytes: v.optional(
    v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(OUTPUT_BYTES_MAX)),
    OUTPUT_BYTES,
  ),
  /** Read last, by path. */
  download: v.optional(v.array(v.string()), []),
  /** Whether to say which files of the working directory changed since the task's first call. */
  changes: v.optional(v.boolean(), false),
});
type ExecRequest = v.InferOutput<typeof execRequest>;

export function createExecAgent(role: SandboxedRole): Agent {
  const work = new Work(role);
  return {
    run: async (task, { signal }) => {
      const calls = toolCallsOf(task);
      const asked = calls ?? [requestOf(task, role.config.with)];
      const result = await role
        .pool()
        .call(
          callerOf(task, role.neighbours),
          digestOf({ asked: asked as readonly JsonObject[] }),
          (place) =>
            calls === null
              ? work.do(place, asked[0] as ExecRequest, signal)
              : work.answer(place, calls, signal),
          signal,
        );
      return { result };
    },
  };
}

class Work {
  readonly #role: SandboxedRole;
  /** What stood in the working directory when a session began; a sandbox's go with it. */
  readonly #before = new WeakMap<object, Map<string, Snapshot>>();

  constructor(role: SandboxedRole) {
    this.#role = role;
  }

  async do(place: Place, request: ExecRequest, signal: AbortSignal): Promise<JsonObject> {
    const limits = { timeoutMs: this.#timeoutMs(request.timeout), signal };
    const before = request.changes ? await this.#snapshotOf(place, limits) : null;
    for (const [path, text] of Object.entries(request.files))
      await upload(place.sandbox, path, bytesOf(text), limits);
    const outcome =
      request.command === undefined
        ? {}
        : outcomeOf(await this.#run(place, request, request.command, limits));
    const files: Record<string, Json> = {};
    for (const path of request.download)
      files[path] = textOf(await download(place.sandbox, path, FILE_BYTES_MAX, limits));
    const changes = before === null ? null : await this.#changesSince(place, before, limits);
    return {
      ...outcome,
      ...(request.download.length === 0 ? {} : { files }),
      ...(changes === null ? {} : { changes }),
    };
  }

  /** Each call as a tool message, in order. What a model got wrong is told to it. */
  async answer(place: Place, calls: readonly ToolCall[], signal: AbortSignal): Promise<Json> {
    const messages: JsonObject[] = [];
    for (const call of calls)
      messages.push({
        role: "tool",
        tool_call_id: call.id,
        content: await this.#answerOne(place, call, signal),
      });
    return messages;
  }

  async #answerOne(
    place: Place,
    { name, arguments: text }: ToolCall,
    signal: AbortSignal,
  ): Promise<string> {
    try {
      const given: unknown = JSON.parse(text === "" ? "{}" : text);
      if (!isJsonObject(given)) return "Error: the arguments are no JSON object";
      return await this.#tool(place, name, given, signal);
    } catch (thrown) {
      if (thrown instanceof SyntaxError)
        return `Error: the arguments are no JSON: ${thrown.message}`;
      // A file that is not there is the model's affair; a sandbox that is not there is not.
      if (thrown instanceof MatrixError && thrown.code === "agent_failed")
        return `Error: ${thrown.message}`;
      throw thrown;
    }
  }

  async #tool(place: Place, name: string, given: JsonObject, signal: AbortSignal): Promise<string> {
    const { path, content: written, ...rest } = given;
    const settings = this.#role.config.with;
    switch (name) {
      case "run":
        return JSON.stringify(
          await this.do(place, parseRequest({ ...settings, ...given }), signal),
        );
      case "read_file":
        return JSON.stringify(
          await this.do(
            place,
            parseRequest({ ...rest, download: [textFrom(path, "path")] }),
            signal,
          ),
        );
      case "write_file":
        await this.do(
          place,
          parseRequest({
            ...rest,
            files: { [textFrom(path, "path")]: textFrom(written, "content") },
          }),
          signal,
        );
        return "ok";
      case "changes":
        return JSON.stringify(await this.do(place, parseRequest({ changes: true }), signal));
      default:
        return `Error: no tool is named ${JSON.stringify(name)}; there are run, read_file, write_file and changes`;
    }
  }

  #run(
    place: Place,
    request: ExecRequest,
    command: string | readonly string[],
    limits: FileOptions,
  ): Promise<ExecOutcome> {
    const { cwd, env, stdin, output_bytes: outputBytesMax } = request;
    const args = typeof command === "string" ? ["/bin/sh", "-c", command] : command;
    const given = { args, env, stdin: Buffer.from(stdin), outputBytesMax, ...limits };
    return exec(place.sandbox, cwd === undefined ? given : { ...given, cwd });
  }

  #timeoutMs(wanted: string | undefined): number {
    if (wanted === undefined) return this.#role.timeoutMs;
    const ms = parseDuration(wanted);
    if (ms === null)
      throw new MatrixError("agent_failed", `timeout "${wanted}" is no duration such as "90s"`);
    return Math.min(ms, this.#role.timeoutMs);
  }

  async #snapshotOf({ sandbox, session }: Place, limits: FileOptions): Promise<Snapshot> {
    const sessions = this.#before.get(sandbox) ?? new Map<string, Snapshot>();
    this.#before.set(sandbox, sessions);
    const known = sessions.get(session);
    if (known !== undefined) return known;
    const snapshot = await takeSnapshot(sandbox, ".", limits);
    sessions.set(session, snapshot);
    return snapshot;
  }

  async #changesSince(
    { sandbox }: Place,
    before: Snapshot,
    limits: FileOptions,
  ): Promise<readonly JsonObject[]> {
    const changes: readonly Change[] = compareSnapshots(
      before,
      await takeSnapshot(sandbox, ".", limits),
    );
    return changes.map(({ path, change }) => ({ path, change }));
  }
}

interface ToolCall {
  readonly id: string;
  readonly name: string;
  /** As the model wrote it. */
  readonly arguments: string;
}

/** Of the last result; null when it calls no tools. */
function toolCallsOf({ history }: Task): readonly ToolCall[] | null {
  const last = history.at(-1)?.result;
  const calls = isJsonObject(last) ? last["tool_calls"] : undefined;
  if (!Array.isArray(calls) || calls.length === 0) return null;
  return calls.map((call: Json) => {
    const { id, function: called } = isJsonObject(call) ? call : {};
    const { name, arguments: text } = isJsonObject(called) ? called : {};
    return {
      id: String(id),
      name: String(name),
      arguments: typeof text === "string" ? text : JSON.stringify(text ?? {}),
    };
  });
}

function requestOf({ state }: Task, settings: JsonObject): ExecRequest {
  const asked = isJsonObject(state) ? state["exec"] : undefined;
  return parseRequest({ ...settings, ...(isJsonObject(asked) ? asked : {}) });
}

function parseRequest(value: JsonObject): ExecRequest {
  const parsed = v.safeParse(execRequest, value);
  if (parsed.success) return parsed.output;
  const problems = parsed.issues.map(
    (issue) => `${issue.path?.map(({ key }) => String(key)).join(".") ?? ""}: ${issue.message}`,
  );
  throw new MatrixError(
    "agent_failed",
    `what is asked of the exec agent is not sound: ${problems.join("; ")}`,
  );
}

function outcomeOf({
  ending,
  exitCode,
  stdout,
  stderr,
  droppedBytes,
  durationMs,
}: ExecOutcome): JsonObject {
  return {
    ending,
    exit_code: exitCode,
    stdout: Buffer.from(stdout).toString("utf8"),
    stderr: Buffer.from(stderr).toString("utf8"),
    dropped_bytes: droppedBytes,
    duration_ms: Math.round(durationMs),
  };
}

function bytesOf(text: string | { readonly base64: string }): Uint8Array {
  return typeof text === "string" ? Buffer.from(text) : Buffer.from(text.base64, "base64");
}

/** Text where the bytes are UTF-8. */
function textOf(bytes: Uint8Array): Json {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return { base64: Buffer.from(bytes).toString("base64") };
  }
}

function textFrom(value: Json | undefined, name: string): string {
  if (typeof value === "string" && (name === "content" || value !== "")) return value;
  throw new MatrixError("agent_failed", `${name} is missing: it must be a text`);
}
