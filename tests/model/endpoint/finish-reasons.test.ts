// Finish reasons: the words of each provider, and what each says of an answer.

import { expect, test } from "bun:test";
import {
  type Ending,
  endingOf,
  finishReasonFrom,
} from "../../../src/model/endpoint/finish-reasons.ts";

const words: Readonly<Record<string, Readonly<Record<string, Ending>>>> = {
  OpenAI: {
    stop: "whole",
    length: "cut",
    tool_calls: "whole",
    function_call: "whole",
    content_filter: "content_filtered",
    max_output_tokens: "cut",
  },
  Anthropic: {
    end_turn: "whole",
    max_tokens: "cut",
    stop_sequence: "whole",
    tool_use: "whole",
    pause_turn: "cut",
    refusal: "refused",
    model_context_window_exceeded: "cut",
  },
  Gemini: {
    STOP: "whole",
    MAX_TOKENS: "cut",
    SAFETY: "content_filtered",
    RECITATION: "content_filtered",
    LANGUAGE: "content_filtered",
    BLOCKLIST: "content_filtered",
    PROHIBITED_CONTENT: "content_filtered",
    SPII: "content_filtered",
    MODEL_ARMOR: "content_filtered",
    IMAGE_SAFETY: "content_filtered",
    OTHER: "model_failed",
    FINISH_REASON_UNSPECIFIED: "model_failed",
    MALFORMED_FUNCTION_CALL: "model_bad_answer",
    UNEXPECTED_TOOL_CALL: "model_bad_answer",
    TOO_MANY_TOOL_CALLS: "model_bad_answer",
  },
  Mistral: { stop: "whole", length: "cut", model_length: "cut", error: "model_failed" },
  DeepSeek: { insufficient_system_resource: "model_failed" },
  Cohere: {
    COMPLETE: "whole",
    STOP_SEQUENCE: "whole",
    TOOL_CALL: "whole",
    MAX_TOKENS: "cut",
    ERROR: "model_failed",
    TIMEOUT: "model_failed",
    ERROR_TOXIC: "content_filtered",
    ERROR_LIMIT: "cut",
    USER_CANCEL: "model_failed",
  },
  Bedrock: {
    end_turn: "whole",
    tool_use: "whole",
    guardrail_intervened: "content_filtered",
    content_filtered: "content_filtered",
    malformed_model_output: "model_bad_answer",
    malformed_tool_use: "model_bad_answer",
  },
  "vLLM and SGLang": { stop: "whole", length: "cut", abort: "model_failed", repetition: "cut" },
  Ollama: { stop: "whole", length: "cut", load: "model_failed", unload: "model_failed" },
  "TGI and Together": { eos_token: "whole", eos: "whole", length: "cut" },
  Zhipu: { sensitive: "content_filtered", network_error: "model_failed" },
  watsonx: {
    token_limit: "cut",
    time_limit: "cut",
    not_finished: "cut",
    cancelled: "model_failed",
  },
  "LM Studio": { eosFound: "whole", maxPredictedTokensReached: "cut", userStopped: "model_failed" },
  "this program": { context_length: "context_length" },
};
for (const [provider, reasons] of Object.entries(words)) {
  test(`the finish reasons of ${provider} have their endings, in any case of letters`, () => {
    for (const [reason, ending] of Object.entries(reasons))
      expect([reason, endingOf(reason), endingOf(reason.toUpperCase())]).toEqual([
        reason,
        ending,
        ending,
      ]);
  });
}

test("a reason that no provider is known to have has no ending", () => {
  for (const reason of ["", "whatever", "stop ", "toString", "__proto__"])
    expect(endingOf(reason)).toBeNull();
});

test("an empty text, the word null and other values are no finish reason", () => {
  for (const value of ["", "null", null, undefined, 5, ["stop"]])
    expect(finishReasonFrom(value)).toBeNull();
  expect(finishReasonFrom("stop")).toBe("stop");
  expect(finishReasonFrom("NULL")).toBe("NULL");
});
