// Ids of tool calls are made unique within a task. Some endpoints number the calls of each answer
// from `call_0`, so a conversation of several turns would have the same id many times, and a result
// could not be told from that of another call. A call with an empty id gets one. The new id goes
// into the result of the step. So it is what tools answer to, and what the model is sent later.

import type { ChatAnswer, ChatMessage } from "../model/contract.ts";
import { isJsonObject, type Json, type JsonObject } from "../task/json.ts";
import type { Hop } from "../task/task.ts";

const FIRST_ID = "call_0";
/** An id in two parts: its text, and up to nine digits at its end, which are counted up. */
const ENDING = /^(.*?)(\d{0,9})$/s;

/** The answer with ids that neither the conversation nor the history has. */
export function withOwnCallIds(
  answer: ChatAnswer,
  messages: readonly ChatMessage[],
  history: readonly Hop[],
): ChatAnswer {
  const { tool_calls: calls } = answer.message;
  if (!Array.isArray(calls)) return answer;
  const used = new Set([
    ...messages.flatMap((message) => idsOf(message.tool_calls)),
    ...history.flatMap(callIdsOf),
  ]);
  const own = (calls as readonly Json[]).map((call) => {
    if (!isJsonObject(call) || typeof call["id"] !== "string") return call;
    const id = freeId(call["id"] === "" ? FIRST_ID : call["id"], used);
    used.add(id);
    return { ...call, id };
  });
  return { ...answer, message: { ...answer.message, tool_calls: own } };
}

/** Ids of the tool calls that a step's result makes. */
export function callIdsOf({ result }: Hop): string[] {
  return isJsonObject(result) ? idsOf(result["tool_calls"]) : [];
}

function idsOf(calls: unknown): string[] {
  return (Array.isArray(calls) ? (calls as readonly JsonObject[]) : []).flatMap((call) =>
    isJsonObject(call) && typeof call["id"] === "string" ? [call["id"]] : [],
  );
}

/**
 * The id itself, or the next one that is free: `call_0` becomes `call_1`. The number keeps its
 * width, because Mistral takes only ids of nine characters.
 */
function freeId(id: string, used: ReadonlySet<string>): string {
  const [, stem = "", digits = ""] = ENDING.exec(id) ?? [];
  let free = id;
  for (let number = Number(digits) + 1; used.has(free); number++)
    free =
      digits === ""
        ? `${stem}_${number + 1}`
        : `${stem}${String(number).padStart(digits.length, "0")}`;
  return free;
}
