// The reasons with which providers end an answer, and what each says of it. The table is closed: a
// reason that is not in it may stand for an answer that was cut, so it never counts as whole. An
// endpoint behind a router can answer with the words of any provider. So all words are in one
// table, in lower case.

import type { ErrorCode } from "../../error.ts";
import type { Unanswered } from "../../task/task.ts";

/**
 * An answer is whole, or the model gave none (an outcome of the task), or the endpoint failed (the
 * code of an error, which the retries look at).
 */
export type Ending = "whole" | Unanswered | EndedByError;
type EndedByError = Extract<ErrorCode, "model_failed" | "model_bad_answer">;

/** The ending of an answer whose finish reason is not in the table. */
export const UNKNOWN_ENDING: Unanswered = "cut";

type Reasons = Partial<Readonly<Record<Ending, string>>>;

/** The words of each provider and where it lists them. No two providers disagree. */
const REASONS: readonly Reasons[] = [
  // OpenAI and Azure: Chat Completions API, `finish_reason`; Responses API, `incomplete_details`
  {
    whole: "stop tool_calls function_call",
    cut: "length max_output_tokens max_completion_tokens",
    content_filtered: "content_filter",
  },
  // Anthropic: Messages API, `stop_reason`. The client can let a paused turn go on.
  {
    whole: "end_turn tool_use stop_sequence",
    cut: "max_tokens model_context_window_exceeded pause_turn",
    refused: "refusal",
  },
  // Gemini: GenerateContent API and Vertex AI, `FinishReason`
  {
    whole: "stop",
    cut: "max_tokens",
    content_filtered:
      "safety recitation language blocklist prohibited_content spii model_armor image_safety " +
      "image_prohibited_content image_recitation image_other no_image",
    model_failed: "other finish_reason_unspecified",
    model_bad_answer:
      "malformed_function_call unexpected_tool_call too_many_tool_calls malformed_response " +
      "missing_thought_signature",
  },
  // Mistral: Chat Completions API, `finish_reason`
  { whole: "stop tool_calls", cut: "length model_length", model_failed: "error" },
  // DeepSeek: Chat Completions API, `finish_reason`. The server interrupted the answer.
  { model_failed: "insufficient_system_resource" },
  // Cohere: Chat API v2, `finish_reason`; v1, ERROR_TOXIC, ERROR_LIMIT and USER_CANCEL
  {
    whole: "complete stop_sequence tool_call",
    cut: "max_tokens error_limit",
    content_filtered: "error_toxic",
    model_failed: "error timeout user_cancel",
  },
  // Bedrock: Converse API, `stopReason`; Titan, `completionReason`
  {
    whole: "end_turn tool_use stop_sequence finish stop_criteria_met",
    cut: "max_tokens model_context_window_exceeded",
    content_filtered: "guardrail_intervened content_filtered",
    model_bad_answer: "malformed_model_output malformed_tool_use",
  },
  // vLLM: v1/engine, `FinishReason`; SGLang: managers/schedule_batch, `BaseFinishReason`
  { whole: "stop", cut: "length repetition", model_failed: "abort error" },
  // Ollama: `done_reason`. A model that was loaded or unloaded has answered nothing.
  { whole: "stop", cut: "length", model_failed: "load unload" },
  // TGI: `FinishReason`; Together: `finish_reason`
  { whole: "eos_token eos stop_sequence", cut: "length" },
  // LM Studio: `stopReason` of its own API
  {
    whole: "eosfound stopstringfound toolcalls",
    cut: "maxpredictedtokensreached contextlengthreached",
    model_failed: "userstopped modelunloaded failed",
  },
  // llama.cpp: `stop_type` of its own API
  { whole: "eos word", cut: "limit" },
  // litellm: core_helpers, `_FINISH_REASON_MAP`
  { cut: "compaction continuation", content_filtered: "escalation" },
  // Zhipu: Chat Completions API, `finish_reason`
  { content_filtered: "sensitive", model_failed: "network_error" },
  // watsonx: text chat and generation, `stop_reason`
  {
    whole: "eos_token stop_sequence",
    cut: "max_tokens token_limit time_limit not_finished",
    model_failed: "cancelled canceled error",
  },
  // Baidu: `finish_reason`
  { whole: "normal" },
  // This program's own word: endpoints answer with an error instead.
  { context_length: "context_length" },
];

const ENDINGS: ReadonlyMap<string, Ending> = new Map(
  REASONS.flatMap((reasons) =>
    Object.entries(reasons).flatMap(([ending, words]) =>
      words.split(" ").map((word) => [word, ending as Ending] as const),
    ),
  ),
);

/**
 * A finish reason as an endpoint sends it; null for an answer that has none. Until an answer ends,
 * some endpoints send an empty text or the word "null" (DashScope) with every piece.
 */
export function finishReasonFrom(value: unknown): string | null {
  return typeof value === "string" && value !== "" && value !== "null" ? value : null;
}

/** The ending that a finish reason stands for; null for a reason that is not in the table. */
export function endingOf(finishReason: string): Ending | null {
  return ENDINGS.get(finishReason.toLowerCase()) ?? null;
}
