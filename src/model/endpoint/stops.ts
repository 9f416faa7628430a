// Recognizes that an endpoint has no whole answer: the request is too long, the model refuses, a
// filter or a token limit ends the answer. These are outcomes of the task, each with its stop
// reason. Everything else that an endpoint says is an error.

import { isJsonObject, type Json } from "../../task/json.ts";
import { isUnanswered, type Unanswered } from "../../task/task.ts";
import type { ChatAnswer } from "../contract.ts";
import { endingOf, finishReasonFrom, UNKNOWN_ENDING } from "./finish-reasons.ts";

/** Outcomes by the code or the type of an error. */
const CODES: Readonly<Record<string, Unanswered>> = {
  context_length_exceeded: "context_length", // OpenAI, Azure, Groq, OpenRouter
  exceed_context_size_error: "context_length", // llama.cpp, tools/server
  model_context_window_exceeded: "context_length", // Z.ai
  content_filter: "content_filtered", // Azure
  content_policy_violation: "content_filtered", // OpenAI
  ContextWindowExceededError: "context_length", // litellm
  ContentPolicyViolationError: "content_filtered", // litellm
};

/** Messages of errors that have no telling code. */
const TOO_LONG: readonly RegExp[] = [
  // vLLM, SGLang ("Requested token count exceeds …"), Mistral ("too large for model with …"),
  // OpenRouter, older OpenAI
  /maximum context length/i,
  /longer than the (?:maximum model length|model's context length)/i, // vLLM; SGLang, Together
  /max_tokens must be at least 1, got -/i, // vLLM before 0.6, where the prompt leaves no room
  /exceeds? the available context size/i, // llama.cpp
  /ContextWindowExceeded/i, // litellm, which begins its messages with the name of its error
  /exceeds? the context window/i, // OpenAI (Responses API)
  /exceeds? (?:the )?(?:model(?:'s)? )?context (?:limit|length|window)/i, // Anthropic, Ollama
  /context window exceeds limit/i, // MiniMax
  // LM Studio: too long at once, and too long while it answered
  /tokens to keep from the initial prompt is greater than the context length/i,
  /context length of only \d+ tokens/i,
  /reached context length of \d+ tokens/i,
  /context (?:size|length|window) (?:(?:has been|was) )?exceeded/i,
  /prompt too long; exceeded (?:max )?context length/i, // Ollama
  /input is too long/i, // Bedrock, Replicate
  /too many input tokens(?!.*per minute)/i, // Bedrock
  /prompt tokens \(\d+\) exceed model maximum/i, // Bedrock (Mantle)
  /expected maxLength: \d+/i, // Bedrock, of the length of a prompt in characters
  // Cohere: "too many tokens: total number of tokens in the prompt cannot exceed …". Limits on
  // rates speak of a minute, or ask to wait.
  /too many tokens: (?!.*(?:per minute|\bwait\b))/i,
  /(?:inputs` tokens \+ `max_new_tokens`|`inputs`) must (?:be|have less than)/i, // TGI
  /input length \(?\d+(?: tokens)?\)? exceeds/i, // SGLang; Poolside
  /prompt is too long: /i, // Anthropic
  /input token count.*exceeds the maximum number of tokens/i, // Gemini
  /maximum prompt length is \d+/i, // xAI
  /(?:prompt|input) has too many tokens/i, // AI21
  /reduce the length of the (?:messages|input|prompt)/i, // Groq, OpenAI
  /current length is \d+ while limit is \d+/i, // Cerebras
  /range of input length should be/i, // DashScope
  /prompt exceeds max length/i, // Zhipu
  /exceeded model token limit/i, // Moonshot
  /prompt token count of \d+ exceeds the limit/i, // GitHub Copilot
];

/**
 * The reason why an answer is not whole; null for a whole answer. A result whose finish reason is an
 * error of the endpoint comes from a user's program and counts as cut.
 */
export function unansweredOf({
  finishReason,
  message,
}: Pick<ChatAnswer, "finishReason" | "message">): Unanswered | null {
  if (typeof message["refusal"] === "string" && message["refusal"] !== "") return "refused";
  const ending = endingOf(finishReason) ?? UNKNOWN_ENDING;
  if (ending === "whole") return null;
  return isUnanswered(ending) ? ending : "cut";
}

/** The same for a role's result: a message that keeps its `finish_reason`, or any other JSON. */
export function unansweredResult(result: Json): Unanswered | null {
  if (!isJsonObject(result)) return null;
  return unansweredOf({
    message: result as ChatAnswer["message"],
    finishReason: finishReasonFrom(result["finish_reason"]) ?? "stop",
  });
}

/** The outcome that an endpoint's error stands for; null for a true error. */
export function unansweredError(codes: readonly string[], message: string): Unanswered | null {
  const known = codes.map((code) => CODES[code]).find((reason) => reason !== undefined);
  if (known !== undefined) return known;
  return TOO_LONG.some((pattern) => pattern.test(message)) ? "context_length" : null;
}
