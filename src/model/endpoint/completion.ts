// Turns the body of a chat completion, which may be anything, into a ChatAnswer or a MatrixError.

import { MatrixError } from "../../error.ts";
import { isTooDeep, TOO_DEEP } from "../../task/depth.ts";
import { isJsonObject, type Json } from "../../task/json.ts";
import { isUnanswered } from "../../task/task.ts";
import type { ChatAnswer } from "../contract.ts";
import { SIMULATED_FINGERPRINT } from "../simulated.ts";
import { withTextContent } from "./content.ts";
import { endingOf, finishReasonFrom } from "./finish-reasons.ts";
import { unansweredOf } from "./stops.ts";
import { callsFrom } from "./tool-calls.ts";
import { usageOf } from "./usage.ts";

/**
 * Fails with `model_bad_answer` when the value is not a completion or is an empty one, and with
 * `model_failed` when the endpoint gave the answer up. The message keeps what `sampling` asked for
 * beside the text (log probabilities, token ids).
 */
export function parseCompletion(completion: unknown, takesMalformed = false): ChatAnswer {
  if (isTooDeep(completion)) throw badAnswer(`it ${TOO_DEEP}`);
  const whole = isJsonObject(completion) ? completion : {};
  const choice = Array.isArray(whole["choices"]) ? whole["choices"][0] : undefined;
  if (!isJsonObject(choice) || !isJsonObject(choice["message"]))
    throw badAnswer("it has no choices");
  // An answer that was sent in one piece has ended, even if the endpoint gives no reason.
  const finishReason = finishReasonFrom(choice["finish_reason"]) ?? "stop";
  const ending = endingOf(finishReason);
  if (ending !== null && ending !== "whole" && !isUnanswered(ending))
    throw new MatrixError(ending, `the endpoint gave the answer up: finish_reason ${finishReason}`);
  const { logprobs, token_ids } = choice;
  const { prompt_token_ids, prompt_logprobs } = whole;
  const kept = withoutNulls({
    ...withTextContent(choice["message"]),
    logprobs,
    token_ids,
    prompt_token_ids,
    prompt_logprobs,
  });
  const { function_call: older } = kept;
  // The call of older endpoints, which have one at most and give it no id.
  const calls = callsFrom(
    kept["tool_calls"] ?? (older === undefined ? [] : [{ function: older }]),
    takesMalformed,
  );
  delete kept["tool_calls"];
  delete kept["function_call"];
  if (calls.length > 0) kept["tool_calls"] = calls;
  const content = isText(kept["content"]) ? kept["content"] : null;
  const message = { ...kept, role: "assistant" as const, content };
  if (content === null && calls.length === 0 && unansweredOf({ message, finishReason }) === null)
    throw badAnswer("the message is empty", new EmptyMessage({ message, finishReason }));
  const label =
    whole["system_fingerprint"] === SIMULATED_FINGERPRINT ? { simulated: true as const } : {};
  const { model } = whole;
  const named = typeof model === "string" && model !== "" ? { responseModel: model } : {};
  return { message, finishReason, ...label, usage: usageOf(whole, choice), ...named };
}

/** The cause of the error for a message that is empty. */
export class EmptyMessage extends Error {
  readonly said: Pick<ChatAnswer, "message" | "finishReason">;

  constructor(said: EmptyMessage["said"]) {
    super("the message is empty");
    this.said = said;
  }
}

/** The error for an answer that is JSON, but no completion. */
export function badAnswer(what: string, cause?: EmptyMessage): MatrixError {
  return new MatrixError(
    "model_bad_answer",
    `the answer is not a chat completion: ${what}`,
    cause === undefined ? {} : { cause },
  );
}

function isText(value: Json | undefined): value is string {
  return typeof value === "string" && value !== "";
}

function withoutNulls(table: Readonly<Record<string, Json | undefined>>): Record<string, Json> {
  return Object.fromEntries(
    Object.entries(table).filter((entry): entry is [string, Json] => entry[1] != null),
  );
}
