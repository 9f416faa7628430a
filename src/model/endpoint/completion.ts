// From the body of a chat completion, which may be anything, to a ChatAnswer or a MatrixError.

import { MatrixError } from "../../error.ts";
import { isJsonObject, type Json, type JsonObject } from "../../task/json.ts";
import type { ChatAnswer } from "../contract.ts";
import { SIMULATED_FINGERPRINT } from "../simulated.ts";
import { unansweredOf } from "./stops.ts";
import { usageOf } from "./usage.ts";

/** Finish reasons with which vLLM, SGLang and OpenRouter give an answer up. */
const GIVEN_UP = ["abort", "error"];

/**
 * Fails with `model_bad_answer` when the value is not a completion or is an empty one, and with
 * `model_failed` when the endpoint gave the answer up. The message keeps what `sampling` asked for
 * beside the text (log probabilities, token ids).
 */
export function parseCompletion(completion: unknown): ChatAnswer {
  const whole = isJsonObject(completion) ? completion : {};
  const choice = Array.isArray(whole["choices"]) ? whole["choices"][0] : undefined;
  if (!isJsonObject(choice) || !isJsonObject(choice["message"]))
    throw badAnswer("it has no choices");
  const finishReason =
    typeof choice["finish_reason"] === "string" ? choice["finish_reason"] : "stop";
  if (GIVEN_UP.includes(finishReason))
    throw new MatrixError(
      "model_failed",
      `the endpoint gave the answer up: finish_reason ${finishReason}`,
    );
  const { logprobs, token_ids } = choice;
  const { prompt_token_ids, prompt_logprobs } = whole;
  const kept = withoutNulls({
    ...choice["message"],
    logprobs,
    token_ids,
    prompt_token_ids,
    prompt_logprobs,
  });
  const calls = callsFrom(kept["tool_calls"]);
  delete kept["tool_calls"];
  if (calls.length > 0) kept["tool_calls"] = calls;
  const content = textFrom(kept["content"]);
  const message = { ...kept, role: "assistant" as const, content };
  if (content === null && calls.length === 0 && unansweredOf({ message, finishReason }) === null)
    throw badAnswer("the message is empty");
  const label =
    whole["system_fingerprint"] === SIMULATED_FINGERPRINT ? { simulated: true as const } : {};
  return { message, finishReason, ...label, usage: usageOf(whole, choice) };
}

/** The error for an answer that is JSON, but no completion. */
export function badAnswer(what: string): MatrixError {
  return new MatrixError("model_bad_answer", `the answer is not a chat completion: ${what}`);
}

/** Text, or the text of a list of parts; null when there is none. */
function textFrom(content: Json | undefined): string | null {
  const parts = Array.isArray(content)
    ? content.map((part) => (isJsonObject(part) ? part["text"] : null))
    : [content];
  const text = parts.filter((part) => typeof part === "string").join("");
  return text === "" ? null : text;
}

/** Arguments stay the text that the model wrote. A call without an id gets `call_N`. */
function callsFrom(calls: Json | undefined): JsonObject[] {
  return (Array.isArray(calls) ? (calls as readonly Json[]) : []).map((call, index) => {
    const called = isJsonObject(call) ? call["function"] : undefined;
    if (
      !isJsonObject(call) ||
      !isJsonObject(called) ||
      typeof called["name"] !== "string" ||
      typeof called["arguments"] !== "string"
    )
      throw badAnswer(`its tool call ${index} has no name, or its arguments are not text`);
    return {
      ...call,
      id: typeof call["id"] === "string" && call["id"] !== "" ? call["id"] : `call_${index}`,
      type: "function",
    };
  });
}

function withoutNulls(table: Readonly<Record<string, Json | undefined>>): Record<string, Json> {
  return Object.fromEntries(
    Object.entries(table).filter((entry): entry is [string, Json] => entry[1] != null),
  );
}
