// The exec agent does in a sandbox what a task asks for: it writes files, runs a command with
// limits of time and output, reads files, and tells what the task changed so far, by all roles of
// the sandbox. How a command ends is the step's result, never an error.
//
// Tool calls of a model (`run`, `read_file`, `write_file`, `changes`) are answered by a list of
// tool messages; any other request by one object.

import { MatrixError } from "../error.ts";
import { parseDuration } from "../recipe/unit.ts";
import { compareTrees } from "../sandbox/changes/changes.ts";
import { takeTree } from "../sandbox/changes/tree.ts";
import { type ExecOutcome, exec } from "../sandbox/exec.ts";
import { download, type FileOptions, upload } from "../sandbox/files.ts";
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

  constructor(role: SandboxedRole) {
    this.#role = role;
  }

  async perform(place: Place, request: ExecRequest, signal: AbortSignal): Promise<JsonObject> {
    const limits = { timeoutMs: this.#timeoutMs(request.timeout), signal };
    for (const [path, text] of Object.entries(request.files))
      await upload(place.sandbox, path, bytesOf(text), limits);
    const outcome =
      request.command === undefined
        ? {}
        : outcomeOf(await this.#run(place, request, request.command, limits));
    const files: Record<string, Json> = {};
    for (const path of request.download)
      files[path] = textOf(await download(place.sandbox, path, FILE_BYTES_MAX, limits));
    return {
      ...outcome,
      ...(request.download.length === 0 ? {} : { files }),
      ...(request.changes ? await changesIn(place, request.patch_bytes, limits) : {}),
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
        return perform(withCommand({ ...this.#role.config.with, ...given }));
      case "read_file":
        return perform({ ...rest, download: [textFrom(path, "path")] });
      case "write_file":
        await perform({
          ...rest,
          files: { [textFrom(path, "path")]: textFrom(content, "content") },
        });
        return "ok";
      case "changes":
        return perform({ ...patchBytes(this.#role.config.with), changes: true });
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
}

/** Answers with the changes of the task in the working directory, and with the patch. */
async function changesIn(
  place: Place,
  patchBytesMax: number,
  limits: FileOptions,
): Promise<JsonObject> {
  const before = await place.before();
  const after = await takeTree(place.sandbox, ".", { ...limits, keep: (content) => content });
  const { changes, ...more } = compareTrees(before, after, patchBytesMax);
  return { changes: changes.map((change) => ({ ...change })), ...more };
}

/** A call of `run` without a command would do nothing and look like a success. */
function withCommand(request: JsonObject): JsonObject {
  if (request["command"] !== undefined) return request;
  throw new MatrixError(
    "agent_failed",
    `command is missing: it must be a line for the shell, or a program and its arguments`,
  );
}

/** The limit of a patch that the role sets for the tools of its model. */
function patchBytes({ patch_bytes: bytes }: JsonObject): JsonObject {
  return bytes === undefined ? {} : { patch_bytes: bytes };
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
