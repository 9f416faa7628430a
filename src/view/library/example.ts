// An example of an export, or any other row of a file, in the form of a record: every message
// becomes a hop of the role that said it, so that the page shows it as a conversation.

import type { Json, JsonObject } from "../../task/json.ts";
import { isJsonObject } from "../../task/json.ts";
import { RECORD_FORMAT } from "../../task/record.ts";

/** Columns of the formats of `matrix export` that hold messages. */
const MESSAGES = ["messages", "conversations", "prompt", "completion", "chosen", "rejected"];
/** Names that ShareGPT has for the roles of messages. */
const SHAREGPT: Readonly<Record<string, string>> = {
  human: "user",
  gpt: "assistant",
  function_call: "assistant",
  observation: "tool",
};

export function isRecord(value: JsonObject): boolean {
  return value["format"] === RECORD_FORMAT && typeof value["id"] === "string";
}

/** `number`: the place of the row in its file, from 0. */
export function recordOfExample(value: Json, number: number): JsonObject {
  const row = isJsonObject(value) ? value : { value };
  const history = MESSAGES.flatMap((column) => hopsIn(row[column] ?? null, column));
  const rest = Object.entries(row).filter(([name]) => !MESSAGES.includes(name));
  const score = row["score"] ?? row["reward"] ?? null;
  return {
    format: RECORD_FORMAT,
    id: typeof row["id"] === "string" ? row["id"] : String(number),
    trial: 0,
    seed: 0,
    attempt: 1,
    status: "ok",
    stop_reason: "completed",
    score: typeof score === "number" ? score : null,
    outcome: null,
    error: null,
    simulated: false,
    row: Object.fromEntries(history.length === 0 ? Object.entries(row) : rest),
    history: history.map((hop, index) => ({ ...hop, hop: index })),
  };
}

/** The messages of one column. Chosen and rejected answers are told apart by their role. */
function hopsIn(column: Json, name: string): readonly JsonObject[] {
  const suffix = name === "chosen" || name === "rejected" ? ` (${name})` : "";
  if (typeof column === "string") {
    const role = name === "prompt" ? "user" : "assistant";
    return [{ role: `${role}${suffix}`, result: { role, content: column } }];
  }
  if (!Array.isArray(column)) return [];
  return column.filter(isJsonObject).map((message) => {
    const said = message["role"] ?? message["from"];
    const role = typeof said === "string" ? (SHAREGPT[said] ?? said) : "unknown";
    const content = message["content"] ?? message["value"] ?? null;
    return { role: `${role}${suffix}`, result: { ...message, role, content } };
  });
}
