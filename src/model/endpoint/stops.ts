// Recognizes that an endpoint has no whole answer: the request is too long, the model refuses, a
// filter or a token limit ends the answer. These are outcomes of the task, each with its stop
// reason. Everything else that an endpoint says is an error.

import { isJsonObject, type Json } from "../../task/json.ts";
import type { Unanswered } from "../../task/task.ts";
import type { ChatAnswer } from "../contract.ts";

const FINISHED: Readonly<Record<string, Unanswered>> = {
  length: "cut",
  content_filter: "content_filtered",
  refusal: "refused",
  /** This program's own word: endpoints answer with an error instead. */
  context_length: "context_length",
};

/** Outcomes by the code or the type of an error. */
const CODES: Readonly<Record<string, Unanswered>> = {
  context_length_exceeded: "context_length", // OpenAI, Azure
  exceed_context_size_error: "context_length", // llama.cpp, tools/server
  model_context_window_exceeded: "context_length", // Z.ai
  content_filter: "content_filtered", // Azure
  content_policy_violation: "content_filtered", // OpenAI
};

/** Messages of errors that have no telling code. */
const TOO_LONG: readonly RegExp[] = [
  // vLLM, SGLang ("Requested token count exceeds …"), Mistral, older OpenAI
  /maximum context length/i,
  /longer than the (?:maximum model length|model's context length)/i, // vLLM; SGLang, Together
  /max_tokens must be at least 1, got -/i, // vLLM before 0.6, where the prompt leaves no room
  /exceeds? the available context size/i, // llama.cpp
  /inputs` tokens \+ `max_new_tokens` must be/i, // TGI
  /prompt is too long: \d+ tokens/i, // Anthropic
  /input token count.*exceeds the maximum number of tokens/i, // Gemini
  /maximum prompt length is \d+/i, // xAI
];

/** The reason why an answer is not whole; null for a whole answer. */
export function unansweredOf({
  finishReason,
  message,
}: Pick<ChatAnswer, "finishReason" | "message">): Unanswered | null {
  if (typeof message["refusal"] === "string" && message["refusal"] !== "") return "refused";
  return FINISHED[finishReason] ?? null;
}

/** The same for a role's result: a message that keeps its `finish_reason`, or any other JSON. */
export function unansweredResult(result: Json): Unanswered | null {
  if (!isJsonObject(result)) return null;
  const { finish_reason: finishReason = "stop" } = result;
  return unansweredOf({
    message: result as ChatAnswer["message"],
    finishReason: String(finishReason),
  });
}

/** The outcome that an endpoint's error stands for; null for a true error. */
export function unansweredError(codes: readonly string[], message: string): Unanswered | null {
  const known = codes.map((code) => CODES[code]).find((reason) => reason !== undefined);
  return known ?? (TOO_LONG.some((pattern) => pattern.test(message)) ? "context_length" : null);
}
