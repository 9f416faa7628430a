// The exec agent does in a sandbox what a task asks for: it writes files, runs a command with
// limits of time and output, reads files, and lists what changed since the task came. How a command
// ends is the step's result, never an error.
//
// Tool calls of a model (`run`, `read_file`, `write_file`, `changes`) are answered by a list of
// tool messages; any other request by one object.

import { MatrixError } from "../error.ts";
import { parseDuration } from "../recipe/unit.ts";
import { type ExecOutcome, exec } from "../sandbox/exec.ts";
import {
  compareSnapshots,
  download,
  type FileOptions,
  type Snapshot,
  takeSnapshot,
  upload,
} from "../sandbox/files.ts";
import type { Place } from "../sandbox/pool.ts";
import { isTooDeep, TOO_DEEP } from "../task/depth.ts";
import { parseJson } from "../task/exact.ts";
import { isJsonObject, type Json, type JsonObject } from "../task/json.ts";
import type { Agent } from "./contract.ts";
import {
  type ExecRequest,
  type FileContent,
  parseExecRequest,
  requestOf,
  type ToolCall,
  toolCallsOf,
} from "./exec-request.ts";
import { callerOf, digestOf, type SandboxedRole } from "./sandboxed.ts";

const FILE_BYTES_MAX = 16 * 2 ** 20;

export function createExecAgent(role: SandboxedRole): Agent {
  const steps = new ExecSteps(role);
  return {
    run: async (task, { signal, tries }) => {
      const calls = toolCallsOf(task);
      const request = calls === null ? requestOf(task, role.config.with) : null;
      const asked = (calls ?? [request]) as readonly JsonObject[];
      const result = await role.pool.call(
        callerOf(task, tries, role.neighbours),
        digestOf({ asked }),
        (place) =>
          request === null
            ? steps.answerAll(place, calls ?? [], signal)
            : steps.perform(place, request, signal),
        signal,
      );
      return { result };
    },
  };
}

class ExecSteps {
  readonly #role: SandboxedRole;
  /** Files of the working directory when each session began. They are dropped with the sandbox. */
  readonly #before = new WeakMap<object, Map<string, Snapshot>>();

  constructor(role: SandboxedRole) {
    this.#role = role;
  }

  async perform(place: Place, request: ExecRequest, signal: AbortSignal): Promise<JsonObject> {
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

  /** Answers each call with a tool message, in order. */
  async answerAll(place: Place, calls: readonly ToolCall[], signal: AbortSignal): Promise<Json> {
    const messages: JsonObject[] = [];
    for (const call of calls)
      messages.push({
        role: "tool",
        tool_call_id: call.id,
        content: await this.#answer(place, call, signal),
      });
    return messages;
  }

  /** A mistake of the model is an answer to the model. */
  async #answer(
    place: Place,
    { name, arguments: text }: ToolCall,
    signal: AbortSignal,
  ): Promise<string> {
    try {
      const given = parseJson(text === "" ? "{}" : text);
      if (!isJsonObject(given)) return "Error: the arguments are not a JSON object";
      if (isTooDeep(given)) return `Error: the argument ${TOO_DEEP}`;
      return await this.#callTool(place, name, given, signal);
    } catch (thrown) {
      if (thrown instanceof SyntaxError)
        return `Error: the arguments are not JSON: ${thrown.message}`;
      // A missing file is the model's mistake; a missing sandbox is not.
      if (thrown instanceof MatrixError && thrown.code === "agent_failed")
        return `Error: ${thrown.message}`;
      throw thrown;
    }
  }

  async #callTool(
    place: Place,
    name: string,
    given: JsonObject,
    signal: AbortSignal,
  ): Promise<string> {
    const { path, content, ...rest } = given;
    const perform = async (request: JsonObject) =>
      JSON.stringify(await this.perform(place, parseExecRequest(request), signal));
    switch (name) {
      case "run":
        return perform({ ...this.#role.config.with, ...given });
      case "read_file":
        return perform({ ...rest, download: [textFrom(path, "path")] });
      case "write_file":
        await perform({
          ...rest,
          files: { [textFrom(path, "path")]: textFrom(content, "content") },
        });
        return "ok";
      case "changes":
        return perform({ changes: true });
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
      throw new MatrixError("agent_failed", `timeout "${wanted}" is not a duration such as "90s"`);
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
    const changes = compareSnapshots(before, await takeSnapshot(sandbox, ".", limits));
    return changes.map(({ path, change }) => ({ path, change }));
  }
}

function outcomeOf(outcome: ExecOutcome): JsonObject {
  // The duration is left out: a model reads this, and a request must repeat exactly.
  const { ending, exitCode, stdout, stderr, droppedBytes } = outcome;
  return {
    ending,
    exit_code: exitCode,
    stdout: Buffer.from(stdout).toString("utf8"),
    stderr: Buffer.from(stderr).toString("utf8"),
    dropped_bytes: droppedBytes,
  };
}

function bytesOf(content: FileContent): Uint8Array {
  return typeof content === "string" ? Buffer.from(content) : Buffer.from(content.base64, "base64");
}

/** Text when the bytes are UTF-8, else base64. */
function textOf(bytes: Uint8Array): FileContent {
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
