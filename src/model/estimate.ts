// Estimates how many tokens a request will use, before it is sent: its prompt by its length, its
// answer by the answers before it.

import type { Usage } from "../task/task.ts";
import type { ChatRequest, ContentPart } from "./contract.ts";
import { countTokens, limitOf } from "./simulated.ts";

/** Assumed for an answer when no answer was seen yet and the request sets no limit. */
const COMPLETION_TOKENS = 256;
/** Assumed for an image or a piece of audio. */
const ATTACHMENT_TOKENS = 1000;
/** Weight of the newest answer in the running mean. */
const WEIGHT = 1 / 16;

export class TokenEstimate {
  #completion: number | null = null;

  /**
   * Returns a function that gives the estimate of the moment: a request that waits is estimated
   * again with what later answers taught. Models without a rate never call it.
   */
  of(request: ChatRequest): () => number {
    const { sampling } = request;
    let prompt: number | null = null;
    const limit = limitOf(sampling);
    const unknown = Number.isFinite(limit) ? limit : COMPLETION_TOKENS;
    return () => {
      prompt ??= promptTokens(request);
      return prompt + Math.min(limit, this.#completion ?? unknown);
    };
  }

  learn({ completion_tokens: tokens }: Usage): void {
    this.#completion =
      this.#completion === null ? tokens : this.#completion + (tokens - this.#completion) * WEIGHT;
  }
}

function promptTokens({ messages, tools }: ChatRequest): number {
  const described = tools === undefined ? 0 : countTokens(JSON.stringify(tools));
  return messages.reduce((sum, { content }) => sum + tokensOf(content), described);
}

function tokensOf(content: string | null | readonly ContentPart[]): number {
  if (content === null) return 0;
  if (typeof content === "string") return countTokens(content);
  return content.reduce(
    (sum, part) => sum + (part.type === "text" ? countTokens(part.text) : ATTACHMENT_TOKENS),
    0,
  );
}
