// The answer of one try, as far as it has come. Its tokens and its cost count even if the answer is
// no use, because the provider bills them.

import { isTooDeep } from "../../task/depth.ts";
import { isJsonObject, type Json, type JsonObject } from "../../task/json.ts";
import type { Usage } from "../../task/task.ts";
import type { ChatAnswer, RejectedAnswer } from "../contract.ts";
import { SIMULATED_FINGERPRINT } from "../simulated.ts";
import type { HttpResponse } from "./connection.ts";
import { withTextContent } from "./content.ts";
import { finishReasonFrom } from "./finish-reasons.ts";
import { usageOf, withHeaderCost } from "./usage.ts";

/** Each text of an answer that is no use is cut to this many characters. */
const KEPT_CHARS_MAX = 20_000;
/** Members of a message that hold what the model said. */
const TEXTS = ["content", "reasoning_content", "reasoning", "refusal"] as const;

export class Received {
  #headers: HttpResponse["headers"] = {};
  #read: () => unknown = () => null;

  /** `read` returns the body as far as it has come: a completion, an error, or anything else. */
  begin({ headers }: Pick<HttpResponse, "headers">, read: () => unknown = () => null): void {
    this.#headers = headers;
    this.#read = read;
  }

  /** The answer with what its response states of tokens and cost. */
  count(answer: ChatAnswer): ChatAnswer {
    return { ...answer, usage: this.#usage };
  }

  /** The answer as one that is no use; null when it states neither tokens nor a cost. */
  rejected(problem: string): RejectedAnswer | null {
    const usage = this.#usage;
    const { prompt_tokens: prompt, completion_tokens: completion, stated_cost: cost = 0 } = usage;
    if (prompt + completion + cost === 0) return null;
    const whole = this.#whole;
    const choice = choiceOf(whole);
    return {
      problem,
      message: messageOf(choice),
      finishReason: finishReasonFrom(choice["finish_reason"]) ?? "stop",
      ...(whole["system_fingerprint"] === SIMULATED_FINGERPRINT ? { simulated: true } : {}),
      usage: { ...usage, failed_requests: 1 },
    };
  }

  get #whole(): JsonObject {
    const body = this.#read();
    return isJsonObject(body) ? body : {};
  }

  get #usage(): Usage {
    const whole = this.#whole;
    return withHeaderCost(usageOf(whole, choiceOf(whole)), this.#headers);
  }
}

function choiceOf({ choices }: JsonObject): JsonObject {
  const [choice] = Array.isArray(choices) ? (choices as readonly Json[]) : [];
  return isJsonObject(choice) ? choice : {};
}

/** The model's message, within limits. Tool calls stay as text: they may be at fault. */
function messageOf({ message: given }: JsonObject): ChatAnswer["message"] {
  const message = isJsonObject(given) && !isTooDeep(given) ? withTextContent(given) : {};
  const { tool_calls: calls } = message;
  const texts = TEXTS.flatMap((name) => {
    const text = message[name];
    return typeof text === "string" && text !== "" ? [[name, cut(text)] as const] : [];
  });
  return {
    content: null,
    ...Object.fromEntries(texts),
    ...(calls == null ? {} : { tool_calls_text: cut(JSON.stringify(calls)) }),
    role: "assistant",
  };
}

function cut(text: string): string {
  return text.slice(0, KEPT_CHARS_MAX);
}
