// The request of a task to the exec agent: the tool calls of the last result, or else one request,
// which is the state's `exec` over the role's `with` table.

import * as v from "valibot";
import { MatrixError } from "../error.ts";
import { isJsonObject, type Json, type JsonObject } from "../task/json.ts";
import type { Task } from "../task/task.ts";

/** Default bound of stdout, and of stderr, in bytes. */
const OUTPUT_BYTES = 64 * 2 ** 10;
const OUTPUT_BYTES_MAX = 64 * 2 ** 20;
/** Default bound of a patch in bytes. */
const PATCH_BYTES = 2 ** 20;

/** Text, or bytes in base64. */
const content = v.union(
  [v.string(), v.strictObject({ base64: v.string() })],
  'text, or { base64 = "…" }',
);
const execRequest = v.strictObject({
  /** Files that are written first, by path from the working directory. */
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
  /** A duration. The sandbox's own timeout is its upper bound. */
  timeout: v.optional(v.string()),
  output_bytes: v.optional(
    v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(OUTPUT_BYTES_MAX)),
    OUTPUT_BYTES,
  ),
  /** Paths of files that are read last. */
  download: v.optional(v.array(v.string()), []),
  /** Asks what the task changed in the working directory since its first call. */
  changes: v.optional(v.boolean(), false),
  /** Bound of the patch in bytes. */
  patch_bytes: v.optional(
    v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(OUTPUT_BYTES_MAX)),
    PATCH_BYTES,
  ),
});

export type ExecRequest = v.InferOutput<typeof execRequest>;
export type FileContent = v.InferOutput<typeof content>;

export interface ToolCall {
  readonly id: string;
  readonly name: string;
  /** JSON as the model wrote it. */
  readonly arguments: string;
}

/** The tool calls of the last result; null when it has none. */
export function toolCallsOf({ history }: Task): readonly ToolCall[] | null {
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

export function requestOf({ state }: Task, settings: JsonObject): ExecRequest {
  const asked = isJsonObject(state) ? state["exec"] : undefined;
  return parseExecRequest({ ...settings, ...(isJsonObject(asked) ? asked : {}) });
}

/** Fails with `agent_failed` and every problem of the request. */
export function parseExecRequest(value: JsonObject): ExecRequest {
  const parsed = v.safeParse(execRequest, value);
  if (parsed.success) return parsed.output;
  const problems = parsed.issues.map(
    (issue) => `${issue.path?.map(({ key }) => String(key)).join(".") ?? ""}: ${wordsOf(issue)}`,
  );
  throw new MatrixError("agent_failed", `the request cannot be read: ${problems.join("; ")}`);
}

/** A model may read this, and learns the names that it can choose from. */
function wordsOf({ expected, message }: v.BaseIssue<unknown>): string {
  if (expected !== "never") return message;
  return `there is no such key; the keys are ${Object.keys(execRequest.entries).join(", ")}`;
}
